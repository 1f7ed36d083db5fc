/**
 * Owns: every number that bounds something, with its reason, and the check that they fit together.
 * Refuses to know: who keeps them. test/actors/limits.test.ts holds each at n−1, n and n+1.
 */
import { windowBytesMax } from '../../codec/hello.ts'
import { defaultMaxMessageLengthBytes } from '../../codec/limits.ts'
import { formatValue } from '../../codec/format-value.ts'
import { firstWindowBytes } from '../../protocol/native/lanes/credit.ts'
import { defaultRetransmitBufferBytes } from '../../protocol/native/epoch/retransmit-buffer.ts'
import { checkNames, checkObject, invalid, timerMsMax } from '../base/checks.ts'

export interface Limits {
  /** TCP connect. 10 s: libp2p's and our users' habit; a loaded machine answers well within it. */
  readonly dialTimeoutMs: number
  /** One lookup of a host name. 5 s: the time after which a resolver asks again. A late answer still counts for the next dial. */
  readonly nameLookupTimeoutMs: number
  /** Lookups of host names at once. 2: each may block a thread of the pool, which has four. */
  readonly nameLookupsMax: number
  /** The whole handshake, from the accepted or connected socket on. 5 s: two round trips on the slowest link we mean to serve. */
  readonly handshakeTimeoutMs: number
  /** The application's own say about a peer that asks to come in. */
  readonly admitTimeoutMs: number
  /** A flush at the end, and the time that a destroyed socket may take to be released. */
  readonly closeTimeoutMs: number
  /** A connection that has been up so long has proved itself: the back-off starts anew. Also at the first frame. */
  readonly stableAfterMs: number
  /** Binding a port; it is a local matter. */
  readonly bindTimeoutMs: number
  /** `makeSessions` and control channels, when the call names no time-out of its own. */
  readonly makeSessionsTimeoutMs: number
  /** Draining at `shutdown`. */
  readonly shutdownTimeoutMs: number
  /**
   * A send that waits for a connection or for room. If it is not set, 10 s more than `resumeTimeoutMs`: a send waits for
   * as long as its link may be resumed.
   */
  readonly sendTimeoutMs: number
  readonly backoffMinMs: number
  /** The longest wait before a redial. 30 s; in the ampc dialect 2 s, the pace at which parties of the Rust stack dial. */
  readonly backoffMaxMs: number
  readonly backoffFactor: number
  /** Dials at once, over all peers: a start with a thousand peers must not be a storm. The same number as pending inbound. */
  readonly dialsMax: number
  /** Inbound handshakes under way, in total and from one address. One more evicts the oldest that has proved nothing. */
  readonly pendingInboundMax: number
  readonly pendingInboundPerAddressMax: number
  readonly connectRatePerSecond: number
  readonly connectBurst: number
  /** Body bytes of one value, known from its header. */
  readonly maxMessageLengthBytes: number
  readonly sessionsPerPeerMax: number
  readonly connectionsPerPeerMax: number
  /** Bytes in a socket above which `send` waits. 256 KiB: enough to keep a loopback busy while the reader has its turn. */
  readonly highWaterMarkBytes: number
  /** Native: a link that stays down longer expires, and its values get their outcomes. 120 s, as Socket.IO and JetStream remember. */
  readonly resumeTimeoutMs: number
  /** Native: what is sent and not acknowledged, above which senders wait; each frame counts 32 bytes more than it has. */
  readonly replayWindowBytes: number
  /** Native: what a session may be sent before its reader takes anything. It grows while the reader keeps up. */
  readonly laneWindowBytes: number
  readonly sendQueueBytesMax: number
  readonly sendQueueValuesMax: number
  /** Unread values of one connection. Sessions share connections, so reading stops late. */
  readonly receiveQueueBytesMax: number
  readonly earlyBytesMax: number
  /** Events kept for a slow reader of `network.events()`. */
  readonly eventQueueMax: number
}

/** The limits that an application sets; one that is `undefined` keeps its default. */
export type LimitsOption = { readonly [Name in keyof Limits]?: Limits[Name] | undefined }

const mebibyte = 1024 * 1024
const defaultResumeTimeoutMs = 120_000
/** So that a link that expires is the reason that a waiting send is given, and not its own deadline. */
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
  sessionsPerPeerMax: 1024,
  connectionsPerPeerMax: 64,
  highWaterMarkBytes: 256 * 1024,
  resumeTimeoutMs: defaultResumeTimeoutMs,
  replayWindowBytes: defaultRetransmitBufferBytes,
  laneWindowBytes: firstWindowBytes,
  sendQueueBytesMax: 64 * mebibyte,
  sendQueueValuesMax: 65_536,
  receiveQueueBytesMax: 64 * mebibyte,
  earlyBytesMax: mebibyte,
  eventQueueMax: 1024,
}

/**
 * Where the ampc dialect differs. Parties of the Rust stack dial every 2 s, and give up sessions that are not complete within 10 s:
 * a party that waits longer between two dials can miss all of their attempts.
 */
const ampcLimits: Partial<Limits> = { backoffMaxMs: 2_000 }

export function isLimit(name: string): name is keyof Limits {
  return Object.hasOwn(defaultLimits, name)
}

/** @throws StatewireError ERR_INVALID_OPTION with one sentence that names the bad limit */
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
    if (name === 'laneWindowBytes' && value > windowBytesMax)
      throw invalid(`limits.${name} must be at most ${windowBytesMax}, got ${value}`)
    if ((name === 'maxMessageLengthBytes' || name === 'replayWindowBytes') && value > 0xffff_ffff)
      throw invalid(`limits.${name} must fit the u32 of the wire, got ${value}`)
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
      `limits.pendingInboundPerAddressMax (${limits.pendingInboundPerAddressMax}) must not be above limits.pendingInboundMax (${limits.pendingInboundMax})`,
    )
  return limits
}
