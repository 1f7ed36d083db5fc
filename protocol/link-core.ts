/**
 * Owns: what pumps, link actors and session groups ask of a link, whatever its dialect: sending, receiving and
 * lifecycle.
 * Independent of: how a dialect does it (ampc/ampc-link.ts, native/link/native-link.ts).
 */
import type { FrameSink } from '../codec/frame-assembler.ts'
import type { NetworkValue } from '../codec/values.ts'
import type { FrameSource } from './dialect.ts'
import type { Exchange } from './exchange.ts'
import type { KeptViews } from './kept-views.ts'
import type { Lane } from './lane.ts'
import type { LinkFigures } from './link-figures.ts'
import type { LinkStreams } from './streams.ts'

/** What a link reports at once. The rest is state that its pumps and its actor read after each call. */
export interface LinkHooks {
  /** There is something to send: write it in this tick. */
  requestFlush(): void
  /** There is enough to send: write it now. */
  flushNow(): void
  /** `isReceiveFull` has become false. */
  onReceiveRoom(): void
  onHandlerFailed(lane: Lane, error: unknown): void
  /** The peer broke the protocol, found outside of a call that could throw. */
  onBroken(error: unknown): void
  /** `nextDueAtMs` has become earlier. */
  requestTimer(): void
  /** The peer sent a Goodbye: answer it, or finish; see native/epoch/goodbye.ts. `reason` is the peer's text. */
  onGoodbye(step: 'answer' | 'finish' | 'protocol-error', reason: string): void
}

export const noopHooks: LinkHooks = {
  requestFlush() {},
  flushNow() {},
  onReceiveRoom() {},
  onHandlerFailed() {},
  onBroken() {},
  requestTimer() {},
  onGoodbye() {},
}

export interface LinkCounters {
  valuesSent: number
  bytesSent: number
  valuesReceived: number
  bytesReceived: number
  framesDropped: number
}

/** What a link has to write. */
export interface Outbound {
  /** There is something to write now. An Ack that is due waits for the end of the tick. */
  readonly hasPending: boolean
  /** An Ack is due. Read after each chunk, `flow` and `poll`. */
  readonly isAckDue: boolean
  /** Encoded, and not handed to a connection. */
  readonly pendingBytes: number
}

/** The sending half: sessions add values, the outbound pump takes write batches. */
export interface LinkSending {
  readonly outbound: Outbound
  /**
   * Copies the value into the write batch, or takes its memory over (`transfer`). False: it was not accepted, use
   * `waitToSend`. Throws ERR_INVALID_VALUE, ERR_NOT_TRANSFERABLE.
   * @param whole not accepted if only a part of it can be written now, which the caller would have to wait for
   */
  trySend(lane: Lane, value: NetworkValue, transfer?: boolean, whole?: boolean): boolean
  /**
   * Copies the value, or takes its memory over, before it returns. The returned function withdraws it. Throws as
   * `trySend`.
   */
  waitToSend(
    lane: Lane,
    value: NetworkValue,
    resolve: () => void,
    reject: (error: Error) => void,
    transfer?: boolean,
  ): () => boolean
  takeBatch(): Buffer[]
  /** A connection was adopted, or its socket has room again. */
  flow(): void
  /** The socket accepts no more, or there is none. */
  block(): void
  /**
   * Calls back when the peer has acknowledged everything that the lane has handed to the link so far, or with the
   * reason why it never will (ERR_DIALECT_UNSUPPORTED in a dialect without acknowledgements). The returned function
   * cancels.
   */
  whenAcked(lane: Lane, resolve: () => void, reject: (error: Error) => void): () => void
}

/** The receiving half: the inbound pump pushes chunks through a reader, frames come back to the link. */
export interface LinkReceiving extends FrameSink {
  /** The pump must not read on. Read after each chunk; `LinkHooks.onReceiveRoom` reports the end of it. */
  readonly isReceiveFull: boolean
  /** Whether a connection is read as soon as it is authenticated. Otherwise only once the link has a lane. */
  readonly readsAtOnce: boolean
  /** Unread values that point into the current chunk. The caller settles it at the end of the chunk. */
  readonly kept: KeptViews
  createReader(): FrameSource
  /** A chunk from the socket is about to be read. Throws ProtocolError. */
  chunkBegins(lengthBytes: number): void
  /** The chunk was read, except for a frame of which only a part has arrived. */
  chunkEnds?(): void
}

