/**
 * Owns: P9: connects a second of ours against raw mutual TLS, turn by turn; how often that is begun anew, and what is held of it.
 * Refuses to know: what a connect is (connect-end.ts), the processes (connect-pairs.ts).
 *
 * A connect runs some hundred functions once, so V8 takes thousands of connects to compile them, on the cores that are measured: raw
 * TLS goes from 2.0 to 1.6 ms between the first thousand connects and the seventh, ours further. The bar is held in the second to the fourth
 * thousand; the rate that stays is printed beside it (docs/decisions/0012-what-p9-is-held-against.md).
 *
 * One launch says little: the median of its eleven rounds moves by 0.1 from launch to launch of one build. So there are nine, and
 * their median is held. Beside it stand the second least and the second greatest: by the binomial, whatever the shape, the median of all
 * launches there could be lies between them in 96 runs of 100.
 */
import { median } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { areConnectsPinned, measureRounds, warmUp, withPairs } from './connect-pairs.ts'
import type { Rates, RatesOf } from './connect-pairs.ts'
import type { ConnectSubject } from './connect-end.ts'

const ratioMin = 0.95

interface Plan {
  readonly launches: number
  readonly rounds: number
  readonly connects: number
  /** Connects of each subject before the first round. */
  readonly early: number
  /** Connects until V8 has compiled what it will; without them, what is not held is not measured. */
  readonly compiling: number | null
}

const full: Plan = { launches: 9, rounds: 11, connects: 300, early: 1_000, compiling: 3_000 }
// As warm as the full one: the first thousand connects say 0.86, whatever the rest would say.
const quick: Plan = { ...full, launches: 1, compiling: null }

/** The median of the ratios of each round: what the machine does meanwhile happens to all. */
function ratio(of: RatesOf, what: keyof Rates, against: ConnectSubject): number {
  const theirs = of.get(against) as Rates
  return median((of.get('ours') as Rates)[what].map((ours, round) => ours / (theirs[what][round] as number)))
}

/** Each launch begins with the other one. */
async function launchesOf({ launches, early, rounds, connects }: Plan, isPinned: boolean, progress: BarContext['progress']): Promise<readonly RatesOf[]> {
  const found: RatesOf[] = []
  for (let launch = 0; launch < launches; launch++) {
    progress(`P9 ours and raw mutual TLS in turn, launch ${launch + 1} of ${launches}`)
    const rates = await withPairs(launch % 2 === 0 ? ['ours', 'raw-tls'] : ['raw-tls', 'ours'], isPinned, async (pairs) => {
      await warmUp(pairs, early)
      return measureRounds(pairs, rounds, connects)
    })
    found.push(rates)
  }
  return found
}

/** What is not held: against a raw socket with our parameters, and the rate that stays. */
async function beside({ early, compiling, rounds, connects }: Plan, isPinned: boolean, progress: BarContext['progress']): Promise<Readonly<Record<string, number>>> {
  if (compiling === null) return {}
  progress('P9 the rate that stays, and against a raw socket with our parameters')
  return withPairs(['ours', 'raw-tls', 'raw-alike'], isPinned, async (pairs) => {
    await warmUp(pairs, early)
    const first = await measureRounds(pairs, rounds, connects)
    await warmUp(pairs, compiling)
    const steady = await measureRounds(pairs, rounds, connects)
    return {
      steady_ratio: ratio(steady, 'perSecond', 'raw-tls'), steady_cpu_ratio: ratio(steady, 'cpuUs', 'raw-tls'),
      alike_ratio: ratio(first, 'perSecond', 'raw-alike'), alike_cpu_ratio: ratio(first, 'cpuUs', 'raw-alike'),
      alike_steady_ratio: ratio(steady, 'perSecond', 'raw-alike'), alike_steady_cpu_ratio: ratio(steady, 'cpuUs', 'raw-alike'),
    }
  })
}

export async function connectRate({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  const plan = isQuick ? quick : full
  const isPinned = areConnectsPinned()
  const launches = await launchesOf(plan, isPinned, progress)
  const ratios = launches.map((rates) => ratio(rates, 'perSecond', 'raw-tls')).sort((a, b) => a - b)
  const held = median(ratios)
  const all = (subject: ConnectSubject, what: keyof Rates): number => Math.round(median(launches.flatMap((rates) => rates.get(subject)?.[what] ?? [])))
  const figures = {
    ratio: held, limit: ratioMin, against: 'raw-tls', launches: plan.launches, rounds: plan.rounds, low: ratios.at(1) ?? held, high: ratios.at(-2) ?? held, pinned: String(isPinned),
    ours_per_s: all('ours', 'perSecond'), raw_per_s: all('raw-tls', 'perSecond'),
    cpu_ratio: median(launches.map((rates) => ratio(rates, 'cpuUs', 'raw-tls'))), ours_cpu_us: all('ours', 'cpuUs'), raw_cpu_us: all('raw-tls', 'cpuUs'),
    ...(await beside(plan, isPinned, progress)),
  }
  return [{ id: 'P9', passed: held >= ratioMin, figures, notes: [`P9 each launch: ${ratios.map((found) => found.toFixed(3)).join(' ')}`] }]
}
