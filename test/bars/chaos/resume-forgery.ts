/**
 * Owns: S11, forged hellos against a network, from the peer of the link and from another allowed peer. Nothing of a
 * foreign link leaks, everything reported to the application is true, and nothing crashes.
 * Independent of: what is forged.
 */
import { createNetwork, Identity } from '../../../actors/index.ts'
import type { Network, Session } from '../../../actors/index.ts'
import { encodeCredit, nativeDescriptors } from '../../../codec/native-frames.ts'
import { LinkResetError } from '../../../protocol/native/lanes/native-lane.ts'
import { ProtocolErrorPenalty } from '../../../protocol/protocol-error-penalty.ts'
import { seededRandom } from '../../../testing/index.ts'
import { pause } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { forge, LinkMemory } from './forged-hellos.ts'
import { HostilePeer } from './hostile-peer.ts'
import { bareLimits, linkStateOf } from './tls-pair.ts'

/** What the application knows of one session, and what the other end has really received of it. */
interface Told {
  accepted: number
  heard: number
  /** The author of the hellos lied about what it received while this session was open: the outcome repeats the lie. */
  isLiedAbout: boolean
  outcomes: { acked: number; unknown: number; notSent: number } | null
}

export interface ForgeryCounts {
  hellos: number
  taken: number
  refused: number
  /** Values of another link that the author of the hellos could read. */
  leaked: number
  /** Sessions whose outcomes do not add up to what was accepted, or are false. */
  untrue: number
  sessions: number
  outOfOrder: number
  /** Of the honest link beside it: lost connections, and values out of order. */
  disturbed: number
  honestValues: number
  restarts: number
  notes: string[]
}

/** Serial of the session, number of the value, and a mark of the intended receiver. */
const valueOf = (mark: number, serial: number, number: number): { type: 'Bytes'; value: Buffer } => {
  const value = Buffer.alloc(12)
  value.writeUInt32LE(mark, 0)
  value.writeUInt32LE(serial, 4)
  value.writeUInt32LE(number, 8)
  return { type: 'Bytes', value }
}

const markOfAuthor = 0xaaaa_aaaa
const markOfHonest = 0xbbbb_bbbb

/** The application on the side of the author of the hellos: a session, its values, and their outcome. */
async function useSessions(network: Network, peer: string, told: Told[], isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    let session: Session
    try {
      session = (await network.makeSessions({ count: 1, peers: [peer], timeoutMs: 1_000 }))[0] as Session
    } catch {
      await pause(1)
      continue
    }
    const one: Told = { accepted: 0, heard: 0, isLiedAbout: false, outcomes: null }
    const serial = told.push(one) - 1
    try {
      for (let number = 0; !isOver(); number++) {
        await session.send(peer, valueOf(markOfAuthor, serial, number))
        one.accepted++
        if (number % 4 === 3) await pause(1)
      }
    } catch (error) {
      if (error instanceof LinkResetError) one.outcomes = error.outcomes
    }
    session.close()
  }
}

/**
 * Sends numbered values to the honest peer without a pause. @returns a function that stops it and reports what came out
 * of order
 */
async function keepHonestLink(victim: Network, honest: Network, counts: ForgeryCounts): Promise<() => Promise<void>> {
  const [[mine], [theirs]] = (await Promise.all([
    victim.makeSessions({ count: 1, peers: [honest.identity] }),
    honest.makeSessions({ count: 1 }),
  ])) as [[Session], [Session]]
  let expected = 0
  const state = { isOver: false }
  theirs.handle(victim.identity, (value) => {
    const bytes = value.type === 'Bytes' ? Buffer.from(value.value) : Buffer.alloc(12)
    if (bytes.readUInt32LE(0) !== markOfHonest || bytes.readUInt32LE(8) !== expected) counts.disturbed++
    expected++
  })
  const sending = (async () => {
    for (let number = 0; !state.isOver; number++) {
      await mine.send(honest.identity, valueOf(markOfHonest, 0, number))
      if (number % 20 === 19) await pause(1)
    }
    await mine.flush()
  })().catch(() => void counts.disturbed++)
  return async () => {
    state.isOver = true
    await sending
    counts.honestValues = expected
  }
}

/** One forged hello, and a moment of honest traffic after it if it is accepted. */
async function knockWith(
  port: number,
  author: Identity,
  memory: LinkMemory,
  told: Told[],
  number: number,
  context: { isPlain: boolean; random: ReturnType<typeof seededRandom>; counts: ForgeryCounts },
): Promise<void> {
  const { counts, isPlain, random } = context
  const forgery = forge(memory, number, random)
  // A hello refers to the sessions that exist now, and the victim may act on it before this side is notified.
  const open = told.filter(({ outcomes }) => outcomes === null)
  const { hello } = forgery
  const isLie = (hello.known === memory.truth.epoch || hello.known === 0n) && hello.received !== memory.truth.received
  const greeted = new Set<number>()
  const peer: HostilePeer = new HostilePeer(port, author, {
    ...forgery,
    isPlain,
    onFrame: (lane, descriptor, body) => {
      memory.received++
      memory.truth.received++
      if (descriptor === nativeDescriptors.Credit && !greeted.has(lane)) {
        greeted.add(lane)
        memory.sent++
        void peer.say(encodeCredit(lane, 65_536))
      }
      if (descriptor !== 0x0c) return
      const [mark, serial, value] = [body.readUInt32LE(4), body.readUInt32LE(8), body.readUInt32LE(12)]
      const one = told[serial]
      if (mark !== markOfAuthor || one === undefined) counts.leaked++
      else if (value === one.heard) one.heard++
      else if (!one.isLiedAbout && !(isLie && open.includes(one))) counts.outOfOrder++
    },
  })
  await Promise.race([peer.whenAnswered, pause(3_000)])
  counts.hellos++
  if (peer.theirs === null) counts.refused++
  else {
    counts.taken++
    // The frames after the victim's hello may be here already: they belong to the state that the hellos lead to.
    const heardSince = peer.counted
    if (isLie) for (const one of open) one.isLiedAbout = true
    const saidSince = memory.sent - (forgery.hello.next > memory.sent ? memory.sent : forgery.hello.next)
    memory.adopt(forgery.hello, peer.theirs)
    memory.received += heardSince
    memory.truth.received = memory.received
    memory.sent += Math.max(0, Math.min(saidSince, greeted.size))
    await pause(random.fraction() < 0.5 ? 1 : 4)
  }
  peer.end()
  await peer.whenClosed
}

