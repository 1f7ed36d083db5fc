/**
 * Owns: C2, killed processes: processes that talk to each other are killed at random and restarted. What each recorded
 * before its death is compared with what the others were told.
 * Independent of: the content of the files (delivery-record.ts) and what a process does (process-peer.ts).
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Identity } from '../../../actors/index.ts'
import { seededRandom } from '../../../testing/index.ts'
import { eventually, pause } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { programPath } from './child-program.ts'
import { ChaosProxy } from './chaos-proxy.ts'
import { judgeEntries, readEntries } from './delivery-record.ts'
import type { Judgement } from './delivery-record.ts'
import type { ProcessPeerMessage, ProcessPeerPlan } from './process-peer.ts'

export interface ProcessKillOptions {
  readonly kills: number
  readonly processes: number
  readonly lanes: number
  /** Links of each pair, and whether both sides dial. */
  readonly links?: number
  readonly bothDial?: boolean
  readonly seed: number
  readonly progress: (text: string) => void
}

export interface ProcessKillCounts extends Judgement {
  readonly kills: number
  readonly killedEarly: number
  /** Exits that were not ordered. */
  readonly crashes: number
  readonly retries: number
  readonly wallMs: number
  readonly errors: readonly string[]
}

/** One in this many is killed before it talks to any peer. */
const earlyOneIn = 5

/** A slot for one process after another with the same key, behind an address that stays. */
class Place {
  readonly own: number
  readonly proxy: ChaosProxy
  readonly #plan: Omit<ProcessPeerPlan, 'boot'>
  readonly #onCrash: () => void
  #child: ChildProcess | null = null
  boot = 0
  /** Its own report since each of the others was last killed. */
  readonly talkingWith = new Set<number>()
  startedAtMs = 0
  retries: number | null = null

  constructor(plan: Omit<ProcessPeerPlan, 'boot'>, proxy: ChaosProxy, onCrash: () => void) {
    this.own = plan.own
    this.#plan = plan
    this.proxy = proxy
    this.#onCrash = onCrash
  }

  start(): void {
    this.boot++
    this.talkingWith.clear()
    this.startedAtMs = performance.now()
    const child = fork(
      programPath('process-peer'),
      [JSON.stringify({ ...this.#plan, boot: this.boot } satisfies ProcessPeerPlan)],
      { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    )
    this.#child = child
    child.on('message', (message: ProcessPeerMessage) => {
      if (this.#child !== child) return
      if (message.type === 'listening') this.proxy.target = message.port
      else if (message.type === 'talking') this.talkingWith.add(message.with)
      else this.retries = message.retries
    })
    child.on('exit', () => {
      if (this.#child === child) this.#onCrash()
    })
  }

  async kill(): Promise<void> {
    const child = this.#child as ChildProcess
    this.#child = null
    this.proxy.target = null
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  tell(type: 'finish' | 'stop'): void {
    if (type === 'stop') {
      const child = this.#child
      this.#child = null
      child?.send({ type })
    } else this.#child?.send({ type })
  }
}

export async function killProcesses({
  kills,
  processes,
  lanes,
  links = 1,
  bothDial = false,
  seed,
  progress,
}: ProcessKillOptions): Promise<ProcessKillCounts> {
  const random = seededRandom(seed)
  const folder = mkdtempSync(path.join(tmpdir(), 'statewire-chaos-'))
  const keys = Array.from({ length: processes }, () => Identity.generate())
  const proxies = await Promise.all(keys.map(() => ChaosProxy.listen()))
  let crashes = 0
  const places = keys.map((key, own) => {
    const recordPath = path.join(folder, `${own}`)
    writeFileSync(recordPath, '')
    const peers = keys.map(({ id }, other) => ({
      id,
      url: other < own || (bothDial && other !== own) ? (proxies[other] as ChaosProxy).urlOf('tls') : null,
    }))
    return new Place(
      { own, keyPem: key.toPem(), recordPath, peers, lanes, links },
      proxies[own] as ChaosProxy,
      () => crashes++,
    )
  })
  const startedMs = performance.now()
  const errors: string[] = []
  let killed = 0
  let killedEarly = 0
  const talksWithAll = (place: Place): boolean => place.talkingWith.size >= processes - 1
  try {
    for (const place of places) place.start()
    while (killed < kills) {
      if (killed % 50 === 0) progress(`C2: ${killed} kills`)
      const isEarly = killed > 0 && random.fraction() * earlyOneIn < 1
      if (!isEarly) await eventually('a process that talks with all others', () => places.some(talksWithAll), 30_000)
      // Under load, with some of it acknowledged.
      await pause(random.fraction() * 60)
      const candidates = isEarly ? places : places.filter(talksWithAll)
      const place = candidates[Math.floor(random.fraction() * candidates.length)]
      if (place === undefined) continue
      if (!talksWithAll(place)) killedEarly++
      killed++
      await place.kill()
      for (const other of places) other.talkingWith.delete(place.own)
      place.start()
    }
    await eventually('all talk with all', () => places.every(talksWithAll), 30_000)
    await pause(300)
    for (const place of places) place.tell('finish')
    await eventually('the last flush of all', () => places.every(({ retries }) => retries !== null), 30_000)
  } catch (error) {
    errors.push((error as Error).message)
  }
  for (const place of places) place.tell('stop')
  await Promise.all(proxies.map((proxy) => proxy.stop()))
  const entries = places.flatMap(({ own }) => readEntries(path.join(folder, `${own}`)))
  rmSync(folder, { recursive: true, force: true })
  return {
    ...judgeEntries(
      entries,
      places.map(({ boot }) => boot),
    ),
    kills: killed,
    killedEarly,
    crashes,
    retries: places.reduce((sum, { retries }) => sum + (retries ?? 0), 0),
    wallMs: performance.now() - startedMs,
    errors,
  }
}

function barOf(id: string, kills: number, counts: ProcessKillCounts): Bar {
  const { errors, wallMs, ...figures } = counts
  const faults =
    counts.ackedNotDelivered +
    counts.deliveredNotSent +
    counts.duplicated +
    counts.misplaced +
    counts.unknownBeyondInFlight +
    counts.wrongSums +
    counts.endedTwice +
    counts.neverEnded +
    counts.lostAtTheEnd +
    counts.crashes
  const named = Object.fromEntries(
    Object.entries(figures).map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value,
    ]),
  )
  return {
    id,
    passed: faults === 0 && errors.length === 0 && counts.kills >= kills && counts.resets > 0,
    figures: { ...named, wall_s: wallMs / 1000 },
    notes: errors,
  }
}

export async function processKill({ isQuick, seed, progress }: BarContext): Promise<readonly Bar[]> {
  if (isQuick) return [barOf('C2', 10, await killProcesses({ kills: 10, processes: 3, lanes: 2, seed, progress }))]
  return [
    barOf('C2', 500, await killProcesses({ kills: 500, processes: 4, lanes: 2, seed, progress })),
    // A restarted process and a survivor may dial each other at once, and each link finds out by itself.
    barOf(
      'C2-links',
      100,
      await killProcesses({ kills: 100, processes: 3, lanes: 4, links: 3, bothDial: true, seed, progress }),
    ),
  ]
}
