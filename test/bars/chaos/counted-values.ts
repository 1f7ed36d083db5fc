/**
 * Owns: values that carry their own number, and the check of what one lane received: each value once, in order and
 * unchanged, or what was wrong.
 * Independent of: networks.
 */
import type { NetworkValue } from '../../../codec/index.ts'

/**
 * Bytes after the number: small values, values that share a TLS record with others, and values that need several
 * writes.
 */
const paddings = [0, 3, 17, 60, 250, 900] as const

/** One in three thousand is longer than a lane's first window, one in fifteen hundred begins a longer arena. */
function paddingOf(number: number): number {
  if (number % 2997 === 0) return 70_000
  return number % 1497 === 0 ? 20_000 : (paddings[(number / 3) % paddings.length] as number)
}

/** The same number always gives the same value. Two in three are small and use the fast path. */
export function countedValue(number: number): NetworkValue {
  if (number % 3 !== 0) return { type: 'RingElement32', value: number }
  const bytes = Buffer.alloc(4 + paddingOf(number), number & 0xff)
  bytes.writeUInt32LE(number, 0)
  return { type: 'Bytes', value: bytes }
}

/** @returns null if the value is not what was sent under its number */
export function numberIn(value: NetworkValue): number | null {
  if (value.type === 'RingElement32') return value.value % 3 === 0 ? null : value.value
  if (value.type !== 'Bytes' || value.value.length < 4) return null
  const bytes = Buffer.from(value.value.buffer, value.value.byteOffset, value.value.length)
  const number = bytes.readUInt32LE(0)
  if (number % 3 !== 0 || bytes.length !== 4 + paddingOf(number)) return null
  for (let at = 4; at < bytes.length; at++) if (bytes[at] !== (number & 0xff)) return null
  return number
}

export interface LaneFaults {
  readonly lost: number
  readonly duplicated: number
  readonly reordered: number
  readonly corrupted: number
}

export const noFaults: LaneFaults = { lost: 0, duplicated: 0, reordered: 0, corrupted: 0 }

export function addFaults(a: LaneFaults, b: LaneFaults): LaneFaults {
  return {
    lost: a.lost + b.lost,
    duplicated: a.duplicated + b.duplicated,
    reordered: a.reordered + b.reordered,
    corrupted: a.corrupted + b.corrupted,
  }
}

/** What one lane received, number by number. */
export class LaneCount {
  #next = 0
  /** Skipped numbers that have not arrived since. */
  readonly #missing = new Set<number>()
  #duplicated = 0
  #reordered = 0
  #corrupted = 0
  received = 0

  take(value: NetworkValue): void {
    const number = numberIn(value)
    this.received++
    if (number === null) this.#corrupted++
    else this.takeNumber(number)
  }

  takeNumber(number: number): void {
    if (number === this.#next) this.#next++
    else if (number > this.#next) {
      for (let missing = this.#next; missing < number; missing++) this.#missing.add(missing)
      this.#next = number + 1
    } else if (this.#missing.delete(number)) this.#reordered++
    else this.#duplicated++
  }

  /** All values up to this number have arrived. */
  get contiguous(): number {
    let least = this.#next
    for (const missing of this.#missing) least = Math.min(least, missing)
    return least
  }

  /** @param sent values that must have arrived by now */
  faultsOf(sent: number): LaneFaults {
    let lost = Math.max(0, sent - this.#next)
    for (const missing of this.#missing) if (missing < sent) lost++
    return { lost, duplicated: this.#duplicated, reordered: this.#reordered, corrupted: this.#corrupted }
  }
}
