/**
 * Owns: frames in Pieces that are longer than this side takes: their Pieces are dropped as they arrive, and no memory
 * is reserved.
 * Independent of: credit, and how such a frame is answered.
 */
import { headersLengthBytesMax, nameLengthBytesMax } from '../../../codec/message-frames.ts'
import { laneKindOf } from '../../../codec/native-frames.ts'
import { LongFrameSizes } from '../lanes/long-frame.ts'

/** All fields of a frame before its payload, the texts of an error included. */
const fieldsRoomBytes = 2048 + nameLengthBytesMax + headersLengthBytesMax

export interface TooLongFrame {
  readonly sizes: LongFrameSizes
  /** Its beginning, with all fields. */
  readonly first: Buffer
}

export class TooLongFrames {
  readonly #maxMessageLengthBytes: number
  readonly #bodyBytesMax: number
  readonly #byLane = new Map<number, TooLongFrame>()

  constructor(maxMessageLengthBytes: number, bodyBytesMax: number) {
    this.#maxMessageLengthBytes = maxMessageLengthBytes
    this.#bodyBytesMax = bodyBytesMax
  }

  /** Pieces of such a frame arrive on the lane. */
  has(laneId: number): boolean {
    return this.#byLane.has(laneId)
  }

  /**
   * A Piece, the first one of its frame unless {@link has}. Throws ProtocolError.
   * @returns the frame it belongs to; null if that is not too long
   */
  piece(laneId: number, piece: Buffer): TooLongFrame | null {
    let frame = this.#byLane.get(laneId)
    if (frame === undefined) {
      const sizes = new LongFrameSizes(laneKindOf(laneId), piece, this.#maxMessageLengthBytes)
      if (sizes.lengthBytes <= this.#bodyBytesMax + fieldsRoomBytes) return null
      frame = { sizes, first: Buffer.from(piece.subarray(0, Math.min(piece.length, fieldsRoomBytes))) }
      this.#byLane.set(laneId, frame)
    }
    frame.sizes.arrive(piece.length)
    if (frame.sizes.isWhole) this.#byLane.delete(laneId)
    return frame
  }

  clear(): void {
    this.#byLane.clear()
  }
}
