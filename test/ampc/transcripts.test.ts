/**
 * Owns: the proof that this runtime, in any of the three seats, sends to two Rust parties what a Rust party sent: both
 * are played from the recordings over real sockets, and every byte of ours is compared.
 * Independent of: chunk boundaries, which are not part of the contract.
 */
import { afterAll, describe, expect, test } from 'vitest'
import type { ControlChannel, Network, NetworkValue, Session } from '../../index.ts'
import { fromHex, fromNotation, toNotation, transcripts } from '../codec/vectors.ts'
import type { Notation, Transcript, TranscriptFrame, TranscriptLink } from '../codec/vectors.ts'
import { leaveNothingBehind, party, seat, shutDown, keep } from '../support/ampc-parties.ts'
import { within } from '../support/bounded-wait.ts'
import type { RawSocket } from '../support/raw-socket.ts'
import { dialUntilOk } from '../support/rust-seat.ts'
import type { RustSeat } from '../support/rust-seat.ts'

interface Scenario extends Transcript {
  readonly connections: number
  readonly sessions: number
}

/** A recorded link, seen from our seat. */
interface Play {
  readonly link: TranscriptLink
  readonly peer: string
  readonly weDial: boolean
  readonly ours: Buffer
  readonly theirs: Buffer
  readonly theirHandshakeLength: number
  readonly ourFrames: readonly TranscriptFrame[]
  readonly theirFrames: readonly TranscriptFrame[]
}

const scenarios = transcripts as Scenario[]
const seatNames = ['alice', 'bob', 'charlie']
const plays = scenarios.flatMap((scenario) =>
  seatNames.map((ours) => ({ scenario, ours, title: `${scenario.name}, ${ours} is ours` })),
)
const figures = { plays: 0, links: 0, bytes: 0, values: 0 }

function playsOf(scenario: Scenario, ours: string): Play[] {
  return scenario.links
    .filter(({ dialer, acceptor }) => dialer === ours || acceptor === ours)
    .map((link) => {
      const [we, they] = link.dialer === ours ? (['dialer', 'acceptor'] as const) : (['acceptor', 'dialer'] as const)
      return {
        link,
        peer: link[they],
        weDial: we === 'dialer',
        ours: Buffer.from(fromHex(link[`${we}Bytes`])),
        theirs: Buffer.from(fromHex(link[`${they}Bytes`])),
        theirHandshakeLength: link[`${they}HandshakeLength`],
        ourFrames: link[`${we}Frames`],
        theirFrames: link[`${they}Frames`],
      }
    })
}

/** The other side of one connection: the handshake as the Rust party does it, then all its recorded frames at once. */
async function playRustSide(
  play: Play,
  url: string,
  seats: ReadonlyMap<string, RustSeat>,
  claimed: Map<string, RawSocket>,
): Promise<RawSocket> {
  const frames = play.theirs.subarray(play.theirHandshakeLength)
  if (play.weDial) {
    // Our party dials its connections in any order, so each is answered with the frames of the id it names.
    const key = `${play.peer} ${play.link.connectionId}`
    const party = seats.get(play.peer) as RustSeat
    while (!claimed.has(key)) {
      const { socket, connectionId, identity } = await party.acceptClaim()
      expect(identity).toBe(play.link.dialer)
      claimed.set(`${play.peer} ${connectionId}`, socket)
    }
    const socket = claimed.get(key) as RawSocket
    socket.write(play.theirs.subarray(4))
    return socket
  }
  const socket = keep(await dialUntilOk(url, play.peer, play.link.connectionId))
  socket.write(frames)
  return socket
}

/** Sends the values of a link in their recorded order, after the validation, which the runtime sends itself. */
async function sendRecorded(play: Play, sessions: ReadonlyMap<number, Session>): Promise<void> {
  const own = new Set(play.ourFrames.map(({ session }) => session)).size
  for (const { session, is } of play.ourFrames.slice(own))
    await (sessions.get(session!) as Session).send(play.peer, fromNotation(is))
}

async function expectRecorded(play: Play, sessions: ReadonlyMap<number, Session>): Promise<void> {
  const theirs = new Set(play.theirFrames.map(({ session }) => session)).size
  for (const { session, is } of play.theirFrames.slice(theirs))
    expectValue(await (sessions.get(session!) as Session).receive(play.peer, { timeoutMs: 8000 }), is)
}

