/**
 * Owns: checking the configuration of an application. One sentence names what is wrong, and where.
 * Independent of: what is done with it.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { helloMaxMessageLengthBytesMin, linksMax } from '../../codec/hello.ts'
import { decodePeerId } from '../../protocol/key-id.ts'
import { defaultMemoryBudgetBytes } from '../../protocol/native/memory/memory-budget.ts'
import { leastBudgetPerLinkBytes, longestMessageBytes } from '../../protocol/native/memory/node-memory.ts'
import { checkIdentity, compareIdentities, roleTowards } from '../../protocol/ampc/peer-id.ts'
import { resolveAdmission } from './admission-options.ts'
import type { AdmissionOptions, ResolvedAdmission } from './admission-options.ts'
import { checkFunction, checkObject, invalid } from '../base/checks.ts'
import { Identity } from '../tls/identity.ts'
import { resolveLimits } from './limits.ts'
import type { Limits, LimitsOption } from './limits.ts'
import { checkPlaces, checkPlacesOf, peerNames } from './option-places.ts'
import { parseUrl, parseUrls } from './urls.ts'
import type { Security } from './urls.ts'
import type { Address } from '../base/pipe.ts'
import { checkAmpcTls } from '../tls/tls-ampc.ts'
import type { AmpcTlsOptions } from '../tls/tls-ampc.ts'

export interface PeerOption {
  /** The peer's identity: an id52 in the native dialect, any name in `ampc`. */
  readonly id: string
  /**
   * Where the peer listens, one URL or several: `tls://host:port`, `tcp://host:port` for plain TCP, or
   * `unix:/path/to/socket`. Several are tried in order, the last one that worked first. Native: the side that has a URL
   * dials; both may. `ampc`: required for peers that this side dials, those with a lesser identity.
   */
  readonly urls?: string | readonly string[] | undefined
  /**
   * Native: `'always'` (the default) keeps a connection to the peer. `'on-demand'` connects when something is to be sent
   * to it, and disconnects after `limits.idleTimeoutMs` without traffic, unless the peer wants to stay connected.
   */
  readonly connect?: ConnectMode | undefined
}

export type ConnectMode = 'always' | 'on-demand'

/**
 * What happens to sessions when a connection is lost.
 * - `resume` (native only, and its default): the connection is replaced; sessions are not affected.
 * - `fail` (the default of ampc, as in the Rust stack): all sessions of that `makeSessions` call end, at all peers.
 * - `reconnect` (ampc): the connection is replaced, and the sessions learn what may be missing. Only between statewire
 *   peers:
 *   parties of the Rust stack end their sessions.
 */
export type OnConnectionLost = 'resume' | 'fail' | 'reconnect'

export type DialectName = 'native' | 'ampc'
export type { Security }

export interface CommonConfig extends AdmissionOptions {
  /**
   * Where to listen: `tls://host:port` or `tcp://host:port`; port 0 picks a free port. Required if any peer dials this
   * side.
   */
  readonly listen?: string | undefined
  readonly peers: readonly PeerOption[]
  /** Connections to each peer; sessions are distributed over them. 1 to `limits.connectionsPerPeerMax`. */
  readonly connectionParallelism?: number | undefined
  readonly limits?: LimitsOption | undefined
}

/** Peers identified by their keys, over mutual TLS; sessions survive lost sockets. */
export interface NativeConfig extends CommonConfig {
  /** The key of this side. */
  readonly identity: Identity
  readonly dialect?: 'native' | undefined
  /** Default: `tls`. */
  readonly security?: Security | undefined
  readonly onConnectionLost?: 'resume' | undefined
  /**
   * Bytes that all links of this network together may hold for receiving: credit given to peers, at most half of it,
   * and values of over 64 KiB that arrive or are unread. Sending may hold as much again: values that wait to be sent,
   * and unacknowledged values. Default: 256 MiB. At least 1 MiB, and 64 KiB for each link (peers ×
   * connectionParallelism), and twice `limits.maxMessageLengthBytes`.
   *
   * When the budget is used up, senders wait, long values wait for their turn, and a new session may fail with
   * ERR_MEMORY_BUDGET. Socket buffers are not counted.
   */
  readonly memoryBudgetBytes?: number | undefined
  /**
   * Whether a peer may use a request of the runtime, whose name begins with `statewire/`, such as `statewire/services`.
   * Every peer may by default. Only `true` permits it: an error or a promise does not.
   */
  readonly permit?: ((peer: string, name: string) => boolean) | undefined
}

