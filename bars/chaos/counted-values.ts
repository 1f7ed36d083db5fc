/**
 * Owns: values that say their own number, and what one lane got of them: each once, in order, unspoilt, or how not.
 * Refuses to know: networks.
 */
import type { NetworkValue } from '../../codec/index.ts'

/** Bytes behind the number: small ones, and some that fill a record of TLS only with others, and some that need several writes. */
const paddings = [0, 3, 17, 60, 250, 900] as const

/** One in three thousand is longer than a lane's first window, one in fifteen hundred is sent by reference and not copied. */
function paddingOf(number: number): number {
  if (number % 2997 === 0) return 70_000
  return number % 1497 === 0 ? 20_000 : (paddings[(number / 3) % paddings.length] as number)
}

/** The same number always makes the same value. Two in three are of the small kind, which has a path of its own. */
export function countedValue(number: number): NetworkValue {
  if (number % 3 !== 0) return { type: 'RingElement32', value: number }
  const bytes = Buffer.alloc(4 + paddingOf(number), number & 0xff)
  bytes.writeUInt32LE(number, 0)
  return { type: 'Bytes', value: bytes }
}

/** @returns null if it is not what was sent under the number that it says */
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
  readonly spoilt: number
}

export const noFaults: LaneFaults = { lost: 0, duplicated: 0, reordered: 0, spoilt: 0 }

export function addFaults(a: LaneFaults, b: LaneFaults): LaneFaults {
  return { lost: a.lost + b.lost, duplicated: a.duplicated + b.duplicated, reordered: a.reordered + b.reordered, spoilt: a.spoilt + b.spoilt }
}

/** What one lane got, one number after the other. */
export class LaneCount {
  #next = 0
  /** Passed over, and not come since. */
  readonly #missing = new Set<number>()
  #duplicated = 0
  #reordered = 0
  #spoilt = 0
  received = 0

  take(value: NetworkValue): void {
    const number = numberIn(value)
    this.received++
    if (number === null) this.#spoilt++
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

  /** All up to here have come, whatever else. */
  get contiguous(): number {
    let least = this.#next
    for (const missing of this.#missing) least = Math.min(least, missing)
    return least
  }

  /** @param sent values that must have come by now */
  faultsOf(sent: number): LaneFaults {
    let lost = Math.max(0, sent - this.#next)
    for (const missing of this.#missing) if (missing < sent) lost++
    return { lost, duplicated: this.#duplicated, reordered: this.#reordered, spoilt: this.#spoilt }
  }
}
