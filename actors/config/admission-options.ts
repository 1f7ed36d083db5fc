/**
 * Owns: the checked options that decide who may connect: addresses, and the application's `admit`.
 * Independent of: rates and caps (protocol/admission.ts), and how identities are proved.
 */
import { BlockList, isIP } from 'node:net'
import { formatValue } from '../../codec/format-value.ts'
import { checkFunction, invalid } from '../base/checks.ts'

/** What `admit` is told about a peer that connects. */
export interface AdmitInfo {
  /** Proved over TLS; only claimed on plain TCP. */
  readonly peer: string
  readonly linkIndex: number
  /** "127.0.0.1:40112" */
  readonly remoteAddress: string
}

export interface AdmissionOptions {
  /**
   * Addresses and ranges that may connect, "10.0.0.0/8" or "::1". Default: all. Checked before anything else is spent
   * on a connection.
   */
  readonly allowAddresses?: readonly string[] | undefined
  /**
   * Called for each peer before it is admitted. The peer is refused if it returns false, throws, or takes longer than
   * `limits.admitTimeoutMs`.
   */
  readonly admit?: ((info: AdmitInfo) => boolean | Promise<boolean>) | undefined
}

export interface ResolvedAdmission {
  readonly isAddressAllowed: (host: string) => boolean
  readonly admit: ((info: AdmitInfo) => boolean | Promise<boolean>) | null
}

/** @throws StatewireError ERR_INVALID_OPTION naming the entry */
export function resolveAdmission(options: AdmissionOptions): ResolvedAdmission {
  const { allowAddresses, admit } = options
  if (admit !== undefined) checkFunction(admit, 'admit')
  if (allowAddresses === undefined) return { isAddressAllowed: () => true, admit: admit ?? null }
  if (!Array.isArray(allowAddresses)) throw invalid(`allowAddresses must be a list, got ${formatValue(allowAddresses)}`)
  const list = new BlockList()
  for (const [index, entry] of (allowAddresses as readonly unknown[]).entries())
    addRange(list, entry, `allowAddresses[${index}]`)
  return { isAddressAllowed: (host) => isListed(list, host), admit: admit ?? null }
}

function addRange(list: BlockList, entry: unknown, where: string): void {
  if (typeof entry !== 'string') throw invalid(`${where} must be an address or a range, got ${formatValue(entry)}`)
  const [address = '', prefix, ...more] = entry.split('/')
  const version = isIP(address)
  const bits = version === 4 ? 32 : 128
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1
  if (version === 0 || more.length > 0 || length < 0 || length > bits)
    throw invalid(
      `${where} must be an address like "127.0.0.1" or a range like "10.0.0.0/8", got ${formatValue(entry)}`,
    )
  list.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6')
}

/** An IPv4 address on a dual-stack socket appears as "::ffff:127.0.0.1"; it is the same address. */
function isListed(list: BlockList, host: string): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1] ?? host
  const version = isIP(mapped)
  return version !== 0 && list.check(mapped, version === 4 ? 'ipv4' : 'ipv6')
}