interface AmpcCommonConfig extends CommonConfig {
  /** The name of this side: 1 to 128 bytes of UTF-8. */
  readonly identity: string
  readonly dialect?: 'ampc' | undefined
  readonly onConnectionLost?: 'fail' | 'reconnect' | undefined
}

/** The Rust stack's dialect over mutual TLS. */
export interface AmpcTlsConfig extends AmpcCommonConfig {
  readonly security: 'tls'
  /** Key, certificate, and the root of each peer. A claimed identity is checked against its root. */
  readonly tls: AmpcTlsOptions
}

/** The Rust stack's dialect over plain TCP: nothing is encrypted, and identities are only claimed. */
export interface AmpcPlaintextConfig extends AmpcCommonConfig {
  readonly security: 'plaintext'
  readonly tls?: undefined
}

/** The Rust stack's dialect, byte for byte. `security` has no default. */
export type AmpcConfig = AmpcTlsConfig | AmpcPlaintextConfig

export type NetworkConfig = NativeConfig | AmpcConfig

/** The configuration for this kind of identity, a key or a name. */
export type ConfigOf<Id extends Identity | string> = { readonly identity: Id } & (Id extends Identity
  ? NativeConfig
  : AmpcConfig)

export interface ResolvedPeer {
  readonly id: string
  /** Native: a dialer once there is an address. */
  role: 'dialer' | 'acceptor'
  /** In the order of the URLs. Replaced, never changed. */
  addresses: readonly Address[]
  readonly connect: ConnectMode
  /**
   * `wanted`: this side keeps a connection. `idle`: it does not dial, and takes the peer's dials. `disconnected`: it
   * answers them with `busy`.
   */
  desired: 'wanted' | 'idle' | 'disconnected'
}

export interface ResolvedOptions {
  readonly identity: string
  /** The key behind the identity, in the native dialect. */
  readonly key: Identity | null
  readonly listen: Address | null
  /** The configured peers, with which the network starts. The current ones are in its PeerTable. */
  readonly peers: readonly ResolvedPeer[]
  readonly dialect: DialectName
  readonly security: Security
  readonly onConnectionLost: OnConnectionLost
  readonly connectionParallelism: number
  readonly memoryBudgetBytes: number
  readonly limits: Limits
  readonly admission: ResolvedAdmission
  readonly ampcTls: AmpcTlsOptions | null
  readonly permit: ((peer: string, name: string) => boolean) | null
}

/**
 * Checks a configuration and fills in defaults.
 * @throws StatewireError ERR_INVALID_OPTION, ERR_INVALID_URL or ERR_INVALID_PEER_ID
 */
