/**
 * Owns: S1, stuck handshakes, and their effect on an honest peer.
 * Independent of: how a handshake gets stuck (stuck-handshakes.ts).
 *
 * Two settings. `held`: the limit on pending handshakes is above the attack, so that every stuck one is held until its
 * deadline; measures memory, deadlines and the honest time to connect. `default`: the default limits, and attackers
 * from many addresses that reconnect; does the honest peer get in?
 */
import { defaultLimits, Identity } from '../../../actors/index.ts'
import { eventually, mebibyte, pause, quantile } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { beginStuck, clientHello, sourceAddress, stuckForms } from './stuck-handshakes.ts'
import type { Stuck } from './stuck-handshakes.ts'
import { VictimProcess } from './victim-process.ts'

export interface SlowlorisOptions {
  readonly stuck: number
  readonly handshakeTimeoutMs: number
  readonly honestConnects: number
  readonly progress: (text: string) => void
}

export interface SlowlorisCounts {
  /** Those that got as far as their form goes and were held at the same time. */
  readonly held: number
  readonly closed: number
  readonly closedLate: number
  readonly lastClosedMs: number
  readonly honestTries: number
  readonly honestUp: number
  readonly baselineP99Ms: number
  readonly attackedP99Ms: number
  readonly baselineP50Ms: number
  readonly attackedP50Ms: number
  readonly rssGrowthBytes: number
  readonly crashes: number
}

const pendingPerAddress = defaultLimits.pendingInboundPerAddressMax
const patienceMs = 10_000

async function connectMany(victim: VictimProcess, count: number, untilMs = Infinity): Promise<(number | null)[]> {
  const times: (number | null)[] = []
  while (times.length < count && performance.now() < untilMs) times.push(await victim.connectHonestly(patienceMs))
  return times
}

const isNumber = (value: number | null): value is number => value !== null

export async function holdStuck(options: SlowlorisOptions): Promise<SlowlorisCounts> {
  const { stuck: count, handshakeTimeoutMs, honestConnects, progress } = options
  const hello = await clientHello()
  const victim = await VictimProcess.start({ handshakeTimeoutMs, pendingInboundMax: count + 64, backoffMinMs: 1 })
  try {
    await connectMany(victim, Math.max(5, honestConnects >>> 2))
    const before = await victim.ask('settled')
    const baseline = (await connectMany(victim, honestConnects)).filter(isNumber)
    progress(`S1 baseline: ${baseline.length} honest connects, p99 ${quantile(baseline, 0.99).toFixed(1)} ms`)
    const stuck: Stuck[] = []
    // The deadline starts at accept: in one burst they would wait for it in their own queue.
    for (let i = 0; i < count; i++) {
      stuck.push(
        beginStuck({
          form: stuckForms[i % stuckForms.length] as Stuck['form'],
          port: victim.port,
          localAddress: sourceAddress(Math.floor(i / pendingPerAddress)),
          hello,
          identity: victim.honest,
        }),
      )
      if (i % 10 === 9) await pause(10)
    }
    await eventually(
      'all handshakes are stuck',
      () => stuck.every(({ isStuck, closedAtMs }) => isStuck || closedAtMs !== null),
      handshakeTimeoutMs,
    )
    const held = (await victim.ask()).pending
    const firstDeadlineMs = (stuck[0] as Stuck).openedAtMs + handshakeTimeoutMs - 200
    const attackedTimes = await connectMany(victim, honestConnects, firstDeadlineMs)
    const attacked = attackedTimes.filter(isNumber)
    const during = await victim.ask()
    progress(
      `S1 attacked: ${held} held, ${attacked.length} honest connects, p99 ${quantile(attacked, 0.99).toFixed(1)} ms, RSS +${((during.rssBytes - before.rssBytes) / mebibyte).toFixed(1)} MiB`,
    )
    await eventually(
      'all stuck ones are closed',
      () => stuck.every(({ closedAtMs }) => closedAtMs !== null),
      handshakeTimeoutMs + 5_000,
    ).catch(() => {})
    const lives = stuck.map(({ openedAtMs, closedAtMs }) => (closedAtMs === null ? Infinity : closedAtMs - openedAtMs))
    for (const { socket } of stuck) socket.destroy()
    return {
      held,
      closed: lives.filter(Number.isFinite).length,
      closedLate: lives.filter((life) => life > handshakeTimeoutMs + 1000).length,
      lastClosedMs: Math.max(...lives),
      honestTries: attackedTimes.length,
      honestUp: attacked.length,
      baselineP50Ms: quantile(baseline, 0.5),
      attackedP50Ms: quantile(attacked, 0.5),
      baselineP99Ms: quantile(baseline, 0.99),
      attackedP99Ms: quantile(attacked, 0.99),
      rssGrowthBytes: during.rssBytes - before.rssBytes,
      crashes: during.crashes,
    }
  } finally {
    await victim.stop()
  }
}