function expectValue(value: NetworkValue, is: Notation): void {
  expect(toNotation(value)).toEqual(is)
  figures.values++
}

const isOk = ({ is }: TranscriptFrame): boolean => is.type === 'Bytes' && is.value === '6f6b'

/** The recording alternates: a barrier, then one value to each peer and one from each. */
async function playControlChannel(channel: ControlChannel, plays: readonly Play[]): Promise<void> {
  const steps = plays[0]!.ourFrames.length
  for (let step = 0; step < steps; step++) {
    const frames = plays.flatMap((play) => [play.ourFrames[step]!, play.theirFrames[step]!])
    expect(frames.every((frame) => isOk(frame) === isOk(frames[0]!))).toBe(true)
    if (isOk(frames[0]!)) {
      await channel.sync({ timeoutMs: 8000 })
      continue
    }
    for (const play of plays) await channel.send(play.peer, fromNotation(play.ourFrames[step]!.is))
    for (const play of plays)
      expectValue(await channel.receive(play.peer, { timeoutMs: 8000 }), play.theirFrames[step]!.is)
  }
}

async function runGroup(
  network: Network,
  scenario: Scenario,
  group: readonly Play[],
  seats: ReadonlyMap<string, RustSeat>,
): Promise<RawSocket[]> {
  const made = scenario.control ? network.openControlChannel() : network.makeSessions({ count: scenario.sessions })
  const claimed = new Map<string, RawSocket>()
  const sockets = Promise.all(
    seatNames.map((peer) =>
      inOrder(
        group.filter((play) => play.peer === peer),
        (play) => playRustSide(play, network.url as string, seats, claimed),
      ),
    ),
  )
  const lanes: Session[] | ControlChannel = await within<Session[] | ControlChannel>(
    made,
    'ours makes what the recording made',
  )
  if (Array.isArray(lanes)) {
    const sessions = new Map(lanes.map((session) => [Number(session.id), session]))
    await Promise.all(group.flatMap((play) => [sendRecorded(play, sessions), expectRecorded(play, sessions)]))
  } else await playControlChannel(lanes, group)
  return (await sockets).flat()
}

/** The Rust dialer opens its connections one after another. */
async function inOrder<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (const item of items) results.push(await run(item))
  return results
}

describe('recordings of three Rust parties', () => {
  leaveNothingBehind()

  test.each(plays)(
    'every byte sent matches the recording of three Rust parties, played back $title',
    async ({ scenario, ours }) => {
      const seats = new Map<string, RustSeat>()
      for (const name of seatNames) if (name !== ours) seats.set(name, await seat(name))
      const peers = [...seats].map(([id, { url }]) => ({ id, urls: url }))
      const network = await party({
        identity: ours,
        peers,
        connectionParallelism: scenario.connections,
        onConnectionLost: 'fail',
      })

      const all = playsOf(scenario, ours)
      const groups = Math.max(...all.map(({ link }) => link.batch)) + 1
      const done: { play: Play; socket: RawSocket }[] = []
      for (let number = 0; number < groups; number++) {
        const group = seatNames.flatMap((peer) =>
          all.filter(({ link, peer: of }) => link.batch === number && of === peer),
        )
        const sockets = await runGroup(network, scenario, group, seats)
        for (const [index, play] of group.entries()) done.push({ play, socket: sockets[index]! })
      }
      expect(done).toHaveLength(all.length)
      expect(done.every(({ socket }) => !socket.isOver)).toBe(true)

      await shutDown(network)
      for (const { play, socket } of done) {
        await socket.end()
        expect(socket.received.toString('hex')).toBe(play.ours.toString('hex'))
        figures.bytes += play.ours.length
      }
      figures.links += done.length
      figures.plays++
    },
  )

  afterAll(() => {
    console.log(
      `transcripts: ${scenarios.length} scenarios in ${seatNames.length} seats (${figures.plays} of ${plays.length} played), ${figures.links} links, ${figures.bytes} bytes out of ours equal to the recorded ones, ${figures.values} values received as recorded`,
    )
  })
})