export function resolveOptions(config: NetworkConfig): ResolvedOptions {
  checkPlacesOf(checkObject(config, 'the configuration'))
  const given: unknown = config.identity
  if (given instanceof Promise)
    throw new StatewireError('ERR_INVALID_PEER_ID', 'identity is a Promise: await Identity.load(file) first')
  const key = config.identity instanceof Identity ? config.identity : null
  const identity = key === null ? checkName(given) : key.id
  const dialect: unknown = config.dialect === undefined ? (key === null ? 'ampc' : 'native') : config.dialect
  if (dialect !== 'ampc' && dialect !== 'native')
    throw invalid(`dialect must be 'native' or 'ampc', got ${formatValue(dialect)}`)
  let limits = resolveLimits(config.limits, dialect)
  if (dialect === 'native' && key === null)
    throw invalid(`identity must be an Identity in the native dialect (${identitySources}), got ${formatValue(given)}`)
  if (dialect === 'ampc' && key !== null) throw invalid('identity must be a name in the ampc dialect, got an Identity')
  // A name alone does not say which of the two was meant.
  if (key === null && config.dialect === undefined && config.security === undefined)
    throw invalid(
      `identity must be an Identity (${identitySources}), got ${formatValue(given)}; a name is for the ampc ` +
        `dialect, where security must be set to 'tls' or 'plaintext', got undefined`,
    )
  const security = resolveSecurity(config.security, dialect)
  const ampcTls = resolveAmpcTls(config, dialect, security)
  const onConnectionLost = resolveMode(config.onConnectionLost, dialect)
  const connectionParallelism = config.connectionParallelism === undefined ? 1 : config.connectionParallelism
  if (
    !Number.isSafeInteger(connectionParallelism) ||
    connectionParallelism < 1 ||
    connectionParallelism > limits.connectionsPerPeerMax
  ) {
    throw invalid(
      `connectionParallelism must be a whole number from 1 to ${limits.connectionsPerPeerMax}, got ` +
        formatValue(connectionParallelism),
    )
  }
  if (dialect === 'native') checkHelloLimits(limits, connectionParallelism)
  const listen = config.listen === undefined ? null : parseUrl(config.listen, 'listen', security)
  if (!Array.isArray(config.peers)) throw invalid(`peers must be a list, got ${formatValue(config.peers)}`)
  const peers = new Map<string, ResolvedPeer>()
  for (const [index, peer] of (config.peers as readonly PeerOption[]).entries()) {
    const resolved = resolvePeer(peer, `peers[${index}]`, { identity, dialect, security })
    if (peers.has(resolved.id))
      throw invalid(`peers[${index}].id is ${formatValue(resolved.id)}, which is in the list already`)
    if (resolved.role === 'acceptor' && listen === null) {
      throw invalid(
        `peers[${index}] (${formatValue(resolved.id)}) ` +
          (dialect === 'ampc'
            ? 'has the greater identity, so it must dial this side: set listen'
            : 'has no urls, so it must dial this side: set listen, or give it urls'),
      )
    }
    peers.set(resolved.id, resolved)
  }
  const memoryBudgetBytes = resolveMemoryBudget(config, dialect, limits, peers.size * connectionParallelism)
  if (dialect === 'native') limits = withinBudget(limits, config.limits, memoryBudgetBytes)
  return {
    identity,
    key,
    listen,
    peers: [...peers.values()],
    dialect,
    security,
    onConnectionLost,
    connectionParallelism,
    memoryBudgetBytes,
    limits,
    admission: resolveAdmission(config),
    ampcTls,
    permit: resolvePermit(config, dialect),
  }
}

function resolvePermit(config: NetworkConfig, dialect: DialectName): ResolvedOptions['permit'] {
  const { permit } = config as NativeConfig
  if (permit === undefined) return null
  checkFunction(permit, 'permit')
  if (dialect !== 'native')
    throw new StatewireError('ERR_DIALECT_UNSUPPORTED', 'permit is for requests, which the ampc dialect does not have')
  return permit
}

const identitySources = 'Identity.generate(), or await Identity.load(file)'

function checkName(identity: unknown): string {
  if (typeof identity !== 'string')
    throw new StatewireError(
      'ERR_INVALID_PEER_ID',
      `identity must be an Identity (${identitySources}) or, in the ampc dialect, a name, got ${formatValue(identity)}`,
    )
  return checkIdentity(identity, 'identity')
}

const leastBudgetBytes = 1024 * 1024

function resolveMemoryBudget(config: NetworkConfig, dialect: DialectName, limits: Limits, links: number): number {
  const { memoryBudgetBytes } = config as NativeConfig
  if (memoryBudgetBytes === undefined)
    return Math.max(defaultMemoryBudgetBytes, links * leastBudgetPerLinkBytes, 2 * limits.maxMessageLengthBytes)
  if (dialect !== 'native')
    throw invalid(
      'memoryBudgetBytes belongs to the native dialect; in ampc limits.sendQueueBytesMax and ' +
        'limits.receiveQueueBytesMax bound each link',
    )
  const leastBytes = Math.max(leastBudgetBytes, links * leastBudgetPerLinkBytes)
  if (!Number.isSafeInteger(memoryBudgetBytes) || memoryBudgetBytes < leastBytes)
    throw invalid(
      `memoryBudgetBytes must be a whole number of at least ${leastBytes} for ${links} links, got ` +
        formatValue(memoryBudgetBytes),
    )
  return memoryBudgetBytes
}

/** The other half of the budget is for windows. A limit that was not set adapts to the budget. */
function withinBudget(limits: Limits, given: NetworkConfig['limits'], memoryBudgetBytes: number): Limits {
  const longestBytes = longestMessageBytes(memoryBudgetBytes)
  if (limits.maxMessageLengthBytes <= longestBytes) return limits
  if (given?.maxMessageLengthBytes === undefined) return { ...limits, maxMessageLengthBytes: longestBytes }
  throw invalid(
    `limits.maxMessageLengthBytes must be at most half of memoryBudgetBytes (${longestBytes}), got ` +
      `${limits.maxMessageLengthBytes}: lower it, or set memoryBudgetBytes to ${2 * limits.maxMessageLengthBytes}`,
  )
}

