/**
 * Owns: P9, the CPU that a connect costs at both ends, compared with raw mutual TLS.
 * Independent of: what a connect is (connect-end.ts), and the processes (connect-pairs.ts).
 *
 * Connects are rare, so the figure is reported and never fails a run. V8 needs thousands of connects to compile the
 * code of one; both the early rounds and the steady state are printed (docs/performance.md).
 */
import { median } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { areConnectsPinned, measureRounds, warmUp, withPairs } from './connect-pairs.ts'
import type { Rates, RatesOf } from './connect-pairs.ts'
import type { ConnectSubject } from './connect-end.ts'

/** What a connect of ours may cost, in connects of raw mutual TLS. */
const cpuRatioMax = 1.35

interface Plan {
  readonly rounds: number
  readonly connects: number
  /** Connects of each subject before the first round. */
  readonly early: number
  /** Connects between the early and the steady rounds. */
  readonly compiling: number
}

const full: Plan = { rounds: 11, connects: 300, early: 1_000, compiling: 3_000 }
const quick: Plan = { rounds: 3, connects: 100, early: 300, compiling: 0 }

/** The median of the ratios of the rounds: other load affects both subjects of a round. */
function ratio(of: RatesOf, what: keyof Rates): number {
  const raw = of.get('raw-tls') as Rates
  return median((of.get('ours') as Rates)[what].map((ours, round) => ours / (raw[what][round] as number)))
}

export async function connectRate({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  const { rounds, connects, early, compiling } = isQuick ? quick : full
  const isPinned = areConnectsPinned()
  progress('P9 connects of ours and of raw mutual TLS in turn')
  const { first, steady } = await withPairs(['ours', 'raw-tls'], isPinned, async (pairs) => {
    await warmUp(pairs, early)
    const before = await measureRounds(pairs, rounds, connects)
    if (compiling === 0) return { first: before, steady: before }
    await warmUp(pairs, compiling)
    return { first: before, steady: await measureRounds(pairs, rounds, connects) }
  })
  const cpuUs = (subject: ConnectSubject): number => Math.round(median(steady.get(subject)?.cpuUs ?? []))
  const cpuRatio = ratio(steady, 'cpuUs')
  const figures = {
    cpu_ratio: cpuRatio,
    limit: cpuRatioMax,
    met: String(cpuRatio <= cpuRatioMax),
    against: 'raw-tls',
    rounds,
    early_cpu_ratio: ratio(first, 'cpuUs'),
    rate_ratio: ratio(steady, 'perSecond'),
    early_rate_ratio: ratio(first, 'perSecond'),
    ours_cpu_us: cpuUs('ours'),
    raw_cpu_us: cpuUs('raw-tls'),
    pinned: String(isPinned),
  }
  return [{ id: 'P9', passed: true, figures, notes: [] }]
}
