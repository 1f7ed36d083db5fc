/**
 * Owns: what an application configures, checked: one plain sentence names what is wrong, and where.
 * Refuses to know: what is done with it.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { helloMaxMessageLengthBytesMin, linksMax } from '../../codec/hello.ts'
import { decodePeerId } from '../../protocol/key-id.ts'
import { defaultMemoryBudgetBytes } from '../../protocol/native/memory/memory-budget.ts'
import { leastBudgetPerLinkBytes } from '../../protocol/native/memory/node-memory.ts'
import { checkIdentity, compareIdentities, roleTowards } from '../../protocol/ampc/peer-id.ts'
import { resolveAdmission } from './admission-options.ts'
import type { AdmissionOptions, ResolvedAdmission } from './admission-options.ts'
import { checkObject, invalid } from '../base/checks.ts'
import { Identity } from '../tls/identity.ts'
import { resolveLimits } from './limits.ts'
import type { Limits, LimitsOption } from './limits.ts'
import { checkPlaces, checkPlacesOf, peerNames } from './option-places.ts'
import { formatAddress } from '../base/pipe.ts'
import type { Address } from '../base/pipe.ts'
import { checkAmpcTls } from '../tls/tls-ampc.ts'
import type { AmpcTlsOptions } from '../tls/tls-ampc.ts'

export interface PeerOption {
  /** The peer's identity: an id52 in the native dialect, any name in `ampc`. */
  readonly id: string
  /**
   * Where it listens: `tls://host:port`, or `tcp://host:port` for plain TCP. Native: whoever has an address dials, and both
   * may. `ampc`: needed for peers that this side dials, those with a lesser identity.
   */
  readonly url?: string | undefined
}

/**
 * What happens to sessions when a connection is lost.
 * - `resume` (native only, and its default): the connection is replaced, and the sessions do not notice.
 * - `fail` (the default of ampc, as in the Rust stack): all sessions of that `makeSessions` call end, at all peers.
 * - `reconnect` (ampc): the connection is replaced, and the sessions are told what may be missing. Only for peers of our own kind:
 *   parties of the Rust stack end their sessions.
 */
export type OnConnectionLost = 'resume' | 'fail' | 'reconnect'

export type DialectName = 'native' | 'ampc'
/** `tls`: mutual TLS 1.3, identities are proved. `plaintext`: nothing is encrypted and identities are only claimed; has to be asked for by name. */
export type Security = 'tls' | 'plaintext'

export interface CommonConfig extends AdmissionOptions {
  /** Where to listen: `tls://host:port` or `tcp://host:port`, port 0 for any. Needed if any peer dials. */
  readonly listen?: string | undefined
  readonly peers: readonly PeerOption[]
  /** Connections to each peer, over which sessions are spread. 1 to `limits.connectionsPerPeerMax`. */
  readonly connectionParallelism?: number | undefined
  readonly limits?: LimitsOption | undefined
}

/** Peers known by their keys, over mutual TLS; sessions that do not notice when sockets die. */
export interface NativeConfig extends CommonConfig {
  /** The key of this side. */
  readonly identity: Identity
  readonly dialect?: 'native' | undefined
  /** `tls` if not given. */
  readonly security?: Security | undefined
  readonly onConnectionLost?: 'resume' | undefined
  /**
   * Bytes that all links of this network together may hold: what peers may send unasked (credit) or have sent and nobody has
   * read, values that wait to be sent, and those that are not acknowledged. 256 MiB if not given. When it is used up,
   * senders wait and long values are read on later, in the order of asking; a new session may fail with ERR_MEMORY_BUDGET.
   * At least 1 MiB, and 64 KiB for each link (peers × connectionParallelism). Sockets' own buffers are not counted.
   */
  readonly memoryBudgetBytes?: number | undefined
}

interface AmpcCommonConfig extends CommonConfig {
  /** The name of this side: 1 to 128 bytes of UTF-8. */
  readonly identity: string
  readonly dialect?: 'ampc' | undefined
  readonly onConnectionLost?: 'fail' | 'reconnect' | undefined
}

