/**
 * Owns: C8, crossing dials: two sides that know each other's address lose their connection in the same tick and dial
 * each other at the same moment, thousands of times. One connection is left on each side, soon, and no value is missing
 * or duplicated.
 * Independent of: which of the two dials wins.
 */
import { eventually, pause, quantile } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { faultsOfAll, Mesh, openFlows } from './chaos-mesh.ts'
import type { Flow, Member, Pair } from './chaos-mesh.ts'
import type { LaneFaults } from './counted-values.ts'

export interface CrossingOptions {
  readonly carrier: 'tls' | 'plaintext'
  readonly crossings: number
  /** Pairs that cross independently of each other. */
  readonly pairs: number
}

export interface CrossingCounts extends LaneFaults {
  readonly crossings: number
  /** Crossings in which both dials reached the other side. */
  readonly bothArrived: number
  /** From the break until both sides have the surviving connection. */
  readonly settleMs: readonly number[]
  /** More or fewer than one connection on each side afterwards. */
  readonly notOne: number
  /** More connections came up than the surviving one. */
  readonly extraOpens: number
  readonly livelocks: number
  readonly values: number
  readonly errors: readonly string[]
}

/**
 * Time for a late dial, if there were any, to displace the settled connection, and for the first frame, which resets
 * the back-off.
 */
const quietMs = 10
const patienceMs = 5_000

const socketsOf = ({ transport }: Member): number => transport.pipes.size

async function crossOften(
  pair: Pair,
  flows: readonly Flow[],
  crossings: number,
  counts: { bothArrived: number; settleMs: number[]; notOne: number; extraOpens: number; livelocks: number },
): Promise<void> {
  const { dialer, acceptor, proxy, back } = pair
  for (let count = 0; count < crossings; count++) {
    const before = pair.opened
    const arrivedBefore = [proxy.accepted, back?.accepted ?? 0] as const
    // Some values are in flight when the connection dies, some wait for the next.
    for (const flow of flows) flow.send(3)
    if (count % 2 === 0) await pause(1)
    dialer.destroySocketsTo(acceptor.id)
    acceptor.destroySocketsTo(dialer.id)
    const brokenAtMs = performance.now()
    for (const flow of flows) flow.send(1)
    try {
      await eventually('a new connection', () => pair.isUpSince(before), patienceMs)
      await pause(quietMs)
      await eventually(
        'one socket each',
        () => pair.isUp && socketsOf(dialer) === 1 && socketsOf(acceptor) === 1,
        patienceMs,
      )
    } catch {
      if (pair.isUp) counts.notOne++
      else counts.livelocks++
    }
    counts.settleMs.push(Math.max(...pair.views.map(({ openedAtMs }) => openedAtMs)) - brokenAtMs)
    counts.extraOpens += Math.max(pair.opened[0] - before[0], pair.opened[1] - before[1]) - 1
    if (proxy.accepted > arrivedBefore[0] && (back?.accepted ?? 0) > arrivedBefore[1]) counts.bothArrived++
  }
}

export async function crossMany({ carrier, crossings, pairs }: CrossingOptions): Promise<CrossingCounts> {
  const meshes = await Promise.all(
    Array.from({ length: pairs }, () => Mesh.start({ members: 2, carrier, bothDial: true })),
  )
  const counts = { bothArrived: 0, settleMs: [] as number[], notOne: 0, extraOpens: 0, livelocks: 0 }
  const errors: string[] = []
  try {
    const all = meshes.map(({ pairs: [pair] }) => pair as Pair)
    const flows = await Promise.all(meshes.map(async (mesh) => [...(await openFlows(mesh, 1)).values()].flat()))
    await eventually('the first connections', () => all.every(({ isUp }) => isUp))
    await pause(50)
    await Promise.all(
      all.map((pair, index) =>
        crossOften(
          pair,
          flows[index] ?? [],
          Math.floor(crossings / pairs) + (index < crossings % pairs ? 1 : 0),
          counts,
        ),
      ),
    )
    const every = flows.flat()
    await eventually('the last value', () => every.every(({ isDelivered }) => isDelivered)).catch((error: unknown) =>
      errors.push((error as Error).message),
    )
    await pause(100)
    errors.push(...every.flatMap((flow) => flow.errors.map(({ message }) => message)))
    return {
      crossings: counts.settleMs.length,
      ...counts,
      ...faultsOfAll(every),
      values: every.reduce((sum, { sent }) => sum + sent, 0),
      errors,
    }
  } finally {
    await Promise.all(meshes.map((mesh) => mesh.stop()))
  }
}

export async function crossingDials({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  const bars: Bar[] = []
  for (const { id, carrier, crossings } of [
    { id: 'C8', carrier: 'plaintext', crossings: isQuick ? 300 : 9_000 },
    { id: 'C8-tls', carrier: 'tls', crossings: isQuick ? 60 : 1_000 },
  ] as const) {
    progress(`${id}: ${crossings} crossings`)
    // Two pairs: while one is idle, the other has the CPU to itself.
    const counts = await crossMany({ carrier, crossings, pairs: 2 })
    const p99 = quantile(counts.settleMs, 0.99)
    bars.push({
      id,
      passed:
        counts.crossings === crossings &&
        counts.lost + counts.duplicated + counts.reordered + counts.corrupted + counts.errors.length === 0 &&
        counts.notOne === 0 &&
        counts.livelocks === 0 &&
        p99 <= 50 &&
        counts.bothArrived >= crossings / 2,
      figures: {
        crossings,
        both_arrived: counts.bothArrived,
        not_one: counts.notOne,
        extra_opens: counts.extraOpens,
        livelocks: counts.livelocks,
        values: counts.values,
        lost: counts.lost,
        duplicated: counts.duplicated,
        reordered: counts.reordered,
        corrupted: counts.corrupted,
        errors: counts.errors.length,
        settle_p50_ms: quantile(counts.settleMs, 0.5),
        settle_p99_ms: p99,
        settle_max_ms: quantile(counts.settleMs, 1),
      },
      notes: counts.errors.slice(0, 5),
    })
  }
  return bars
}
