/**
 * Owns: what one party does, from its network to its verdict.
 * Refuses to know: where the parties run, and the other parties' inputs.
 */
import { createNetwork } from '../../index.ts'
import type { NetworkValue, Session } from '../../index.ts'
import { dealShares, encodeFixed, multiplyAccumulate, signed, zeroShare } from './shares.ts'
import type { SharePair } from './shares.ts'

/** In the order of their identities, which is the order of the ring: next of charlie is alice. */
export const partyNames = ['alice', 'bob', 'charlie'] as const
export type PartyName = (typeof partyNames)[number]

/** Alice brings x and bob brings y; charlie only helps, and learns nothing but the result. */
const ownerOf = { x: 'alice', y: 'bob' } as const

export interface PartyJob {
  readonly name: PartyName
  /** Where the lesser parties listen: the greater identity dials. */
  readonly urls: Readonly<Partial<Record<PartyName, string>>>
  /** Numbers in [-1, 1]; null for the party that has none. */
  readonly input: readonly number[] | null
  readonly length: number
  readonly fractionBits: number
  readonly sessions: number
  /** The plain result. In earnest nobody has it; here each party compares. */
  readonly expected: number
  /** Adds 1 to a share that it opens, to show that the others notice. */
  readonly cheats: boolean
}

export interface PartyReport {
  readonly name: PartyName
  readonly processId: number
  /** As a signed fixed-point number; null where the two copies of the missing share differ. */
  readonly opened: number | null
  /** What is wrong, in a sentence; null if nothing is. */
  readonly problem: string | null
}

/** @param onListening gets the URL as soon as others may dial it, null for the party that nobody dials */
export async function runParty(job: PartyJob, onListening: (url: string | null) => void): Promise<PartyReport> {
  const others = partyNames.filter((name) => name !== job.name)
  const isDialed = others.some((name) => name > job.name)
  const network = createNetwork({
    identity: job.name,
    ...(isDialed ? { listen: 'tcp://127.0.0.1:0' } : {}),
    peers: others.map((id) => ({ id, ...(id < job.name ? { url: job.urls[id] ?? '' } : {}) })),
    security: 'plaintext',
    onConnectionLost: 'fail',
  })
  try {
    await network.ready()
    onListening(network.url)
    const control = await network.openControlChannel()
    const sessions = await network.makeSessions({ count: job.sessions, agreePrfKeys: true })

    // Each session takes a part of the vectors, all at once; their sums are added without a message.
    const parts = await Promise.all(sessions.map((session) => partialDot(session, job)))
    const sum = parts.reduce((left, right) => ({ own: add(left.own, right.own), previous: add(left.previous, right.previous) }))
    const opened = await open(sessions[0] as Session, job.cheats ? { own: add(sum.own, Uint32Array.of(1)), previous: sum.previous } : sum)

    // Closing is not coordinated: who leaves early ends the sessions of those who are not done.
    await control.sync()
    for (const session of sessions) session.close()
    control.close()
    return { name: job.name, processId: process.pid, opened, problem: problemOf(opened, job.expected) }
  } finally {
    await network.shutdown()
  }
}

function problemOf(opened: number | null, expected: number): string | null {
  if (opened === null) return 'the two parties that hold the missing share sent different ones'
  return opened === expected ? null : `opened ${opened}, and the plain result is ${expected}`
}

/** One session's part of the dot product, as replicated shares of one element. */
async function partialDot(session: Session, job: PartyJob): Promise<SharePair> {
  const begin = Math.floor((job.length * session.index) / job.sessions)
  const end = Math.floor((job.length * (session.index + 1)) / job.sessions)
  const secret = job.input === null ? null : encodeFixed(Float64Array.from(job.input.slice(begin, end)), job.fractionBits)
  const x = await shareInput(session, job.name, ownerOf.x, secret)
  const y = await shareInput(session, job.name, ownerOf.y, secret)
  if (session.prf === null) throw new Error('the session has no keys: makeSessions was not asked for them')
  const masked = add(Uint32Array.of(multiplyAccumulate(x, y)), zeroShare(session.prf, 1))
  return reshare(session, masked)
}

/** The owner deals; everybody ends up with the two shares of its place. */
async function shareInput(session: Session, self: PartyName, owner: PartyName, secret: Uint32Array | null): Promise<SharePair> {
  if (self !== owner) {
    const value = await session.receive(owner)
    if (value.type !== 'NetworkVec' || value.value.length !== 2) throw new Error(`${owner} sent ${value.type} instead of two shares`)
    return { own: ring32(value.value[0], owner), previous: ring32(value.value[1], owner) }
  }
  if (secret === null) throw new Error(`${self} has no input`)
  const dealt = dealShares(secret)
  for (const peer of session.peers) {
    const { own, previous } = dealt[placeOf(peer)] as SharePair
    await session.send(peer, { type: 'NetworkVec', value: [{ type: 'VecRing32', value: own }, { type: 'VecRing32', value: previous }] })
  }
  return dealt[placeOf(self)] as SharePair
}

/** From one addend each to replicated shares: to next goes the own, from previous comes theirs. Masked, it tells next nothing. */
async function reshare(session: Session, own: Uint32Array): Promise<SharePair> {
  const { next, previous } = session.ring
  await session.send(next, { type: 'VecRing32', value: own })
  return { own, previous: ring32(await session.receive(previous), previous) }
}

/** Both others hold the share that is missing here; both send it, so that one alone cannot change the result unseen. */
async function open(session: Session, share: SharePair): Promise<number | null> {
  const { next, previous } = session.ring
  await session.send(next, { type: 'VecRing32', value: share.previous })
  await session.send(previous, { type: 'VecRing32', value: share.own })
  const missing = ring32(await session.receive(previous), previous)
  const again = ring32(await session.receive(next), next)
  if (missing[0] !== again[0]) return null
  return signed(add(add(share.own, share.previous), missing)[0] ?? 0)
}

function placeOf(name: string): number {
  return partyNames.indexOf(name as PartyName)
}

function ring32(value: NetworkValue | undefined, from: string): Uint32Array {
  if (value?.type !== 'VecRing32') throw new Error(`${from} sent ${value?.type ?? 'nothing'} instead of VecRing32`)
  return value.value
}

function add(left: Uint32Array, right: Uint32Array): Uint32Array {
  return left.map((element, index) => element + (right[index] ?? 0))
}
