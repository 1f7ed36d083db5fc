/**
 * Owns: the frames of one link that were handed to a connection and are not acknowledged: their bytes as they were
 * written, their sequence, and when senders must wait (docs/protocol.md).
 * Independent of: sockets, lanes, when an acknowledgement is due, and what happens to values that cannot be sent again.
 *
 * No number travels with a frame, so none is stored: the buffer knows the sequence of the oldest frame and the length
 * of each, four bytes a frame in one typed array, and holds the buffers of the writes as they are. Nothing is copied
 * and no object is created for a frame. Adjacent slices of one arena become one.
 *
 * parts [ headOffset bytes acknowledged | frame | frame | fra ] [ me | frame ] …
 *     lengths    ring of the lengths of the frames `first … next - 1`; negative: a Piece with others after it
 *
 * Invariants: the lengths add up to the bytes of the parts after headOffset; 0 <= first <= next. Frames are dropped
 * only by acknowledgement, never for lack of room.
 */
import { ProtocolError, StatewireError } from '../../../codec/errors.ts'
import { forEachFrame, type FrameVisitor } from './frame-walk.ts'

/** 4 MiB: the product of 1 GB/s and 4 ms. */
export const defaultRetransmitBufferBytes = 4 * 1024 * 1024
export const retransmitFramesMax = 65_536
/** Above this, a peer that has acknowledged nothing for long never will (link-upkeep.ts). */
export const unackedFramesMax = 2 * retransmitFramesMax
/** What memory allows of the frames that do not wait, however long the peer has had. */
export const heldFramesMax = 16 * retransmitFramesMax
/** What each frame costs besides its bytes, so that tiny frames are bounded too. Both sides count this way. */
export const retransmitFrameOverheadBytes = 32

const firstRingLength = 64
/** Twice what an Ack covers if each frame is a write of its own. */
const firstJoinAtParts = 128
const released = Buffer.alloc(0)

export function neverAcknowledged(frames: number): ProtocolError {
  return new ProtocolError(
    'ERR_REPLAY_WINDOW_OVERRUN',
    `${frames} frames wait for an acknowledgement; the peer sends none.`,
  )
}

export class RetransmitBuffer {
  readonly #windowBytes: number
  #parts: Buffer[] = []
  /** Index of the first part that is held; those before it are released. */
  #headPart = 0
  #headOffset = 0
  #joinAtParts = firstJoinAtParts
  #lengths = new Int32Array(firstRingLength)
  #first = 0
  #next = 0
  #heldBytes = 0
  /** Called with the memory of the newest acknowledged byte: the peer has everything that was written before it. */
  onReceived: ((memory: ArrayBufferLike) => void) | null = null

  constructor(windowBytes: number = defaultRetransmitBufferBytes) {
    this.#windowBytes = windowBytes
  }

  /** Sequence of the oldest held frame; `next` if there is none. */
  get first(): number {
    return this.#first
  }

  /** Frames handed to a connection in this epoch: the sequence of the next one. */
  get next(): number {
    return this.#next
  }

  get heldFrames(): number {
    return this.#next - this.#first
  }

  /** Bytes of the held frames, as they stand on the wire. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Held bytes and the overhead of each frame: what counts against the limit. */
  get costBytes(): number {
    return this.#heldBytes + retransmitFrameOverheadBytes * (this.#next - this.#first)
  }

  /**
   * Whether one more frame may be encoded, with this much encoded already and not handed over. Credit, Accept, Reset
   * and Fin do not ask. Otherwise the sender waits for an acknowledgement.
   */
  admits(pendingFrames = 0, pendingBytes = 0): boolean {
    const frames = this.heldFrames + pendingFrames
    return (
      frames < retransmitFramesMax &&
      this.#heldBytes + pendingBytes + retransmitFrameOverheadBytes * frames < this.#windowBytes
    )
  }

  /**
   * How much may be added, overheads included, before {@link admits} returns false. @param costBytes of all frames,
   * pending ones included
   */
  leftBytes(costBytes: number, pendingFrames: number): number {
    return Math.min(
      this.#windowBytes - costBytes,
      retransmitFrameOverheadBytes * (retransmitFramesMax - this.heldFrames - pendingFrames),
    )
  }