/** Whether a link is used. */
export interface LinkUse {
  /** No session and no stream is open, and no value and no answer is waited for. */
  readonly isIdle: boolean
  /** Frames that carried something for an application so far, both ways: equal counts mean no use in between. */
  readonly carriedFrames: number
  /** The peer asks for the connection to stay all the same. */
  readonly isKeptByPeer: boolean
}

/** What only a dialect with acknowledgements can tell about the values it accepted. */
export interface DeliveryReports {
  /** Values that were accepted, and whose epoch ended before they were acknowledged. */
  readonly lost: { readonly unknown: number; readonly notSent: number }
  /** Resolves when the link has ended for good. */
  readonly whenClosed: Promise<void>
  readonly isConnected: boolean
  /** Accepts nothing new. What was accepted is still delivered, and what the peer sends still arrives. */
  leave(error: Error): void
  /** Values accepted by `send` and not acknowledged yet. Costs a walk over what is held. */
  acceptedValues(): number
  /** Calls back when all of them are acknowledged, or never will be. */
  whenAllAcked(onSettled: () => void): void
  close(error: Error): void
}

export interface LinkAdoption {
  /** It continues where the last connection ended. */
  readonly resumed: boolean
  readonly replayedFrames: number
  /** How long the link had no connection; null for its first. */
  readonly downMs: number | null
}

/** Lanes, connections, time and the end of a link: what its actor drives. */
export interface LinkLifecycle {
  readonly counters: LinkCounters
  /** Its name for inspectors; absent if the dialect does not resume. */
  readonly epoch?: { readonly name: string }
  /** Null in a dialect without figures beyond `counters`. */
  readonly figures: LinkFigures | null
  /** Null in a dialect without acknowledgements. */
  readonly deliveries: DeliveryReports | null
  /** How the current connection began. Null in a dialect that does not resume. */
  readonly adoption: LinkAdoption | null
  /** Messages and requests. Null where the link carries none. */
  readonly exchange: Exchange | null
  /** Null in a dialect without streams. */
  readonly streams: LinkStreams | null
  /** How many links the peer has configured; null before it has said so, undefined in a dialect where it never does. */
  readonly peerLinks: number | null | undefined
  /** Called when a lane opens: a link that does not read at once starts to read then. */
  onLaneOpened: (() => void) | null
  readonly laneCount: number
  /** Nothing was received for a while. */
  readonly isSuspect: boolean
  /** Null in a dialect that says nothing of it. */
  readonly use: LinkUse | null
  /** The last measured; null before the first, and in a dialect that measures none. */
  readonly roundTripMs: number | null
  /** A connection is adopted. Values that wait do so for room or for the reader. */
  readonly isConnected: boolean
  readonly end: Error | null
  setHooks(hooks: LinkHooks): void
  /** Only where both sides count session ids. */
  openLane?(id: number): Lane
  /** Ends a lane: later frames for it are counted and dropped. `discard` also drops what is unread. */
  closeLane(lane: Lane, error: Error, discard: boolean): void
  /**
   * Keeps frames for sessions from this id on until their lanes are opened. Only where both sides count session ids.
   */
  expectLanesFrom?(id: number): void
  /** A connection is adopted. `agreed` is the result of its handshake. @returns what is written to it first */
  established(agreed: unknown): readonly Buffer[]
  /** Whether lanes are notified of a lost connection. Otherwise what was sent on it is sent again. */
  readonly reportsLoss: boolean
  connectionLost(message: string, cause: unknown): void
  /** An internal error of this side. Where frames are replayed, the frame that caused it must not come again. */
  crashed(): void
  /** The peer no longer has this link: what it held ends now, not when it expires. */
  retire?(): void
  /** The peer broke the protocol. @returns the Goodbye to send, if the dialect has one */
  protocolBroken(reason: string): Buffer | null
  /** This side leaves. @returns the Goodbye to send; null if there is no connection, or the dialect has none */
  goodbye(reason: string): Buffer | null
  /** The answer to this side's Goodbye has arrived. @returns what is sent before the FIN */
  finalAck(): Buffer | null
  /** When `poll` is to be called next, or null if nothing is due. */
  readonly nextDueAtMs: number | null
  poll(nowMs: number, dueAtMs: number): readonly DueAction[]
  /** One more tick of the event loop has passed since `poll` or this call returned `look-again`. */
  lookAgain(): DueAction | null
  close(error: Error): void
}

export interface LinkCore extends LinkSending, LinkReceiving, LinkLifecycle {}

/**
 * What the link actor does when time is up. The Ping of `ping` is in the write batch already; the Ack of `ack` waits.
 */
export type DueAction = 'ack' | 'ping' | 'suspect' | 'look-again' | 'dead' | 'expired'
