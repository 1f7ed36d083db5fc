/**
 * Owns: a random source that gives the same numbers for the same seed.
 * Independent of: what they are used for. mulberry32 (Tommy Ettinger, public domain): 32 bits of state, good enough for
 * tests.
 */
import { invalid } from '../actors/base/checks.ts'
import { formatValue } from '../codec/format-value.ts'
import type { Random } from '../actors/base/environment.ts'

export function seededRandom(seed: number): Random {
  if (!Number.isSafeInteger(seed)) throw invalid(`seed must be a whole number, got ${formatValue(seed)}`)
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  return {
    fraction: () => next() / 2 ** 32,
    bytes: (length) => Uint8Array.from({ length }, () => next() & 0xff),
  }
}
