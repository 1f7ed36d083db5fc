/**
 * Owns: a long frame of the native dialect on its way out: its value is laid out once, as the Pieces that are sent,
 * which are then handed out one by one.
 * Independent of: when a Piece may be sent; lanes, credit and acknowledgements.
 *
 * block  [ header | 65,536 bytes | header | 65,536 bytes | … ]   as on the wire, up to nine Pieces
 *
 * So a run of Pieces is one buffer, and needs no gathered write. A block is free once the peer has all of it.
 */
import { frameHeaderLengthBytes, lengthPrefixedHeaderLengthBytes } from './constants.ts'
import { writeUint32 } from './encode-value.ts'
import { InvalidValueError } from './errors.ts'
import { roundedUp } from './limits.ts'
import { nativeDescriptors, pieceLengthBytesMax } from './native-frames.ts'
import { transferPayload, writeTransferredHead } from './transfer.ts'
import type { NetworkValue } from './values.ts'

const laneLengthBytes = frameHeaderLengthBytes - 1
const headLengthBytes = lengthPrefixedHeaderLengthBytes - laneLengthBytes
const pieceHeaderLengthBytes = lengthPrefixedHeaderLengthBytes
export const pieceFrameLengthBytesMax = pieceHeaderLengthBytes + pieceLengthBytesMax
/** 576 KiB: about what is best written at once (docs/decisions/0013-a-large-batch-leaves-in-pieces.md). */
export const piecesPerBlock = 9

/** Whether a frame is sent in Pieces. @param frameLengthBytes of the frame as a whole, lane id included */
export function isLongFrame(frameLengthBytes: number): boolean {
  return frameLengthBytes - lengthPrefixedHeaderLengthBytes > pieceLengthBytesMax
}

/** The Pieces of a long frame: their number, and their bytes as they stand on the wire. */
export function piecesOf(frameLengthBytes: number): { readonly pieces: number; readonly wireBytes: number } {
  const contentBytes = frameLengthBytes - laneLengthBytes
  const pieces = Math.ceil(contentBytes / pieceLengthBytesMax)
  return { pieces, wireBytes: contentBytes + pieces * pieceHeaderLengthBytes }
}

export interface Piece {
  /** One buffer, or header and bytes if the value's memory was transferred. */
  readonly parts: readonly Buffer[]
  readonly lengthBytes: number
  readonly isLast: boolean
  /** Pooled memory of which this is the last Piece: free when the peer has it. Null if more Pieces follow in it. */
  readonly block: Buffer | null
}

interface Block {
  readonly memory: Buffer
  readonly lengthBytes: number
}

export class FrameInPieces {
  readonly frameLengthBytes: number
  /** Where the bytes of the next Piece are. */
  readonly #source: CopiedPieces | TransferredPieces
  #leftPieces: number
  #leftBytes: number

  private constructor(frameLengthBytes: number, source: CopiedPieces | TransferredPieces) {
    const { pieces, wireBytes } = piecesOf(frameLengthBytes)
    this.frameLengthBytes = frameLengthBytes
    this.#source = source
    this.#leftPieces = pieces
    this.#leftBytes = wireBytes
  }

  /**
   * Copies a value. @param parts its descriptor and body. @throws InvalidValueError ERR_INVALID_VALUE if they have
   * another length than was measured
   */
  static copied(
    lane: number,
    parts: readonly Uint8Array[],
    frameLengthBytes: number,
    takeMemory: (lengthBytes: number) => Buffer,
  ): FrameInPieces {
    const contentBytes = frameLengthBytes - laneLengthBytes
    if (parts.reduce((sum, { length }) => sum + length, 0) !== contentBytes)
      throw new InvalidValueError('The value changed while it was being encoded.')
    return new FrameInPieces(frameLengthBytes, new CopiedPieces(lane, parts, contentBytes, takeMemory))
  }

  /** Takes the value's memory over. @throws ERR_NOT_TRANSFERABLE; the value is unchanged then */
  static transferred(lane: number, value: NetworkValue): FrameInPieces {
    const payload = transferPayload(value)
    const head = Buffer.allocUnsafe(headLengthBytes)
    writeTransferredHead(value, payload.length, head, 0)
    return new FrameInPieces(laneLengthBytes + head.length + payload.length, new TransferredPieces(lane, head, payload))
  }

  /**
   * @param head of the whole frame, lane id included; @param payload is not copied, and must not change
   * @param refresh as in EncodedFrame
   */
  static ofParts(lane: number, head: Buffer, payload: Buffer, refresh?: () => void): FrameInPieces {
    const ownHead = head.subarray(laneLengthBytes)
    return new FrameInPieces(head.length + payload.length, new TransferredPieces(lane, ownHead, payload, refresh))
  }

  /** Pieces that are not handed out yet. */
  get leftPieces(): number {
    return this.#leftPieces
  }

