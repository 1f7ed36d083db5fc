/**
 * Owns: the sending side of a lane, whatever it carries: what the outbox needs to know of a lane and of a frame.
 * Independent of: what a frame carries, and of when it is sent.
 */
import { encodedLength } from '../../../codec/encode-value.ts'
import type { EncodedFrame, FrameWriter } from '../../../codec/frame-writer.ts'
import { FrameInPieces } from '../../../codec/frame-in-pieces.ts'
import type { NetworkValue } from '../../../codec/values.ts'
import type { Deque } from '../../deque.ts'
import { retransmitFrameOverheadBytes } from '../epoch/retransmit-buffer.ts'
import type { SendCredit } from './credit.ts'

/** How the frames of one kind of lane are written. One object for each kind, so that a send creates no closure. */
export interface FrameEncoder<Content> {
  /** The length of the whole frame, lane id included. Throws ERR_INVALID_VALUE. */
  lengthBytes(content: Content): number
  /**
   * Adds the frame to the writer's batch. @param transfer the content's memory is taken over instead of copied
   * @returns the length of the frame. Throws ERR_INVALID_VALUE, ERR_NOT_TRANSFERABLE; then nothing was added.
   */
  write(writer: FrameWriter, laneId: number, content: Content, transfer: boolean): number
  /** A frame that has to wait; `writer.writeEncoded` adds it. Throws as {@link write}. */
  encode(writer: FrameWriter, laneId: number, content: Content, transfer: boolean): EncodedFrame
  /** A frame that is sent in Pieces. Throws as {@link write}. Absent if the lane has no long frames. */
  encodeLong?(writer: FrameWriter, laneId: number, content: Content, transfer: boolean): FrameInPieces
}

/** Values of sessions. */
export const valueFrames: FrameEncoder<NetworkValue> = {
  lengthBytes: (value) => 4 + encodedLength(value),
  write: (writer, laneId, value, transfer) => writer.writeFrame(laneId, value, transfer),
  encode: (writer, laneId, value, transfer) => writer.encode(laneId, value, transfer),
  encodeLong: (writer, laneId, value, transfer) => writer.encodeLong(laneId, value, transfer),
}

/**
 * A frame that waits for credit or for room, or of which the last Piece does: copied, or its memory taken over.
 */
export class PendingSend {
  readonly #frame: EncodedFrame | FrameInPieces
  /** What it counts in the send queue. */
  costBytes: number
  /** What it holds of the memory budget; 0 once that has become room of the link. */
  memoryBytes: number
  readonly #resolve: () => void
  readonly #reject: (error: Error) => void
  #watchers: Set<(error: Error | null) => void> | null = null

  constructor(
    frame: EncodedFrame | FrameInPieces,
    costBytes: number,
    resolve: () => void,
    reject: (error: Error) => void,
  ) {
    this.#frame = frame
    this.costBytes = costBytes
    this.memoryBytes = costBytes
    this.#resolve = resolve
    this.#reject = reject
  }

  /** It does not wait any more. @param error why it is not sent, or null */
  settle(error: Error | null): void {
    if (error === null) this.#resolve()
    else this.#reject(error)
    for (const watcher of this.#watchers ?? []) watcher(error)
    this.#watchers = null
  }

  /** Calls back when it is settled. The returned function cancels. */
  whenSettled(watcher: (error: Error | null) => void): () => void {
    const watchers = (this.#watchers ??= new Set())
    watchers.add(watcher)
    return () => void watchers.delete(watcher)
  }

  /** Null if it is not sent in Pieces. */
  get long(): FrameInPieces | null {
    return this.#frame instanceof FrameInPieces ? this.#frame : null
  }

  /** The length of the whole frame, lane id included: what maxMessageLength is compared with. */
  get frameLengthBytes(): number {
    return this.#frame instanceof FrameInPieces ? this.#frame.frameLengthBytes : this.#frame.lengthBytes
  }

  /** What it sends at its next turn, on the wire: the frame, or a Piece. */
  get lengthBytes(): number {
    return this.#frame instanceof FrameInPieces ? this.#frame.nextLengthBytes : this.#frame.lengthBytes
  }

  /** What becomes room of the link at its next turn. */
  get turnMemoryBytes(): number {
    const { long, memoryBytes } = this
    if (long === null || long.leftPieces === 1) return memoryBytes
    return Math.min(memoryBytes, long.nextLengthBytes + retransmitFrameOverheadBytes)
  }

  /** What it still costs in the send queue, if it is sent in Pieces. */
  static longCostBytes({ wireBytes, pieces }: { readonly wireBytes: number; readonly pieces: number }): number {
    return wireBytes + pieces * retransmitFrameOverheadBytes
  }

  /** @returns the length of the frame */
  write(writer: FrameWriter): number {
    return writer.writeEncoded(this.#frame as EncodedFrame)
  }
}

export interface SendingLane {
  readonly id: number
  /** Why the lane has ended, or null. */
  readonly end: Error | null
  /** Its frames answer the peer: they may wait whatever waits already, and leave also while this side leaves. */
  readonly isOwed: boolean
  /** What this side may still send. */
  readonly credit: SendCredit
  readonly waiting: Deque<PendingSend>
  /** The frame that is being sent in Pieces: its first is in the write batch, its last is not. */
  long: PendingSend | null
  /** Why values of the lane may have been dropped although they were accepted. */
  cutOff: Error | null
  /** Values accepted since the lane began: encoded, or in Pieces of which the first is encoded. */
  encoded: number
  /** Which frame of the link its last one was; see NativeOutbox.ackedFrames. */
  lastFrame: number
}
