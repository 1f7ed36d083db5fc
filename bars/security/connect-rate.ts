/**
 * Owns: P9: connects a second of ours against raw mutual TLS, turn by turn in one run, each server on one core and each client on
 * another; CPU a connect, both ends added.
 * Refuses to know: what a connect is (connect-end.ts).
 *
 * A connect runs some hundred functions once, so V8 takes thousands of connects to compile them, on the cores that are measured: raw
 * TLS goes from 2.0 to 1.6 ms between the first thousand connects and the seventh, ours further. The bar is held in the second to the fourth
 * thousand; the rate that stays is printed beside it (docs/decisions/0012-what-p9-is-held-against.md).
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { median } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { canPin, forkBehind, pinnedTo } from '../pinning.ts'
import type { ConnectInput, ConnectReport, ConnectSubject } from './connect-end.ts'
import { programPath } from './victim-process.ts'

const ratioMin = 0.95
const cores = { server: 1, client: 0 } as const
const subjects: readonly ConnectSubject[] = ['ours', 'raw-tls', 'raw-alike']

interface End {
  readonly child: ChildProcess
  readonly ready: ConnectReport
}

async function start(input: ConnectInput, isPinned: boolean): Promise<End> {
  // XState checks and warns more while it is developed with; nobody runs it so.
  const child = forkBehind(isPinned ? pinnedTo(cores[input.role]) : [], programPath('connect-end'), input, [], { env: { ...process.env, NODE_ENV: 'production' } })
  const [ready] = (await Promise.race([once(child, 'message'), once(child, 'exit').then(() => { throw new Error(`${input.subject} ${input.role} did not start`) })])) as [ConnectReport]
  return { child, ready }
}

async function ask({ child }: End, connects: number): Promise<ConnectReport> {
  const answer = once(child, 'message')
  child.send({ connects })
  return ((await answer) as [ConnectReport])[0]
}

async function stop({ child }: End): Promise<void> {
  const exited = once(child, 'exit')
  child.disconnect()
  await exited
}

interface Rates {
  readonly perSecond: Readonly<Record<ConnectSubject, number[]>>
  readonly cpuUs: Readonly<Record<ConnectSubject, number[]>>
}

const noRates = (): Rates => ({ perSecond: { ours: [], 'raw-tls': [], 'raw-alike': [] }, cpuUs: { ours: [], 'raw-tls': [], 'raw-alike': [] } })

interface Measuring {
  readonly rounds: number
  readonly connects: number
}

type Pairs = ReadonlyMap<ConnectSubject, { readonly server: End; readonly client: End }>

async function measure(pairs: Pairs, { rounds, connects }: Measuring): Promise<Rates> {
  const rates = noRates()
  for (let round = 0; round < rounds; round++) {
    // Who goes first changes, so that nobody always follows the same one's garbage.
    for (const [place] of subjects.entries()) {
      const subject = subjects[(place + round) % subjects.length] as ConnectSubject
      const { server, client } = pairs.get(subject) as { server: End; client: End }
      await ask(server, 0)
      const done = await ask(client, connects)
      const served = await ask(server, 0)
      rates.perSecond[subject].push((connects / done.elapsedMs) * 1000)
      rates.cpuUs[subject].push((done.cpuUs + served.cpuUs) / connects)
    }
  }
  return rates
}

async function warmUp(pairs: Pairs, connects: number): Promise<void> {
  for (const { client } of pairs.values()) await ask(client, connects)
}

interface RateCounts {
  readonly isPinned: boolean
  /** After `early` connects of warm-up, and once V8 has compiled what it will. */
  readonly early: Rates
  readonly steady: Rates
}

async function compareConnects({ early, compiling, ...measuring }: Measuring & { readonly early: number; readonly compiling: number }): Promise<RateCounts> {
  const isPinned = canPin(cores)
  const ends: End[] = []
  const pairs = new Map<ConnectSubject, { server: End; client: End }>()
  try {
    for (const subject of subjects) {
      const server = await start({ role: 'server', subject, port: 0 }, isPinned)
      ends.push(server)
      const client = await start({ role: 'client', subject, port: server.ready.port }, isPinned)
      ends.push(client)
      pairs.set(subject, { server, client })
    }
    await warmUp(pairs, early)
    const first = await measure(pairs, measuring)
    await warmUp(pairs, compiling)
    return { isPinned, early: first, steady: await measure(pairs, measuring) }
  } finally {
    await Promise.all(ends.map(stop))
  }
}

/** The median of the ratios of each round: what the machine does meanwhile happens to all. */
function ratio(of: Readonly<Record<ConnectSubject, number[]>>, against: ConnectSubject): number {
  return median(of.ours.map((ours, round) => ours / (of[against][round] as number)))
}

export async function connectRate({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  progress('P9 ours and raw mutual TLS in turn')
  const counts = isQuick ? { rounds: 3, connects: 50, early: 200, compiling: 0 } : { rounds: 11, connects: 300, early: 1_000, compiling: 3_000 }
  const { isPinned, early, steady } = await compareConnects(counts)
  const held = ratio(early.perSecond, 'raw-tls')
  const figures = {
    ratio: held, limit: ratioMin, against: 'raw-tls', rounds: counts.rounds, pinned: String(isPinned), ours_per_s: Math.round(median(early.perSecond.ours)), raw_per_s: Math.round(median(early.perSecond['raw-tls'])),
    cpu_ratio: ratio(early.cpuUs, 'raw-tls'), ours_cpu_us: Math.round(median(early.cpuUs.ours)), raw_cpu_us: Math.round(median(early.cpuUs['raw-tls'])),
    steady_ratio: ratio(steady.perSecond, 'raw-tls'), steady_cpu_ratio: ratio(steady.cpuUs, 'raw-tls'),
    alike_ratio: ratio(early.perSecond, 'raw-alike'), alike_cpu_ratio: ratio(early.cpuUs, 'raw-alike'), alike_steady_ratio: ratio(steady.perSecond, 'raw-alike'), alike_steady_cpu_ratio: ratio(steady.cpuUs, 'raw-alike'),
  }
  return [{ id: 'P9', passed: held >= ratioMin, figures, notes: [] }]
}
