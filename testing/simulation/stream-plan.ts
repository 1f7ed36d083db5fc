/**
 * Owns: which streams a seed stands for: how many, how long, and within which limits.
 * Independent of: sessions, messages and faults.
 */
import type { Chance } from './chance.ts'

export interface StreamPlan {
  /** From each process to each peer, at most. */
  readonly perPeer: number
  /** The longest that one side writes on a stream. */
  readonly bytesMax: number
  /** `limits.streamsMax` of every party. */
  readonly limit: number
  /** `limits.streamOpenTimeoutMs`: the time for a decision, too. */
  readonly openTimeoutMs: number
  /** The share of calls of `getStream` with `serial`. */
  readonly serials: number
  /** Each pair keeps one stream in each direction to the end of the run. */
  readonly keepsSome: boolean
}

/** What takes more round trips than this takes longer than any bound on healing allows. */
const windowsMax = 30

/** @returns null for a run without streams */
export function streamsOf(chance: Chance, laneWindowBytes: number, cutsLongValues: boolean): StreamPlan | null {
  if (!chance.is(0.4)) return null
  const limit = chance.oneOf([1, 3, 16, 1024, 1024])
  const usualMax = chance.oneOf([100, 2000, 20_000, 300_000])
  return {
    perPeer: chance.spread(3, 60),
    bytesMax: Math.min(cutsLongValues ? 1000 : usualMax, windowsMax * laneWindowBytes),
    limit,
    openTimeoutMs: chance.oneOf([1000, 8000]),
    serials: chance.is(0.3) ? 0.3 : 0,
    keepsSome: limit > 2 && chance.is(0.5),
  }
}
