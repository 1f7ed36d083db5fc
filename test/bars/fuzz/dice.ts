/**
 * Owns: repeatable randomness, fast enough to be used for every byte.
 * Independent of: what is drawn. xorshift32 (George Marsaglia); the seed is mixed first, so that 1 and 2 give different
 * sequences.
 */
export class Dice {
  #state: number

  constructor(seed: number) {
    let mixed = Math.imul((seed ^ 0x9e37_79b9) >>> 0, 0x85eb_ca6b)
    mixed ^= mixed >>> 13
    mixed = Math.imul(mixed, 0xc2b2_ae35)
    mixed ^= mixed >>> 16
    this.#state = mixed === 0 ? 1 : mixed
  }

  /** 32 bits. */
  next(): number {
    let state = this.#state
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    this.#state = state
    return state >>> 0
  }

  /** 0 … limit - 1. */
  below(limit: number): number {
    return this.next() % limit
  }

  /** True once in this many calls on average. */
  once(inTimes: number): boolean {
    return this.next() % inTimes === 0
  }

  pick<T>(items: readonly T[]): T {
    return items[this.next() % items.length] as T
  }
}
