/**
 * Owns: S8, floods: each flood attacks a process of its own while an honest neighbour sends at half of its speed.
 * Measures memory, event-loop lag, goodput, and how the offender is cut off.
 * Independent of: what a flood consists of.
 */
import { spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createNetwork, Identity } from '../../../actors/index.ts'
import type { Limits, Session } from '../../../actors/index.ts'
import { mebibyte, pause } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { canPin, forkBehind, pinnedTo } from '../pinning.ts'
import { control, floods } from './floods.ts'
import type { Flood } from './floods.ts'
import type { FlooderOrders, FlooderReport } from './flooder.ts'
import type { FloodStats, FloodVictimReady } from './flood-victim.ts'

/** Node 20 cannot run TypeScript: from sources, the compiled version of a program is started. */
export function chaosProgram(name: string): string {
  const isCompiled = import.meta.url.endsWith('.js')
  return fileURLToPath(
    new URL(isCompiled ? `${name}.js` : `../../../build/test/bars/chaos/${name}.js`, import.meta.url),
  )
}

/** While there is credit, a frame may have any size, so an unfinished frame may hold this much. Reported openly. */
const victimLimits: Partial<Limits> = { maxMessageLengthBytes: mebibyte }

async function ask(child: ChildProcess, what: 'stats' | 'restart' | 'measure'): Promise<FloodStats> {
  const answer = once(child, 'message')
  child.send({ ask: what })
  return ((await answer) as [FloodStats])[0]
}

/**
 * An attacker has its own machine; here three busy processes may share two cores, and CPU that the flooder takes from
 * the neighbour is not the victim's fault. So the victim gets a core of its own, and the flooder shares the other core
 * with the neighbour (this process). Without pinning, the flooder gets what the other two leave.
 */
const cores = { victim: 0, others: 1 } as const
const isPinned = canPin(cores)
const canBeNice = spawnSync('nice', ['-n', '19', 'true']).status === 0

const onCore = (core: number): readonly string[] => (isPinned ? pinnedTo(core) : [])

/** @returns a function that unpins this process */
function pinNeighbour(): () => void {
  if (!isPinned) return () => {}
  const pin = (to: string): string =>
    spawnSync('taskset', ['-acp', to, String(process.pid)], { encoding: 'utf8' }).stdout
  const was = /affinity list: ([\d,-]+)/.exec(pin(String(cores.others)))?.[1]
  return () => void (was !== undefined && pin(was))
}

/**
 * The neighbour first sends at full speed, then at half of what it reached. At full speed the flooder would take CPU
 * from it that the victim has to spare.
 */
interface Pace {
  perMs: number
  isOver: boolean
}

async function sendHonestly(session: Session, peer: string, pace: Pace): Promise<void> {
  const value = { type: 'Bytes', value: Buffer.alloc(1_000, 7) } as const
  try {
    let lastMs = performance.now()
    while (!pace.isOver) {
      const nowMs = performance.now()
      const due = Math.min(5_000, pace.perMs === Infinity ? 100 : Math.floor((nowMs - lastMs) * pace.perMs))
      if (due > 0) lastMs = nowMs
      for (let count = 0; count < due; count++) await session.send(peer, value)
      await (pace.perMs === Infinity ? new Promise((resolve) => setImmediate(resolve)) : pause(1))
    }
  } catch {
    // If it ends, the goodput drops.
  }
}

export interface FloodCounts {
  readonly flood: string
  readonly rssGrowthBytes: number
  readonly lagP99Ms: number
  readonly lagBeforeMs: number
  /** Goodput of the neighbour during the flood compared with before. */
  readonly goodputShare: number
  readonly goodputBefore: number
  /** The same per second of the victim's CPU time, which excludes other load on this machine. */
  readonly goodputShareByCpu: number
  readonly stats: FloodStats
  readonly report: FlooderReport
}

/**
 * V8's young generation grows during the first seconds of traffic and stays. The control shows the same growth, so it
 * is not caused by the flood.
 */
const warmUpPerSecond = 0.8

