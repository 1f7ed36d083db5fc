/**
 * Owns: C3, frozen processes (SIGSTOP, SIGCONT) while numbered values flow in both directions: when a freeze must be
 * noticed, when it must not, and that nothing is missing afterwards.
 * Independent of: how a link watches its peer.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createNetwork, Identity } from '../../../actors/index.ts'
import type { Limits, Network, Session } from '../../../actors/index.ts'
import { defaultKeepAlive } from '../../../protocol/native/epoch/keep-alive.ts'
import type { KeepAliveOptions } from '../../../protocol/native/epoch/keep-alive.ts'
import { seededRandom } from '../../../testing/index.ts'
import { eventually, pause, quantile } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { View } from './chaos-mesh.ts'
import { programPath } from './child-program.ts'
import { addFaults, countedValue, LaneCount, noFaults } from './counted-values.ts'
import type { LaneFaults } from './counted-values.ts'
import type { FreezeAsk, FreezePeerPlan, FreezePeerStatus } from './freeze-peer.ts'
import { shortKeepAlive, useKeepAlive } from './short-keep-alive.ts'

/**
 * A freeze this much shorter than the limit may still exceed it on a busy machine. With the shipped times a twentieth
 * is more.
 */
const machineLateMs = 500

export interface FreezeOptions {
  readonly processes: number
  readonly freezes: number
  readonly keepAlive: KeepAliveOptions
  readonly leastMs: number
  readonly mostMs: number
  readonly seed: number
  readonly progress: (text: string) => void
}

export interface FreezeCounts extends LaneFaults {
  readonly short: number
  readonly long: number
  readonly falseDead: number
  readonly undetected: number
  readonly detectedMs: readonly number[]
  /** From SIGCONT after a long freeze until values flow in both directions. */
  readonly backMs: readonly number[]
  readonly values: number
  readonly errors: readonly string[]
  readonly wallMs: number
}

const everyMs = 25
/** A value may wait as long as a process is frozen, and longer. */
const limits: Partial<Limits> = {
  sendTimeoutMs: 115_000,
  backoffMinMs: 10,
  backoffMaxMs: 1_000,
  connectBurst: 1_000_000,
  pendingInboundPerAddressMax: 64,
}

/** One frozen process, and what this side sees of it. */
class Frozen {
  readonly key = Identity.generate()
  readonly view = new View()
  readonly count = new LaneCount()
  child: ChildProcess | null = null
  sent = 0
  #session: Session | null = null

  begin(session: Session, errors: string[]): NodeJS.Timeout {
    this.#session = session
    session.handle(this.key.id, (value) => this.count.take(value))
    return setInterval(() => {
      this.#session
        ?.send(this.key.id, countedValue(this.sent++))
        .catch((error: unknown) => errors.push((error as Error).message))
    }, everyMs)
  }

  async ask(ask: FreezeAsk['ask']): Promise<FreezePeerStatus> {
    const child = this.child as ChildProcess
    const answer = once(child, 'message')
    child.send({ ask, sent: this.sent } satisfies FreezeAsk)
    return ((await answer) as [FreezePeerStatus])[0]
  }
}

/**
 * Half of the freezes are shorter than a link tolerates, half longer than it may; the longest start first, so that they
 * end together.
 */
function drawDurations(options: FreezeOptions): number[] {
  const random = seededRandom(options.seed)
  const { deadAfterMs } = options.keepAlive
  const between = (least: number, most: number): number => least + random.fraction() * (most - least)
  const durations = Array.from({ length: options.freezes }, (_, index) =>
    index % 2 === 0
      ? between(options.leastMs, Math.min(deadAfterMs * 0.95, deadAfterMs - machineLateMs))
      : between(deadAfterMs + 1_200, options.mostMs),
  )
  return durations.sort((a, b) => b - a)
}

