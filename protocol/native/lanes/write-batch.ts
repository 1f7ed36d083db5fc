/**
 * Owns: the frames of a native link that are encoded and not handed to a connection: their bytes, their lengths, and how
 * many values of which lane are among them.
 * Independent of: when a frame may be sent, and what happens to it afterwards.
 */
import { FrameWriter, type EncodedFrame } from '../../../codec/frame-writer.ts'
import type { SpareMemory } from '../../../codec/spare-memory.ts'
import type { NetworkValue } from '../../../codec/values.ts'
import type { LinkCounters } from '../../link-core.ts'
import { countValues } from './count-values.ts'
import { joined } from './joined-batch.ts'
import { replayFrameOverheadBytes } from '../epoch/retransmit-buffer.ts'
import type { ReplayWindow } from '../epoch/retransmit-buffer.ts'

export class WriteBatch {
  readonly #writer: FrameWriter
  readonly #window: ReplayWindow
  readonly #counters: LinkCounters
  /** Lengths of the frames, of which the first `#frames` are valid: the array is reused. */
  readonly #lengths: number[] = []
  #frames = 0
  #takenFrames = 0
  /** Credit and Reset among them. */
  #ownFrames = 0
  #ownBytes = 0

  constructor(arenas: SpareMemory | undefined, window: ReplayWindow, counters: LinkCounters) {
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

  /** As the replay window counts. */
  get costBytes(): number {
    return this.#writer.pendingBytes + replayFrameOverheadBytes * this.#frames
  }

  /** Whether a short frame of this length goes where the frames before it are. */
  hasRoomFor(lengthBytes: number): boolean {
    return this.#writer.hasRoomFor(lengthBytes)
  }

  /** A frame that has to wait: {@link addEncoded} adds it. Errors as {@link add}. */
  encode(lane: number, value: NetworkValue, transfer: boolean): EncodedFrame {
    return this.#writer.encode(lane, value, transfer)
  }

  /** Returns the frame's length. Throws ERR_INVALID_VALUE, ERR_NOT_TRANSFERABLE; then nothing was added. */
  add(lane: number, value: NetworkValue, transfer: boolean): number {
    const lengthBytes = this.#writer.writeFrame(lane, value, transfer)
    this.#lengths[this.#frames++] = lengthBytes
    return lengthBytes
  }

  addEncoded(frame: EncodedFrame): number {
    const lengthBytes = this.#writer.writeEncoded(frame)
    this.#lengths[this.#frames++] = lengthBytes
    return lengthBytes
  }

  /** A Credit or Reset. */
  addOwn(frame: Buffer): void {
    this.#lengths[this.#frames++] = this.#writer.writeRaw(frame)
    this.#ownFrames++
    this.#ownBytes += frame.length
  }

  /** The frames go to a connection, and into the replay window: all, or none if it throws. */
  take(): Buffer[] {
    const { pendingBytes } = this.#writer
    if (this.#frames > 0) {
      this.#window.push(this.#writer.peek(), this.#lengths, this.#frames)
      // Counted here and not a value at a time: the counters of many links lie far apart.
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

  /** The epoch is over. Returns the values that were encoded and never handed over, by lane; they are dropped. */
  drop(): Map<number, number> {
    const batch = this.#pending()
    this.#writer.take()
    this.#writer.forgetArenas()
    this.#frames = this.#ownFrames = this.#ownBytes = 0
    return countValues(batch)
  }

  /** Not for use on each value. */
  get values(): number {
    let sum = 0
    for (const count of countValues(this.#pending()).values()) sum += count
    return sum
  }

  #pending(): readonly Buffer[] {
    return this.#frames === 0 ? [] : this.#writer.peek()
  }
}