  /**
   * Whole frames that are handed to a connection for the first time now. `parts` are the buffers of the write,
   * `lengthsBytes[0 … count)` the lengths of the counted frames in them, in order; control frames are in neither. The
   * length of a Piece that is not the last of its value is negative.
   * Throws ProtocolError ERR_REPLAY_WINDOW_OVERRUN above {@link heldFramesMax}, ERR_INTERNAL if the lengths do not add
   * up; then nothing has changed.
   */
  push(parts: readonly Buffer[], lengthsBytes: ArrayLike<number>, count: number = lengthsBytes.length): void {
    const heldFrames = this.heldFrames + count
    if (heldFrames > heldFramesMax) throw neverAcknowledged(heldFrames)
    let pushedBytes = 0
    this.#reserve(count)
    const mask = this.#lengths.length - 1
    for (let index = 0; index < count; index += 1) {
      const lengthBytes = lengthsBytes[index]!
      this.#lengths[(this.#next + index) & mask] = lengthBytes
      pushedBytes += Math.abs(lengthBytes)
    }
    let partBytes = 0
    for (const part of parts) partBytes += part.length
    if (partBytes !== pushedBytes)
      throw new StatewireError('ERR_INTERNAL', `Frames of ${pushedBytes} bytes were handed over in ${partBytes} bytes.`)
    if (this.#parts.length - this.#headPart >= this.#joinAtParts) this.#joinParts()
    for (const part of parts) if (part.length > 0) this.#parts.push(part)
    this.#next += count
    this.#heldBytes += pushedBytes
  }

  /**
   * The peer has counted `received` frames in this epoch: those below are dropped. Returns how many that are. Throws
   * ProtocolError ERR_ACK_OUT_OF_RANGE above `next` or below what was acknowledged; then nothing has changed.
   */
  ack(received: number): number {
    if (!(received >= this.#first && received <= this.#next)) {
      throw new ProtocolError(
        'ERR_ACK_OUT_OF_RANGE',
        `The peer acknowledged ${received} frames; ${this.#first} were acknowledged before and ${this.#next} were sent.`,
      )
    }
    const count = received - this.#first
    const mask = this.#lengths.length - 1
    let ackedBytes = 0
    for (let sequence = this.#first; sequence < received; sequence += 1)
      ackedBytes += Math.abs(this.#lengths[sequence & mask]!)
    this.#first = received
    this.#heldBytes -= ackedBytes
    this.#dropBytes(ackedBytes)
    return count
  }

  /**
   * What is written to a new connection first: everything from exactly `received` on, as views of what is held. Frames
   * below are dropped, as by an acknowledgement. Throws as {@link ack}.
   */
  replayFrom(received: number): Buffer[] {
    this.ack(received)
    this.#joinParts()
    return [...this.#parts]
  }

  /** Oldest first. For outcomes; costs a walk over all frames. */
  forEachHeld(visit: FrameVisitor): void {
    const mask = this.#lengths.length - 1
    const first = this.#first
    const lengthOf = (index: number): number => this.#lengths[(first + index) & mask]!
    forEachFrame(this.#parts.slice(this.#headPart), this.#headOffset, lengthOf, this.heldFrames, (index, ...frame) =>
      visit(first + index, ...frame),
    )
  }

  /** KEEP: what is held is numbered from 0. */
  renumber(): void {
    const held = this.heldFrames
    const lengths = new Int32Array(this.#lengths.length)
    const mask = lengths.length - 1
    for (let index = 0; index < held; index += 1) lengths[index] = this.#lengths[(this.#first + index) & mask]!
    this.#lengths = lengths
    this.#first = 0
    this.#next = held
  }

  /** A new epoch: nothing is held and numbers start at 0. */
  clear(): void {
    this.#parts = []
    this.#headPart = 0
    this.#headOffset = 0
    this.#joinAtParts = firstJoinAtParts
    this.#lengths = new Int32Array(firstRingLength)
    this.#first = 0
    this.#next = 0
    this.#heldBytes = 0
  }

  /** Throws ERR_INTERNAL if an invariant does not hold. For tests. */
  invariants(): void {
    const mask = this.#lengths.length - 1
    let lengthBytes = 0
    for (let sequence = this.#first; sequence < this.#next; sequence += 1)
      lengthBytes += Math.abs(this.#lengths[sequence & mask]!)
    const partBytes =
      this.#parts.slice(this.#headPart).reduce((total, part) => total + part.length, 0) - this.#headOffset
    if (
      lengthBytes !== this.#heldBytes ||
      partBytes !== this.#heldBytes ||
      this.#first < 0 ||
      this.#next < this.#first
    ) {
      throw new StatewireError(
        'ERR_INTERNAL',
        `Retransmit buffer: ${lengthBytes} bytes by length, ${partBytes} in parts, ${this.#heldBytes} counted.`,
      )
    }
  }

  /**
   * Joins each slice to the one before it where both are adjacent in one arena. Not at every write: most slices are
   * acknowledged before there are many, and reading a Buffer's memory is expensive.
   */
  #joinParts(): void {
    const joined: Buffer[] = []
    let offset = this.#headOffset
    for (const part of this.#parts.slice(this.#headPart)) {
      const rest = offset === 0 ? part : part.subarray(offset)
      offset = 0
      const last = joined.at(-1)
      if (last !== undefined && last.buffer === rest.buffer && last.byteOffset + last.length === rest.byteOffset) {
        joined[joined.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + rest.length)
      } else {
        joined.push(rest)
      }
    }
    this.#parts = joined
    this.#headPart = this.#headOffset = 0
    this.#joinAtParts = Math.max(firstJoinAtParts, 2 * joined.length)
  }

  #dropBytes(lengthBytes: number): void {
    if (lengthBytes === 0) return
    let last: Buffer | null = null
    let offset = this.#headOffset + lengthBytes
    while (this.#headPart < this.#parts.length && offset >= this.#parts[this.#headPart]!.length) {
      last = this.#parts[this.#headPart]!
      offset -= last.length
      this.#parts[this.#headPart] = released
      this.#headPart += 1
    }
    this.#headOffset = offset
    if (offset > 0) last = this.#parts[this.#headPart]!
    // Half of the array is released parts: each part moves at most once over time.
    if (this.#headPart > 0 && this.#headPart * 2 >= this.#parts.length) {
      this.#parts = this.#parts.slice(this.#headPart)
      this.#headPart = 0
    }
    if (last !== null) this.onReceived?.(last.buffer)
  }

  /** Room for the lengths of `count` more frames; the ring doubles, so this is O(1) a frame over time. */
  #reserve(count: number): void {
    const needed = this.heldFrames + count
    if (needed <= this.#lengths.length) return
    let length = this.#lengths.length
    while (length < needed) length *= 2
    const grown = new Int32Array(length)
    const oldMask = this.#lengths.length - 1
    for (let sequence = this.#first; sequence < this.#next; sequence += 1)
      grown[sequence & (length - 1)] = this.#lengths[sequence & oldMask]!
    this.#lengths = grown
  }
}