export async function freezeMany(options: FreezeOptions): Promise<FreezeCounts> {
  const { deadAfterMs } = options.keepAlive
  const putBack = useKeepAlive(options.keepAlive)
  const startedMs = performance.now()
  const hubKey = Identity.generate()
  const all = Array.from({ length: options.processes }, () => new Frozen())
  const errors: string[] = []
  const tickers: NodeJS.Timeout[] = []
  const results = {
    short: 0,
    long: 0,
    falseDead: 0,
    undetected: 0,
    detectedMs: [] as number[],
    backMs: [] as number[],
    values: 0,
  }
  let faults: LaneFaults = noFaults
  let hub: Network | null = null
  const start = async (frozen: Frozen, url: string | null): Promise<number> => {
    const plan: FreezePeerPlan = {
      keyPem: frozen.key.toPem(),
      peer: { id: hubKey.id, url },
      keepAlive: options.keepAlive,
      limits,
      everyMs,
    }
    frozen.child = fork(programPath('freeze-peer'), [JSON.stringify(plan)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    return ((await once(frozen.child, 'message')) as [FreezePeerStatus])[0].port
  }

  const freezeOne = async (frozen: Frozen, durationMs: number): Promise<void> => {
    const { view, child } = frozen
    const lossesBefore = (await frozen.ask('status')).losses.length
    const lostBefore = view.lost
    child?.kill('SIGSTOP')
    const stoppedAtMs = performance.now()
    await pause(durationMs)
    const lostWithin = view.lost - lostBefore
    const detectedMs = view.lostAtMs - stoppedAtMs
    child?.kill('SIGCONT')
    const frozenMs = performance.now() - stoppedAtMs
    const wokenAtMs = performance.now()
    const [received, sent] = [frozen.count.received, frozen.sent]
    let status = await frozen.ask('status')
    await eventually('values both ways after a freeze', () => view.isUp && frozen.count.received > received, 20_000)
    while (status.received < sent && performance.now() - wokenAtMs < 20_000) {
      await pause(5)
      status = await frozen.ask('status')
    }
    if (durationMs > deadAfterMs) {
      results.long++
      results.backMs.push(performance.now() - wokenAtMs)
      if (lostWithin === 0) results.undetected++
      else results.detectedMs.push(detectedMs)
    } else {
      results.short++
      // A late timer of this side may make it longer than intended.
      const isDead = view.lost > lostBefore || status.losses.length > lossesBefore
      if (isDead && frozenMs < deadAfterMs) {
        results.falseDead++
        errors.push(
          `a freeze of ${Math.round(frozenMs)} ms was taken for dead: ${status.losses.slice(lossesBefore).join('; ')}`,
        )
      }
    }
  }

  try {
    // The even ones are dialled, so they must exist first; the odd ones dial.
    const ports = await Promise.all(all.map(async (frozen, index) => (index % 2 === 0 ? start(frozen, null) : null)))
    hub = createNetwork({
      identity: hubKey,
      listen: 'tls://127.0.0.1:0',
      peers: all.map(({ key }, index) => ({
        id: key.id,
        ...(ports[index] === null ? {} : { urls: `tls://127.0.0.1:${ports[index]}` }),
      })),
      limits,
    })
    const network = hub
    for (const { key, view } of all) {
      network.on('connection.opened', ({ peer }) => void (peer === key.id && (view.isUp = true)))
      network.on('connection.lost', ({ peer }) => {
        if (peer !== key.id) return
        view.isUp = false
        view.lost++
        view.lostAtMs = performance.now()
      })
    }
    await network.ready()
    await Promise.all(all.map(async (frozen, index) => (index % 2 === 0 ? null : start(frozen, network.url))))
    await Promise.all(
      all.map(async (frozen) => {
        const [session] = await network.makeSessions({ count: 1, peers: [frozen.key.id], timeoutMs: 60_000 })
        tickers.push(frozen.begin(session as Session, errors))
      }),
    )
    options.progress(`C3: ${all.length} processes talk`)
    const durations = drawDurations(options)
    await Promise.all(
      all.map(async (frozen) => {
        for (let durationMs = durations.shift(); durationMs !== undefined; durationMs = durations.shift())
          await freezeOne(frozen, durationMs)
      }),
    )
    for (const ticker of tickers) clearInterval(ticker)
    for (const frozen of all) {
      const { sent } = await frozen.ask('finish')
      await eventually('the last value', () => frozen.count.received >= sent)
      let status = await frozen.ask('status')
      for (let looks = 0; looks < 400 && status.received < frozen.sent; looks++) {
        await pause(5)
        status = await frozen.ask('status')
      }
      faults = addFaults(faults, addFaults(frozen.count.faultsOf(sent), status.faults))
      results.values += sent + frozen.sent
      errors.push(...status.errors)
    }
  } catch (error) {
    errors.push((error as Error).message)
  } finally {
    for (const ticker of tickers) clearInterval(ticker)
    for (const { child } of all) child?.kill('SIGKILL')
    await hub?.shutdown()
    putBack()
  }
  return { ...faults, ...results, errors, wallMs: performance.now() - startedMs }
}

export async function freeze({ isQuick, seed, progress }: BarContext): Promise<readonly Bar[]> {
  const keepAlive = isQuick ? shortKeepAlive : { ...defaultKeepAlive }
  const freezes = isQuick ? 12 : 200
  const counts = await freezeMany({
    processes: isQuick ? 6 : 64,
    freezes,
    keepAlive,
    leastMs: isQuick ? 50 : 1_000,
    mostMs: isQuick ? 3_000 : 60_000,
    seed,
    progress,
  })
  const lateMs = Math.max(0, ...counts.detectedMs)
  const passed =
    counts.short + counts.long === freezes &&
    counts.falseDead === 0 &&
    counts.undetected === 0 &&
    lateMs <= keepAlive.deadAfterMs + 1_000 &&
    counts.lost + counts.duplicated + counts.reordered + counts.corrupted === 0 &&
    counts.errors.length === 0
  return [
    {
      id: 'C3',
      passed,
      figures: {
        freezes,
        dead_after_ms: keepAlive.deadAfterMs,
        short: counts.short,
        long: counts.long,
        false_dead: counts.falseDead,
        undetected: counts.undetected,
        detected_p50_ms: quantile(counts.detectedMs, 0.5),
        detected_max_ms: lateMs,
        back_p50_ms: quantile(counts.backMs, 0.5),
        back_max_ms: Math.max(0, ...counts.backMs),
        values: counts.values,
        lost: counts.lost,
        duplicated: counts.duplicated,
        reordered: counts.reordered,
        corrupted: counts.corrupted,
        errors: counts.errors.length,
        wall_s: counts.wallMs / 1000,
      },
      notes: counts.errors.slice(0, 5),
    },
  ]
}
