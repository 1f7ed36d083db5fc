/**
 * Owns: what an application configures, checked: one plain sentence names what is wrong, and where.
 * Refuses to know: what is done with it.
 */
import { StatewireError } from '../codec/errors.ts'
import { checkIdentity, compareIdentities, roleTowards } from '../protocol/peer-id.ts'
import { resolveLimits } from './limits.ts'
import type { Limits } from './limits.ts'
import type { Address } from './pipe.ts'

export interface PeerOption {
  /** The peer's identity. */
  readonly id: string
  /** Where it listens: `tcp://host:port`. Needed for peers that this side dials: those with a lesser identity. */
  readonly url?: string
}

/** `fail`: a lost connection ends all sessions of its batch, at all peers. `reconnect`: it is replaced, and the sessions are told what may be missing. */
export type OnConnectionLost = 'fail' | 'reconnect'

export interface NetworkConfig {
  /** Who this side is: 1 to 128 bytes of UTF-8. */
  readonly identity: string
  /** Where to listen: `tcp://host:port`, port 0 for any. Needed if any peer has a greater identity, for those dial. */
  readonly listen?: string
  readonly peers: readonly PeerOption[]
  /** Only `ampc` in this release. */
  readonly dialect?: 'ampc'
  /** Plain TCP has to be asked for by name: identities are only claimed on it. */
  readonly security: 'plaintext'
  readonly onConnectionLost?: OnConnectionLost
  /** Connections to each peer, over which sessions are spread. 1 to `limits.connectionsPerPeerMax`. */
  readonly connectionParallelism?: number
  readonly limits?: Partial<Limits>
}

export interface ResolvedPeer {
  readonly id: string
  readonly role: 'dialer' | 'acceptor'
  readonly address: Address | null
}

export interface ResolvedOptions {
  readonly identity: string
  readonly listen: Address | null
  readonly peers: ReadonlyMap<string, ResolvedPeer>
  readonly dialect: 'ampc'
  readonly security: 'plaintext'
  readonly onConnectionLost: OnConnectionLost
  readonly connectionParallelism: number
  readonly limits: Limits
}

const optionNames = ['identity', 'listen', 'peers', 'dialect', 'security', 'onConnectionLost', 'connectionParallelism', 'limits']

/** @throws StatewireError ERR_INVALID_OPTION, ERR_INVALID_URL or ERR_INVALID_PEER_ID */
export function resolveOptions(config: NetworkConfig): ResolvedOptions {
  if (typeof config !== 'object' || config === null) throw invalid(`the configuration must be an object, got ${config === null ? 'null' : typeof config}`)
  for (const name of Object.keys(config)) if (!optionNames.includes(name)) throw invalid(`${name} is not an option; there are: ${optionNames.join(', ')}`)
  const identity = checkIdentity(config.identity, 'identity')
  const limits = resolveLimits(config.limits)
  if (config.security !== 'plaintext') throw invalid(`security must be 'plaintext' in this release, got ${show(config.security)}`)
  const dialect = config.dialect ?? 'ampc'
  if (dialect !== 'ampc') throw invalid(`dialect must be 'ampc' in this release, got ${show(dialect)}`)
  const onConnectionLost = config.onConnectionLost ?? 'fail'
  if (onConnectionLost !== 'fail' && onConnectionLost !== 'reconnect') throw invalid(`onConnectionLost must be 'fail' or 'reconnect', got ${show(onConnectionLost)}`)
  const connectionParallelism = config.connectionParallelism ?? 1
  if (!Number.isSafeInteger(connectionParallelism) || connectionParallelism < 1 || connectionParallelism > limits.connectionsPerPeerMax) {
    throw invalid(`connectionParallelism must be a whole number from 1 to ${limits.connectionsPerPeerMax}, got ${show(connectionParallelism)}`)
  }
  const listen = config.listen === undefined ? null : parseUrl(config.listen, 'listen')
  if (!Array.isArray(config.peers)) throw invalid(`peers must be a list, got ${show(config.peers)}`)
  const peers = new Map<string, ResolvedPeer>()
  for (const [index, peer] of (config.peers as readonly PeerOption[]).entries()) {
    const resolved = resolvePeer(peer, `peers[${index}]`, identity)
    if (peers.has(resolved.id)) throw invalid(`peers[${index}].id is ${show(resolved.id)}, which is in the list already`)
    if (resolved.role === 'acceptor' && listen === null) throw invalid(`peers[${index}] (${show(resolved.id)}) has the greater identity and dials, so listen must be set`)
    peers.set(resolved.id, resolved)
  }
  return { identity, listen, peers, dialect, security: config.security, onConnectionLost, connectionParallelism, limits }
}

function resolvePeer(peer: unknown, where: string, identity: string): ResolvedPeer {
  if (typeof peer !== 'object' || peer === null) throw invalid(`${where} must be an object with an id, got ${show(peer)}`)
  const { id, url } = peer as PeerOption
  checkIdentity(id, `${where}.id`)
  if (compareIdentities(id, identity) === 0) throw invalid(`${where}.id is the own identity ${show(id)}`)
  const role = roleTowards(identity, id)
  if (role === 'dialer' && url === undefined) throw invalid(`${where}.url is missing: ${show(identity)} is greater than ${show(id)} and dials`)
  return { id, role, address: url === undefined ? null : parseUrl(url, `${where}.url`) }
}

/** @throws StatewireError ERR_INVALID_URL naming `where` */
export function parseUrl(text: unknown, where: string): Address {
  if (typeof text !== 'string') throw new StatewireError('ERR_INVALID_URL', `${where} must be a string like tcp://127.0.0.1:15600, got ${show(text)}`)
  let url: URL
  try {
    url = new URL(text)
  } catch (cause) {
    throw new StatewireError('ERR_INVALID_URL', `${where} is not a URL: ${show(text)}`, { cause })
  }
  if (url.protocol !== 'tcp:') throw new StatewireError('ERR_INVALID_URL', `${where} must begin with tcp://, got ${show(text)}`)
  if (url.hostname === '') throw new StatewireError('ERR_INVALID_URL', `${where} names no host: ${show(text)}`)
  if (url.port === '') throw new StatewireError('ERR_INVALID_URL', `${where} names no port: ${show(text)}`)
  if (url.username !== '' || url.password !== '' || (url.pathname !== '' && url.pathname !== '/') || url.search !== '' || url.hash !== '') {
    throw new StatewireError('ERR_INVALID_URL', `${where} may hold a host and a port only: ${show(text)}`)
  }
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) }
}

export function formatUrl(address: Address): string {
  return `tcp://${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 160 ? `${value.slice(0, 160)}…` : value)
  return typeof value === 'object' && value !== null ? Object.prototype.toString.call(value) : String(value)
}

function invalid(sentence: string): StatewireError {
  return new StatewireError('ERR_INVALID_OPTION', sentence)
}