  /** Their bytes on the wire. */
  get leftBytes(): number {
    return this.#leftBytes
  }

  /** The length of the next Piece on the wire; 0 after the last. */
  get nextLengthBytes(): number {
    return Math.min(this.#leftBytes, pieceFrameLengthBytesMax)
  }

  /** The next Piece, until {@link advance}. Not after the last. */
  peek(): Piece {
    return this.#source.peek(this.nextLengthBytes, this.#leftPieces === 1)
  }

  /** The next Piece was sent. */
  advance(): void {
    const lengthBytes = this.nextLengthBytes
    this.#leftPieces -= 1
    this.#leftBytes -= lengthBytes
    this.#source.advance(lengthBytes)
  }
}

class CopiedPieces {
  readonly #blocks: readonly Block[]
  #index = 0
  #offset = 0

  /** The blocks of a frame have nearly the same number of Pieces. */
  constructor(
    lane: number,
    parts: readonly Uint8Array[],
    contentBytes: number,
    takeMemory: (lengthBytes: number) => Buffer,
  ) {
    const pieces = Math.ceil(contentBytes / pieceLengthBytesMax)
    const count = Math.ceil(pieces / piecesPerBlock)
    const source = new PartsReader(parts)
    const blocks: Block[] = []
    let leftBytes = contentBytes
    for (let index = 0; index < count; index += 1) {
      const piecesHere = Math.floor(((index + 1) * pieces) / count) - Math.floor((index * pieces) / count)
      const contentHere = Math.min(leftBytes, piecesHere * pieceLengthBytesMax)
      leftBytes -= contentHere
      const lengthBytes = contentHere + piecesHere * pieceHeaderLengthBytes
      const memory = takeMemory(roundedUp(lengthBytes))
      for (let at = 0; at < lengthBytes; at += pieceFrameLengthBytesMax) {
        const start = at + pieceHeaderLengthBytes
        const end = Math.min(at + pieceFrameLengthBytesMax, lengthBytes)
        writePieceHeader(memory, at, lane, end - start)
        source.copy(memory, start, end)
      }
      blocks.push({ memory, lengthBytes })
    }
    this.#blocks = blocks
  }

  peek(lengthBytes: number, isLast: boolean): Piece {
    const { memory, lengthBytes: blockLengthBytes } = this.#blocks[this.#index]!
    const end = this.#offset + lengthBytes
    const parts = [memory.subarray(this.#offset, end)]
    return { parts, lengthBytes, isLast, block: end === blockLengthBytes ? memory : null }
  }

  advance(lengthBytes: number): void {
    this.#offset += lengthBytes
    if (this.#offset < this.#blocks[this.#index]!.lengthBytes) return
    this.#index += 1
    this.#offset = 0
  }
}

class TransferredPieces {
  readonly #lane: number
  /** What comes before the payload, without the lane id: the first Piece begins with it. */
  #head: Buffer
  readonly #payload: Buffer
  readonly #refresh: (() => void) | undefined
  #offset = 0

  constructor(lane: number, head: Buffer, payload: Buffer, refresh?: () => void) {
    this.#lane = lane
    this.#head = head
    this.#payload = payload
    this.#refresh = refresh
  }

  peek(lengthBytes: number, isLast: boolean): Piece {
    if (this.#head !== noHead) this.#refresh?.()
    const header = Buffer.allocUnsafe(pieceHeaderLengthBytes + this.#head.length)
    writePieceHeader(header, 0, this.#lane, lengthBytes - pieceHeaderLengthBytes)
    header.set(this.#head, pieceHeaderLengthBytes)
    const payload = this.#payload.subarray(this.#offset, this.#offset + lengthBytes - header.length)
    return { parts: [header, payload], lengthBytes, isLast, block: null }
  }

  advance(lengthBytes: number): void {
    this.#offset += lengthBytes - pieceHeaderLengthBytes - this.#head.length
    this.#head = noHead
  }
}

const noHead = Buffer.alloc(0)

/** Reads several buffers as one. */
class PartsReader {
  readonly #parts: readonly Uint8Array[]
  #part = 0
  #offset = 0

  constructor(parts: readonly Uint8Array[]) {
    this.#parts = parts
  }

  /** Copies the next bytes to `target[start … end)`. */
  copy(target: Buffer, start: number, end: number): void {
    for (let at = start; at < end;) {
      const part = this.#parts[this.#part]!
      const bytes = Math.min(end - at, part.length - this.#offset)
      target.set(part.subarray(this.#offset, this.#offset + bytes), at)
      at += bytes
      this.#offset += bytes
      if (this.#offset < part.length) continue
      this.#part += 1
      this.#offset = 0
    }
  }
}

function writePieceHeader(target: Buffer, offset: number, lane: number, lengthBytes: number): void {
  target[writeUint32(target, offset, lane)] = nativeDescriptors.Piece
  writeUint32(target, offset + frameHeaderLengthBytes, lengthBytes)
}
