/**
 * Owns: C7: one bit in 100 KB of what goes between two networks over TLS is turned over, again and again: nothing spoilt is
 * delivered, the socket that got it ends at once, and a new one goes on.
 * Refuses to know: TLS.
 */
import { seededRandom } from '../../testing/index.ts'
import { eventually, pause, quantile } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { faultsOfAll, Mesh, openFlows } from './chaos-mesh.ts'
import type { Flow, Pair } from './chaos-mesh.ts'
import type { Direction, Through } from './chaos-proxy.ts'
import type { LaneFaults } from './counted-values.ts'

export interface FlipCounts extends LaneFaults {
  flips: number
  /** Of those, flips within the first 2 KB: the handshake. */
  early: number
  values: number
  /** From the flip until the socket that it was sent to has ended. */
  readonly endedMs: readonly number[]
  readonly errors: readonly string[]
  readonly wallMs: number
}

const flipEveryBytes = 100_000
const handshakeBytes = 2_000
const patienceMs = 15_000
const valuesPerTurn = 40
/** What waits for credit or for a connection; more would only be memory. */
const waitingMax = 4_000

interface Flip {
  /** From the beginning of a connection, in one direction. */
  readonly direction: Direction
  readonly atByte: number
  readonly bit: number
  flippedAtMs: number | null
  endedAtMs: number | null
}

function flipOn(through: Through, flip: Flip): void {
  let before = 0
  through.onBytes = (direction, bytes, to) => {
    const at = flip.atByte - before
    if (direction === flip.direction) before += bytes.length
    if (direction !== flip.direction || flip.flippedAtMs !== null || at >= bytes.length) return void to.write(bytes)
    const flipped = Buffer.from(bytes)
    flipped[at] = (flipped[at] as number) ^ (1 << flip.bit)
    const onEnd = (): void => void (flip.endedAtMs ??= performance.now())
    to.once('end', onEnd)
    to.once('close', onEnd)
    flip.flippedAtMs = performance.now()
    to.write(flipped)
  }
}

export async function flipMany(flips: number, seed: number, progress: (text: string) => void): Promise<FlipCounts> {
  const random = seededRandom(seed)
  const below = (limit: number): number => Math.floor(random.fraction() * limit)
  const mesh = await Mesh.start({ members: 2, limits: { backoffMinMs: 1, backoffMaxMs: 20 } })
  const pair = mesh.pairs[0] as Pair
  const startedMs = performance.now()
  const endedMs: number[] = []
  const errors: string[] = []
  let early = 0
  try {
    const flows = [...(await openFlows(mesh, 2)).values()].flat()
    for (let count = 0; count < flips; count++) {
      const flip: Flip = { direction: below(2) === 0 ? 'up' : 'down', atByte: below(flipEveryBytes), bit: below(8), flippedAtMs: null, endedAtMs: null }
      const before = pair.opened
      pair.proxy.onThrough = (through) => {
        pair.proxy.onThrough = null
        flipOn(through, flip)
      }
      pair.proxy.newest?.destroy()
      await sendUntil(`the end of socket ${count}`, flows, () => flip.endedAtMs !== null)
      endedMs.push((flip.endedAtMs as unknown as number) - (flip.flippedAtMs as unknown as number))
      if (flip.atByte < handshakeBytes) early++
      await eventually('a new connection', () => pair.isUpSince(before), patienceMs)
      if (count % 100 === 99) progress(`C7: ${count + 1} flips, slowest end ${Math.max(...endedMs).toFixed(1)} ms`)
    }
    await eventually('the last value', () => flows.every(({ isDelivered }) => isDelivered), patienceMs)
    // One that comes twice would come now.
    await pause(100)
    errors.push(...flows.flatMap((flow) => flow.errors.map(({ message }) => message)))
    return { ...faultsOfAll(flows), flips, early, endedMs, errors, values: flows.reduce((sum, { sent }) => sum + sent, 0), wallMs: performance.now() - startedMs }
  } catch (error) {
    return { lost: 0, duplicated: 0, reordered: 0, spoilt: 0, flips: endedMs.length, early, endedMs, values: 0, errors: [...errors, (error as Error).message], wallMs: performance.now() - startedMs }
  } finally {
    await mesh.stop()
  }
}

/** Both ways all the time: a turned length is found out by what comes behind it. */
async function sendUntil(what: string, flows: readonly Flow[], holds: () => boolean): Promise<void> {
  const untilMs = performance.now() + patienceMs
  while (!holds()) {
    if (performance.now() > untilMs) throw new Error(`${what} did not come about within ${patienceMs} ms`)
    for (const flow of flows) if (flow.waiting < waitingMax) flow.send(valuesPerTurn)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

export async function bitflip({ isQuick, seed, progress }: BarContext): Promise<readonly Bar[]> {
  const flips = isQuick ? 60 : 1_000
  const counts = await flipMany(flips, seed, progress)
  const slowestMs = Math.max(0, ...counts.endedMs)
  const isWhole = counts.lost + counts.duplicated + counts.reordered + counts.spoilt === 0
  return [
    {
      id: 'C7',
      passed: isWhole && counts.errors.length === 0 && counts.flips === flips && slowestMs <= 100,
      figures: {
        flips: counts.flips, in_handshake: counts.early, values: counts.values, lost: counts.lost, duplicated: counts.duplicated, reordered: counts.reordered, spoilt: counts.spoilt, errors: counts.errors.length,
        ended_p50_ms: quantile(counts.endedMs, 0.5), ended_p99_ms: quantile(counts.endedMs, 0.99), ended_max_ms: slowestMs, wall_s: counts.wallMs / 1000,
      },
      notes: counts.errors.slice(0, 5),
    },
  ]
}
