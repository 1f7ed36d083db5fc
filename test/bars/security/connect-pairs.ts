/**
 * Owns: the processes of P9: a server and a client for each subject, each on its own core, and how rounds of connects
 * are requested.
 * Independent of: what a connect is (connect-end.ts), which ratio counts (connect-rate.ts).
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { canPin, forkBehind, pinnedTo } from '../pinning.ts'
import type { ConnectInput, ConnectReport, ConnectSubject } from './connect-end.ts'
import { programPath } from './victim-process.ts'

const cores = { server: 1, client: 0 } as const

export const areConnectsPinned = (): boolean => canPin(cores)

interface End {
  readonly child: ChildProcess
  readonly ready: ConnectReport
}

interface Pair {
  readonly server: End
  readonly client: End
}

export type Pairs = ReadonlyMap<ConnectSubject, Pair>

/** One figure per round. CPU is per connect, both ends added. */
export interface Rates {
  readonly perSecond: number[]
  readonly cpuUs: number[]
}

export type RatesOf = ReadonlyMap<ConnectSubject, Rates>

async function start(input: ConnectInput, isPinned: boolean): Promise<End> {
  // XState does more checks in development mode; production does not run that way.
  const child = forkBehind(isPinned ? pinnedTo(cores[input.role]) : [], programPath('connect-end'), input, [], {
    env: { ...process.env, NODE_ENV: 'production' },
  })
  const [ready] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => {
      throw new Error(`${input.subject} ${input.role} did not start`)
    }),
  ])) as [ConnectReport]
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

/** Fresh processes, started in the order of the subjects, and stopped when the work has ended in any way. */
export async function withPairs<T>(
  subjects: readonly ConnectSubject[],
  isPinned: boolean,
  work: (pairs: Pairs) => Promise<T>,
): Promise<T> {
  const ends: End[] = []
  const pairs = new Map<ConnectSubject, Pair>()
  try {
    for (const subject of subjects) {
      const server = await start({ role: 'server', subject, port: 0 }, isPinned)
      ends.push(server)
      const client = await start({ role: 'client', subject, port: server.ready.port }, isPinned)
      ends.push(client)
      pairs.set(subject, { server, client })
    }
    return await work(pairs)
  } finally {
    await Promise.all(ends.map(stop))
  }
}

export async function warmUp(pairs: Pairs, connects: number): Promise<void> {
  for (const { client } of pairs.values()) await ask(client, connects)
}

async function round({ server, client }: Pair, connects: number, { perSecond, cpuUs }: Rates): Promise<void> {
  await ask(server, 0)
  const done = await ask(client, connects)
  const served = await ask(server, 0)
  perSecond.push((connects / done.elapsedMs) * 1000)
  cpuUs.push((done.cpuUs + served.cpuUs) / connects)
}

export async function measureRounds(pairs: Pairs, rounds: number, connects: number): Promise<RatesOf> {
  const rates = new Map<ConnectSubject, Rates>()
  for (const subject of pairs.keys()) rates.set(subject, { perSecond: [], cpuUs: [] })
  const there = [...pairs]
  const back = there.toReversed()
  for (let done = 0; done < rounds; done++) {
    // The order alternates: running right after raw TLS costs 0.03.
    for (const [subject, pair] of done % 2 === 0 ? there : back)
      await round(pair, connects, rates.get(subject) as Rates)
  }
  return rates
}
