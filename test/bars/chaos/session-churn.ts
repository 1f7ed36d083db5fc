/**
 * Owns: C1-churn: sessions are made, used and closed repeatedly while their sockets are killed. Both sides keep using
 * the same sessions, and each session delivers what was sent on it.
 * Independent of: long-lived sessions (chaos-kill.ts).
 */
import type { Session } from '../../../actors/index.ts'
import type { Random } from '../../../actors/base/environment.ts'
import { seededRandom } from '../../../testing/index.ts'
import { pause } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { Mesh } from './chaos-mesh.ts'
import type { Member, Pair } from './chaos-mesh.ts'
import { countedValue, numberIn } from './counted-values.ts'

export interface ChurnOptions {
  readonly rounds: number
  readonly links: number
  readonly bothDial: boolean
  readonly seed: number
}

export interface ChurnCounts {
  readonly rounds: number
  readonly sessions: number
  readonly kills: number
  /** Rounds in which the two sides numbered their sessions differently. */
  readonly idsApart: number
  /** A value other than the expected one. */
  readonly wrongValues: number
  readonly errors: readonly string[]
  readonly wallMs: number
}

const sessionsARound = 3
const valuesASession = 5
const timeoutMs = 20_000
const numberOf = (round: number, place: number): number => 1 + round * valuesASession + place

/** One side of one session. It closes when it has received everything and the peer has confirmed everything. */
async function useOnce(session: Session, peer: string, round: number): Promise<number> {
  let wrong = 0
  const sent = Array.from({ length: valuesASession }, (_, place) =>
    session.send(peer, countedValue(numberOf(round, place)), { timeoutMs }),
  )
  for (let place = 0; place < valuesASession; place++)
    if (numberIn(await session.receive(peer, { timeoutMs })) !== numberOf(round, place)) wrong++
  await Promise.all(sent)
  await session.flush({ timeoutMs })
  session.close()
  return wrong
}

async function killOften(pair: Pair, random: Random, isOver: () => boolean): Promise<number> {
  let kills = 0
  while (!isOver()) {
    await pause(random.fraction() * 30)
    const live = [...pair.proxy.live, ...(pair.back?.live ?? [])]
    const through = live[Math.floor(random.fraction() * live.length)]
    const kind = Math.floor(random.fraction() * 4)
    kills++
    if (kind === 0 || through === undefined) pair.dialer.destroySocketsTo(pair.acceptor.id)
    else if (kind === 1) through.reset()
    else if (kind === 2) void through.endMidRecord()
    else void through.cutAfter(1 + Math.floor(random.fraction() * 2_000))
  }
  return kills
}

export async function churn({ rounds, links, bothDial, seed }: ChurnOptions): Promise<ChurnCounts> {
  const mesh = await Mesh.start({ members: 2, links, bothDial })
  const [pair] = mesh.pairs as [Pair]
  const startedMs = performance.now()
  const errors: string[] = []
  const ids: [string[], string[]] = [[], []]
  let wrongValues = 0
  const live = async (member: Member, peer: string, own: string[]): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      const sessions = await member.network.makeSessions({ count: sessionsARound, timeoutMs })
      own.push(sessions.map(({ id }) => id).join(' '))
      for (const wrong of await Promise.all(sessions.map((session) => useOnce(session, peer, round))))
        wrongValues += wrong
    }
  }
  const life = { isOver: false }
  try {
    const killing = killOften(pair, seededRandom(seed), () => life.isOver)
    const both = [live(pair.dialer, pair.acceptor.id, ids[0]), live(pair.acceptor, pair.dialer.id, ids[1])]
    for (const { reason } of (await Promise.allSettled(both)).filter(
      (result): result is PromiseRejectedResult => result.status === 'rejected',
    ))
      errors.push((reason as Error).message)
    life.isOver = true
    const done = Math.min(ids[0].length, ids[1].length)
    return {
      rounds: done,
      sessions: done * sessionsARound,
      kills: await killing,
      idsApart: ids[0].filter((id, round) => round < done && id !== ids[1][round]).length,
      wrongValues,
      errors,
      wallMs: performance.now() - startedMs,
    }
  } finally {
    life.isOver = true
    await mesh.stop()
  }
}

export async function sessionChurn({ isQuick, seed }: BarContext): Promise<readonly Bar[]> {
  // Rounds run as fast as the machine, kills by the clock: enough rounds for this many kills.
  const [rounds, killsMin] = isQuick ? [500, 15] : [9_000, 300]
  const bars: Bar[] = []
  for (const { id, links, bothDial } of [
    { id: 'C1-churn', links: 1, bothDial: false },
    { id: 'C1-churn-links', links: 3, bothDial: true },
  ]) {
    const counts = await churn({ rounds, links, bothDial, seed })
    bars.push({
      id,
      passed:
        counts.rounds === rounds &&
        counts.idsApart + counts.wrongValues + counts.errors.length === 0 &&
        counts.kills >= killsMin,
      figures: {
        rounds: counts.rounds,
        sessions: counts.sessions,
        links,
        kills: counts.kills,
        ids_apart: counts.idsApart,
        wrong_values: counts.wrongValues,
        errors: counts.errors.length,
        wall_s: counts.wallMs / 1000,
      },
      notes: counts.errors,
    })
  }
  return bars
}
