/**
 * Owns: S2, a flood of connects against the default limits: what is pending, who gets in meanwhile, what is left of it.
 * Independent of: the process under attack.
 */
import net from 'node:net'
import { defaultLimits } from '../../../actors/index.ts'
import { mebibyte, pause, quantile } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { sourceAddress } from './stuck-handshakes.ts'
import { VictimProcess } from './victim-process.ts'

export interface FloodOptions {
  readonly connects: number
  readonly seconds: number
  readonly addresses: number
  /** How long a flooder holds its socket, unless it is closed earlier. */
  readonly holdMs: number
  /** Skips the first, smaller flood: memory is not measured. */
  readonly isShort?: boolean
}

export interface FloodCounts {
  readonly connects: number
  readonly established: number
  readonly seconds: number
  readonly peakPending: number
  readonly rejected: number
  readonly honestTries: number
  readonly honestUp: number
  readonly honestP99Ms: number
  /** Compared with the process after a smaller flood, and with the fresh one. */
  readonly rssGrowthBytes: number
  readonly coldGrowthBytes: number
  readonly handlesLeft: number
  readonly crashes: number
}

/** Connects at an even pace. @returns how many the kernel accepted */
async function storm(port: number, { connects, seconds, addresses, holdMs }: FloodOptions): Promise<number> {
  let begun = 0
  let established = 0
  const open = new Set<net.Socket>()
  const startedMs = performance.now()
  while (begun < connects) {
    const due = Math.min(connects, Math.ceil(((performance.now() - startedMs) / (seconds * 1000)) * connects))
    for (; begun < due; begun++) {
      const socket = net.connect({ host: '127.0.0.1', port, localAddress: sourceAddress(begun % addresses) })
      open.add(socket)
      socket.on('connect', () => {
        established++
        socket.resume()
        setTimeout(() => socket.destroy(), holdMs)
      })
      socket.on('error', () => {})
      socket.on('close', () => open.delete(socket))
    }
    await pause(2)
  }
  for (const socket of open) socket.destroy()
  await pause(300)
  return established
}

export async function flood(options: FloodOptions): Promise<FloodCounts> {
  const { connects, seconds } = options
  const look = options.isShort === true ? 'stats' : 'settled'
  const victim = await VictimProcess.start({ pendingInboundMax: 64 })
  try {
    for (let i = 0; i < (options.isShort === true ? 3 : 20); i++) await victim.connectHonestly(5_000)
    const cold = await victim.ask(look)
    // The first flood of a process grows what stays: compiled code, the young generation, pools. A leak grows with each
    // flood.
    if (options.isShort !== true)
      await storm(victim.port, { ...options, connects: connects >>> 1, seconds: seconds / 2 })
    const before = await victim.ask(look)
    const flood = { isOver: false }
    const honest = (async () => {
      const times: (number | null)[] = []
      while (!flood.isOver) {
        times.push(await victim.connectHonestly(5_000))
        await pause(20)
      }
      return times
    })()
    const startedMs = performance.now()
    const established = await storm(victim.port, options)
    const tookSeconds = (performance.now() - startedMs) / 1000
    flood.isOver = true
    const times = await honest
    const up = times.filter((time): time is number => time !== null)
    const after = await victim.ask(look)
    return {
      connects,
      established,
      seconds: tookSeconds,
      peakPending: after.peakPending,
      rejected: after.rejected,
      honestTries: times.length,
      honestUp: up.length,
      honestP99Ms: quantile(up, 0.99),
      rssGrowthBytes: after.rssBytes - before.rssBytes,
      coldGrowthBytes: after.rssBytes - cold.rssBytes,
      handlesLeft: after.handles,
      crashes: after.crashes,
    }
  } finally {
    await victim.stop()
  }
}

function barOf(id: string, counts: FloodCounts, addresses: number, notes: readonly string[]): Bar {
  const passed =
    counts.peakPending <= defaultLimits.pendingInboundMax &&
    counts.honestUp === counts.honestTries &&
    counts.honestTries > 0 &&
    counts.rssGrowthBytes <= 16 * mebibyte &&
    counts.crashes === 0
  const figures = {
    connects: counts.connects,
    established: counts.established,
    addresses,
    seconds: counts.seconds,
    peak_pending: counts.peakPending,
    rejected: counts.rejected,
    honest: `${counts.honestUp}/${counts.honestTries}`,
    honest_p99_ms: counts.honestP99Ms,
    rss_growth_mib: counts.rssGrowthBytes / mebibyte,
    rss_growth_from_cold_mib: counts.coldGrowthBytes / mebibyte,
    handles_left: counts.handlesLeft,
    crashes: counts.crashes,
  }
  return { id, passed, figures, notes: passed ? [] : notes }
}

export async function acceptFlood({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  const connects = isQuick ? 2_000 : 20_000
  const seconds = isQuick ? 1 : 10
  progress('S2 from 16 addresses, each socket held')
  const few = await flood({ connects, seconds, addresses: 16, holdMs: 10_000 })
  progress('S2 from 250 addresses, each socket held')
  const many = await flood({ connects, seconds, addresses: 250, holdMs: 10_000 })
  return [
    barOf('S2', few, 16, []),
    barOf('S2-spread', many, 250, [
      'many addresses with one pending connection each fill the table, and the honest peer is turned away',
    ]),
  ]
}
