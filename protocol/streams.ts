/**
 * Owns: what streams ask of a link, and what a link reports about a stream.
 * Independent of: how streams travel (native/streams/), and what reads and writes them (actors/streams/).
 */
import type { OutcomeCounts } from './native/epoch/outcomes.ts'

/** Bytes written on a stream, in the order in which they were written. */
export type ByteCounts = OutcomeCounts

export interface StreamReset {
  readonly code: number
  readonly reason: string
}

/** What happens to one stream. Calls are synchronous, from within the call that caused them. */
export interface StreamEvents {
  /** Its Open has left, as far as this side is concerned: it is in the write batch. */
  onSent(): void
  /** The peer serves it: bytes may be written. */
  onAccepted(): void
  /** `bytes` belong to the receiver. Each byte is to be given back by {@link StreamPort.taken}. */
  onBytes(bytes: Buffer): void
  /** The peer writes nothing more. */
  onFin(): void
  /**
   * The peer has ended the stream. @param keepsReading the peer had finished writing before: what it wrote stays
   * readable, and only the own writing has failed
   */
  onReset(reset: StreamReset, keepsReading: boolean): void
  /**
   * The stream ended with its link, or could never be opened.
   * @param counts what became of the bytes that were written
   */
  onLost(error: Error, counts: ByteCounts): void
}

/** One stream, for whoever writes and reads it. */
export interface StreamPort {
  /** 0 before its Open has left. */
  readonly id: number
  readonly isOver: boolean
  /** Only for streams that the peer opened. @returns false if memory is short: the stream was reset with `limit` */
  accept(): boolean
  /**
   * Copies 1 to 65,536 bytes into the write batch. False: they were not accepted, use `waitToSend`. Throws why the link
   * accepts nothing new.
   */
  trySend(bytes: Uint8Array): boolean
  /** Copies the bytes. The returned function withdraws them if they still wait. */
  waitToSend(bytes: Uint8Array, resolve: () => void, reject: (error: Error) => void): () => boolean
  /** This side writes nothing more. Call it once nothing waits to be sent. */
  finish(): void
  /** Ends the stream. An Open that has not left is taken back. */
  reset(reset: StreamReset): void
  /** The application has taken so many bytes, which arrived in so many calls of `onBytes`. */
  taken(lengthBytes: number, calls?: number): void
  /** Calls back when the peer has acknowledged what was sent so far. The returned function cancels. */
  whenAcked(resolve: () => void, reject: (error: Error) => void): () => void
}

export interface StreamOpening {
  /** 1 to 255 bytes of UTF-8. */
  readonly protocol: string
  /** At most 64 KiB. */
  readonly extra: Uint8Array
}

/** Takes the streams that the peer opens. `extra` belongs to the receiver. */
export type StreamAcceptor = (stream: StreamPort, opening: StreamOpening) => StreamEvents | StreamReset

/** The streams of one link. */
export interface LinkStreams {
  /** Streams opened here that are not over, those that wait included. */
  readonly openedHere: number
  /** Streams opened by the peer that are not over. */
  readonly openedByPeer: number
  /** A stream that is opened now does not have to wait for another to end. */
  readonly hasPlace: boolean
  /** Opens a stream, or lets its Open wait for a connection and for a place. */
  open(opening: StreamOpening, events: StreamEvents): StreamPort
  setAcceptor(acceptor: StreamAcceptor | null): void
}
