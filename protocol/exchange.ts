/**
 * Owns: what the runtime asks of a link that carries messages and requests, and what that link reports.
 * Independent of: how a dialect does it (native/messages/), handlers, promises and timers.
 */
import type { ErrorStatus } from '../codec/message-frames.ts'

export type { ErrorStatus }

/** What a message or a request carries. */
export interface OutgoingMessage {
  /** UTF-8, at most 255 bytes; empty for the default handler. */
  readonly name: Buffer
  /** A MessagePack map of strings to strings, at most 8 KiB; empty for none. */
  readonly headers: Buffer
  readonly bytes: Uint8Array
  /** Its frame, kept by the first link that sends it, if its memory is shared. */
  prepared?: unknown
}

/** Who the memory of `bytes` belongs to: it is copied, taken over, or shared with other links and never changed. */
export type Ownership = 'copy' | 'transfer' | 'shared'

/** Why a request will never be answered. */
export type LostOutcome = 'notSent' | 'unknown'

/** How a request ends. It ends once. */
export type Answer =
  | { readonly status: 'ok'; readonly bytes: Buffer }
  | { readonly status: ErrorStatus; readonly code: string; readonly message: string; readonly bytes: Buffer }
  | { readonly status: 'lost'; readonly outcome: LostOutcome; readonly error: Error }

export interface OutgoingRequest {
  readonly message: OutgoingMessage
  /** Milliseconds that are left, null for no limit. Asked when the request is about to be sent. */
  timeLeftMs(): number | null
  /** Called once, unless the request is cancelled. */
  onAnswer(answer: Answer): void
}

export interface SentRequest {
  /**
   * Gives the request up: `onAnswer` is not called any more.
   * @returns whether it was withdrawn before any of it was sent; otherwise the peer is told, and a handler may run
   */
  cancel(): boolean
}

/** A request of the peer, until it is answered. */
export interface IncomingRequest {
  readonly name: string
  readonly headers: ReadonlyMap<string, string>
  /** Memory of its own. */
  readonly bytes: Buffer
  /** When its last byte arrived, by the clock of the link. */
  readonly arrivedAtMs: number
  /** What was left when it was sent, in milliseconds. Null: no limit. */
  readonly timeLeftMs: number | null
  /** Set by the receiver: the peer gave the request up, or its answer cannot reach the peer any more. */
  onCancel: (() => void) | null
  /** Copies the bytes. Does nothing if it is answered, or if the epoch of the link has ended. */
  answer(bytes: Uint8Array): void
  /** As {@link answer}. */
  fail(status: ErrorStatus, code: string, message: string, bytes?: Uint8Array): void
}

/** A message that its reader has not taken yet. */
export interface HeldMessage {
  /** Gives the credit back, once. */
  taken(): void
}

/** Takes what arrives. No call may throw. */
export interface ExchangeReceiver {
  /**
   * It is taken when this returns, unless `exchange.holdMessage()` was called meanwhile.
   * @param bytes memory of its own
   * @returns whether the name is handled; a message that is not is counted and dropped
   */
  onMessage(name: string, headers: ReadonlyMap<string, string>, bytes: Buffer): boolean
  /** A message was dropped: its name or headers are malformed, or it is longer than this side takes. */
  onBadMessage(why: string): void
  onRequest(request: IncomingRequest): void
}

/** Messages and requests with one peer. */
export interface Exchange {
  readonly isUp: boolean
  /** The last measured; null before that. */
  readonly roundTripMs: number | null
  /** Requests that have no answer: those that wait to be sent, and those on their way. */
  readonly outstanding: number
  /** False: it was not accepted, use {@link waitToSend}. Throws ERR_INVALID_VALUE, ERR_NOT_TRANSFERABLE. */
  trySend(message: OutgoingMessage, ownership: Ownership): boolean
  /** Throws as {@link trySend}. The returned function withdraws the message if it still waits. */
  waitToSend(
    message: OutgoingMessage,
    ownership: Ownership,
    resolve: () => void,
    reject: (error: Error) => void,
  ): () => boolean
  /**
   * Sends a request, or lets it wait for credit, for room, for a connection, or for the answers to 1,024 others. Copies
   * its bytes. Throws ERR_INVALID_VALUE.
   */
  request(request: OutgoingRequest): SentRequest
  /** Without a receiver, messages are dropped and requests are answered `no-handler`. */
  setReceiver(receiver: ExchangeReceiver | null): void
  /** Within `onMessage`: the message is not taken yet. */
  holdMessage(): HeldMessage
}
