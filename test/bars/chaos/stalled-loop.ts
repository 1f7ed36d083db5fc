/**
 * Owns: C9, event-loop stalls: the loop of one side stalls repeatedly; which side declares the other dead.
 * Independent of: how silence is judged.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createNetwork, Identity } from '../../../actors/index.ts'
import { defaultKeepAlive } from '../../../protocol/native/epoch/keep-alive.ts'
import type { KeepAliveOptions } from '../../../protocol/native/epoch/keep-alive.ts'
import { seededRandom } from '../../../testing/index.ts'
import { pause } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { chaosProgram } from './flood-bar.ts'
import type { StallReport } from './stall-child.ts'
import { bareLimits } from './tls-pair.ts'

export interface StallCounts {
  readonly stalls: number
  readonly longestMs: number
  readonly stalledMs: number
  /** Connections that either side gave up. */
  readonly lost: readonly string[]
  readonly suspected: number
  readonly values: number
}

export const scaledKeepAlive = (scale: number): KeepAliveOptions => ({
  pingIntervalMs: 10_000 / scale,
  suspectAfterMs: 15_000 / scale,
  deadAfterMs: 20_000 / scale,
})

/** @param here keep-alive of this process; @param there of the child that stalls */
export async function stallLoop(
  stallsMs: readonly number[],
  here: KeepAliveOptions,
  there: KeepAliveOptions,
  random: () => number,
): Promise<StallCounts> {
  const [mine, theirs] = [Identity.generate(), Identity.generate()]
  const asShipped = { ...defaultKeepAlive }
  Object.assign(defaultKeepAlive, here)
  const network = createNetwork({
    identity: mine,
    listen: 'tls://127.0.0.1:0',
    peers: [{ id: theirs.id }],
    limits: bareLimits,
  })
  const lost: string[] = []
  let suspected = 0
  network.on('connection.lost', ({ cause }) => void lost.push(`here: ${cause.message}`))
  network.on('peer.suspect', () => void suspected++)
  await network.ready()
  const child = fork(
    chaosProgram('stall-child'),
    [JSON.stringify({ pem: theirs.toPem(), peer: mine.id, url: network.url, keepAlive: there })],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  )
  try {
    const ready = once(child, 'message')
    const [session] = await network.makeSessions({ count: 1 })
    await ready
    let lostThere: readonly string[] = []
    let values = 0
    for (const [index, stallMs] of stallsMs.entries()) {
      const answer = once(child, 'message')
      child.send({ stallMs })
      // Every other time, bytes wait in the kernel when the loop resumes; otherwise there are none.
      if (index % 2 === 0) void session?.send(theirs.id, { type: 'RingElement32', value: index }).catch(() => {})
      const [report] = (await answer) as [StallReport]
      lostThere = report.lost
      values = report.values
      await pause(random() * 30)
    }
    return {
      stalls: stallsMs.length,
      longestMs: Math.max(...stallsMs),
      stalledMs: stallsMs.reduce((sum, ms) => sum + ms, 0),
      lost: [...lost, ...lostThere.map((text) => `there: ${text}`)],
      suspected,
      values,
    }
  } finally {
    child.send({ stop: true })
    await Promise.all([network.shutdown(), once(child, 'exit')])
    Object.assign(defaultKeepAlive, asShipped)
  }
}

function barOf(id: string, scale: number, counts: StallCounts): Bar {
  const expected = Math.ceil(counts.stalls / 2)
  const passed = counts.lost.length === 0 && counts.values === expected
  return {
    id,
    passed,
    notes: counts.lost.slice(0, 5),
    figures: {
      stalls: counts.stalls,
      scale,
      longest_ms: Math.round(counts.longestMs),
      stalled_s: counts.stalledMs / 1000,
      false_disconnects: counts.lost.length,
      suspected: counts.suspected,
      values: `${counts.values}/${expected}`,
    },
  }
}

export async function stalledLoop({ isQuick, seed, progress }: BarContext): Promise<readonly Bar[]> {
  const random = seededRandom(seed)
  const stalls = (count: number, scale: number): number[] =>
    Array.from({ length: count }, () => (500 + 7_500 * random.fraction()) / scale)
  const chance = (): number => random.fraction()
  const scale = 8
  progress(`C9 stalls of 0.5 to 8 s, all times divided by ${scale}`)
  const scaled = await stallLoop(
    stalls(isQuick ? 10 : 100, scale),
    scaledKeepAlive(scale),
    scaledKeepAlive(scale),
    chance,
  )
  progress('C9 stalls as they are, with the values as shipped')
  const asShipped = await stallLoop(
    isQuick ? [2_000] : [500, 3_000, 5_500, 8_000, 8_000],
    defaultKeepAlive,
    defaultKeepAlive,
    chance,
  )
  // A side that stalled beyond its own limit must read before it declares the other dead.
  progress('C9 stalls longer than the side that stands still allows its peer')
  const beyond = await stallLoop(
    isQuick ? [3_000] : [2_500, 4_000, 6_000, 8_000],
    defaultKeepAlive,
    { pingIntervalMs: 1_000, suspectAfterMs: 1_500, deadAfterMs: 2_000 },
    chance,
  )
  return [barOf('C9', scale, scaled), barOf('C9-as-shipped', 1, asShipped), barOf('C9-beyond', 1, beyond)]
}
