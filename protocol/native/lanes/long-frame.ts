/**
 * Owns: one long frame while its Pieces arrive (docs/protocol.md): what its first Piece must be, the size of each
 * further one, and where their bytes are kept.
 * Independent of: credit, memory budgets and links. Memory for the whole frame is given to it.
 *
 * Until there is room for the whole frame, each Piece is a copy of its own; the window of the lane bounds how many.
 * From then on there is one block, and nothing grows.
 */
import { describeDescriptor } from '../../../codec/constants.ts'
import { ProtocolError } from '../../../codec/errors.ts'
import { bodyKindBitCount, bodyKindByteLength, readUint32 } from '../../../codec/frame-length.ts'
import {
  bodyKindMessage,
  bodyKindRequest,
  bodyKindResponse,
  encodePieceHeader,
  laneTables,
  pieceLengthBytesMax,
  type LaneKind,
} from '../../../codec/native-frames.ts'

/** descriptor u8, length u32: what Pieces put together begin with */
const headLengthBytes = 5
const pieceHeaderLengthBytes = encodePieceHeader(0, 1).length
const longKinds: ReadonlySet<number> = new Set([
  bodyKindByteLength,
  bodyKindBitCount,
  bodyKindMessage,
  bodyKindRequest,
  bodyKindResponse,
])

/** The rules for the Pieces of one frame. Their bytes are kept elsewhere, if at all. */
export class LongFrameSizes {
  readonly descriptor: number
  /** The length of descriptor and body, as the Pieces give them together. */
  readonly lengthBytes: number
  #arrivedBytes = 0

  /** @param piece the first one. Throws ProtocolError for one that may not begin a frame. */
  constructor(laneKind: LaneKind, piece: Buffer, maxMessageLengthBytes: number) {
    const descriptor = piece[0]!
    const bodyKind = laneTables[laneKind][descriptor]!
    if (!longKinds.has(bodyKind))
      throw new ProtocolError(
        'ERR_PIECE_BEGINS',
        `The first Piece of a frame begins with the descriptor ${describeDescriptor(descriptor)}, which no long ` +
          `frame of a lane of the kind ${laneKind} has.`,
      )
    if (piece.length < headLengthBytes) throw wrongSize(piece.length, pieceLengthBytesMax)
    const declared = readUint32(piece, 1)
    const restBytes = bodyKind === bodyKindBitCount ? Math.ceil(declared / 8) : declared
    if (restBytes > maxMessageLengthBytes)
      throw new ProtocolError(
        'ERR_MESSAGE_TOO_LONG',
        `A frame in Pieces with the descriptor ${describeDescriptor(descriptor)} declares ${restBytes} bytes; ` +
          `${maxMessageLengthBytes} are allowed.`,
      )
    if (restBytes <= pieceLengthBytesMax)
      throw new ProtocolError(
        'ERR_PIECE_SHORT_FRAME',
        `A frame of ${restBytes} bytes was sent in Pieces; frames of up to ${pieceLengthBytesMax} bytes are sent whole.`,
      )
    if (piece.length !== pieceLengthBytesMax) throw wrongSize(piece.length, pieceLengthBytesMax)
    this.descriptor = descriptor
    this.lengthBytes = headLengthBytes + restBytes
  }

  get arrivedBytes(): number {
    return this.#arrivedBytes
  }

  get isWhole(): boolean {
    return this.#arrivedBytes === this.lengthBytes
  }

  /** The next Piece. Throws ProtocolError for one of the wrong size. */
  arrive(lengthBytes: number): void {
    const nextBytes = Math.min(pieceLengthBytesMax, this.lengthBytes - this.#arrivedBytes)
    if (lengthBytes !== nextBytes) throw wrongSize(lengthBytes, nextBytes)
    this.#arrivedBytes += lengthBytes
  }
}

export class LongFrame extends LongFrameSizes {
  #copies: Buffer[] = []
  #block: Buffer | null = null
  /** The part of the block that the reader fills with a Piece that spans chunks. */
  #place: Buffer | null = null
  /** Gives up waiting for room. Null: it does not wait. */
  giveUp: (() => boolean) | null = null
  /** There is memory for it in the budget, and its Pieces are granted. */
  isReserved = false
  /** Values of its lane that the application takes before it. Below 0: it has not been delivered. */
  unreadBefore = -1

  /** What the memory budget counts: the declared length. */
  get declaredLengthBytes(): number {
    return this.lengthBytes - headLengthBytes
  }

  /** All its Pieces as they stand on the wire. */
  get wireBytes(): number {
    return this.lengthBytes + Math.ceil(this.lengthBytes / pieceLengthBytesMax) * pieceHeaderLengthBytes
  }

  /** Throws ProtocolError for a Piece of the wrong size. */
  add(piece: Buffer): void {
    const at = this.arrivedBytes
    this.arrive(piece.length)
    if (piece !== this.#place) {
      if (this.#block === null) this.#copies.push(Buffer.from(piece))
      else piece.copy(this.#block, at)
    }
    this.#place = null
  }

  /** Memory for the next Piece, if it has the right size; {@link add} then gets it back, filled. */
  placeFor(lengthBytes: number): Buffer | null {
    const endBytes = this.arrivedBytes + lengthBytes
    if (this.#block === null || endBytes > this.lengthBytes) return null
    return (this.#place = this.#block.subarray(this.arrivedBytes, endBytes))
  }

  /** @param block at least as long as the frame */
  moveTo(block: Buffer): void {
    let at = 0
    for (const copy of this.#copies) at += copy.copy(block, at)
    this.#copies = []
    this.#block = block
  }

  /** The whole frame, in a buffer that may be longer: descriptor and body from its start on. */
  get whole(): Buffer {
    return this.#block!
  }
}

/** Another frame came on a lane whose frame in Pieces is not whole. */
export function interrupted(laneId: number, descriptor: number): ProtocolError {
  return new ProtocolError(
    'ERR_PIECE_INTERRUPTED',
    `A frame with the descriptor ${describeDescriptor(descriptor)} came between two Pieces of a frame on lane ` +
      `0x${laneId.toString(16)}.`,
  )
}

function wrongSize(lengthBytes: number, rightBytes: number): ProtocolError {
  return new ProtocolError(
    'ERR_PIECE_SIZE',
    `A Piece has ${lengthBytes} bytes; the next one of its frame has ${rightBytes}.`,
  )
}
