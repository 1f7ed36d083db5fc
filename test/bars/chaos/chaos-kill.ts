/**
 * Owns: C1, a mesh over TLS whose connections are killed in four ways, thousands of times, while numbered values flow
 * in all directions.
 * Independent of: how a proxy kills (chaos-proxy.ts) and how values are counted (counted-values.ts).
 */
import type { Random } from '../../../actors/base/environment.ts'
import { seededRandom } from '../../../testing/index.ts'
import { eventually, pause, quantile } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { faultsOfAll, Mesh, openFlows } from './chaos-mesh.ts'
import type { Flow, Pair } from './chaos-mesh.ts'
import type { Through } from './chaos-proxy.ts'
import type { LaneFaults } from './counted-values.ts'

export const killKinds = ['destroy', 'reset', 'fin-mid-record', 'cut'] as const
export type KillKind = (typeof killKinds)[number]

export interface KillOptions {
  readonly kills: number
  readonly values: number
  readonly sessions: number
  readonly seed: number
  readonly progress: (text: string) => void
}

export interface KillCounts extends LaneFaults {
  readonly kills: Readonly<Record<KillKind, number>>
  /** Kills of a connection that was not up yet. */
  readonly earlyKills: number
  /** Kills of a connection that was up but had not carried anything. */
  readonly youngKills: number
  readonly sent: number
  readonly received: number
  readonly errors: readonly string[]
  /** From the kill of a connection that had carried values until both sides are up again. */
  readonly resumeMs: readonly number[]
  readonly wallMs: number
}

const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random.fraction() * from.length)] as T
const between = (random: Random, least: number, most: number): number =>
  least + Math.floor(random.fraction() * (most - least + 1))

/** One in this many kills is repeated during the handshake of the next connection. */
const earlyOneIn = 10
/** One in this many kills does not wait until the connection has carried anything. */
const youngOneIn = 5
const cutLengthBytesMax = 6_000
const patienceMs = 15_000

/** Kills the connections of one pair, one after the other, while sending its share of the values. */
class Killer {
  readonly #pair: Pair
  readonly #flows: readonly Flow[]
  readonly #random: Random
  readonly kills: Record<KillKind, number> = { destroy: 0, reset: 0, 'fin-mid-record': 0, cut: 0 }
  readonly resumeMs: number[] = []
  earlyKills = 0
  youngKills = 0
  #valuesLeft: number

  constructor(pair: Pair, flows: readonly Flow[], random: Random, values: number) {
    this.#pair = pair
    this.#flows = flows
    this.#random = random
    this.#valuesLeft = values
  }

  get total(): number {
    return killKinds.reduce((sum, kind) => sum + this.kills[kind], 0)
  }

