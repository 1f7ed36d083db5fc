/**
 * Owns: the sending side of a lane, whatever it carries: what the outbox needs to know of a lane and of a frame.
 * Independent of: what a frame carries, and of when it is sent.
 */
import { encodedLength } from '../../../codec/encode-value.ts'
import type { EncodedFrame, FrameWriter } from '../../../codec/frame-writer.ts'
import type { NetworkValue } from '../../../codec/values.ts'
import type { Deque } from '../../deque.ts'
import type { SendCredit } from './credit.ts'

/** How the frames of one kind of lane are written. One object for each kind, so that a send creates no closure. */
export interface FrameEncoder<Content> {
  /** Of the whole frame, lane id included. Throws ERR_INVALID_VALUE. */
  lengthBytes(content: Content): number
  /**
   * Adds the frame to the writer's batch. @param transfer the content's memory is taken over instead of copied
   * @returns the length of the frame. Throws ERR_INVALID_VALUE, ERR_NOT_TRANSFERABLE; then nothing was added.
   */
  write(writer: FrameWriter, laneId: number, content: Content, transfer: boolean): number
  /** A frame that has to wait; `writer.writeEncoded` adds it. Throws as {@link write}. */
  encode(writer: FrameWriter, laneId: number, content: Content, transfer: boolean): EncodedFrame
}

/** Values of sessions. */
export const valueFrames: FrameEncoder<NetworkValue> = {
  lengthBytes: (value) => 4 + encodedLength(value),
  write: (writer, laneId, value, transfer) => writer.writeFrame(laneId, value, transfer),
  encode: (writer, laneId, value, transfer) => writer.encode(laneId, value, transfer),
}

/** A frame that waits for credit or for room: copied, or its memory taken over. */
export class PendingSend {
  readonly #frame: EncodedFrame
  /** What it counts in the send queue. */
  readonly costBytes: number
  /** What it holds of the memory budget; 0 once that has become room of the link. */
  memoryBytes: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void

  constructor(frame: EncodedFrame, costBytes: number, resolve: () => void, reject: (error: Error) => void) {
    this.#frame = frame
    this.costBytes = costBytes
    this.memoryBytes = costBytes
    this.resolve = resolve
    this.reject = reject
  }

  /** Of the frame on the wire. */
  get lengthBytes(): number {
    return this.#frame.lengthBytes
  }

  /** @returns the length of the frame */
  write(writer: FrameWriter): number {
    return writer.writeEncoded(this.#frame)
  }
}

export interface SendingLane {
  readonly id: number
  /** Why the lane has ended, or null. */
  readonly end: Error | null
  /** What this side may still send. */
  readonly credit: SendCredit
  readonly waiting: Deque<PendingSend>
  /** Paying frames encoded since the lane began. */
  encoded: number
  /** Which frame of the link its last one was; see NativeOutbox.ackedFrames. */
  lastFrame: number
}
