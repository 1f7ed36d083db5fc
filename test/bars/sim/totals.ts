/**
 * Owns: the sum of many runs, and the bars that follow from it.
 * Independent of: where the runs were executed.
 */
import { quantile } from '../bar.ts'
import type { Bar } from '../bar.ts'
import type { SimulationResult, Violation } from '../../../testing/index.ts'

/** A run that broke a guarantee. */
export interface Failure {
  readonly seed: number
  readonly violations: readonly Violation[]
  readonly traceTail: readonly string[]
}

/** Sums as plain data, so that they can be sent between processes. */
export interface Totals {
  seeds: number
  events: number
  counts: Record<string, number>
  resets: Record<string, number>
  violations: Record<string, number>
  healedInMs: number[]
  failures: Failure[]
  /** Seeds that were run twice, and those whose traces differed. */
  twice: number
  differing: number[]
}

/** Failures that are kept in full; of the others the count is enough. */
const failuresKept = 5
const traceTailLines = 60

export function noTotals(): Totals {
  return {
    seeds: 0,
    events: 0,
    counts: {},
    resets: {},
    violations: {},
    healedInMs: [],
    failures: [],
    twice: 0,
    differing: [],
  }
}

export function addResult(totals: Totals, result: SimulationResult): void {
  totals.seeds += 1
  totals.events += result.events
  addAll(totals.counts, { ...result.tally, ...result.faults })
  addAll(totals.resets, result.resets)
  if (result.healedInMs !== null) totals.healedInMs.push(Math.round(result.healedInMs))
  for (const { kind } of result.violations) totals.violations[kind] = (totals.violations[kind] ?? 0) + 1
  if (result.violations.length > 0 && totals.failures.length < failuresKept)
    totals.failures.push({
      seed: result.seed,
      violations: result.violations,
      traceTail: result.trace.slice(-traceTailLines),
    })
}

export function addTotals(sum: Totals, more: Totals): void {
  sum.seeds += more.seeds
  sum.events += more.events
  sum.twice += more.twice
  addAll(sum.counts, more.counts)
  addAll(sum.resets, more.resets)
  addAll(sum.violations, more.violations)
  // Appended one by one: an argument list of millions would overflow the stack.
  for (const healedMs of more.healedInMs) sum.healedInMs.push(healedMs)
  sum.failures.push(...more.failures)
  sum.differing.push(...more.differing)
}

function addAll(sum: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(more)) sum[name] = (sum[name] ?? 0) + count
}

const seedsTwiceMin = 500

export function barsOf(totals: Totals, tookMs: number, processes: number): Bar[] {
  const { counts, violations, resets, seeds, healedInMs } = totals
  const count = (name: string): number => counts[name] ?? 0
  const breach = (name: string): number => violations[name] ?? 0
  const kills = count('breaks') + count('crashes')
  const runsPerMinute = Math.round((seeds / tookMs) * 60_000)
  const notes = totals.failures.map(({ seed, violations: [first] }) => `seed ${seed}: ${first?.sentence ?? ''}`)
  const resetsInAll = Object.values(resets).reduce((sum, number) => sum + number, 0)
  const bars: Bar[] = [
    // The speed is reported and not judged: it depends on the machine.
    {
      id: 'D1',
      passed: seeds > 0,
      figures: {
        runs_per_minute: runsPerMinute,
        processes,
        events_per_run: Math.round(totals.events / Math.max(1, seeds)),
      },
      notes: [],
    },
    {
      id: 'D2',
      passed: ['lost', 'duplicated', 'reordered', 'pending', 'wrong'].every((name) => breach(name) === 0),
      figures: {
        seeds,
        kills,
        crashes: count('crashes'),
        leaves: count('leaves'),
        partitions: count('partitions'),
        stalls: count('stalls'),
        clock_steps: count('clockSteps'),
        clock_behind: count('behind'),
        twins: count('twins'),
        duplicates: count('duplicates'),
        sent: count('sent'),
        acked: count('acked'),
        unknown: count('unknown'),
        not_sent: count('notSent') + count('withdrawn'),
        streams: count('streams'),
        streams_finished: count('streamsFinished'),
        streams_reset: count('streamsReset'),
        streams_lost: count('streamsLost'),
        streams_refused: count('streamsRefused'),
        streams_failed: count('streamsFailed'),
        lost: breach('lost'),
        duplicated: breach('duplicated'),
        reordered: breach('reordered'),
        pending: breach('pending'),
        wrong: breach('wrong'),
      },
      notes,
    },
    {
      id: 'D3',
      passed: breach('late') === 0 && breach('pending') === 0,
      figures: {
        heals: healedInMs.length,
        p50_ms: quantile(healedInMs, 0.5),
        p99_ms: quantile(healedInMs, 0.99),
        max_ms: quantile(healedInMs, 1),
        late: breach('late'),
      },
      notes: [],
    },
    {
      id: 'D4',
      passed: breach('reset') === 0,
      figures: {
        resets: resetsInAll,
        resets_per_1000_kills: kills === 0 ? 0 : (1000 * resetsInAll) / kills,
        ...resets,
        unexplained: breach('reset'),
      },
      notes: [],
    },
  ]
  if (totals.twice > 0)
    bars.push({
      id: 'D5',
      passed: totals.differing.length === 0 && totals.twice >= Math.min(seedsTwiceMin, seeds),
      figures: { seeds_twice: totals.twice, differing: totals.differing.length },
      notes: totals.differing.map((seed) => `seed ${seed} did not repeat itself`),
    })
  return bars
}
