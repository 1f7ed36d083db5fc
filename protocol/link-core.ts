/**
 * Owns: what pumps, link actors and batches ask of the state of a link, whatever its dialect.
 * Refuses to know: how a dialect keeps its promises: link-state.ts (ampc), native/native-link-state.ts.
 */
import type { FrameSink } from '../codec/frame-assembler.ts'
import type { NetworkValue } from '../codec/values.ts'
import type { FrameSource } from './dialect.ts'
import type { KeptViews } from './kept-views.ts'
import type { Lane } from './lane.ts'

/** The pumps and the actor above, as the state sees them. */
export interface LinkHooks {
  /** Something is to be sent: leave in this turn. */
  requestFlush(): void
  /** An Ack is due and nothing else: leave when all that this turn of the loop has to read is read. */
  requestAck(): void
  /** Enough is to be sent: leave now. */
  flushNow(): void
  onReceiveFull(): void
  onReceiveRoom(): void
  onHandlerFailed(lane: Lane, error: unknown): void
  /** A kept frame turned out not to keep to the wire contract. */
  onBroken(error: unknown): void
  /** `nextDueAtMs` has become earlier. */
  requestTimer(): void
  /** The peer says Goodbye: answer it, or finish; see native/goodbye.ts. `reason` is in its words. */
  onGoodbye(step: 'answer' | 'finish' | 'protocol-error', reason: string): void
}

export const idleHooks: LinkHooks = { requestFlush() {}, requestAck() {}, flushNow() {}, onReceiveFull() {}, onReceiveRoom() {}, onHandlerFailed() {}, onBroken() {}, requestTimer() {}, onGoodbye() {} }

export interface LinkCounters {
  valuesSent: number
  bytesSent: number
  valuesReceived: number
  bytesReceived: number
  framesDropped: number
}

/** What a link has to write. */
export interface Outbound {
  /** Something to write now; an Ack that is due waits for the end of the turn. */
  readonly hasPending: boolean
  readonly isAckDue: boolean
  /** Encoded, and not handed to a connection. */
  readonly pendingBytes: number
}

export interface LinkCore extends FrameSink {
  readonly counters: LinkCounters
  /** Its name for inspectors; absent if the dialect does not resume. */
  readonly epoch?: { readonly name: string }
  /** A link does not read before it has a lane, where the dialect asks for that: its actor waits for this. */
  onLaneOpened: (() => void) | null
  readonly laneCount: number
  /** A connection is adopted: values that wait do so for room or for the reader. */
  readonly isConnected: boolean
  readonly isReceiveFull: boolean
  readonly outbound: Outbound
  readonly end: Error | null
  setHooks(hooks: LinkHooks): void
  createReader(): FrameSource
  openLane(id: number): Lane
  /** Ends a lane: later frames for it are counted and dropped. `discard` also forgets what was not read. */
  closeLane(lane: Lane, error: Error, discard: boolean): void
  /**
   * Copies the value into the write batch, or takes its memory over (`transfer`). False: it was not accepted, use `waitToSend`.
   * Throws ERR_INVALID_VALUE, ERR_NOT_TRANSFERABLE.
   */
  trySend(lane: Lane, value: NetworkValue, transfer?: boolean): boolean
  /** Copies the value, or takes its memory over, before it returns. The returned function withdraws it. Throws as `trySend`. */
  waitToSend(lane: Lane, value: NetworkValue, resolve: () => void, reject: (error: Error) => void, transfer?: boolean): () => boolean
  takeBatch(): Buffer[]
  /** A chunk from the socket is about to be read. Throws ProtocolError. */
  chunkBegins(lengthBytes: number): void
  /** What is unread of the chunk that is being read; whoever reads it settles this at its end. */
  readonly kept: KeptViews
  /** All of it is read, but for a frame that is there in part. */
  chunkEnds?(): void
  flow(): void
  block(): void
  /** Whether a connection is read from the moment it is authenticated; else only once the link has a lane. */
  readonly readsAtOnce: boolean
  /** A connection is adopted: what goes to it first. `agreed` is what its handshake came to. */
  established(agreed: unknown): readonly Buffer[]
  /** Whether lanes hear of a lost connection, so that somebody has to say why; else what was sent on it is sent again. */
  readonly tellsOfLoss: boolean
  connectionLost(message: string, cause: unknown): void
  /** A bug of this side: where frames are replayed, the one that met it must not come again and again. */
  crashed(): void
  /**
   * Calls back when all that the lane has handed to the link so far is acknowledged, or with why it never will be
   * (ERR_DIALECT_UNSUPPORTED where nothing is acknowledged). The returned function gives up.
   */
  whenAcked(lane: Lane, resolve: () => void, reject: (error: Error) => void): () => void
  /** The peer has no such link any more: what this one held is over now, and not when it expires. Only where peers tell how many they have. */
  retire?(): void
  /** The peer broke the wire contract. @returns what to tell it before the end, if the dialect has words for it */
  contractBroken(reason: string): Buffer | null
  /** This side leaves. @returns the last words, where the dialect has any and the other side answers them */
  farewell(reason: string): Buffer | null
  /** The answer to the peer's last words has come: what goes out before the end. */
  lastWords(): Buffer | null
  /** The peer knows a newer hello of this side than this one. */
  replaced(): void
  /** When `poll` is to be called next, or null. Where nothing is due by time, always null. */
  readonly nextDueAtMs: number | null
  poll(nowMs: number, dueAtMs: number): readonly DueAction[]
  /** One more turn of the event loop is over, after `poll` said `look-again`. */
  lookAgain(): DueAction | null
  close(error: Error): void
}

/** What time asks of the link actor; `ping` is in the batch already. */
export type DueAction = 'ping' | 'suspect' | 'look-again' | 'dead' | 'expired'
