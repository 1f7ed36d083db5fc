/**
 * Owns: C6, cuts: the bytes of a conversation in every possible piece, through links and through sockets, and a
 * connection that is cut after every single byte. The same values arrive, each once, in order.
 * Independent of: how a conversation is recorded and replayed.
 */
import { seededRandom } from '../../../testing/index.ts'
import { eventually } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { faultsOfAll, Mesh, openFlows } from './chaos-mesh.ts'
import type { Flow, Pair } from './chaos-mesh.ts'
import type { Direction, Through } from './chaos-proxy.ts'
import { converse } from './conversation.ts'
import type { Conversation, Slicing } from './conversation.ts'
import type { LaneFaults } from './counted-values.ts'
import { ReplayedSide } from './replayed-link.ts'

export interface SliceCounts {
  replays: number
  readonly bytes: number
  /** Replays whose result differed from the whole conversation in one piece. */
  readonly different: string[]
}

/** One byte at a time, all at once, in two pieces at every offset (or every n-th), and in random pieces. */
export function sliceEverywhere(
  conversation: Conversation,
  direction: Direction,
  step: number,
  seed: number,
): SliceCounts {
  const side = new ReplayedSide(conversation, direction)
  const { lengthBytes } = side
  const random = seededRandom(seed)
  const expected = side.replay([])
  const counts: SliceCounts = {
    replays: 1,
    bytes: lengthBytes,
    different: expected.startsWith(`${conversation.values / 2} values`)
      ? []
      : [`${direction} in one piece: ${expected}`],
  }
  const compare = (what: string, ends: Iterable<number>): void => {
    counts.replays++
    const found = side.replay(ends)
    if (found !== expected) counts.different.push(`${direction}, ${what}: ${found} instead of ${expected}`)
  }
  const multiplesOf = (piece: number): number[] =>
    Array.from({ length: Math.floor(lengthBytes / piece) }, (_, index) => piece * (index + 1))
  for (const piece of [1, 2, 3, 5, 9, 13, 64]) compare(`pieces of ${piece}`, multiplesOf(piece))
  for (let offset = 1; offset < lengthBytes; offset += step) compare(`cut at ${offset}`, [offset])
  for (let count = 0; count < 200 / step; count++) {
    const ends = [
      ...new Set(Array.from({ length: 12 }, () => 1 + Math.floor(random.fraction() * (lengthBytes - 1)))),
    ].sort((a, b) => a - b)
    compare(`pieces that end at ${ends.join(', ')}`, ends)
  }
  return counts
}

export interface CutCounts extends LaneFaults {
  /** Connections that were cut, each after another number of bytes. */
  cuts: number
  values: number
  readonly errors: string[]
}

const valuesPerFlow = 12
const patienceMs = 15_000

/** The next connection ends after this many bytes of one direction. */
function cutNext(pair: Pair, direction: Direction, afterBytes: number): { isCut: boolean } {
  const cut = { isCut: false }
  pair.proxy.onThrough = (through: Through) => {
    pair.proxy.onThrough = null
    let leftBytes = afterBytes
    through.onBytes = (from, bytes, to) => {
      if (cut.isCut) return
      if (from !== direction || bytes.length < leftBytes) {
        if (from === direction) leftBytes -= bytes.length
        to.write(bytes)
        return
      }
      cut.isCut = true
      to.write(bytes.subarray(0, leftBytes))
      // They arrive, and then both ends are closed.
      to.destroySoon()
    }
  }
  return cut
}

/** Cuts after every byte (or every n-th) that a new connection carries, until one carries everything. */
export async function cutEverywhere(step: number): Promise<CutCounts> {
  const mesh = await Mesh.start({ members: 2, carrier: 'plaintext', limits: { backoffMinMs: 1, backoffMaxMs: 5 } })
  const pair = mesh.pairs[0] as Pair
  const counts = { cuts: 0, values: 0, errors: [] as string[] }
  try {
    const flows = [...(await openFlows(mesh, 2)).values()].flat()
    for (const direction of ['up', 'down'] as const) {
      for (let afterBytes = 1; ; afterBytes += step) {
        const before = pair.opened
        const cut = cutNext(pair, direction, afterBytes)
        pair.proxy.newest?.destroy()
        for (const flow of flows) flow.send(valuesPerFlow)
        await eventually(
          `all values, cut behind byte ${afterBytes} ${direction}`,
          () => pair.isUpSince(before) && flows.every(({ isDelivered }) => isDelivered),
          patienceMs,
        )
        // Acknowledgements are bytes too.
        await Promise.all(flows.map((flow) => flow.flush(patienceMs)))
        if (!cut.isCut) break
        counts.cuts++
      }
    }
    return { ...counts, ...judged(flows) }
  } catch (error) {
    return { ...counts, lost: 1, duplicated: 0, reordered: 0, corrupted: 0, errors: [(error as Error).message] }
  } finally {
    await mesh.stop()
  }
}

function judged(flows: readonly Flow[]): LaneFaults & { values: number; errors: string[] } {
  return {
    ...faultsOfAll(flows),
    values: flows.reduce((sum, { sent }) => sum + sent, 0),
    errors: flows.flatMap(({ errors }) => errors.map(({ message }) => message)),
  }
}

const slicings: readonly [string, Slicing][] = [
  ['1 byte', { pieceBytes: 1 }],
  ['7 bytes', { pieceBytes: 7 }],
  ['glued', { gluedTurns: 40 }],
]

export async function slicer({ isQuick, seed, progress }: BarContext): Promise<readonly Bar[]> {
  const recorded = await converse(null)
  const notes: string[] = []
  let replays = 0
  for (const direction of ['up', 'down'] as const) {
    const { replays: ofDirection, different } = sliceEverywhere(recorded, direction, isQuick ? 17 : 1, seed)
    replays += ofDirection
    notes.push(...different)
  }
  progress(`C6: ${replays} replays, ${notes.length} different`)
  const different = notes.length
  let wrong = recorded.wrong
  let writes = 0
  for (const [name, slicing] of slicings) {
    const sliced = await converse(slicing)
    wrong += sliced.wrong
    writes += sliced.writes
    if (sliced.wrong > 0)
      notes.push(`over sockets in pieces of ${name}: ${sliced.wrong} of ${sliced.values} values are wrong`)
  }
  progress(`C6: ${writes} pieces over sockets, ${wrong} values wrong`)
  const cut = await cutEverywhere(isQuick ? 41 : 1)
  notes.push(...cut.errors)
  const faults = cut.lost + cut.duplicated + cut.reordered + cut.corrupted
  return [
    {
      id: 'C6',
      passed: different + wrong + faults + cut.errors.length === 0 && recorded.values > 0 && cut.cuts > 20,
      figures: {
        bytes: recorded.bytes.up.length + recorded.bytes.down.length,
        replays,
        different,
        socket_pieces: writes,
        socket_wrong: wrong,
        cuts: cut.cuts,
        values: cut.values,
        lost: cut.lost,
        duplicated: cut.duplicated,
        reordered: cut.reordered,
        corrupted: cut.corrupted,
        errors: cut.errors.length,
      },
      notes: notes.slice(0, 5),
    },
  ]
}
