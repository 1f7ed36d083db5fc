/**
 * Owns: P9: connects a second of ours against raw mutual TLS with as many round trips, turn by turn in one run, each server on
 * one core and each client on another; CPU a connect, both ends added.
 * Refuses to know: what a connect is (connect-end.ts).
 */
import { fork, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { median } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import type { ConnectInput, ConnectReport, ConnectSubject } from './connect-end.ts'
import { programPath } from './victim-process.ts'

const ratioMin = 0.95
const cores = { server: 1, client: 0 } as const
const subjects: readonly ConnectSubject[] = ['ours', 'raw']

function canPin(): boolean {
  return Object.values(cores).every((core) => spawnSync('taskset', ['-c', String(core), 'true']).status === 0)
}

interface End {
  readonly child: ChildProcess
  readonly ready: ConnectReport
}

async function start(input: ConnectInput, isPinned: boolean): Promise<End> {
  const core = cores[input.role]
  // taskset becomes node by exec, so the channel and the process id are node's own.
  const pinning = isPinned ? { execPath: 'taskset', execArgv: ['-c', String(core), process.execPath] } : {}
  // XState checks and warns more while it is developed with; nobody runs it so.
  const child = fork(programPath('connect-end'), [JSON.stringify(input)], { ...pinning, stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: { ...process.env, NODE_ENV: 'production' } })
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

export interface RateCounts {
  readonly rounds: number
  readonly isPinned: boolean
  readonly oursPerSecond: number
  readonly rawPerSecond: number
  /** Medians of the ratios of each round: what the machine does meanwhile happens to both. */
  readonly ratio: number
  readonly oursCpuUs: number
  readonly rawCpuUs: number
  readonly cpuRatio: number
}

async function compareConnects({ rounds, connects, warmUp }: { readonly rounds: number; readonly connects: number; readonly warmUp: number }): Promise<RateCounts> {
  const isPinned = canPin()
  const ends: End[] = []
  const pairs = new Map<ConnectSubject, { server: End; client: End }>()
  const rates = { ours: [] as number[], raw: [] as number[] }
  const cpus = { ours: [] as number[], raw: [] as number[] }
  try {
    for (const subject of subjects) {
      const server = await start({ role: 'server', subject, port: 0 }, isPinned)
      ends.push(server)
      const client = await start({ role: 'client', subject, port: server.ready.port }, isPinned)
      ends.push(client)
      pairs.set(subject, { server, client })
      await ask(client, warmUp)
    }
    for (let round = 0; round < rounds; round++) {
      // Who goes first changes, so that neither always follows the other's garbage.
      for (const subject of round % 2 === 0 ? subjects : subjects.toReversed()) {
        const { server, client } = pairs.get(subject) as { server: End; client: End }
        await ask(server, 0)
        const done = await ask(client, connects)
        const served = await ask(server, 0)
        rates[subject].push((connects / done.elapsedMs) * 1000)
        cpus[subject].push((done.cpuUs + served.cpuUs) / connects)
      }
    }
  } finally {
    await Promise.all(ends.map(stop))
  }
  const ratios = (of: typeof rates): number => median(of.ours.map((ours, round) => ours / (of.raw[round] as number)))
  return { rounds, isPinned, oursPerSecond: median(rates.ours), rawPerSecond: median(rates.raw), ratio: ratios(rates), oursCpuUs: median(cpus.ours), rawCpuUs: median(cpus.raw), cpuRatio: ratios(cpus) }
}

export async function connectRate({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  progress('P9 ours and raw mutual TLS in turn')
  const counts = await compareConnects(isQuick ? { rounds: 3, connects: 50, warmUp: 200 } : { rounds: 11, connects: 300, warmUp: 1_000 })
  const figures = {
    rounds: counts.rounds, pinned: String(counts.isPinned), ours_per_s: Math.round(counts.oursPerSecond), raw_per_s: Math.round(counts.rawPerSecond), ratio: counts.ratio,
    ours_cpu_us: Math.round(counts.oursCpuUs), raw_cpu_us: Math.round(counts.rawCpuUs), cpu_ratio: counts.cpuRatio,
  }
  return [{ id: 'P9', passed: counts.ratio >= ratioMin, figures, notes: [] }]
}
