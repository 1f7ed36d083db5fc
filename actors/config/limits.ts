/**
 * Owns: every limit with its reason, and the check that they fit together.
 * Independent of: who enforces them. test/actors/limits.test.ts tests each at n−1, n and n+1.
 */
import { maxUint32 } from '../../codec/constants.ts'
import { helloMaxMessageLengthBytesMax, windowBytesMax } from '../../codec/hello.ts'
import { defaultMaxMessageLengthBytes } from '../../codec/limits.ts'
import { formatValue } from '../../codec/format-value.ts'
import { firstWindowBytes } from '../../protocol/native/lanes/credit.ts'
import { defaultRetransmitBufferBytes } from '../../protocol/native/epoch/retransmit-buffer.ts'
import { defaultReadBufferBytes, readBufferBytesMax, readBufferBytesMin } from '../transport/borrowed-reads.ts'
import { unansweredRequestsMax } from '../../protocol/native/messages/asked-requests.ts'
import { checkNames, checkObject, invalid, timerMsMax } from '../base/checks.ts'

export interface Limits {
  /** TCP connect. 10 s, as in libp2p: a loaded machine answers well within it. */
  readonly dialTimeoutMs: number
  /**
   * One lookup of a host name. 5 s: the interval after which a resolver repeats its query. A late answer is still used
   * for the next dial.
   */
  readonly nameLookupTimeoutMs: number
  /** Concurrent host name lookups. 2: each may block a thread of the pool, which has four. */
  readonly nameLookupsMax: number
  /**
   * The whole handshake, from the accepted or connected socket on. 5 s: two round trips on the slowest supported
   * network.
   */
  readonly handshakeTimeoutMs: number
  /** The application's `admit`. */
  readonly admitTimeoutMs: number
  /**
   * The final flush of a connection, the time that a destroyed socket may take to be released, and the time that a
   * stream whose link was reset waits for its reader.
   */
  readonly closeTimeoutMs: number
  /** How long a connection must be up before the back-off is reset. The first frame resets it too. */
  readonly stableAfterMs: number
  /** Binding a port; a local operation. */
  readonly bindTimeoutMs: number
  /** `makeSessions` and control channels without a `timeoutMs` of their own. */
  readonly makeSessionsTimeoutMs: number
  /** Draining in `shutdown`. */
  readonly shutdownTimeoutMs: number
  /**
   * A send that waits for a connection or for room. Default: 10 s more than `resumeTimeoutMs`, because a send waits as
   * long as its link may be resumed.
   */
  readonly sendTimeoutMs: number
  readonly backoffMinMs: number
  /**
   * The longest delay before a redial. 30 s; 2 s in the ampc dialect, the interval at which parties of the Rust stack
   * dial.
   */
  readonly backoffMaxMs: number
  readonly backoffFactor: number
  /**
   * Concurrent dials over all peers: a start with a thousand peers must not be a storm. The same number as pending
   * inbound.
   */
  readonly dialsMax: number
  /**
   * Inbound handshakes in progress, in total and from one address. One more evicts the oldest that has proved nothing.
   */
  readonly pendingInboundMax: number
  readonly pendingInboundPerAddressMax: number
  readonly connectRatePerSecond: number
  readonly connectBurst: number
  /** Body bytes of one value, checked against its header. */
  readonly maxMessageLengthBytes: number
  /**
   * Native: bytes of one message, request or answer. 1 MiB: while a longer one arrives, the next one waits, so it
   * belongs in a session or a stream. A longer one that arrives is dropped; a request is refused.
   */
  readonly messageBytesMax: number
  /**
   * Native: requests of one peer whose handlers run at once, and requests to one peer that wait to be sent. At most
   * 1,024, which the protocol allows without an answer.
   */
  readonly requestsMax: number
  /** Native: a request without a `timeoutMs` of its own. 30 s, as `makeSessions`. */
  readonly requestTimeoutMs: number
  readonly sessionsPerPeerMax: number
  readonly connectionsPerPeerMax: number
  /**
   * What is read from a socket at once. 64 KiB, the most that libuv reads; 16 KiB, a record of TLS, is the least. One
   * buffer serves all sockets of a network.
   */
  readonly readBufferBytes: number
  /** Bytes in a socket above which `send` waits. 256 KiB keeps a loopback connection busy while the reader runs. */
  readonly highWaterMarkBytes: number
  /**
   * Native: a link that is down for longer expires, and its values get their outcomes. 120 s, as in Socket.IO and
   * JetStream.
   */
  readonly resumeTimeoutMs: number
  /**
   * Native: bytes sent and not acknowledged, above which senders wait. Each frame counts 32 bytes on top of its length.
   */
  readonly replayWindowBytes: number
  /** Native: bytes that a session may be sent before its reader takes any. Grows while the reader keeps up. */
  readonly laneWindowBytes: number
  /** Native: streams that a peer may have open at once on one link. */
  readonly streamsMax: number
  /** Native: opening a stream without a `timeoutMs` of its own, and deciding whether to serve one. 30 s, as requests. */
  readonly streamOpenTimeoutMs: number
  /** Native: streams that a peer may open or reset on one link in a second. */
  readonly streamOpensPerSecond: number
  /** Native: a peer with `connect: 'on-demand'` is disconnected after so long without traffic. 60 s, as in kulfi. */
  readonly idleTimeoutMs: number
  readonly sendQueueBytesMax: number
  readonly sendQueueValuesMax: number
  /** Unread values of one connection. The limit is large because sessions share connections. */
  readonly receiveQueueBytesMax: number
  readonly earlyBytesMax: number
  /** Events kept for a slow reader of `network.events()`. */
  readonly eventQueueMax: number
}