function judge(told: readonly Told[], counts: ForgeryCounts): void {
  for (const [serial, { accepted, heard, isLiedAbout, outcomes }] of told.entries()) {
    counts.sessions++
    if (outcomes === null) continue
    const sum = outcomes.acked + outcomes.unknown + outcomes.notSent
    // One value may have been waiting when its session ended: reported as not sent, and its send rejected.
    const isComplete = sum === accepted || sum === accepted + 1
    const isTrue = isLiedAbout || (outcomes.acked <= heard && heard <= outcomes.acked + outcomes.unknown)
    if (isComplete && isTrue) continue
    counts.untrue++
    counts.notes.push(`session ${serial}: ${accepted} accepted, ${heard} heard; told ${JSON.stringify(outcomes)}`)
  }
}

/** @param from whose hellos are forged: those of the link's own peer, or with the epochs of another link */
export async function forgeHellos(
  hellos: number,
  from: 'the peer' | 'another',
  isPlain: boolean,
  seed: number,
): Promise<ForgeryCounts> {
  const [here, author, friend] = [Identity.generate(), Identity.generate(), Identity.generate()]
  const counts: ForgeryCounts = {
    hellos: 0,
    taken: 0,
    refused: 0,
    leaked: 0,
    untrue: 0,
    sessions: 0,
    outOfOrder: 0,
    disturbed: 0,
    honestValues: 0,
    restarts: 0,
    notes: [],
  }
  const scheme = isPlain ? 'tcp' : 'tls'
  const common = { security: isPlain ? ('plaintext' as const) : ('tls' as const), limits: bareLimits }
  const victim = createNetwork({
    identity: here,
    listen: `${scheme}://127.0.0.1:0`,
    peers: [{ id: author.id }, { id: friend.id }],
    ...common,
  })
  await victim.ready()
  victim.on('child.restarted', ({ cause }) => {
    counts.restarts++
    counts.notes.push(cause.message)
  })
  let isOver = false
  const honest = createNetwork({ identity: friend, peers: [{ id: here.id, urls: victim.url as string }], ...common })
  honest.on('connection.lost', () => {
    if (!isOver) counts.disturbed++
  })
  // Repeated protocol errors normally block a peer; here every hello must be processed.
  const { leftMs } = ProtocolErrorPenalty.prototype
  ProtocolErrorPenalty.prototype.leftMs = () => 0
  const told: Told[] = []
  try {
    const stopHonest = await keepHonestLink(victim, honest, counts)
    const using = useSessions(victim, author.id, told, () => isOver)
    const memory = new LinkMemory(author.publicKey)
    const random = seededRandom(seed)
    const port = Number(new URL(victim.url as string).port)
    for (let number = 0; number < hellos; number++) {
      // Epochs of others are not secret, so the attacker simply knows them here.
      if (from === 'another') imitate(memory, victim, friend.id)
      await knockWith(port, author, memory, told, number, { isPlain, random, counts })
    }
    isOver = true
    await stopHonest()
    await victim.shutdown()
    await using
    judge(told, counts)
    return counts
  } finally {
    isOver = true
    ProtocolErrorPenalty.prototype.leftMs = leftMs
    await Promise.all([victim.shutdown(), honest.shutdown()])
  }
}

function imitate(memory: LinkMemory, victim: Network, friend: string): void {
  const { epoch } = linkStateOf(victim, friend)
  memory.epoch = epoch.known
  memory.known = epoch.epoch
  memory.received = epoch.retransmit.first
  memory.sent = epoch.received
}

export async function resumeForgery({ isQuick, seed, progress }: BarContext): Promise<readonly Bar[]> {
  const bars: Bar[] = []
  const plan = [
    ['the peer', true, isQuick ? 400 : 4_500],
    ['another', true, isQuick ? 400 : 4_500],
    ['the peer', false, isQuick ? 64 : 500],
    ['another', false, isQuick ? 64 : 500],
  ] as const
  for (const [from, isPlain, hellos] of plan) {
    progress(`S11 ${hellos} hellos from ${from} over ${isPlain ? 'plain TCP' : 'TLS'}`)
    const counts = await forgeHellos(hellos, from, isPlain, seed)
    const passed =
      counts.hellos === hellos &&
      counts.taken > 0 &&
      counts.refused > 0 &&
      counts.leaked === 0 &&
      counts.untrue === 0 &&
      counts.outOfOrder === 0 &&
      counts.disturbed === 0 &&
      counts.honestValues > 0 &&
      counts.restarts === 0
    const { notes, ...figures } = counts
    bars.push({
      id: 'S11',
      passed,
      figures: { from: JSON.stringify(from), over: isPlain ? 'tcp' : 'tls', ...figures },
      notes: notes.slice(0, 5),
    })
  }
  return bars
}
