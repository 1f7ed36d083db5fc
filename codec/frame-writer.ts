/**
 * Owns: the outbound batch of one connection: frames are laid out behind each other until someone takes them.
 * Refuses to know: sockets, when a batch is taken, back-pressure and credit.
 *
 * Byte path, outbound. What `take` hands out is not written to again: the arena only moves on. A socket may still be
 * reading the slices when more frames are written, and a replay window keeps them until the peer has acknowledged them.
 * Only who knows that the peer has received bytes of a later arena may say so (`receivedFrom`): all before it has left the
 * sockets then, and the arenas are used again. Fresh ones that wait for an acknowledgement grow old in V8's heap, and the
 * marking that follows cost a stream of small values an eighth of its speed (bar E3).
 */
import { viewOf } from './chunk-views.ts'
import { descriptors, frameHeaderLengthBytes, lengthPrefixedHeaderLengthBytes, maxUint32 } from './constants.ts'
import { bytesOf, encodedLength, writeCheckedValue, writeUint32 } from './encode-value.ts'
import { InvalidValueError } from './errors.ts'
import { byReferenceThresholdBytes, firstArenaLengthBytes, maxArenaLengthBytes, retiredArenasMax } from './limits.ts'
import type { SpareMemory } from './spare-memory.ts'
import type { NetworkValue } from './values.ts'

const laneLengthBytes = frameHeaderLengthBytes - 1
const noArena = Buffer.alloc(0)

/**
 * A payload up to 8 bytes is copied by a loop. Measured on Node 20, million frames/s, loop : Uint8Array.set : Buffer.copy:
 * 1 byte 87 : 42 : 24 · 8 bytes 48 : 43 : 25 · 12 bytes 38 : 42 : 23 · 64 bytes 35 : 38 : 20.
 */
const loopCopyLimitBytes = 8

/**
 * Collects frames. A payload below 16 KiB is copied; Bytes, VecRing16, VecRing32 and VecRing64 from 16 KiB on go by
 * reference: their memory belongs to the writer until the batch has left (and, with a replay window, is acknowledged).
 *
 *     arena[0 … sliceStart)         taken, or in `parts` already
 *     arena[sliceStart … arenaEnd)  written, not yet in `parts`
 *     arena[arenaEnd … length)      free
 */
export class FrameWriter {
  private arena: Buffer = noArena
  /** Of the arena, which has all of it. */
  private memory: ArrayBufferLike = noArena.buffer
  private sliceStart = 0
  private arenaEnd = 0
  private nextArenaLengthBytes = firstArenaLengthBytes
  /** Full, in order, and perhaps not received yet. */
  private retired: Buffer[] = []
  private readonly spares: SpareMemory | undefined
  private parts: Buffer[] = []
  private bytes = 0
  private frames = 0

  /** @param spares where arenas come from, and go to when they are free; shared by the writers of a node */
  constructor(spares?: SpareMemory) {
    this.spares = spares
  }

  /** Bytes written and not yet taken. */
  get pendingBytes(): number {
    return this.bytes
  }

  /** Frames written and not yet taken; `writeRaw` does not count. */
  get pendingFrames(): number {
    return this.frames
  }

  /**
   * Adds one frame and returns its length in bytes, session id included. `lane` is the session id, 0 … 2^32 - 1.
   * Throws InvalidValueError (ERR_INVALID_VALUE); then nothing was added.
   */
  writeFrame(lane: number, value: NetworkValue): number {
    checkLane(lane)
    if (value?.type === 'Bytes' && value.value instanceof Uint8Array && value.value.length < byReferenceThresholdBytes) {
      return this.writeShortBytes(lane, value.value)
    }
    const frameLengthBytes = laneLengthBytes + encodedLength(value)
    const payload = referencedPayload(value)
    if (payload === undefined) {
      this.writeCopied(lane, value, frameLengthBytes)
    } else {
      const start = this.reserve(lengthPrefixedHeaderLengthBytes)
      writeUint32(this.arena, start, lane)
      this.arena[start + laneLengthBytes] = referencedDescriptor(value)
      writeUint32(this.arena, start + frameHeaderLengthBytes, payload.length)
      this.addReference(payload)
    }
    this.bytes += frameLengthBytes
    this.frames += 1
    return frameLengthBytes
  }

  /** Adds bytes as they are (a handshake). Below 16 KiB they are copied; longer ones go by reference. Returns their number. */
  writeRaw(bytes: Uint8Array): number {
    if (bytes.length >= byReferenceThresholdBytes) {
      this.addReference(bytes)
    } else {
      // Two statements: `reserve` may replace the arena.
      const start = this.reserve(bytes.length)
      this.arena.set(bytes, start)
    }
    this.bytes += bytes.length
    return bytes.length
  }

  /**
   * What was written since the last call, in order: the buffers of one gathered write. Empty if there is nothing.
   * The buffers are not overwritten before {@link receivedFrom} allows it, and may be kept until then.
   */
  take(): Buffer[] {
    this.sealSlice()
    const parts = this.parts
    this.parts = []
    this.bytes = 0
    this.frames = 0
    return parts
  }

  /** What `take` would return; it stays. Not to be written again: arenas are in the order of what was written. */
  peek(): readonly Buffer[] {
    this.sealSlice()
    return this.parts
  }

  /**
   * The peer has received bytes that lie in this memory, so it has all that was written before the arena that it belongs to,
   * and nobody reads or sends that again. Memory that is none of the writer's arenas says nothing.
   */
  receivedFrom(memory: ArrayBufferLike): void {
    const { retired } = this
    if (retired.length === 0) return
    const free = memory === this.memory ? retired.length : retired.findIndex(({ buffer }) => buffer === memory)
    if (free > 0) this.release(free)
  }

