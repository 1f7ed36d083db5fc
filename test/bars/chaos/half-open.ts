/**
 * Owns: C4, half-open connections: one direction is dropped silently. Measures when each side notices and how soon a
 * new connection takes over, and checks that nothing is missing or duplicated.
 * Independent of: how a link watches its peer.
 */
import { defaultKeepAlive } from '../../../protocol/native/epoch/keep-alive.ts'
import type { KeepAliveOptions } from '../../../protocol/native/epoch/keep-alive.ts'
import { eventually, pause, quantile } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { faultsOfAll, Mesh, openFlows } from './chaos-mesh.ts'
import type { Flow, Pair } from './chaos-mesh.ts'
import type { Direction } from './chaos-proxy.ts'
import type { LaneFaults } from './counted-values.ts'
import { shortKeepAlive, useKeepAlive } from './short-keep-alive.ts'

export interface HalfOpenOptions {
  readonly pairs: number
  readonly keepAlive: KeepAliveOptions
}

export interface HalfOpenCounts extends LaneFaults {
  /** From the drop until the side that receives nothing, and the other side, have lost the connection. */
  readonly deafNoticedMs: readonly number[]
  /** With which code that side gave the connection up. */
  readonly deafCodes: readonly string[]
  readonly otherNoticedMs: readonly number[]
  /** From the dial, as it reaches the acceptor, until both sides are up on the new connection. */
  readonly takeoverMs: readonly number[]
  readonly values: number
  readonly errors: readonly string[]
  readonly wallMs: number
}

/** Time between two drops, so that the following dials do not compete for one core. */
const staggerMs = 100

interface Case {
  readonly mesh: Mesh
  readonly pair: Pair
  readonly flows: readonly Flow[]
  readonly swallowed: Direction
}

/** Each case sends values in both directions all the time, so that the receiving side never runs out of bytes. */
async function dropOne(
  { pair, flows, swallowed }: Case,
  deadAfterMs: number,
  results: { deafNoticedMs: number[]; deafCodes: string[]; otherNoticedMs: number[]; takeoverMs: number[] },
): Promise<void> {
  const [dialer, acceptor] = pair.views
  const [deaf, other] = swallowed === 'up' ? [acceptor, dialer] : [dialer, acceptor]
  // The peer's silence counts from here. Without these values, all pairs would be silent since the same moment and dial
  // at once.
  for (const flow of flows) flow.send(1)
  await eventually('a value each way', () => flows.every(({ isDelivered }) => isDelivered))
  const { newest } = pair.proxy
  const before = pair.opened
  const lostBefore = [deaf.lost, other.lost]
  const droppedAtMs = performance.now()
  newest?.swallow(swallowed)
  const ticker = setInterval(() => {
    for (const flow of flows) flow.send(1)
  }, 100)
  try {
    await eventually(
      'that both sides notice',
      () => deaf.lost > (lostBefore[0] as number) && other.lost > (lostBefore[1] as number),
      deadAfterMs * 3 + 5_000,
    )
    results.deafNoticedMs.push(deaf.lostAtMs - droppedAtMs)
    results.deafCodes.push(deaf.lostCode)
    results.otherNoticedMs.push(other.lostAtMs - droppedAtMs)
    await eventually('a new connection', () => pair.isUpSince(before), 10_000)
    results.takeoverMs.push(Math.max(dialer.openedAtMs, acceptor.openedAtMs) - (pair.proxy.newest?.openedAtMs ?? 0))
  } finally {
    clearInterval(ticker)
  }
}

export async function dropMany({ pairs, keepAlive }: HalfOpenOptions): Promise<HalfOpenCounts> {
  const putBack = useKeepAlive(keepAlive)
  const startedMs = performance.now()
  const cases: Case[] = []
  const errors: string[] = []
  const results = {
    deafNoticedMs: [] as number[],
    deafCodes: [] as string[],
    otherNoticedMs: [] as number[],
    takeoverMs: [] as number[],
  }
  try {
    for (let index = 0; index < pairs; index++) {
      const mesh = await Mesh.start({ members: 2, limits: { sendTimeoutMs: 115_000 } })
      const pair = mesh.pairs[0] as Pair
      const flows = (await openFlows(mesh, 2)).get(pair) as Flow[]
      cases.push({ mesh, pair, flows, swallowed: index % 2 === 0 ? 'up' : 'down' })
    }
    await Promise.all(
      cases.map((each, index) =>
        pause(index * staggerMs)
          .then(() => dropOne(each, keepAlive.deadAfterMs, results))
          .catch((error: unknown) => errors.push((error as Error).message)),
      ),
    )
    await eventually(
      'the last value',
      () => cases.every(({ flows }) => flows.every(({ isDelivered }) => isDelivered)),
      20_000,
    ).catch((error: unknown) => errors.push((error as Error).message))
    await pause(200)
    const all = cases.flatMap(({ flows }) => flows)
    errors.push(...all.flatMap((flow) => flow.errors.map(({ message }) => message)))
    return {
      ...faultsOfAll(all),
      ...results,
      values: all.reduce((sum, { sent }) => sum + sent, 0),
      errors,
      wallMs: performance.now() - startedMs,
    }
  } finally {
    putBack()
    await Promise.all(cases.map(({ mesh }) => mesh.stop()))
  }
}

export async function halfOpen({ isQuick }: BarContext): Promise<readonly Bar[]> {
  const keepAlive = isQuick ? shortKeepAlive : { ...defaultKeepAlive }
  const pairs = isQuick ? 10 : 100
  const counts = await dropMany({ pairs, keepAlive })
  const [deafMs, otherMs, takeoverMs] = [
    Math.max(...counts.deafNoticedMs),
    Math.max(...counts.otherNoticedMs),
    Math.max(...counts.takeoverMs),
  ]
  const noticeMsMax = keepAlive.deadAfterMs + 1_000
  return [
    {
      id: 'C4',
      passed:
        counts.takeoverMs.length === pairs &&
        deafMs <= noticeMsMax &&
        otherMs <= noticeMsMax &&
        takeoverMs <= 1_000 &&
        counts.lost + counts.duplicated + counts.reordered + counts.corrupted === 0 &&
        counts.errors.length === 0,
      figures: {
        drops: pairs,
        dead_after_ms: keepAlive.deadAfterMs,
        deaf_noticed_p50_ms: quantile(counts.deafNoticedMs, 0.5),
        deaf_noticed_max_ms: deafMs,
        other_noticed_p50_ms: quantile(counts.otherNoticedMs, 0.5),
        other_noticed_max_ms: otherMs,
        takeover_p50_ms: quantile(counts.takeoverMs, 0.5),
        takeover_max_ms: takeoverMs,
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