/** The default limits; each attacker's socket that is closed is replaced at once, so that the pressure stays. */
async function besiege(
  addresses: number,
  seconds: number,
  honestConnects: number,
): Promise<{ up: number; tries: number; peakPending: number; p99Ms: number; attacks: number }> {
  const hello = await clientHello()
  const stranger = Identity.generate()
  const victim = await VictimProcess.start({})
  let isOver = false
  let attacks = 0
  const open = new Set<Stuck>()
  // 8 connects per second and address stay below the rate limit of one address, so that it does not end the attack.
  const attack = (source: string, form: Stuck['form']): void => {
    if (isOver) return
    attacks++
    const one = beginStuck({ form, port: victim.port, localAddress: source, hello, identity: stranger })
    open.add(one)
    one.socket.on('close', () => {
      open.delete(one)
      setTimeout(() => attack(source, form), 125)
    })
  }
  try {
    for (let i = 0; i < addresses; i++) attack(sourceAddress(i), stuckForms[i % stuckForms.length] as Stuck['form'])
    const untilMs = performance.now() + seconds * 1000
    const times: (number | null)[] = []
    while (times.length < honestConnects && performance.now() < untilMs)
      times.push(await victim.connectHonestly(patienceMs))
    const { peakPending } = await victim.ask()
    return {
      up: times.filter(isNumber).length,
      tries: times.length,
      peakPending,
      p99Ms: quantile(times.filter(isNumber), 0.99),
      attacks,
    }
  } finally {
    isOver = true
    for (const { socket } of open) socket.destroy()
    await victim.stop()
  }
}

export async function slowloris({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  const count = isQuick ? 200 : 1000
  const counts = await holdStuck({
    stuck: count,
    handshakeTimeoutMs: 5_000,
    honestConnects: isQuick ? 50 : 300,
    progress,
  })
  const ratio = counts.attackedP99Ms / counts.baselineP99Ms
  const passed =
    counts.held >= count &&
    counts.closed === count &&
    counts.closedLate === 0 &&
    counts.honestUp === counts.honestTries &&
    counts.honestTries >= 20 &&
    ratio <= 3 &&
    counts.rssGrowthBytes <= 64 * mebibyte &&
    counts.crashes === 0
  const held: Bar = {
    id: 'S1',
    passed,
    figures: {
      stuck: count,
      held: counts.held,
      closed: counts.closed,
      closed_late: counts.closedLate,
      last_closed_ms: Math.round(counts.lastClosedMs),
      honest: `${counts.honestUp}/${counts.honestTries}`,
      baseline_p50_ms: counts.baselineP50Ms,
      attacked_p50_ms: counts.attackedP50Ms,
      baseline_p99_ms: counts.baselineP99Ms,
      attacked_p99_ms: counts.attackedP99Ms,
      ratio,
      rss_growth_mib: counts.rssGrowthBytes / mebibyte,
      crashes: counts.crashes,
    },
    notes: [],
  }
  progress('S1 with the caps as shipped, against attackers of 200 addresses that come again')
  const siege = await besiege(200, isQuick ? 4 : 20, isQuick ? 10 : 50)
  const besieged: Bar = {
    id: 'S1-siege',
    passed: siege.up === siege.tries && siege.up > 0 && siege.peakPending <= defaultLimits.pendingInboundMax,
    figures: {
      addresses: 200,
      attacks: siege.attacks,
      honest: `${siege.up}/${siege.tries}`,
      peak_pending: siege.peakPending,
      honest_p99_ms: siege.p99Ms,
    },
    notes:
      siege.up === siege.tries
        ? []
        : ['a table that is full of strangers, one from each address: the honest peer is turned away'],
  }
  return [held, besieged]
}