  /**
   * Apart, because it is rare: V8 leaves out what it has not seen yet, so with this loop inside, the first full arena threw away
   * the machine code of every acknowledgement, and the second that of what had been compiled meanwhile (`--trace-deopt`).
   */
  private release(count: number): void {
    for (const arena of this.retired.splice(0, count)) if (arena.length === maxArenaLengthBytes) this.spares?.give(arena)
  }

  /** Nobody will say any more what has been received of what was written so far. */
  forgetArenas(): void {
    this.retired = []
  }

  /** The frame that there are millions of: no look at a table, no second pass over the value. */
  private writeShortBytes(lane: number, payload: Uint8Array): number {
    const length = payload.length
    const frameLengthBytes = lengthPrefixedHeaderLengthBytes + length
    const start = this.reserve(frameLengthBytes)
    const arena = this.arena
    arena[start] = lane
    arena[start + 1] = lane >>> 8
    arena[start + 2] = lane >>> 16
    arena[start + 3] = lane >>> 24
    arena[start + 4] = descriptors.Bytes
    arena[start + 5] = length
    arena[start + 6] = length >>> 8
    arena[start + 7] = 0 // below 16 KiB
    arena[start + 8] = 0
    if (length <= loopCopyLimitBytes) {
      for (let index = 0; index < length; index += 1) arena[start + lengthPrefixedHeaderLengthBytes + index] = payload[index]!
    } else {
      arena.set(payload, start + lengthPrefixedHeaderLengthBytes)
    }
    this.bytes += frameLengthBytes
    this.frames += 1
    return frameLengthBytes
  }

  private writeCopied(lane: number, value: NetworkValue, frameLengthBytes: number): void {
    // A list, a VecRing48 or packed bits may be longer than any arena: such a frame gets a buffer of its own.
    if (frameLengthBytes >= byReferenceThresholdBytes) {
      const frame = Buffer.allocUnsafeSlow(frameLengthBytes)
      writeCheckedValue(value, frame, writeUint32(frame, 0, lane))
      this.addReference(frame)
      return
    }
    const start = this.reserve(frameLengthBytes)
    writeCheckedValue(value, this.arena, writeUint32(this.arena, start, lane))
  }

  /** Whether a copied frame of this length goes into the arena that was begun. */
  hasRoomFor(lengthBytes: number): boolean {
    return lengthBytes <= this.arena.length - this.arenaEnd
  }

  /** Makes `lengthBytes` contiguous bytes of arena the caller's and returns where they begin. */
  private reserve(lengthBytes: number): number {
    if (lengthBytes > this.arena.length - this.arenaEnd) this.moveToNewArena(lengthBytes)
    const start = this.arenaEnd
    this.arenaEnd = start + lengthBytes
    return start
  }

  private moveToNewArena(lengthBytes: number): void {
    this.sealSlice()
    if (this.spares !== undefined && this.arena !== noArena) {
      this.retired.push(this.arena)
      // Where nothing is ever acknowledged, the oldest are left to the collector.
      if (this.retired.length > retiredArenasMax) this.retired.shift()
    }
    const length = Math.max(this.nextArenaLengthBytes, lengthBytes)
    // Slow: an arena from Node's shared pool would be kept alive by, and keep alive, memory of others.
    this.arena = (length === maxArenaLengthBytes ? this.spares?.take(length) : undefined) ?? Buffer.allocUnsafeSlow(length)
    this.memory = this.arena.buffer
    this.sliceStart = 0
    this.arenaEnd = 0
    this.nextArenaLengthBytes = Math.min(maxArenaLengthBytes, 2 * this.nextArenaLengthBytes)
  }

  private sealSlice(): void {
    if (this.sliceStart === this.arenaEnd) return
    this.parts.push(viewOf(this.memory, this.sliceStart, this.arenaEnd - this.sliceStart))
    this.sliceStart = this.arenaEnd
  }

  private addReference(payload: Uint8Array): void {
    this.sealSlice()
    this.parts.push(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength))
  }
}

/** The payload that goes by reference, or undefined if this value is copied. */
function referencedPayload(value: NetworkValue): Uint8Array | undefined {
  switch (value.type) {
    case 'Bytes':
      return value.value.length >= byReferenceThresholdBytes ? value.value : undefined
    case 'VecRing16':
    case 'VecRing32':
    case 'VecRing64':
      return value.value.byteLength >= byReferenceThresholdBytes ? bytesOf(value.value) : undefined
    default:
      return undefined
  }
}

function referencedDescriptor(value: NetworkValue): number {
  switch (value.type) {
    case 'VecRing16':
      return descriptors.VecRing16
    case 'VecRing32':
      return descriptors.VecRing32
    case 'VecRing64':
      return descriptors.VecRing64
    default:
      return descriptors.Bytes
  }
}

/** One frame, session id included, in a buffer of its own. Throws InvalidValueError (ERR_INVALID_VALUE). */
export function encodeFrame(lane: number, value: NetworkValue): Buffer {
  checkLane(lane)
  // Exactly what it needs: a queue may hold thousands of these, and an arena for each would be 4 KiB.
  const frame = Buffer.allocUnsafe(laneLengthBytes + encodedLength(value))
  writeCheckedValue(value, frame, writeUint32(frame, 0, lane))
  return frame
}

function checkLane(lane: number): void {
  if (lane >>> 0 !== lane) throw new InvalidValueError(`The session id must be an integer from 0 to ${String(maxUint32)}; it is ${String(lane)}.`)
}
