/**
 * Owns: C12, graceful shutdown: a network is shut down repeatedly while both sides send at full speed. Checks the
 * outcome of each accepted value, the time, and what is left.
 * Independent of: how a network stops.
 */
import type { Network, Session } from '../../../actors/index.ts'
import type { StatewireError } from '../../../codec/errors.ts'
import { seededRandom } from '../../../testing/index.ts'
import { pause, quantile } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { makeSessionPairs, startTlsPair, stopTlsPair } from './tls-pair.ts'

const sessionsPerStop = 4
const allowedMs = 5_000

/** One side of one session under load. */
class Sender {
  readonly #session: Session
  readonly #peer: string
  accepted = 0
  /** Values that the other side of this session has received. */
  arrived = 0
  /** How this side learned of the end, if the peer reported it. */
  endCode = ''
  isOver = false

  constructor(session: Session, peer: string, lengthBytes: number) {
    this.#session = session
    this.#peer = peer
    void this.#send(Buffer.alloc(lengthBytes, 7))
  }

  async #send(bytes: Buffer): Promise<void> {
    const value = { type: 'Bytes', value: bytes } as const
    for (;;) {
      try {
        // In batches, so that other work of this process gets its turn.
        for (let count = 0; count < 200; count++) {
          await this.#session.send(this.#peer, value)
          this.accepted++
        }
      } catch (error) {
        this.endCode = (error as StatewireError).code
        break
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.isOver = true
  }
}

export interface StopCounts {
  stops: number
  accepted: number
  /** Of the side that stopped: accepted by `send` and received by the other side. */
  acked: number
  /** Accepted, not received, and the sender was told that not all was acknowledged. */
  reported: number
  /** Accepted, not received, and the sender was not told. */
  silent: number
  /** Received and never accepted: a duplicate. */
  surplus: number
  tookMs: number[]
  handlesLeft: number
  actorsLeft: number
  socketsLeft: number
  /** Stops after which the other side could not tell why. */
  unexplained: number
  notes: string[]
}

function sockets(): number {
  return process.getActiveResourcesInfo().filter((name) => /TCP|TLS/.test(name)).length
}

async function stopOnce(random: () => number, counts: StopCounts): Promise<void> {
  const socketsBefore = sockets()
  const pair = await startTlsPair()
  const pairs = await makeSessionPairs(pair, sessionsPerStop)
  const sides: [Network, Network] = random() < 0.5 ? [pair.acceptor, pair.dialer] : [pair.dialer, pair.acceptor]
  const [stopper, other] = sides
  let lossCause = ''
  other.on('connection.lost', ({ cause }) => (lossCause ||= cause.message))
  const isAcceptor = stopper === pair.acceptor
  const loads = pairs.map(([ofAcceptor, ofDialer]) => {
    const [mine, theirs] = isAcceptor ? [ofAcceptor, ofDialer] : [ofDialer, ofAcceptor]
    const lengthBytes = [64, 1_000, 20_000][Math.floor(random() * 3)] as number
    const own = new Sender(mine, other.identity, lengthBytes)
    const others = new Sender(theirs, stopper.identity, lengthBytes)
    theirs.handle(stopper.identity, () => void own.arrived++)
    mine.handle(other.identity, () => void others.arrived++)
    return { own, others, mine, theirs }
  })
  await pause(5 + random() * 40)
  // Requested before the stop: what is accepted by then is acknowledged, or this rejects.
  const flushes = loads.map(({ theirs }) =>
    theirs.flush().then(
      () => 'acked',
      (error: StatewireError) => error.code,
    ),
  )
  const acceptedBefore = loads.map(({ own }) => own.accepted)
  const startedMs = performance.now()
  await stopper.shutdown()
  counts.tookMs.push(performance.now() - startedMs)
  const atOnce = stopper.resources
  counts.handlesLeft += atOnce.handles + atOnce.deadlines
  counts.actorsLeft += atOnce.actors
  const afterwards = await Promise.all(
    loads.map(({ theirs }) =>
      theirs.flush().then(
        () => 'acked',
        (error: StatewireError) => error.code,
      ),
    ),
  )
  const before = await Promise.all(flushes)
  for (let look = 0; look < 500 && loads.some(({ own, others }) => !own.isOver || !others.isOver); look++)
    await pause(1)
  for (const [index, { own, others }] of loads.entries()) {
    const lost = own.accepted - own.arrived
    counts.accepted += own.accepted
    counts.acked += Math.min(own.accepted, own.arrived)
    if (lost < 0) counts.surplus -= lost
    if (lost > 0) {
      counts.silent += lost
      counts.notes.push(
        `stop ${counts.stops}: of ${own.accepted} values accepted by the side that stopped (${acceptedBefore[index]} before) ${own.arrived} arrived`,
      )
    }
    // The side that stays: values on their way to a closed session are dropped there, and their sender is notified of
    // the end.
    const othersLost = others.accepted - others.arrived
    const isTold = ['ERR_SESSION_RESET', 'ERR_LINK_RESET'].includes(others.endCode)
    counts.accepted += others.accepted
    if (othersLost < 0) counts.surplus -= othersLost
    else if (isTold) counts.reported += othersLost
    else counts.silent += othersLost
    counts.acked += Math.min(others.accepted, others.arrived)
    if (!isTold || before[index] === undefined || afterwards[index] === undefined) {
      counts.unexplained++
      counts.notes.push(
        `stop ${counts.stops}: the other side's send ended with '${others.endCode}', flush with ${before[index]} and ${afterwards[index]}`,
      )
    }
  }
  if (!/Goodbye|shutting down/.test(lossCause)) {
    counts.unexplained++
    counts.notes.push(`stop ${counts.stops}: the other side heard '${lossCause}' of its connection`)
  }
  counts.stops++
  await stopTlsPair(pair)
  const left = other.resources
  counts.handlesLeft += left.handles + left.deadlines
  counts.actorsLeft += left.actors
  for (let look = 0; look < 200 && sockets() > socketsBefore; look++) await pause(1)
  counts.socketsLeft += Math.max(0, sockets() - socketsBefore)
}

export async function stopUnderLoad(stops: number, seed: number): Promise<StopCounts> {
  const random = seededRandom(seed)
  const counts: StopCounts = {
    stops: 0,
    accepted: 0,
    acked: 0,
    reported: 0,
    silent: 0,
    surplus: 0,
    tookMs: [],
    handlesLeft: 0,
    actorsLeft: 0,
    socketsLeft: 0,
    unexplained: 0,
    notes: [],
  }
  for (let stop = 0; stop < stops; stop++) await stopOnce(() => random.fraction(), counts)
  return counts
}

export async function gracefulStop({ isQuick, seed, progress }: BarContext): Promise<readonly Bar[]> {
  const stops = isQuick ? 20 : 200
  progress(`C12 ${stops} stops under load`)
  const counts = await stopUnderLoad(stops, seed)
  const longestMs = Math.max(...counts.tookMs)
  const sum = counts.acked + counts.reported + counts.silent
  const passed =
    counts.stops === stops &&
    counts.silent === 0 &&
    counts.surplus === 0 &&
    sum === counts.accepted &&
    longestMs <= allowedMs &&
    counts.handlesLeft === 0 &&
    counts.actorsLeft === 0 &&
    counts.socketsLeft === 0 &&
    counts.unexplained === 0
  const figures = {
    stops: counts.stops,
    accepted: counts.accepted,
    acked: counts.acked,
    reported: counts.reported,
    silent: counts.silent,
    surplus: counts.surplus,
    p50_ms: quantile(counts.tookMs, 0.5),
    longest_ms: longestMs,
    handles_left: counts.handlesLeft,
    actors_left: counts.actorsLeft,
    sockets_left: counts.socketsLeft,
    unexplained: counts.unexplained,
  }
  return [{ id: 'C12', passed, figures, notes: counts.notes.slice(0, 10) }]
}
