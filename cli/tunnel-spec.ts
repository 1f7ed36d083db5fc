/**
 * Owns: how a tunnel is written: in the list `tunnels` of a configuration file, in a command of the control socket, and
 * as PEER/NAME; and starting one that is written so.
 * Independent of: command lines, files and sockets.
 */
import { checkNames, checkObject, invalid } from '../actors/base/checks.ts'
import type { Network } from '../actors/network/network.ts'
import { StatewireError } from '../codec/errors.ts'
import { formatValue } from '../codec/format-value.ts'
import type { ExposeOptions, OpenOptions, Tunnels } from '../tunnel/index.ts'

export type TunnelSpec =
  ({ readonly side: 'expose' } & ExposeOptions) | ({ readonly side: 'open' } & OpenOptions & { readonly peer: string })

/** A tunnel that runs. */
export interface StartedTunnel {
  readonly side: 'expose' | 'open'
  readonly name: string
  /** Null at the exposing side. */
  readonly peer: string | null
  /** The target, or where clients connect, with the real port. */
  readonly address: string
  /** For people. */
  readonly text: string
}

const exposeFields = ['expose', 'name', 'allow', 'proxyProtocol', 'connectTimeoutMs', 'connectionsMax']
const openFields = ['open', 'listen', 'timeoutMs', 'connectionsMax']

/**
 * Reads `{ expose: TARGET, name, allow, … }` or `{ open: 'PEER/NAME', listen, … }`. The values are checked when it starts.
 * @throws StatewireError ERR_INVALID_OPTION
 */
export function parseTunnel(value: unknown, where: string): TunnelSpec {
  const entry = checkObject(value, where)
  if (('expose' in entry ? 1 : 0) + ('open' in entry ? 1 : 0) !== 1)
    throw invalid(`${where} must have either expose (a target such as 127.0.0.1:5432) or open (PEER/NAME)`)
  if ('expose' in entry) {
    checkNames(entry, exposeFields, `a field of a tunnel with expose`, `${where}.`)
    const { expose: target, ...options } = entry
    if (options['name'] === undefined) throw invalid(`${where}.name is missing: what openers call the tunnel`)
    if (options['allow'] === undefined)
      throw invalid(`${where}.allow is missing: a list of the peers that may connect, or "all"`)
    return { side: 'expose', target, ...options } as TunnelSpec
  }
  checkNames(entry, openFields, `a field of a tunnel with open`, `${where}.`)
  const { open, ...options } = entry
  return { side: 'open', ...parseAddress(open, `${where}.open`), ...options }
}

/** Reads the list of a configuration file. @throws StatewireError ERR_INVALID_OPTION */
export function parseTunnels(value: unknown, where: string): readonly TunnelSpec[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw invalid(`${where} must be a list, got ${formatValue(value)}`)
  return value.map((entry: unknown, index) => parseTunnel(entry, `${where}[${index}]`))
}

/** `PEER/NAME`. @throws StatewireError ERR_INVALID_OPTION */
export function parseAddress(text: unknown, where: string): { readonly peer: string; readonly name: string } {
  const at = typeof text === 'string' ? text.lastIndexOf('/') : -1
  if (typeof text !== 'string' || at < 1 || at === text.length - 1)
    throw invalid(`${where} must be PEER/NAME, the id of a peer and the name of its tunnel, got ${formatValue(text)}`)
  return { peer: text.slice(0, at), name: text.slice(at + 1) }
}

/** @throws StatewireError ERR_UNKNOWN_PEER, or as Tunnels.expose and Tunnels.open */
export async function startTunnel(network: Network, group: Tunnels, spec: TunnelSpec): Promise<StartedTunnel> {
  if (spec.side === 'open') {
    const { side, ...options } = spec
    const { peer, name, address } = await group.open(options)
    return { side, name, peer, address, text: `listening at ${address} for ${peer}/${name}` }
  }
  const { side, ...options } = spec
  const ids: readonly unknown[] = Array.isArray(options.allow) ? options.allow : []
  for (const id of ids)
    if (typeof id !== 'string' || network.peer(id) === undefined)
      throw new StatewireError(
        'ERR_UNKNOWN_PEER',
        `${formatValue(id)}, which is allowed to use the tunnel ${formatValue(options.name)}, is not a peer: add it to peers`,
      )
  const { name, target } = group.expose(options)
  const allowed = options.allow === 'all' ? 'all peers' : ids.join(', ')
  return { side, name, peer: null, address: target, text: `exposing ${target} as ${name} to ${allowed}` }
}
