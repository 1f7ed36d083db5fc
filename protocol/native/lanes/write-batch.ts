/**
 * Owns: the frames of a native link that are encoded and not handed to a connection: their bytes, their lengths, and
 * how many paying frames of which lane are among them.
 * Independent of: when a frame may be sent, and what happens to it afterwards.
 */
import { FrameWriter, type EncodedFrame } from '../../../codec/frame-writer.ts'
import { largeFrameThresholdBytes } from '../../../codec/limits.ts'
import {
  piecesPerBlock,
  isLongFrame,
  pieceFrameLengthBytesMax,
  type FrameInPieces,
  type Piece,
} from '../../../codec/frame-in-pieces.ts'
import type { SpareMemory } from '../../../codec/spare-memory.ts'
import type { LinkCounters } from '../../link-core.ts'
import { countValues } from './count-values.ts'
import type { FrameEncoder, PendingSend } from './sending-lane.ts'
import { joined } from './joined-batch.ts'
import { retransmitFrameOverheadBytes } from '../epoch/retransmit-buffer.ts'
import type { RetransmitBuffer } from '../epoch/retransmit-buffer.ts'

/**
 * A write batch of this length is written before the tick ends. TLS copies it twice, so a longer one leaves the cache.
 */
const flushAtBytes = 64 * 1024
const flushLargeAtBytes = 512 * 1024
const flushPiecesAtBytes = piecesPerBlock * pieceFrameLengthBytesMax
const flushBlockAtBytes = 256 * 1024
/** Below it a write of its own costs more than a second buffer. */
const arenaFlushAtBytes = 16 * 1024

export class WriteBatch {
  readonly #writer: FrameWriter
  readonly #window: RetransmitBuffer
  readonly #counters: LinkCounters
  /**
   * Lengths of the frames, of which the first `#frames` are valid: the array is reused. Negative: a Piece that is not
   * the last of its value.
   */
  readonly #lengths: number[] = []
  readonly #lengthOf = (index: number): number => this.#lengths[index]!
  #frames = 0
  #takenFrames = 0
  /** Credit and Reset among them. */
  #ownFrames = 0
  #ownBytes = 0
  /** Pieces that are not the last of their value. */
  #innerPieces = 0
  #takenInnerPieces = 0
  /** Blocks of long frames that the peer may not have received completely, in order. */
  #blocks: { readonly block: Buffer; readonly lastFrame: number }[] = []

