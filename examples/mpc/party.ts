/**
 * Owns: what one party does, from its network to its report.
 * Independent of: where the parties run, and the other parties' inputs.
 */
import { createNetwork } from '../../index.ts'
import type { Identity, Network, NetworkConfig, NetworkValue, Session } from '../../index.ts'
import { dealShares, encodeFixed, multiplyAccumulate, signed, zeroShare } from './shares.ts'
import type { SharePair } from './shares.ts'

/**
 * In the order in which they start, each dialling those before it. The ring is ordered by identity instead, because a
 * generated key may be greater or less than another.
 */
export const partyNames = ['alice', 'bob', 'charlie'] as const
export type PartyName = (typeof partyNames)[number]

/** Alice brings x and bob brings y; charlie only helps, and learns nothing but the result. */
const ownerOf = { x: 'alice', y: 'bob' } as const

export type Ids = Readonly<Record<PartyName, string>>

export interface PartyJob {
  readonly name: PartyName
  /** The identity of each party: keys in the native dialect, the names themselves in ampc. */
  readonly ids: Ids
  /** Where the parties listen that started earlier. */
  readonly urls: Readonly<Partial<Record<PartyName, string>>>
  /** Numbers in [-1, 1]; null for the party that has none. */
  readonly input: readonly number[] | null
  readonly length: number
  readonly fractionBits: number
  readonly sessions: number
  /** The plain result. In a real run no party has it; here each party compares. */
  readonly expected: number
  /** Adds 1 to a share that it opens, to show that the others notice. */
  readonly cheats: boolean
}

export interface PartyReport {
  readonly name: PartyName
  readonly processId: number
  /** As a signed fixed-point number; null if the two copies of the missing share differ. */
  readonly opened: number | null
  /** What is wrong, in a sentence; null if nothing is. */
  readonly problem: string | null
}

/**
 * @param key of this party, in the native dialect over mutual TLS; null for ampc on plain TCP
 * @param onListening gets the URL as soon as others may dial it, null for the party that the others do not dial
 */
export async function runParty(
  job: PartyJob,
  key: Identity | null,
  onListening: (url: string | null) => void,
): Promise<PartyReport> {
  const network = createNetwork(configOf(job, key))
  try {
    await network.ready()
    onListening(network.url)
    const control = key === null ? await network.openControlChannel() : null
    const sessions = await network.makeSessions({ count: job.sessions, agreePrfKeys: true })

    // Each session takes a part of the vectors, all at once; their sums are added without a message.
    const parts = await Promise.all(sessions.map((session) => partialDot(session, job)))
    const sum = parts.reduce((left, right) => ({
      own: add(left.own, right.own),
      previous: add(left.previous, right.previous),
    }))
    const first = sessions[0] as Session
    const opened = await open(
      first,
      job.cheats ? { own: add(sum.own, Uint32Array.of(1)), previous: sum.previous } : sum,
    )

    // Closing is not coordinated: a party that leaves early ends the sessions of those that are not done.
    await (control === null ? barrier(first, network) : control.sync())
    for (const session of sessions) session.close()
    control?.close()
    return { name: job.name, processId: process.pid, opened, problem: problemOf(opened, job.expected) }
  } finally {
    await network.shutdown()
  }
}

function configOf({ name, ids, urls }: PartyJob, key: Identity | null): NetworkConfig {
  const others = partyNames.filter((other) => other !== name)
  const isDialed = others.some((other) => urls[other] === undefined)
  const peers = others.map((other) => {
    const url = urls[other]
    return url === undefined ? { id: ids[other] } : { id: ids[other], urls: url }
  })
  if (key === null)
    return {
      identity: ids[name],
      peers,
      ...(isDialed ? { listen: 'tcp://127.0.0.1:0' } : {}),
      security: 'plaintext',
      onConnectionLost: 'fail',
    }
  return { identity: key, peers, ...(isDialed ? { listen: 'tls://127.0.0.1:0' } : {}) }
}

