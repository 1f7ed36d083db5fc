/**
 * Owns: C7, flipped bits: one bit per 100 KB between two networks over TLS is flipped, repeatedly. No corrupted value
 * is delivered, the receiving socket is closed at once, and a new connection continues.
 * Independent of: TLS internals.
 */
import { seededRandom } from '../../../testing/index.ts'
import { eventually, pause, quantile } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { faultsOfAll, Mesh, openFlows } from './chaos-mesh.ts'
import type { Flow, Pair } from './chaos-mesh.ts'
import type { Direction, Through } from './chaos-proxy.ts'
import type { LaneFaults } from './counted-values.ts'

export interface FlipCounts extends LaneFaults {
  flips: number
  /** Flips in a record header. */
  heads: number
  /** Event-loop delay of this process while it waited for an end: the noise of the machine. */
  longestTurnMs: number
  values: number
  /** From the flip until the socket that received it is closed. */
  readonly endedMs: readonly number[]
  /**
   * The same for flips within the first 2 KB. A flipped length there leaves a side waiting until its handshake
   * deadline.
   */
  readonly handshakeEndedMs: readonly number[]
  readonly errors: readonly string[]
  readonly wallMs: number
}

const flipEveryBytes = 100_000
const handshakeBytes = 2_000
const patienceMs = 15_000
const slowMs = 50
/** The handshake deadline plus a margin. */
const handshakeEndMsMax = 5_500
const headsOneIn = 4
const valuesPerTurn = 10
/** Bounds the values waiting for credit or for a connection; more would only use memory. */
const waitingMax = 1_000

/** Length of a TLS record header. A flip there has other effects than one in the ciphertext. */
const headPlaces = ['type', 'version', 'version', 'length', 'length'] as const

/** Finds the record headers in a stream. */
class Records {
  #headBytes: number[] = []
  #bodyLeftBytes = 0