  constructor(arenas: SpareMemory | undefined, window: RetransmitBuffer, counters: LinkCounters) {
    this.#writer = new FrameWriter(arenas)
    this.#window = window
    this.#counters = counters
    window.onReceived = (memory) => {
      this.#writer.receivedFrom(memory)
      if (this.#blocks.length > 0) this.#giveBlocks()
    }
  }

  get bytes(): number {
    return this.#writer.pendingBytes
  }

  get frames(): number {
    return this.#frames
  }

  /** Frames handed to a connection since the link was made. */
  get takenFrames(): number {
    return this.#takenFrames
  }

  /** Those of them that are Pieces, and not the last of their value. */
  get takenInnerPieces(): number {
    return this.#takenInnerPieces
  }

  /** As the retransmit buffer counts. */
  get costBytes(): number {
    return this.#writer.pendingBytes + retransmitFrameOverheadBytes * this.#frames
  }

  /**
   * Whether the batch should be written before a frame of this length: it is not short, and the frame does not fit into
   * its arena. A batch in one arena is one buffer. Two are a gathered write, which TLS copies again.
   */
  endsBefore(lengthBytes: number): boolean {
    return this.#writer.pendingBytes >= arenaFlushAtBytes && !this.#writer.hasRoomFor(lengthBytes)
  }

  /** Whether the batch should be written now. @param lengthBytes of the last frame */
  isLong(lengthBytes: number): boolean {
    return this.#writer.pendingBytes >= (lengthBytes < largeFrameThresholdBytes ? flushAtBytes : flushLargeAtBytes)
  }

  /** Whether the batch should be written now. @param piece the last frame */
  isLongOfPieces(piece: Piece): boolean {
    return this.#writer.pendingBytes >= (piece.block === null ? flushPiecesAtBytes : flushBlockAtBytes)
  }

  /** A frame that has to wait; {@link addPending} adds it. Throws as {@link add}. */
  encode<Content>(
    encoder: FrameEncoder<Content>,
    laneId: number,
    content: Content,
    transfer: boolean,
  ): EncodedFrame | FrameInPieces {
    const encodeLong = isLongFrame(encoder.lengthBytes(content)) ? encoder.encodeLong : undefined
    return (encodeLong ?? encoder.encode)(this.#writer, laneId, content, transfer)
  }

  /** @returns the frame's length. Throws ERR_INVALID_VALUE, ERR_NOT_TRANSFERABLE; then nothing was added. */
  add<Content>(encoder: FrameEncoder<Content>, laneId: number, content: Content, transfer: boolean): number {
    const lengthBytes = encoder.write(this.#writer, laneId, content, transfer)
    this.#lengths[this.#frames++] = lengthBytes
    return lengthBytes
  }

  addPending(send: PendingSend): number {
    const lengthBytes = send.write(this.#writer)
    this.#lengths[this.#frames++] = lengthBytes
    return lengthBytes
  }

  /** @returns its length on the wire */
  addPiece(piece: Piece): number {
    this.#writer.writePiece(piece)
    this.#lengths[this.#frames++] = piece.isLast ? piece.lengthBytes : -piece.lengthBytes
    if (!piece.isLast) this.#innerPieces++
    if (piece.block !== null) this.#blocks.push({ block: piece.block, lastFrame: this.#takenFrames + this.#frames })
    return piece.lengthBytes
  }

  #giveBlocks(): void {
    const receivedFrames = this.#takenFrames - this.#window.heldFrames
    let count = 0
    for (const { block, lastFrame } of this.#blocks) {
      if (lastFrame > receivedFrames) break
      this.#writer.giveBlock(block)
      count++
    }
    if (count > 0) this.#blocks.splice(0, count)
  }

  /** A Credit or Reset. */
  addOwn(frame: Buffer): void {
    this.#lengths[this.#frames++] = this.#writer.writeRaw(frame)
    this.#ownFrames++
    this.#ownBytes += frame.length
  }

  /** The frames are handed to a connection and added to the retransmit buffer: all of them, or none if it throws. */
  take(): Buffer[] {
    const { pendingBytes } = this.#writer
    if (this.#frames > 0) {
      this.#window.push(this.#writer.peek(), this.#lengths, this.#frames)
      // Counted here and not for each value: the counters of many links are far apart in memory.
      this.#counters.valuesSent += this.#frames - this.#ownFrames - this.#innerPieces
      this.#counters.bytesSent += pendingBytes - this.#ownBytes
      this.#takenFrames += this.#frames
      this.#takenInnerPieces += this.#innerPieces
      this.#frames = this.#ownFrames = this.#ownBytes = this.#innerPieces = 0
    }
    return this.#writer.take()
  }

  /** Adds control frames, which are not counted, to a batch that was taken. */
  withControl(batch: Buffer[], frames: readonly Buffer[]): Buffer[] {
    if (frames.length === 0) return batch
    for (const frame of frames) this.#writer.writeRaw(frame)
    return joined(batch, this.#writer.take())
  }

  /**
   * The epoch has ended. Drops the frames that were encoded and never handed over. @returns the number of values that
   * end in them, by lane
   */
  drop(): ReturnType<typeof countValues> {
    const counts = this.#counts()
    this.#writer.take()
    this.#writer.forgetArenas()
    this.#blocks = []
    this.#frames = this.#ownFrames = this.#ownBytes = this.#innerPieces = 0
    return counts
  }

  /** Costs a walk over all frames. */
  get values(): number {
    let sum = 0
    for (const count of this.#counts().values.values()) sum += count
    return sum
  }

  #counts(): ReturnType<typeof countValues> {
    return countValues(this.#frames === 0 ? [] : this.#writer.peek(), this.#lengthOf, this.#frames)
  }
}
