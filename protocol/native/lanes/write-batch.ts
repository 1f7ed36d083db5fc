/**
 * Owns: the frames of a native link that are encoded and not handed to a connection: their bytes, their lengths, and
 * how many paying frames of which lane are among them.
 * Independent of: when a frame may be sent, and what happens to it afterwards.
 */
import { FrameWriter, type EncodedFrame } from '../../../codec/frame-writer.ts'
import { largeFrameThresholdBytes } from '../../../codec/limits.ts'
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
/** Below it a write of its own costs more than a second buffer. */
const arenaFlushAtBytes = 16 * 1024

export class WriteBatch {
  readonly #writer: FrameWriter
  readonly #window: RetransmitBuffer
  readonly #counters: LinkCounters
  /** Lengths of the frames, of which the first `#frames` are valid: the array is reused. */
  readonly #lengths: number[] = []
  #frames = 0
  #takenFrames = 0
  /** Credit and Reset among them. */
  #ownFrames = 0
  #ownBytes = 0

  constructor(arenas: SpareMemory | undefined, window: RetransmitBuffer, counters: LinkCounters) {
    this.#writer = new FrameWriter(arenas)
    this.#window = window
    this.#counters = counters
    window.onReceived = (memory) => this.#writer.receivedFrom(memory)
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

  /** A frame that has to wait; {@link addPending} adds it. Throws as {@link add}. */
  encode<Content>(encoder: FrameEncoder<Content>, laneId: number, content: Content, transfer: boolean): EncodedFrame {
    return encoder.encode(this.#writer, laneId, content, transfer)
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
      this.#counters.valuesSent += this.#frames - this.#ownFrames
      this.#counters.bytesSent += pendingBytes - this.#ownBytes
      this.#takenFrames += this.#frames
      this.#frames = this.#ownFrames = this.#ownBytes = 0
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
   * The epoch has ended. Drops the frames that were encoded and never handed over. @returns the number of paying ones,
   * by lane
   */
  drop(): Map<number, number> {
    const batch = this.#pending()
    this.#writer.take()
    this.#writer.forgetArenas()
    this.#frames = this.#ownFrames = this.#ownBytes = 0
    return countValues(batch)
  }

  /** Costs a walk over all frames. */
  get values(): number {
    let sum = 0
    for (const count of countValues(this.#pending()).values()) sum += count
    return sum
  }

  #pending(): readonly Buffer[] {
    return this.#frames === 0 ? [] : this.#writer.peek()
  }
}