/** The limits that an application sets. One that is `undefined` keeps its default. */
export type LimitsOption = { readonly [Name in keyof Limits]?: Limits[Name] | undefined }

const mebibyte = 1024 * 1024
const defaultResumeTimeoutMs = 120_000
/** Longer than the link's expiry, so that an expired link is reported as such and not as a send that timed out. */
const sendOutlastsResumeMs = 10_000

export const defaultLimits: Limits = {
  dialTimeoutMs: 10_000,
  nameLookupTimeoutMs: 5_000,
  nameLookupsMax: 2,
  handshakeTimeoutMs: 5_000,
  admitTimeoutMs: 2_000,
  closeTimeoutMs: 2_000,
  stableAfterMs: 10_000,
  bindTimeoutMs: 5_000,
  makeSessionsTimeoutMs: 30_000,
  shutdownTimeoutMs: 5_000,
  sendTimeoutMs: defaultResumeTimeoutMs + sendOutlastsResumeMs,
  backoffMinMs: 100,
  backoffMaxMs: 30_000,
  backoffFactor: 1.6,
  dialsMax: 64,
  pendingInboundMax: 64,
  pendingInboundPerAddressMax: 8,
  connectRatePerSecond: 10,
  connectBurst: 20,
  maxMessageLengthBytes: defaultMaxMessageLengthBytes,
  messageBytesMax: mebibyte,
  requestsMax: unansweredRequestsMax,
  requestTimeoutMs: 30_000,
  sessionsPerPeerMax: 1024,
  connectionsPerPeerMax: 64,
  readBufferBytes: defaultReadBufferBytes,
  highWaterMarkBytes: 256 * 1024,
  resumeTimeoutMs: defaultResumeTimeoutMs,
  replayWindowBytes: defaultRetransmitBufferBytes,
  laneWindowBytes: firstWindowBytes,
  streamsMax: 1024,
  streamOpenTimeoutMs: 30_000,
  streamOpensPerSecond: 100_000,
  idleTimeoutMs: 60_000,
  sendQueueBytesMax: 64 * mebibyte,
  sendQueueValuesMax: 65_536,
  receiveQueueBytesMax: 64 * mebibyte,
  earlyBytesMax: mebibyte,
  eventQueueMax: 1024,
}

/**
 * The limits that differ in the ampc dialect. Parties of the Rust stack dial every 2 s and give up sessions that are
 * incomplete after 10 s, so a party with a longer delay can miss all their attempts.
 */
const ampcLimits: Partial<Limits> = { backoffMaxMs: 2_000 }

/** The limits that are sent in a u32 field. */
const uint32Limits: ReadonlySet<string> = new Set(['maxMessageLengthBytes', 'replayWindowBytes', 'streamsMax'])

export function isLimit(name: string): name is keyof Limits {
  return Object.hasOwn(defaultLimits, name)
}

/**
 * Fills in defaults and checks all limits.
 * @throws StatewireError ERR_INVALID_OPTION with one sentence that names the bad limit
 */
export function resolveLimits(overrides: LimitsOption | undefined, dialect: 'native' | 'ampc' = 'native'): Limits {
  const limits: Record<keyof Limits, number> = { ...defaultLimits, ...(dialect === 'ampc' ? ampcLimits : {}) }
  if (overrides === undefined) return limits
  checkObject(overrides, 'limits')
  checkNames(overrides, Object.keys(defaultLimits), 'a limit', 'limits.')
  for (const [name, value] of Object.entries(overrides)) {
    if (value === undefined) continue
    const isFactor = name === 'backoffFactor' || name === 'connectRatePerSecond'
    if (typeof value !== 'number' || !(isFactor ? Number.isFinite(value) : Number.isSafeInteger(value)) || value < 1) {
      throw invalid(
        `limits.${name} must be ${isFactor ? 'a number' : 'a whole number'} of at least 1, got ${formatValue(value)}`,
      )
    }
    if (name.endsWith('Ms') && value > timerMsMax)
      throw invalid(`limits.${name} must be at most ${timerMsMax} ms, got ${value}`)
    if (name === 'requestsMax' && value > unansweredRequestsMax)
      throw invalid(`limits.${name} must be at most ${unansweredRequestsMax}, got ${value}`)
    if (name === 'readBufferBytes' && (value < readBufferBytesMin || value > readBufferBytesMax))
      throw invalid(`limits.${name} must be from ${readBufferBytesMin} to ${readBufferBytesMax}, got ${value}`)
    if (name === 'laneWindowBytes' && value > windowBytesMax)
      throw invalid(`limits.${name} must be at most ${windowBytesMax}, got ${value}`)
    const max = dialect === 'native' && name === 'maxMessageLengthBytes' ? helloMaxMessageLengthBytesMax : maxUint32
    if (uint32Limits.has(name) && value > max)
      throw invalid(`limits.${name} must be at most ${max}, the range of its field, got ${value}`)
    limits[name as keyof Limits] = value
  }
  if (overrides.sendTimeoutMs === undefined)
    limits.sendTimeoutMs = Math.min(timerMsMax, limits.resumeTimeoutMs + sendOutlastsResumeMs)
  if (limits.backoffMinMs > limits.backoffMaxMs)
    throw invalid(
      `limits.backoffMinMs (${limits.backoffMinMs}) must not be above limits.backoffMaxMs (${limits.backoffMaxMs})`,
    )
  if (limits.pendingInboundPerAddressMax > limits.pendingInboundMax)
    throw invalid(
      `limits.pendingInboundPerAddressMax (${limits.pendingInboundPerAddressMax}) must not be above ` +
        `limits.pendingInboundMax (${limits.pendingInboundMax})`,
    )
  return limits
}