/** The ranges that a hello can represent. Peers would refuse any other value. */
function checkHelloLimits({ maxMessageLengthBytes }: Limits, connectionParallelism: number): void {
  if (maxMessageLengthBytes < helloMaxMessageLengthBytesMin)
    throw invalid(
      `limits.maxMessageLengthBytes must be at least ${helloMaxMessageLengthBytesMin} in the native dialect, got ` +
        `${maxMessageLengthBytes}`,
    )
  if (connectionParallelism > linksMax)
    throw invalid(
      `connectionParallelism must be at most ${linksMax} in the native dialect, got ${connectionParallelism}`,
    )
}

function resolveSecurity(security: unknown, dialect: DialectName): Security {
  // In the ampc dialect there is no default: plain TCP must be explicit, and TLS needs certificates.
  const resolved = security === undefined && dialect === 'native' ? 'tls' : security
  if (resolved !== 'tls' && resolved !== 'plaintext')
    throw invalid(`security must be 'tls' or 'plaintext', got ${formatValue(resolved)}`)
  return resolved
}

function resolveAmpcTls(config: NetworkConfig, dialect: DialectName, security: Security): AmpcTlsOptions | null {
  const { tls } = config as AmpcConfig
  if (dialect === 'native' || security === 'plaintext') {
    if (tls !== undefined)
      throw invalid(
        "tls belongs to the ampc dialect with security 'tls'; the native dialect makes its certificate from its key",
      )
    return null
  }
  if (tls === undefined)
    throw invalid(
      "security is 'tls' in the ampc dialect, so tls must hold the key, the certificate and the root of each peer",
    )
  checkAmpcTls(tls, 'tls')
  return tls
}

function resolveMode(mode: unknown, dialect: DialectName): OnConnectionLost {
  const resolved = mode === undefined ? (dialect === 'native' ? 'resume' : 'fail') : mode
  if (resolved !== 'resume' && resolved !== 'fail' && resolved !== 'reconnect')
    throw invalid(`onConnectionLost must be 'resume', 'reconnect' or 'fail', got ${formatValue(resolved)}`)
  if ((resolved === 'resume') !== (dialect === 'native'))
    throw new StatewireError(
      'ERR_DIALECT_UNSUPPORTED',
      `onConnectionLost ${formatValue(resolved)} is not supported in the ${dialect} dialect: use 'resume' in ` +
        `native, 'fail' or 'reconnect' in ampc`,
    )
  return resolved
}

export interface Own {
  readonly identity: string
  readonly dialect: DialectName
  readonly security: Security
}

export function resolvePeer(peer: unknown, where: string, own: Own): ResolvedPeer {
  if (typeof peer !== 'object' || peer === null || Array.isArray(peer))
    throw invalid(`${where} must be an object with an id, got ${formatValue(peer)}`)
  checkPlaces(peer, peerNames, 'an option of a peer', `${where}.`)
  const { id, urls, connect } = peer as PeerOption
  if (own.dialect === 'native') decodePeerId(id, `${where}.id`)
  else checkIdentity(id, `${where}.id`)
  if (compareIdentities(id, own.identity) === 0)
    throw new StatewireError(
      'ERR_INVALID_OPTION',
      `${where}.id is this side's own identity ${formatValue(id)}: a network is not a peer of itself`,
    )
  if (connect !== undefined && connect !== 'always' && connect !== 'on-demand')
    throw invalid(`${where}.connect must be 'always' or 'on-demand', got ${formatValue(connect)}`)
  if (connect === 'on-demand' && own.dialect !== 'native')
    throw new StatewireError('ERR_DIALECT_UNSUPPORTED', `${where}.connect is always 'always' in the ampc dialect`)
  const addresses = parseUrls(urls, `${where}.urls`, own.security)
  const desired = connect === 'on-demand' ? 'idle' : 'wanted'
  const resolved = { id, addresses, connect: connect ?? 'always', desired } as const
  if (own.dialect === 'native') return { ...resolved, role: addresses.length === 0 ? 'acceptor' : 'dialer' }
  const role = roleTowards(own.identity, id)
  if (role === 'dialer' && addresses.length === 0)
    throw invalid(
      `${where}.urls is missing: this side (${formatValue(own.identity)}) has the greater identity and must dial ` +
        formatValue(id),
    )
  return { ...resolved, role }
}
