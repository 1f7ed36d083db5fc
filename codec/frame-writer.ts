/**
 * Owns: the write batch of one link: frames are laid out consecutively until the batch is taken, and their memory is
 * reused once the peer has received them.
 * Independent of: sockets, when a batch is taken, back-pressure and credit.
 *
 * Everything is copied here, so the caller may reuse its memory. What `take` returns is not overwritten before the peer
 * has acknowledged it (see `receivedFrom`). Fresh memory for each batch would cost more than the copy
 * (docs/decisions/0016-send-copies.md).
 *
 * A frame is added in one step, after everything that can fail: an error leaves the batch as it was.
 */
import { descriptors, frameHeaderLengthBytes, lengthPrefixedHeaderLengthBytes, maxUint32 } from './constants.ts'
import { encodedLength, partsOfValue, writeCheckedValue, writeUint32 } from './encode-value.ts'
import { InvalidValueError } from './errors.ts'
import {
  firstArenaLengthBytes,
  largeArenaLengthBytes,
  largeFrameThresholdBytes,
  maxArenaLengthBytes,
  retiredArenasMax,
  roundedUp,
} from './limits.ts'
import { FrameInPieces, type Piece } from './frame-in-pieces.ts'
import type { SpareMemory } from './spare-memory.ts'
import { transferPayload, writeTransferredHead } from './transfer.ts'
import type { NetworkValue } from './values.ts'

const laneLengthBytes = frameHeaderLengthBytes - 1
const noArena = Buffer.alloc(0)
/** Frames of Bytes with payloads shorter than this take the fast path. */
const shortBytesMax = largeFrameThresholdBytes - lengthPrefixedHeaderLengthBytes

/** A payload of up to 8 bytes is copied by a loop, which is faster than `set` up to that length. */
const loopCopyLimitBytes = 8

/** An encoded frame that is not part of a batch yet. */
export interface EncodedFrame {
  /** A whole frame, or header and payload if the payload's memory was transferred. */
  readonly parts: readonly Buffer[]
  readonly lengthBytes: number
  /** The pooled memory that holds the frame, if any. */
  readonly block: Buffer | null
  /** Called when the frame is added to a batch: what its head says may have changed while it waited. */
  readonly refresh?: (() => void) | undefined
}

/**
 * Collects frames consecutively in an arena. Large frames get longer arenas, so that a batch of them is one buffer too:
 * TLS copies a batch of several buffers once more.
 *
 * arena[0 … sliceStart) taken, or in `parts` already
 *     arena[sliceStart … arenaEnd)  written, not yet in `parts`
 *     arena[arenaEnd … length)      free
 */
export class FrameWriter {
  private arena: Buffer = noArena
  /** The arena's memory, all of which belongs to the arena. */
  private memory: ArrayBufferLike = noArena.buffer
  private sliceStart = 0
  private arenaEnd = 0
  private nextArenaLengthBytes = firstArenaLengthBytes
  /** Full arenas, in order, that the peer may not have received yet. */
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
   * Adds one frame and returns its length in bytes, session id included.
   * @param lane the session id, 0 … 2^32 - 1
   * @param transfer the value's memory is taken over, and its view detached, instead of being copied
   * @throws StatewireError ERR_INVALID_VALUE, ERR_NOT_TRANSFERABLE; then nothing was added
   */
  writeFrame(lane: number, value: NetworkValue, transfer = false): number {
    checkLane(lane)
    if (transfer) return this.writeEncoded(this.encode(lane, value, true))
    if (value?.type === 'Bytes' && value.value instanceof Uint8Array) {
      // An empty view may be detached, which the longer path checks.
      const { length } = value.value
      if (length > 0 && length < shortBytesMax) return this.writeShortBytes(lane, value.value)
    }
    const frameLengthBytes = laneLengthBytes + encodedLength(value)
    const start = this.reserve(frameLengthBytes)
    writeWhole(lane, value, this.arena, start, frameLengthBytes)
    return this.addedToArena(frameLengthBytes)
  }

  /**
   * Encodes a frame that has to wait; {@link writeEncoded} adds it to the batch. Arguments and errors as {@link
   * writeFrame}.
   */
  encode(lane: number, value: NetworkValue, transfer: boolean): EncodedFrame {
    checkLane(lane)
    const lengthBytes = laneLengthBytes + encodedLength(value)
    if (transfer) return transferred(lane, value)
    const block = lengthBytes >= largeFrameThresholdBytes ? this.takeMemory(roundedUp(lengthBytes)) : null
    // A short frame gets exactly what it needs: a queue may hold thousands of these.
    const frame = block === null ? Buffer.allocUnsafe(lengthBytes) : block.subarray(0, lengthBytes)
    writeWhole(lane, value, frame, 0, lengthBytes)
    return { parts: [frame], lengthBytes, block }
  }

