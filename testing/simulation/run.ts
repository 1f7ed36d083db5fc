/**
 * Owns: one seed, from its plan to its verdict.
 * Independent of: command lines and processes.
 */
import type { Tally, Violation } from './model.ts'
import { planOf } from './plan.ts'
import type { Plan } from './plan.ts'
import { World } from './world.ts'
import type { FaultCounts } from './faults.ts'
import type { EventCounts } from './judge.ts'
import type { StreamTally } from './stream-model.ts'

export interface SimulationResult {
  readonly seed: number
  readonly violations: readonly Violation[]
  readonly tally: Tally & StreamTally
  readonly faults: FaultCounts & EventCounts
  readonly resets: Readonly<Record<string, number>>
  /** Virtual time from the last fault until all was up and drained; null if that never happened. */
  readonly healedInMs: number | null
  readonly virtualMs: number
  /** Hash of everything that happened: the same for every run of the seed. */
  readonly traceHash: number
  readonly events: number
  readonly trace: readonly string[]
}

/**
 * Runs two or three real networks on a simulated one with random traffic and random faults, then calm. Compares what
 * every sender was told with what every receiver got.
 */
export async function runSimulation(seed: number, changes: Partial<Plan> = {}): Promise<SimulationResult> {
  const world = new World({ ...planOf(seed), ...changes })
  try {
    await world.run()
  } catch (error) {
    world.model.breach('wrong', `the run broke: ${(error as Error).stack ?? String(error)}`)
  }
  const tally = world.conclude()
  const resets: Record<string, number> = {}
  for (const { reason } of world.judge.resets.values()) resets[reason] = (resets[reason] ?? 0) + 1
  const { trace, clock } = world.network
  return {
    seed,
    violations: world.model.violations,
    tally: { ...tally, ...world.streams.tally },
    faults: { ...world.faults.counts, ...world.judge.counts },
    resets,
    healedInMs: world.healedInMs,
    virtualMs: clock.nowMs(),
    traceHash: trace.hash,
    events: trace.events,
    trace: trace.lines(),
  }
}