export async function floodOnce(flood: Flood, seconds: number): Promise<FloodCounts> {
  const [hostile, honest] = [Identity.generate(), Identity.generate()]
  const victim = forkBehind(
    onCore(cores.victim),
    chaosProgram('flood-victim'),
    { hostile: hostile.id, honest: honest.id, limits: victimLimits },
    ['--expose-gc'],
  )
  const [ready] = (await once(victim, 'message')) as [FloodVictimReady]
  const network = createNetwork({
    identity: honest,
    peers: [{ id: ready.id, urls: ready.url }],
    limits: { maxMessageLengthBytes: mebibyte },
  })
  const pace: Pace = { perMs: Infinity, isOver: false }
  try {
    const [session] = await network.makeSessions({ count: 1 })
    void sendHonestly(session as Session, ready.id, pace)
    await pause(500 + warmUpPerSecond * seconds * 1_000)
    await ask(victim, 'restart')
    // As long as the phase it is compared with: a lucky second would set a pace that the machine cannot keep.
    await pause(seconds * 1_000)
    const full = await ask(victim, 'stats')
    pace.perMs = full.values / full.elapsedMs / 2
    await ask(victim, 'restart')
    await pause(seconds * 1_000)
    const before = await ask(victim, 'stats')
    await ask(victim, 'restart')
    const orders: FlooderOrders = {
      pem: hostile.toPem(),
      port: Number(new URL(ready.url).port),
      flood: flood.name,
      seconds: seconds + 0.5,
      maxMessageLengthBytes: mebibyte,
    }
    const flooder = forkBehind(
      [...(canBeNice ? ['nice', '-n', '19'] : []), ...onCore(cores.others)],
      chaosProgram('flooder'),
      orders,
    )
    const gone = once(flooder, 'exit').then(() => Promise.reject(new Error(`the flooder of ${flood.name} broke`)))
    const reported = Promise.race([once(flooder, 'message') as Promise<[FlooderReport]>, gone])
    gone.catch(() => {})
    reported.catch(() => {})
    // Starting the flooder takes CPU that the flood itself is not responsible for.
    await pause(500)
    await ask(victim, 'measure')
    const [report] = await reported
    // The victim reports the end one event-loop tick later.
    await pause(50)
    const during = await ask(victim, 'stats')
    const goodputBefore = before.values / before.elapsedMs
    return {
      flood: flood.name,
      rssGrowthBytes: during.peakRssBytes - before.peakRssBytes,
      lagP99Ms: during.lagP99Ms,
      lagBeforeMs: before.lagP99Ms,
      goodputShare: during.values / during.elapsedMs / goodputBefore,
      goodputBefore: goodputBefore * 1000,
      goodputShareByCpu: during.values / during.cpuMs / (before.values / before.cpuMs),
      stats: during,
      report,
    }
  } finally {
    pace.isOver = true
    await network.shutdown()
    if (victim.connected) victim.send({ ask: 'stop' })
    await once(victim, 'exit')
  }
}

/** Closed with a reason, or harmless: nothing the offender sends is accepted while it does not read. */
const isAnswered = ({ flood, stats, report }: FloodCounts): boolean =>
  flood === control || report.goodbyes.length > 0 || report.refusals.length > 0 || stats.causes.length > 0

export async function floodBar({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  const bars: Bar[] = []
  const seconds = isQuick ? 1.5 : 5
  const only = process.env['STATEWIRE_FLOOD']
  const unpin = pinNeighbour()
  try {
    for (const flood of floods(mebibyte).filter(({ name }) => only === undefined || name === only))
      bars.push(barOf(await floodOnce(flood, seconds), progress))
  } finally {
    unpin()
  }
  return bars
}

function barOf(counts: FloodCounts, progress: BarContext['progress']): Bar {
  const {
    flood,
    rssGrowthBytes,
    lagP99Ms,
    lagBeforeMs,
    goodputShare,
    goodputShareByCpu,
    goodputBefore,
    stats,
    report,
  } = counts
  const passed =
    rssGrowthBytes <= 16 * mebibyte &&
    lagP99Ms <= 50 &&
    goodputShare >= 0.8 &&
    stats.crashes === 0 &&
    isAnswered(counts)
  const figures = {
    flood: JSON.stringify(flood),
    rss_growth_mib: rssGrowthBytes / mebibyte,
    lag_p99_ms: lagP99Ms,
    lag_before_ms: lagBeforeMs,
    goodput_share: goodputShare,
    goodput_share_by_cpu: goodputShareByCpu,
    goodput_before: Math.round(goodputBefore),
    connects: report.connects,
    taken: report.taken,
    said_mib: report.saidBytes / mebibyte,
    closed: stats.lost,
    rejected: stats.rejected,
    crashes: stats.crashes,
  }
  progress(
    `S8 ${passed ? 'pass' : 'FAIL'} ${flood}: rss +${(rssGrowthBytes / mebibyte).toFixed(1)} MiB, lag p99 ${lagP99Ms.toFixed(0)} ms, goodput ${(goodputShare * 100).toFixed(0)} %`,
  )
  return {
    id: 'S8',
    passed,
    figures,
    notes: [...stats.causes.slice(0, 2), ...report.goodbyes.slice(0, 2), ...report.refusals.slice(0, 2)],
  }
}