/** The dialect of the Rust stack over mutual TLS. */
export interface AmpcTlsConfig extends AmpcCommonConfig {
  readonly security: 'tls'
  /** Key, certificate and the root of each peer: a claimed identity is checked against the root of that identity. */
  readonly tls: AmpcTlsOptions
}

/** The dialect of the Rust stack over plain TCP: nothing is encrypted, and identities are only claimed. */
export interface AmpcPlaintextConfig extends AmpcCommonConfig {
  readonly security: 'plaintext'
  readonly tls?: undefined
}

/** The dialect of the Rust stack, byte for byte. There is no default for `security`. */
export type AmpcConfig = AmpcTlsConfig | AmpcPlaintextConfig

export type NetworkConfig = NativeConfig | AmpcConfig

/** The configuration that belongs to this kind of identity, a key or a name. */
export type ConfigOf<Id extends Identity | string> = { readonly identity: Id } & (Id extends Identity
  ? NativeConfig
  : AmpcConfig)

export interface ResolvedPeer {
  readonly id: string
  readonly role: 'dialer' | 'acceptor'
  readonly address: Address | null
}

export interface ResolvedOptions {
  readonly identity: string
  /** The key behind the identity, in the native dialect. */
  readonly key: Identity | null
  readonly listen: Address | null
  /** Those of the configuration: what the network begins with. Who is a peer now stands in its PeerTable. */
  readonly peers: readonly ResolvedPeer[]
  readonly dialect: DialectName
  readonly security: Security
  readonly onConnectionLost: OnConnectionLost
  readonly connectionParallelism: number
  readonly memoryBudgetBytes: number
  readonly limits: Limits
  readonly admission: ResolvedAdmission
  readonly ampcTls: AmpcTlsOptions | null
}

/** @throws StatewireError ERR_INVALID_OPTION, ERR_INVALID_URL or ERR_INVALID_PEER_ID */
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
  const limits = resolveLimits(config.limits, dialect)
  if (dialect === 'native' && key === null)
    throw invalid(`identity must be an Identity in the native dialect (${identitySources}), got ${formatValue(given)}`)
  if (dialect === 'ampc' && key !== null) throw invalid('identity must be a name in the ampc dialect, got an Identity')
  // A name alone says nothing about which of the two was meant.
  if (key === null && config.dialect === undefined && config.security === undefined)
    throw invalid(
      `identity must be an Identity (${identitySources}), got ${formatValue(given)}; for the ampc dialect, which knows peers by name, security must be said: 'tls' or 'plaintext', got undefined`,
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
      `connectionParallelism must be a whole number from 1 to ${limits.connectionsPerPeerMax}, got ${formatValue(connectionParallelism)}`,
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
        `peers[${index}] (${formatValue(resolved.id)}) ${dialect === 'ampc' ? 'has the greater identity and dials' : 'has no url, so it dials'}, so listen must be set`,
      )
    }
    peers.set(resolved.id, resolved)
  }
  const memoryBudgetBytes = resolveMemoryBudget(config, dialect, peers.size * connectionParallelism)
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
  }
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

function resolveMemoryBudget(config: NetworkConfig, dialect: DialectName, links: number): number {
  const { memoryBudgetBytes } = config as NativeConfig
  if (memoryBudgetBytes === undefined) return Math.max(defaultMemoryBudgetBytes, links * leastBudgetPerLinkBytes)
  if (dialect !== 'native')
    throw invalid(
      'memoryBudgetBytes belongs to the native dialect; in ampc limits.sendQueueBytesMax and limits.receiveQueueBytesMax bound each link',
    )
  const leastBytes = Math.max(leastBudgetBytes, links * leastBudgetPerLinkBytes)
  if (!Number.isSafeInteger(memoryBudgetBytes) || memoryBudgetBytes < leastBytes)
    throw invalid(
      `memoryBudgetBytes must be a whole number of at least ${leastBytes} for ${links} links, got ${formatValue(memoryBudgetBytes)}`,
    )
  return memoryBudgetBytes
}

