/**
 * Owns: random draws in the terms of a plan: one of, between, with probability.
 * Independent of: what is drawn.
 */
import type { Random } from '../../actors/base/environment.ts'
import { seededRandom } from '../seeded-random.ts'

export class Chance {
  readonly #random: Random

  /** Different numbers give unrelated draws: one more draw for one purpose must not shift those for another. */
  constructor(...numbers: readonly number[]) {
    let seed = 0x9e3779b9
    for (const number of numbers) {
      seed = Math.imul(seed ^ number, 0x85ebca6b)
      seed ^= seed >>> 13
      seed = Math.imul(seed, 0xc2b2ae35) ^ (seed >>> 16)
    }
    this.#random = seededRandom(seed)
  }

  /** True with this probability. */
  is(probability: number): boolean {
    return this.#random.fraction() < probability
  }

  /** A whole number from `least` to `most`, both included. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.#random.fraction() * (most - least + 1))
  }

  /** Between `least` and `most`, with small numbers as likely as large ones. */
  spread(least: number, most: number): number {
    return Math.round(least * (most / least) ** this.#random.fraction())
  }

  oneOf<T>(choices: readonly T[]): T {
    return choices[this.whole(0, choices.length - 1)] as T
  }
}