  /** @returns which bytes of this chunk belong to headers, and their offset within the header */
  headsIn(bytes: Buffer): { readonly index: number; readonly place: number }[] {
    const found: { index: number; place: number }[] = []
    for (let index = 0; index < bytes.length;) {
      if (this.#bodyLeftBytes > 0) {
        const step = Math.min(this.#bodyLeftBytes, bytes.length - index)
        this.#bodyLeftBytes -= step
        index += step
        continue
      }
      found.push({ index, place: this.#headBytes.length })
      this.#headBytes.push(bytes[index++] as number)
      if (this.#headBytes.length < headPlaces.length) continue
      this.#bodyLeftBytes = (this.#headBytes[3] as number) * 256 + (this.#headBytes[4] as number)
      this.#headBytes = []
    }
    return found
  }
}

interface Flip {
  readonly direction: Direction
  /** Byte offset since the start of the connection, in one direction. */
  readonly atByte: number
  /** Use the given byte of the next record header instead. */
  readonly headPlace: number | null
  readonly bit: number
  /**
   * Nothing is sent after the flip: a write would detect the broken TLS as well and hide a reader that does not close
   * it.
   */
  readonly isLast: boolean
  isInHead: boolean
  /** The offset at which the flip happened. */
  flippedByte: number
  flippedAtMs: number | null
  endedAtMs: number | null
}

function flipOn(through: Through, flip: Flip): void {
  let before = 0
  const records = new Records()
  through.onBytes = (direction, bytes, to) => {
    if (direction !== flip.direction || flip.flippedAtMs !== null) return void to.write(bytes)
    const heads = records.headsIn(bytes)
    const wanted = flip.atByte - before
    before += bytes.length
    const at =
      flip.headPlace === null
        ? wanted
        : heads.find(({ index, place }) => index >= wanted && place === flip.headPlace)?.index
    if (at === undefined || at >= bytes.length) return void to.write(bytes)
    const flipped = Buffer.from(bytes)
    flipped[at] = (flipped[at] as number) ^ (1 << flip.bit)
    const onEnd = (): void => void (flip.endedAtMs ??= performance.now())
    to.once('end', onEnd)
    to.once('close', onEnd)
    flip.flippedByte = before - bytes.length + at
    flip.isInHead = heads.some(({ index }) => index === at)
    flip.flippedAtMs = performance.now()
    to.write(flipped)
  }
}

const describe = ({ direction, atByte, headPlace, bit }: Flip): string =>
  `bit ${bit} of ${headPlace === null ? '' : `the ${headPlaces[headPlace]} of the record behind `}byte ${atByte} ${direction}`

export async function flipMany(flips: number, seed: number, progress: (text: string) => void): Promise<FlipCounts> {
  const random = seededRandom(seed)
  const below = (limit: number): number => Math.floor(random.fraction() * limit)
  const mesh = await Mesh.start({ members: 2, limits: { backoffMinMs: 1, backoffMaxMs: 20 } })
  const pair = mesh.pairs[0] as Pair
  const startedMs = performance.now()
  const endedMs: number[] = []
  const errors: string[] = []
  const turns = { longestMs: 0 }
  let longestTurnMs = 0
  const handshakeEndedMs: number[] = []
  let heads = 0
  try {
    const flows = [...(await openFlows(mesh, 2)).values()].flat()
    for (let count = 0; count < flips; count++) {
      const flip: Flip = {
        direction: below(2) === 0 ? 'up' : 'down',
        atByte: below(flipEveryBytes),
        headPlace: below(headsOneIn) === 0 ? below(headPlaces.length) : null,
        bit: below(8),
        isLast: below(2) === 0,
        isInHead: false,
        flippedByte: -1,
        flippedAtMs: null,
        endedAtMs: null,
      }
      const before = pair.opened
      pair.proxy.onThrough = (through) => {
        pair.proxy.onThrough = null
        flipOn(through, flip)
      }
      pair.proxy.newest?.destroy()
      turns.longestMs = 0
      await sendUntil(
        `the end of socket ${count}, ${describe(flip)}`,
        flows,
        turns,
        () => flip.endedAtMs !== null,
        () => mayContinue(flip),
      )
      longestTurnMs = Math.max(longestTurnMs, turns.longestMs)
      const elapsedMs = (flip.endedAtMs as unknown as number) - (flip.flippedAtMs as unknown as number)
      if (flip.flippedByte < handshakeBytes) handshakeEndedMs.push(elapsedMs)
      else endedMs.push(elapsedMs)
      if (flip.isInHead) heads++
      if (elapsedMs > slowMs)
        progress(
          `C7: ${elapsedMs.toFixed(1)} ms for ${describe(flip)}; longest turn here ${turns.longestMs.toFixed(1)} ms`,
        )
      await eventually('a new connection', () => pair.isUpSince(before), patienceMs)
      if (count % 100 === 99) progress(`C7: ${count + 1} flips, slowest end ${Math.max(0, ...endedMs).toFixed(1)} ms`)
    }
    await eventually('the last value', () => flows.every(({ isDelivered }) => isDelivered), patienceMs)
    // A duplicate would arrive now.
    await pause(100)
    errors.push(...flows.flatMap((flow) => flow.errors.map(({ message }) => message)))
    return {
      ...faultsOfAll(flows),
      flips,
      handshakeEndedMs,
      heads,
      longestTurnMs,
      endedMs,
      errors,
      values: flows.reduce((sum, { sent }) => sum + sent, 0),
      wallMs: performance.now() - startedMs,
    }
  } catch (error) {
    return {
      lost: 0,
      duplicated: 0,
      reordered: 0,
      corrupted: 0,
      flips: endedMs.length + handshakeEndedMs.length,
      handshakeEndedMs,
      heads,
      longestTurnMs,
      endedMs,
      values: 0,
      errors: [...errors, (error as Error).message],
      wallMs: performance.now() - startedMs,
    }
  } finally {
    await mesh.stop()
  }
}

/** Whether to send more. A flipped length is only detected through the bytes that follow it. */
function mayContinue({ flippedAtMs, flippedByte, isLast, isInHead }: Flip): boolean {
  return flippedAtMs === null || isInHead || !isLast || flippedByte < handshakeBytes
}

/** Sends in both directions all the time. */
async function sendUntil(
  what: string,
  flows: readonly Flow[],
  turns: { longestMs: number },
  holds: () => boolean,
  goesOn: () => boolean,
): Promise<void> {
  const untilMs = performance.now() + patienceMs
  for (let turnAtMs = performance.now(); !holds();) {
    const nowMs = performance.now()
    turns.longestMs = Math.max(turns.longestMs, nowMs - turnAtMs)
    turnAtMs = nowMs
    if (nowMs > untilMs) throw new Error(`${what} did not come about within ${patienceMs} ms`)
    for (const flow of flows) if (goesOn() && flow.waiting < waitingMax) flow.send(valuesPerTurn)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

export async function bitflip({ isQuick, seed, progress }: BarContext): Promise<readonly Bar[]> {
  const flips = isQuick ? 60 : 1_000
  const counts = await flipMany(flips, seed, progress)
  const slowestMs = Math.max(0, ...counts.endedMs)
  const slowestHandshakeMs = Math.max(0, ...counts.handshakeEndedMs)
  const isWhole = counts.lost + counts.duplicated + counts.reordered + counts.corrupted === 0
  return [
    {
      id: 'C7',
      passed:
        isWhole &&
        counts.errors.length === 0 &&
        counts.flips === flips &&
        slowestMs <= 100 &&
        slowestHandshakeMs <= handshakeEndMsMax,
      figures: {
        flips: counts.flips,
        in_handshake: counts.handshakeEndedMs.length,
        in_record_head: counts.heads,
        values: counts.values,
        lost: counts.lost,
        duplicated: counts.duplicated,
        reordered: counts.reordered,
        corrupted: counts.corrupted,
        errors: counts.errors.length,
        ended_p50_ms: quantile(counts.endedMs, 0.5),
        ended_p99_ms: quantile(counts.endedMs, 0.99),
        ended_max_ms: slowestMs,
        handshake_ended_max_ms: slowestHandshakeMs,
        turn_max_ms: counts.longestTurnMs,
        wall_s: counts.wallMs / 1000,
      },
      notes: counts.errors.slice(0, 5),
    },
  ]
}
