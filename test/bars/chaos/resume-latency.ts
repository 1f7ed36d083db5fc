/**
 * Owns: E4, the latency of a resume: from the end of a socket to the first value sent after it, over loopback TLS
 * without a proxy, and the parts of that time.
 * Independent of: other ways to break a connection (chaos-kill.ts).
 */
import { seededRandom } from '../../../testing/index.ts'
import { eventually, pause, quantile } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { faultsOfAll, Mesh, openFlows } from './chaos-mesh.ts'
import type { Flow, Pair } from './chaos-mesh.ts'
import type { LaneFaults } from './counted-values.ts'

export interface LatencyCounts extends LaneFaults {
  /**
   * Until the first value sent after the break has arrived, in the direction of the side that did not see the break
   * first.
   */
  readonly valueMs: readonly number[]
  /** Until both sides are up again. */
  readonly upMs: readonly number[]
  readonly failedDials: number
}

/** The first redial must not wait for a back-off of any length; the defaults apply unless set. */
export async function measureResume(breaks: number, seed: number, backoffMinMs = 100): Promise<LatencyCounts> {
  const random = seededRandom(seed)
  const mesh = await Mesh.start({ members: 2, isDirect: true, limits: { backoffMinMs, backoffMaxMs: 30_000 } })
  try {
    const pair = mesh.pairs[0] as Pair
    const [there, back] = (await openFlows(mesh, 1)).get(pair) as [Flow, Flow]
    const valueMs: number[] = []
    const upMs: number[] = []
    for (let count = 0; count < breaks; count++) {
      // Established: values have gone in both directions on this connection.
      there.send(3)
      back.send(3)
      await eventually('values', () => there.isDelivered && back.isDelivered)
      // At a varying point of the peer's timer interval.
      await pause(random.fraction() * 5)
      const before = pair.opened
      const side = random.fraction() < 0.5 ? pair.dialer : pair.acceptor
      const flow = side === pair.dialer ? back : there
      const arrived = flow.nextArrival()
      side.destroySocketsTo((side === pair.dialer ? pair.acceptor : pair.dialer).id)
      const brokenAtMs = performance.now()
      flow.send(1)
      valueMs.push((await arrived) - brokenAtMs)
      await eventually('both sides', () => pair.isUpSince(before))
      upMs.push(Math.max(...pair.views.map(({ openedAtMs }) => openedAtMs)) - brokenAtMs)
    }
    return { ...faultsOfAll([there, back]), valueMs, upMs, failedDials: pair.views[0].failed }
  } finally {
    await mesh.stop()
  }
}

export async function resumeLatency({ isQuick, seed }: BarContext): Promise<readonly Bar[]> {
  const breaks = isQuick ? 100 : 1_000
  const { valueMs, upMs, failedDials, lost, duplicated, reordered, corrupted } = await measureResume(breaks, seed)
  const [p50, p99] = [quantile(valueMs, 0.5), quantile(valueMs, 0.99)]
  return [
    {
      id: 'E4',
      passed: p50 <= 5 && p99 <= 20 && valueMs.length === breaks && lost + duplicated + reordered + corrupted === 0,
      figures: {
        breaks,
        p50_ms: p50,
        p99_ms: p99,
        max_ms: quantile(valueMs, 1),
        up_p50_ms: quantile(upMs, 0.5),
        up_p99_ms: quantile(upMs, 0.99),
        failed_dials: failedDials,
        lost,
        duplicated,
        reordered,
        corrupted,
      },
      notes: [],
    },
  ]
}
