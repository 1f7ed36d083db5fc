/**
 * Owns: figures of the calls of one method: how many, how many failed, and how long they took.
 * Independent of: clocks, and who asks.
 */

/** Figures of one method since it is served. */
export interface MethodFigures {
  readonly name: string
  readonly calls: number
  readonly errors: number
  /** Null before the first call. */
  readonly meanMs: number | null
  /**
   * 99 of 100 calls took at most so long. Up to 17 minutes it is at most 19 % too high; above, it is the longest call.
   * Null before the first call.
   */
  readonly p99Ms: number | null
}

/** Four buckets for each doubling: a bound is at most 2^(1/4), or 19 %, too high. */
const bucketsPerDoubling = 4
/** The first bucket ends at 1 µs, the last but one at 2^30 µs, which is 17.9 minutes. The last has no end. */
const lastBucket = 30 * bucketsPerDoubling + 1

export class CallFigures {
  readonly #name: string
  #calls = 0
  #errors = 0
  #sumMs = 0
  #longestMs = 0
  readonly #buckets = new Uint32Array(lastBucket + 1)

  constructor(name: string) {
    this.#name = name
  }

  add(tookMs: number, failed: boolean): void {
    this.#calls++
    if (failed) this.#errors++
    this.#sumMs += tookMs
    this.#longestMs = Math.max(this.#longestMs, tookMs)
    const bucket = Math.ceil(Math.log2(Math.max(tookMs * 1000, 1)) * bucketsPerDoubling)
    this.#buckets[Math.min(bucket, lastBucket)]!++
  }

  get figures(): MethodFigures {
    const [name, calls, errors] = [this.#name, this.#calls, this.#errors]
    if (calls === 0) return { name, calls, errors, meanMs: null, p99Ms: null }
    return { name, calls, errors, meanMs: this.#sumMs / calls, p99Ms: this.#quantileMs(0.99) }
  }

  #quantileMs(quantile: number): number {
    let left = Math.ceil(this.#calls * quantile)
    for (let bucket = 0; bucket < lastBucket; bucket++) {
      left -= this.#buckets[bucket]!
      if (left <= 0) return 2 ** (bucket / bucketsPerDoubling) / 1000
    }
    return this.#longestMs
  }
}
