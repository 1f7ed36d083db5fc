/**
 * Owns: certificates of any kind for tests, generated on the spot: authorities, leaves, wrong ones. None is committed.
 * Independent of: what accepts them.
 */
import { createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import net from 'node:net'

export type KeyKind = 'ed25519' | 'ec' | 'rsa'

export interface Wanted {
  readonly name: string
  readonly kind?: KeyKind
  readonly key?: KeyObject
  /** Self-signed without it. */
  readonly issuer?: Issued
  readonly isAuthority?: boolean
  readonly validFrom?: Date
  readonly validTo?: Date
  /** Hosts and addresses in subjectAltName. */
  readonly hosts?: readonly string[]
  readonly purposes?: readonly ('client' | 'server')[]
}

export interface Issued {
  readonly name: string
  readonly key: KeyObject
  readonly keyPem: string
  readonly pem: string
  readonly der: Buffer
}

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >>> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), content])
}

const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'))
const algorithms: Record<KeyKind, Buffer> = {
  ed25519: der(0x30, oid('2b6570')),
  ec: der(0x30, oid('2a8648ce3d040302')),
  rsa: der(0x30, oid('2a864886f70d01010b'), der(0x05)),
}
const nameOf = (name: string): Buffer => der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, Buffer.from(name)))))
const timeOf = (date: Date): Buffer =>
  der(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`))
const extension = (id: string, isCritical: boolean, value: Buffer): Buffer =>
  der(0x30, oid(id), ...(isCritical ? [der(0x01, Buffer.from([0xff]))] : []), der(0x04, value))
const purposeIds = { server: '2b06010505070301', client: '2b06010505070302' }

export function keyOfKind(kind: KeyKind): KeyObject {
  if (kind === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  return kind === 'ec'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    : generateKeyPairSync('ed25519').privateKey
}

const hourMs = 3_600_000

export function issue(wanted: Wanted): Issued {
  const nowMs = new Date().getTime()
  const { name, kind = 'ec', isAuthority = false, issuer, hosts = [], purposes = [] } = wanted
  const key = wanted.key ?? keyOfKind(kind)
  const { validFrom = new Date(nowMs - hourMs), validTo = new Date(nowMs + hourMs) } = wanted
  const signer = issuer?.key ?? key
  const algorithm = algorithms[(signer.asymmetricKeyType ?? 'ed25519') as KeyKind]
  const names = hosts.map((host) =>
    net.isIP(host) === 4 ? der(0x87, Buffer.from(host.split('.').map(Number))) : der(0x82, Buffer.from(host)),
  )
  const extensions = [
    extension('551d13', true, isAuthority ? der(0x30, der(0x01, Buffer.from([0xff]))) : der(0x30)),
    ...(purposes.length === 0
      ? []
      : [extension('551d25', false, der(0x30, ...purposes.map((purpose) => oid(purposeIds[purpose]))))]),
    ...(names.length === 0 ? [] : [extension('551d11', false, der(0x30, ...names))]),
  ]
  const serial = randomBytes(16)
  serial[0] = ((serial[0] as number) & 0x7f) | 0x40
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const content = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    algorithm,
    nameOf(issuer?.name ?? name),
    der(0x30, timeOf(validFrom), timeOf(validTo)),
    nameOf(name),
    spki,
    der(0xa3, der(0x30, ...extensions)),
  )
  const signature = sign(signer.asymmetricKeyType === 'ed25519' ? null : 'sha256', content, signer)
  const whole = der(0x30, content, algorithm, der(0x03, Buffer.from([0]), signature))
  return { name, key, keyPem: key.export({ type: 'pkcs8', format: 'pem' }) as string, pem: toPem(whole), der: whole }
}

export function toPem(certificate: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${(certificate.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END CERTIFICATE-----\n`
}
