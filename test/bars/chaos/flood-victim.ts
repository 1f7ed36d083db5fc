/**
 * The child process that is flooded: a real network with a hostile and an honest peer, which reports figures on
 * request.
 * Owns: an application that wants sessions with both, and reads only those of the honest peer.
 * Independent of: the outcome.
 *
 * Protocol with the parent: `{ ask: 'stats' | 'restart' | 'measure' | 'stop' }`. 'restart' resets all figures,
 * 'measure' only those of time and memory.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createNetwork, Identity } from '../../../actors/index.ts'
import type { Limits } from '../../../actors/index.ts'
import { pause } from '../bar.ts'
import { sessionsOfVictim } from './floods.ts'

export interface FloodStats {
  readonly rssBytes: number
  readonly peakRssBytes: number
  readonly lagP99Ms: number
  readonly lagMaxMs: number
  /** Values of the honest peer since the last reset, and the time since then. */
  readonly values: number
  readonly elapsedMs: number
  /** CPU time, which other load on the machine does not change. */
  readonly cpuMs: number
  /** Connections of the hostile peer: how many were up, were lost, were rejected, and why. */
  readonly opened: number
  readonly lost: number
  readonly rejected: number
  readonly causes: readonly string[]
  readonly crashes: number
}

export interface FloodVictimReady {
  readonly url: string
  readonly id: string
}

const { hostile, honest, limits } = JSON.parse(process.argv[2] ?? '{}') as {
  hostile: string
  honest: string
  limits: Partial<Limits>
}
const lagResolutionMs = 2
const lag = monitorEventLoopDelay({ resolution: lagResolutionMs })
let crashes = 0
let values = 0
let peakRssBytes = 0
let startedMs = performance.now()
let startedCpu = process.cpuUsage()
const counts = { opened: 0, lost: 0, rejected: 0 }
const causes = new Set<string>()
process.on('uncaughtException', () => void crashes++)
process.on('unhandledRejection', () => void crashes++)

const identity = Identity.generate()
const network = createNetwork({
  identity,
  listen: 'tls://127.0.0.1:0',
  peers: [{ id: hostile }, { id: honest }],
  limits,
})
network.on('connection.opened', ({ peer }) => void (peer === hostile && counts.opened++))
network.on('connection.lost', ({ peer, cause }) => {
  if (peer !== hostile) return
  counts.lost++
  if (causes.size < 20) causes.add(`${cause.code} ${cause.message}`)
})
network.on('connection.rejected', ({ cause }) => {
  counts.rejected++
  if (causes.size < 20) causes.add(`${cause.code} ${cause.message}`)
})

async function wantSessions(): Promise<void> {
  for (;;) {
    try {
      const sessions = await network.makeSessions({ count: sessionsOfVictim, peers: [hostile], timeoutMs: 2_000 })
      // Nothing reads them; when they end, the application makes new ones.
      while (
        sessions.some((session) => isAlive(() => session.trySend(hostile, { type: 'RingElementBit', value: false })))
      )
        await pause(50)
      for (const session of sessions) session.close()
    } catch {
      await pause(50)
    }
  }
}

function isAlive(send: () => unknown): boolean {
  try {
    send()
    return true
  } catch {
    return false
  }
}

async function serveHonest(): Promise<void> {
  for (;;) {
    try {
      const [session] = await network.makeSessions({ count: 1, peers: [honest] })
      session?.handle(honest, () => void values++, { borrow: true })
      return
    } catch {
      await pause(10)
    }
  }
}

function measure(): void {
  lag.reset()
  peakRssBytes = process.memoryUsage().rss
  values = 0
  startedMs = performance.now()
  startedCpu = process.cpuUsage()
}

function restart(): void {
  measure()
  counts.opened = counts.lost = counts.rejected = 0
  causes.clear()
}

function stats(): FloodStats {
  const rssBytes = process.memoryUsage().rss
  peakRssBytes = Math.max(peakRssBytes, rssBytes)
  const { user, system } = process.cpuUsage(startedCpu)
  return {
    rssBytes,
    peakRssBytes,
    lagP99Ms: lag.percentile(99) / 1e6 - lagResolutionMs,
    lagMaxMs: lag.max / 1e6 - lagResolutionMs,
    values,
    elapsedMs: performance.now() - startedMs,
    cpuMs: (user + system) / 1000,
    ...counts,
    causes: [...causes],
    crashes,
  }
}

process.on('message', ({ ask }: { ask: 'stats' | 'restart' | 'measure' | 'stop' }) => {
  if (ask === 'stop') process.exit(0)
  if (ask === 'restart') restart()
  if (ask === 'measure') measure()
  process.send?.(stats())
})
process.on('disconnect', () => process.exit(0))
setInterval(() => void (peakRssBytes = Math.max(peakRssBytes, process.memoryUsage.rss())), 10)

await network.ready()
lag.enable()
void wantSessions()
void serveHonest()
process.send?.({ url: network.url as string, id: identity.id } satisfies FloodVictimReady)