  #send(values: number): void {
    const count = Math.min(values, this.#valuesLeft)
    this.#valuesLeft -= count
    for (let left = count; left > 0;) {
      const burst = Math.min(left, between(this.#random, 1, 40))
      pick(this.#random, this.#flows).send(burst)
      left -= burst
    }
  }

  async run(kills: number): Promise<void> {
    const valuesAKill = this.#valuesLeft / kills
    await eventually('the first connection', () => this.#pair.isUp, patienceMs)
    while (this.total < kills) {
      const before = this.#pair.opened
      const isYoung = between(this.#random, 1, youngOneIn) === 1
      if (isYoung) this.youngKills++
      else await this.#prove()
      this.#send(Math.ceil(valuesAKill / 2))
      // Either in the same tick as the send, or while some of it is in flight.
      if (this.#random.fraction() < 0.5) await pause(between(this.#random, 0, 2))
      const { newest } = this.#pair.proxy
      const killedAtMs = await this.#kill(pick(this.#random, killKinds))
      this.#send(Math.floor(valuesAKill / 2))
      const isEarly = this.total < kills && between(this.#random, 1, earlyOneIn) === 1
      if (isEarly) await this.#killEarly(newest)
      await eventually('a new connection', () => this.#pair.isUpSince(before), patienceMs)
      if (!isEarly && !isYoung)
        this.resumeMs.push(Math.max(...this.#pair.views.map(({ openedAtMs }) => openedAtMs)) - killedAtMs)
    }
    this.#send(this.#valuesLeft)
  }

  /**
   * A value has gone each way on this connection. Its end no longer counts as a failed attempt, so the next dial does
   * not wait for a back-off.
   */
  async #prove(): Promise<void> {
    for (const direction of [0, 1]) {
      const flow = this.#flows[direction] as Flow
      const before = flow.count.received
      flow.send(1)
      await eventually('a value', () => flow.count.received > before, patienceMs)
    }
  }

  /** @returns the time at which it happened */
  async #kill(kind: KillKind): Promise<number> {
    const through = this.#pair.proxy.newest
    this.kills[kind]++
    if (kind === 'destroy' || through === null) {
      const [side, other] =
        this.#random.fraction() < 0.5
          ? [this.#pair.dialer, this.#pair.acceptor]
          : [this.#pair.acceptor, this.#pair.dialer]
      // The event about the last connection may arrive while the next handshake is under way. Then that one is killed;
      // otherwise nothing would be.
      if (side.destroySocketsTo(other.id) || through === null) return performance.now()
      return through.reset()
    }
    if (kind === 'reset') return through.reset()
    const broken =
      kind === 'cut' ? through.cutAfter(between(this.#random, 1, cutLengthBytesMax)) : through.endMidRecord()
    let atMs: number | null = null
    void broken.then((whenMs) => (atMs = whenMs))
    // Both kinds need bytes to cut: if too few flow, more are sent.
    await eventually(
      `the ${kind}`,
      () => {
        if (atMs === null) pick(this.#random, this.#flows).send(3)
        return atMs !== null
      },
      patienceMs,
    )
    return atMs as unknown as number
  }

  /**
   * Kills the next connection during its handshake, somewhere between its first byte and its hello. It may have started
   * already.
   */
  async #killEarly(newest: Through | null): Promise<void> {
    const { proxy } = this.#pair
    await eventually('another dial', () => proxy.newest !== newest, patienceMs)
    const through = proxy.newest
    this.earlyKills++
    if (this.#random.fraction() < 0.5) {
      this.kills.cut++
      await through?.cutAfter(between(this.#random, 1, 2_000))
    } else {
      this.kills.reset++
      await pause(between(this.#random, 0, 3))
      through?.reset()
    }
  }
}

export async function killMany({ kills, values, sessions, seed, progress }: KillOptions): Promise<KillCounts> {
  const random = seededRandom(seed)
  const mesh = await Mesh.start({ members: 3 })
  const startedMs = performance.now()
  try {
    const flows = await openFlows(mesh, sessions)
    const all = [...flows.values()].flat()
    const share = (total: number, index: number): number =>
      Math.floor(total / mesh.pairs.length) + (index < total % mesh.pairs.length ? 1 : 0)
    const killers = mesh.pairs.map(
      (pair, index) => new Killer(pair, flows.get(pair) as Flow[], random, share(values, index)),
    )
    const ticker = setInterval(
      () => progress(`C1: ${killers.reduce((sum, { total }) => sum + total, 0)} kills`),
      10_000,
    )
    const stuck: string[] = []
    const note = (error: unknown): void => void stuck.push((error as Error).message)
    // A stuck pair fails the check; what the other pairs sent must still arrive.
    await Promise.all(killers.map((killer, index) => killer.run(share(kills, index)).catch(note)))
    await eventually('the last value', () => all.every(({ isDelivered }) => isDelivered), 30_000).catch(note)
    clearInterval(ticker)
    // A duplicate would arrive now.
    await pause(100)
    const wallMs = performance.now() - startedMs
    const sumOf = (kind: KillKind): number => killers.reduce((sum, killer) => sum + killer.kills[kind], 0)
    return {
      ...faultsOfAll(all),
      kills: {
        destroy: sumOf('destroy'),
        reset: sumOf('reset'),
        'fin-mid-record': sumOf('fin-mid-record'),
        cut: sumOf('cut'),
      },
      earlyKills: killers.reduce((sum, { earlyKills }) => sum + earlyKills, 0),
      youngKills: killers.reduce((sum, { youngKills }) => sum + youngKills, 0),
      sent: all.reduce((sum, { sent }) => sum + sent, 0),
      received: all.reduce((sum, { count }) => sum + count.received, 0),
      errors: [...stuck, ...all.flatMap(({ errors }) => errors.map(({ message }) => message))],
      resumeMs: killers.flatMap(({ resumeMs }) => resumeMs),
      wallMs,
    }
  } finally {
    await mesh.stop()
  }
}

export async function chaosKill({ isQuick, seed, progress }: BarContext): Promise<readonly Bar[]> {
  const kills = isQuick ? 200 : 10_000
  const values = isQuick ? 20_000 : 1_000_000
  const wallMsMax = isQuick ? 8_000 : 120_000
  const counts = await killMany({ kills, values, sessions: 4, seed, progress })
  const total = killKinds.reduce((sum, kind) => sum + counts.kills[kind], 0)
  const isWhole =
    counts.lost + counts.duplicated + counts.reordered + counts.corrupted === 0 &&
    counts.sent >= values &&
    counts.received === counts.sent
  return [
    {
      id: 'C1',
      passed: isWhole && counts.errors.length === 0 && total >= kills && counts.wallMs <= wallMsMax,
      figures: {
        kills: total,
        ...counts.kills,
        early: counts.earlyKills,
        young: counts.youngKills,
        values: counts.sent,
        received: counts.received,
        lost: counts.lost,
        duplicated: counts.duplicated,
        reordered: counts.reordered,
        corrupted: counts.corrupted,
        errors: counts.errors.length,
        resume_p50_ms: quantile(counts.resumeMs, 0.5),
        resume_p99_ms: quantile(counts.resumeMs, 0.99),
        wall_s: counts.wallMs / 1000,
      },
      notes: counts.errors.slice(0, 5),
    },
  ]
}