  /** Adds a frame that is given as its head, lane id included, and its payload. Copies both. @returns its length */
  writeParts(head: Uint8Array, payload: Uint8Array): number {
    const lengthBytes = head.length + payload.length
    const start = this.reserve(lengthBytes)
    this.arena.set(head, start)
    if (payload.length > 0) this.arena.set(payload, start + head.length)
    return this.addedToArena(lengthBytes)
  }

  /** Adds a frame from {@link encode} and returns its length. It is copied, except for a large transferred payload. */
  writeEncoded({ parts, lengthBytes, block, refresh }: EncodedFrame): number {
    refresh?.()
    const [first, payload] = parts as [Buffer, Buffer | undefined]
    if (payload === undefined || payload.length < largeFrameThresholdBytes) {
      const start = this.reserve(lengthBytes)
      this.arena.set(first, start)
      if (payload !== undefined) this.arena.set(payload, start + first.length)
      if (block !== null) this.spares?.give(block)
      return this.addedToArena(lengthBytes)
    }
    this.sealSlice()
    const start = this.reserve(first.length)
    this.arena.set(first, start)
    const end = start + first.length
    this.parts.push(this.arena.subarray(start, end), payload)
    this.sliceStart = this.arenaEnd = end
    this.bytes += lengthBytes
    this.frames += 1
    return lengthBytes
  }

  /**
   * Adds bytes as they are (a handshake) and returns their number. Below 16 KiB they are copied; longer ones belong to
   * the batch from then on.
   */
  writeRaw(bytes: Uint8Array): number {
    const { length } = bytes
    if (length >= largeFrameThresholdBytes) {
      this.sealSlice()
      this.parts.push(Buffer.from(bytes.buffer, bytes.byteOffset, length))
    } else {
      const start = this.reserve(length)
      this.arena.set(bytes, start)
      this.arenaEnd += length
    }
    this.bytes += length
    return length
  }

  /**
   * Returns what was written since the last call, in order, as the buffers of one gathered write. Empty if nothing was
   * written. The buffers are not overwritten before {@link receivedFrom} allows it, and may be kept until then.
   */
  take(): Buffer[] {
    this.sealSlice()
    const parts = this.parts
    this.parts = []
    this.bytes = 0
    this.frames = 0
    return parts
  }

  /**
   * Returns what `take` would return, and leaves it in the batch. These buffers must not be written twice: arenas are
   * in the order of writing.
   */
  peek(): readonly Buffer[] {
    this.sealSlice()
    return this.parts
  }

  /**
   * Reports that the peer has received bytes in this memory. It then has everything that was written before the arena
   * that contains them, so those arenas are free. Memory that is not an arena of this writer has no effect.
   */
  receivedFrom(memory: ArrayBufferLike): void {
    const { retired } = this
    if (retired.length === 0) return
    const free = memory === this.memory ? retired.length : retired.findIndex(({ buffer }) => buffer === memory)
    if (free > 0) this.release(free)
  }

  /**
   * A method of its own because it is rare: inside the caller, its first run would deoptimise every acknowledgement.
   */
  private release(count: number): void {
    for (const arena of this.retired.splice(0, count)) if (arena.length >= maxArenaLengthBytes) this.spares?.give(arena)
  }

  /** What was written so far will not be acknowledged any more: its memory is left to the garbage collector. */
  forgetArenas(): void {
    this.retired = []
  }