/** What a hello can say: the peers would refuse another, and this side would call it a bug of its own. */
function checkHelloLimits({ maxMessageLengthBytes }: Limits, connectionParallelism: number): void {
  if (maxMessageLengthBytes < helloMaxMessageLengthBytesMin)
    throw invalid(
      `limits.maxMessageLengthBytes must be at least ${helloMaxMessageLengthBytesMin} in the native dialect, got ${maxMessageLengthBytes}`,
    )
  if (connectionParallelism > linksMax)
    throw invalid(
      `connectionParallelism must be at most ${linksMax} in the native dialect, got ${connectionParallelism}`,
    )
}

function resolveSecurity(security: unknown, dialect: DialectName): Security {
  // In the ampc dialect there is no default: plain TCP is asked for by name, and TLS needs certificates.
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
      `onConnectionLost ${formatValue(resolved)} is not what the ${dialect} dialect can do: native has 'resume', ampc has 'fail' and 'reconnect'`,
    )
  return resolved
}

interface Own {
  readonly identity: string
  readonly dialect: DialectName
  readonly security: Security
}

function resolvePeer(peer: unknown, where: string, own: Own): ResolvedPeer {
  if (typeof peer !== 'object' || peer === null || Array.isArray(peer))
    throw invalid(`${where} must be an object with an id, got ${formatValue(peer)}`)
  checkPlaces(peer, peerNames, 'an option of a peer', `${where}.`)
  const { id, url } = peer as PeerOption
  if (own.dialect === 'native') decodePeerId(id, `${where}.id`)
  else checkIdentity(id, `${where}.id`)
  if (compareIdentities(id, own.identity) === 0) throw invalid(`${where}.id is the own identity ${formatValue(id)}`)
  const address = url === undefined ? null : parseUrl(url, `${where}.url`, own.security)
  if (address?.port === 0) throw wrongUrl(`${where}.url has port 0, on which nobody listens`, url, own.security)
  if (own.dialect === 'native') return { id, role: address === null ? 'acceptor' : 'dialer', address }
  const role = roleTowards(own.identity, id)
  if (role === 'dialer' && address === null)
    throw invalid(`${where}.url is missing: ${formatValue(own.identity)} is greater than ${formatValue(id)} and dials`)
  return { id, role, address }
}

/** A name of a host has 253 characters at most. */
const urlLengthMax = 300

/** @throws StatewireError ERR_INVALID_URL naming `where`, with an example of a right one */
export function parseUrl(text: unknown, where: string, security: Security = 'plaintext'): Address {
  const scheme = security === 'tls' ? 'tls' : 'tcp'
  if (typeof text !== 'string') throw wrongUrl(`${where} must be a string`, text, security)
  // The parser of URLs drops line ends and tabs without a word, and takes a host that no name service knows.
  if (/[\s%]/.test(text) || text.length > urlLengthMax)
    throw wrongUrl(`${where} holds blanks, escapes, or more than ${urlLengthMax} characters`, text, security)
  let url: URL
  try {
    url = new URL(text)
  } catch {
    // Without a cause: that error repeats the whole text, and a password may be in it.
    throw wrongUrl(`${where} is not a URL`, text, security)
  }
  if (url.protocol !== `${scheme}:`) throw wrongUrl(`${where} must begin with ${scheme}://`, text, security)
  if (url.hostname === '') throw wrongUrl(`${where} names no host`, text, security)
  if (url.port === '') throw wrongUrl(`${where} names no port`, text, security)
  if (
    url.username !== '' ||
    url.password !== '' ||
    (url.pathname !== '' && url.pathname !== '/') ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    throw wrongUrl(`${where} may hold a host and a port only`, text, security)
  }
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) }
}

function wrongUrl(problem: string, text: unknown, security: Security): StatewireError {
  return new StatewireError(
    'ERR_INVALID_URL',
    `${problem}, got ${formatValue(text)}; a right one is ${formatUrl({ host: '127.0.0.1', port: 15600 }, security)}`,
  )
}

export function formatUrl(address: Address, security: Security = 'plaintext'): string {
  return `${security === 'tls' ? 'tls' : 'tcp'}://${formatAddress(address)}`
}
