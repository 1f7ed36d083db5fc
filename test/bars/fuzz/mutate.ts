/**
 * Owns: how streams are corrupted: by bit, byte, field and frame; and how a new stream is composed from existing ones.
 * Independent of: what the bytes mean, beyond the usual places of lengths, lanes and counters.
 */
import type { Dice } from './dice.ts'
import { interestingLanes } from './corpus.ts'
import type { Seed } from './corpus.ts'

/** A stream as the list of its frames; a copy is corrupted. */
export type Stream = readonly Buffer[]

const framesMax = 64
const interestingBytes = [0, 1, 2, 6, 0x0c, 0x20, 0x21, 0x34, 0x37, 0x3a, 0x3e, 0x7f, 0x80, 0xff]
const interestingLengths = [0, 1, 4, 5, 255, 256, 257, 65_535, 65_536, 65_537, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]
const descriptors = [
  ...Array.from({ length: 0x12 + 1 }, (_, descriptor) => descriptor),
  0x20,
  0x21,
  0x22,
  ...Array.from({ length: 0x13 }, (_, index) => 0x30 + index),
  0xff,
]

/** Draws seeds by their weight. */
export class Seeds {
  readonly #frames: readonly Buffer[]
  readonly #ends: Uint32Array
  readonly #total: number

  constructor(seeds: readonly Seed[]) {
    this.#frames = seeds.map(({ bytes }) => bytes)
    let total = 0
    this.#ends = Uint32Array.from(seeds, ({ weight }) => (total += weight))
    this.#total = total
  }

  draw(dice: Dice): Buffer {
    const at = dice.below(this.#total)
    let low = 0
    let high = this.#ends.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (at < (this.#ends[middle] as number)) high = middle
      else low = middle + 1
    }
    return this.#frames[low] as Buffer
  }
}

/** Composes a new stream from valid frames and from streams that reached something new before. */
export function createStream(dice: Dice, seeds: Seeds, kept: readonly Stream[], lengthMax: number): Stream {
  const frames: Buffer[] = kept.length > 0 && dice.once(2) ? [...dice.pick(kept)] : []
  if (frames.length === 0 || dice.once(3))
    for (let count = 1 + dice.below(lengthMax); count > 0; count--) frames.push(seeds.draw(dice))
  if (kept.length > 0 && dice.once(6)) splice(dice, frames, dice.pick(kept))
  for (let changes = dice.below(3); changes > 0; changes--) changeOrder(dice, frames)
  if (frames.length > framesMax) frames.length = framesMax
  // Slightly corrupted streams get far; heavily corrupted ones are refused at once, in more ways.
  const changesIn64 = dice.pick([4, 12, 12, 40])
  for (let index = 0; index < frames.length; index++) {
    const die = dice.below(64)
    if (die < changesIn64) frames[index] = changeContent(dice, frames[index] as Buffer)
    else if (die === 63) frames[index] = changeLength(dice, frames[index] as Buffer)
  }
  return frames
}

/** The beginning of one and the end of another. */
function splice(dice: Dice, frames: Buffer[], other: Stream): void {
  frames.length = dice.below(frames.length + 1)
  frames.push(...other.slice(dice.below(other.length)))
  if (frames.length === 0) frames.push(other[0] as Buffer)
}

function changeOrder(dice: Dice, frames: Buffer[]): void {
  const at = dice.below(frames.length)
  const frame = frames[at] as Buffer
  switch (dice.below(5)) {
    case 0:
      frames.splice(dice.below(frames.length + 1), 0, frame)
      break
    case 1: {
      const other = dice.below(frames.length)
      frames[at] = frames[other] as Buffer
      frames[other] = frame
      break
    }
    case 2:
      if (frames.length > 1) frames.splice(at, 1)
      break
    case 3:
      if (frame.length < 300) for (let count = 1 + dice.below(12); count > 0; count--) frames.splice(at, 0, frame)
      break
    default:
      // A frame cut by the end of a connection, followed by what came after it.
      frames[at] = frame.subarray(0, dice.below(frame.length + 1))
  }
}

/** Keeps the length, so that most frames after it are still found. */
function changeContent(dice: Dice, frame: Buffer): Buffer {
  const changed = Buffer.from(frame)
  if (changed.length === 0) return changed
  for (let changes = 1 + dice.below(3); changes > 0; changes--) {
    const at = dice.below(Math.min(changed.length, dice.once(4) ? changed.length : 64))
    switch (dice.below(8)) {
      case 0:
        changed[at] = (changed[at] as number) ^ (1 << dice.below(8))
        break
      case 1:
        changed[at] = dice.below(256)
        break
      case 2:
        changed[at] = dice.pick(interestingBytes)
        break
      case 3:
      case 4:
        if (changed.length >= 4)
          changed.writeUInt32LE(dice.once(6) ? dice.pick(interestingLanes) : dice.below(dice.once(8) ? 64 : 4), 0)
        break
      case 5:
        if (changed.length >= 5 && dice.once(4)) changed[4] = dice.pick(descriptors)
        break
      case 6:
        // A counter or a window.
        if (changed.length >= 9) changed.writeUInt32LE(dice.once(2) ? dice.below(16) : dice.pick(interestingLengths), 5)
        break
      default:
        // After the length field, where nothing affects the length of the frame.
        if (changed.length > 9) changed[9 + dice.below(changed.length - 9)] = dice.next() & 0xff
    }
  }
  return changed
}

/** What follows is probably garbage. */
function changeLength(dice: Dice, frame: Buffer): Buffer {
  const at = dice.below(frame.length + 1)
  switch (dice.below(5)) {
    case 0:
      return Buffer.concat([frame.subarray(0, at), Buffer.from([dice.below(256)]), frame.subarray(at)])
    case 1:
      return Buffer.concat([frame.subarray(0, at), frame.subarray(at + 1 + dice.below(8))])
    case 2:
      return frame.subarray(0, at)
    case 3: {
      const field = dice.pick([0, 5, 7, 9, 13, 17, 23])
      if (frame.length < field + 4) return frame
      const changed = Buffer.from(frame)
      const length = dice.once(3)
        ? changed.readUInt32LE(field) + (dice.once(2) ? 1 : -1)
        : dice.pick(interestingLengths)
      changed.writeUInt32LE(length >>> 0, field)
      return changed
    }
    default: {
      const field = dice.pick([3, 7, 9, 10, 17, 18, 23])
      if (frame.length < field + 2) return frame
      const changed = Buffer.from(frame)
      changed.writeUInt16BE(dice.pick(interestingLengths) & 0xffff, field)
      return changed
    }
  }
}

/** Sizes of the pieces in which a stream arrives: one byte at a time, small, large, or whole. */
export function slicesOf(dice: Dice, lengthBytes: number): readonly number[] {
  const sizeMax =
    lengthBytes > 4096
      ? dice.pick([lengthBytes, lengthBytes, 1500, 65_536])
      : dice.pick([1, 7, 64, lengthBytes, lengthBytes, lengthBytes])
  const ends: number[] = []
  for (let at = 0; at < lengthBytes;) {
    at = Math.min(lengthBytes, at + 1 + dice.below(Math.max(1, sizeMax)))
    ends.push(at)
  }
  if (sizeMax === lengthBytes && dice.once(2)) return lengthBytes === 0 ? [] : [lengthBytes]
  return ends
}