  /** The most frequent frame: no table lookup, no second pass over the value. */
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
      for (let index = 0; index < length; index += 1)
        arena[start + lengthPrefixedHeaderLengthBytes + index] = payload[index]!
    } else {
      arena.set(payload, start + lengthPrefixedHeaderLengthBytes)
    }
    return this.addedToArena(frameLengthBytes)
  }

  private addedToArena(frameLengthBytes: number): number {
    this.arenaEnd += frameLengthBytes
    this.bytes += frameLengthBytes
    this.frames += 1
    return frameLengthBytes
  }

  /** A frame of the native dialect that is sent in Pieces. @throws as {@link writeFrame} */
  encodeLong(lane: number, value: NetworkValue, transfer: boolean): FrameInPieces {
    checkLane(lane)
    const frameLengthBytes = laneLengthBytes + encodedLength(value)
    return transfer
      ? FrameInPieces.transferred(lane, value)
      : FrameInPieces.copied(lane, partsOfValue(value), frameLengthBytes, (lengthBytes) => this.takeMemory(lengthBytes))
  }

  /** Adds the next Piece of a long frame, whose memory stays as it is. */
  writePiece(piece: Piece): void {
    this.sealSlice()
    for (const part of piece.parts) addPart(this.parts, part)
    this.bytes += piece.lengthBytes
    this.frames += 1
  }

  /** The peer has everything in this memory. */
  giveBlock(block: Buffer): void {
    this.spares?.give(block)
  }

  private takeMemory(lengthBytes: number): Buffer {
    // Slow: memory from Node's shared pool would keep unrelated memory alive.
    return (
      (lengthBytes >= maxArenaLengthBytes ? this.spares?.take(lengthBytes) : undefined) ??
      Buffer.allocUnsafeSlow(lengthBytes)
    )
  }

  /** Whether a copied frame of this length fits into the current arena. */
  hasRoomFor(lengthBytes: number): boolean {
    return lengthBytes <= this.arena.length - this.arenaEnd
  }

  /**
   * Makes sure that this many bytes are free at `arenaEnd`, which it returns. The caller advances it after writing.
   */
  private reserve(lengthBytes: number): number {
    if (lengthBytes > this.arena.length - this.arenaEnd) this.moveToNewArena(lengthBytes)
    return this.arenaEnd
  }

  private moveToNewArena(lengthBytes: number): void {
    const isLarge = lengthBytes >= largeFrameThresholdBytes
    const arena = this.takeMemory(
      isLarge
        ? Math.max(largeArenaLengthBytes, roundedUp(lengthBytes))
        : Math.max(this.nextArenaLengthBytes, lengthBytes),
    )
    this.sealSlice()
    if (this.spares !== undefined && this.arena !== noArena) {
      this.retired.push(this.arena)
      // Without acknowledgements, the oldest are left to the garbage collector.
      if (this.retired.length > retiredArenasMax) this.retired.shift()
    }
    this.arena = arena
    this.memory = this.arena.buffer
    this.sliceStart = 0
    this.arenaEnd = 0
    this.nextArenaLengthBytes = Math.min(maxArenaLengthBytes, 2 * this.nextArenaLengthBytes)
  }

  private sealSlice(): void {
    if (this.sliceStart === this.arenaEnd) return
    this.parts.push(this.arena.subarray(this.sliceStart, this.arenaEnd))
    this.sliceStart = this.arenaEnd
  }
}

/** Two parts that are adjacent in memory become one: TLS copies a batch of several buffers once more. */
function addPart(parts: Buffer[], part: Buffer): void {
  const last = parts.at(-1)
  if (last !== undefined && last.buffer === part.buffer && last.byteOffset + last.length === part.byteOffset)
    parts[parts.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + part.length)
  else parts.push(part)
}

/** Header and payload. The payload's memory is taken over last, after everything that can fail. */
function transferred(lane: number, value: NetworkValue): EncodedFrame {
  const header = Buffer.allocUnsafe(lengthPrefixedHeaderLengthBytes)
  const payload = transferPayload(value)
  writeTransferredHead(value, payload.length, header, writeUint32(header, 0, lane))
  return { parts: [header, payload], lengthBytes: header.length + payload.length, block: null }
}

/**
 * Writes a frame.
 * @throws InvalidValueError ERR_INVALID_VALUE if the value's length has changed since it was measured, as with a getter
 *   that returns different results
 */
function writeWhole(lane: number, value: NetworkValue, target: Buffer, start: number, lengthBytes: number): void {
  const end = writeCheckedValue(value, target, writeUint32(target, start, lane))
  if (end !== start + lengthBytes) throw new InvalidValueError('The value changed while it was being encoded.')
}

/**
 * Encodes one frame, session id included, in a buffer of its own.
 * @throws InvalidValueError ERR_INVALID_VALUE
 */
export function encodeFrame(lane: number, value: NetworkValue): Buffer {
  checkLane(lane)
  const frame = Buffer.allocUnsafe(laneLengthBytes + encodedLength(value))
  writeWhole(lane, value, frame, 0, frame.length)
  return frame
}

function checkLane(lane: number): void {
  if (lane >>> 0 !== lane)
    throw new InvalidValueError(
      `The session id must be an integer from 0 to ${String(maxUint32)}; it is ${String(lane)}.`,
    )
}