/**
 * The native dialect has no control channel: send "done" to all, then expect it from all. Values sent before a close
 * are still read.
 */
async function barrier(session: Session, { peers }: Network): Promise<void> {
  const done = Buffer.from('done')
  await session.broadcast({ type: 'Bytes', value: done }, { need: 'all' })
  for (const peer of peers) {
    const value = await session.receive(peer)
    if (value.type !== 'Bytes' || !done.equals(value.value))
      throw new Error(`a party sent ${value.type} instead of "done"`)
  }
}

function problemOf(opened: number | null, expected: number): string | null {
  if (opened === null) return 'the two parties that hold the missing share sent different values'
  return opened === expected ? null : `opened ${opened}, and the plain result is ${expected}`
}

/** One session's part of the dot product, as replicated shares of one element. */
async function partialDot(session: Session, job: PartyJob): Promise<SharePair> {
  const begin = Math.floor((job.length * session.index) / job.sessions)
  const end = Math.floor((job.length * (session.index + 1)) / job.sessions)
  const secret =
    job.input === null ? null : encodeFixed(Float64Array.from(job.input.slice(begin, end)), job.fractionBits)
  const x = await shareInput(session, job, ownerOf.x, secret)
  const y = await shareInput(session, job, ownerOf.y, secret)
  if (session.prf === null) throw new Error('the session has no keys: make it with agreePrfKeys: true')
  const masked = add(Uint32Array.of(multiplyAccumulate(x, y)), zeroShare(session.prf, 1))
  return reshare(session, masked)
}

/**
 * The owner deals; every party ends up with the two shares of its place. Which share is called the first does not
 * matter: for every secret, a party has its own share and that of the party before it.
 */
async function shareInput(
  session: Session,
  { name, ids }: PartyJob,
  owner: PartyName,
  secret: Uint32Array | null,
): Promise<SharePair> {
  if (name !== owner) {
    const value = await session.receive(ids[owner])
    if (value.type !== 'NetworkVec' || value.value.length !== 2)
      throw new Error(`${owner} sent ${value.type} instead of two shares`)
    return { own: ring32(value.value[0]), previous: ring32(value.value[1]) }
  }
  if (secret === null) throw new Error(`${name} has no input`)
  const [mine, ofNext, ofPrevious] = dealShares(secret)
  const { next, previous } = session.ring
  for (const [peer, share] of [
    [next, ofNext],
    [previous, ofPrevious],
  ] as const) {
    await session.send(peer, {
      type: 'NetworkVec',
      value: [
        { type: 'VecRing32', value: share.own },
        { type: 'VecRing32', value: share.previous },
      ],
    })
  }
  return mine
}

/**
 * From one addend each to replicated shares: each sends its own to next and gets that of previous. It is masked, so it
 * reveals nothing.
 */
async function reshare(session: Session, own: Uint32Array): Promise<SharePair> {
  const { next, previous } = session.ring
  await session.send(next, { type: 'VecRing32', value: own })
  return { own, previous: ring32(await session.receive(previous)) }
}

/**
 * Both others hold the share that is missing here, and both send it, so that one alone cannot change the result
 * unnoticed.
 */
async function open(session: Session, share: SharePair): Promise<number | null> {
  const { next, previous } = session.ring
  await session.send(next, { type: 'VecRing32', value: share.previous })
  await session.send(previous, { type: 'VecRing32', value: share.own })
  const missing = ring32(await session.receive(previous))
  const again = ring32(await session.receive(next))
  if (missing[0] !== again[0]) return null
  return signed(add(add(share.own, share.previous), missing)[0] ?? 0)
}

function ring32(value: NetworkValue | undefined): Uint32Array {
  if (value?.type !== 'VecRing32') throw new Error(`a party sent ${value?.type ?? 'nothing'} instead of VecRing32`)
  return value.value
}

function add(left: Uint32Array, right: Uint32Array): Uint32Array {
  return left.map((element, index) => element + (right[index] ?? 0))
}
