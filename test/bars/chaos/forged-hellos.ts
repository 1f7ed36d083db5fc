/**
 * Owns: forged hellos, random and deliberate, and what their author knows: the state of a link as an honest end would
 * have it.
 * Independent of: sockets, and what follows from a hello.
 */
import { encodeHello } from '../../../codec/hello.ts'
import type { Hello } from '../../../codec/hello.ts'
import type { Random } from '../../../actors/base/environment.ts'
import { verdictOf } from '../../../protocol/native/handshake/verdict.ts'
import { hostileHello } from './hostile-peer.ts'

/** What the hand-made end of a link has received and sent. */
export class LinkMemory {
  readonly publicKey: Uint8Array
  epoch = 11n
  nextEpoch = 12n
  known = 0n
  received = 0
  sent = 0
  bootId = BigInt(Date.now()) * 1000n + 60_000_000n
  helloNumber = 0
  /** The victim's real epoch and what was really received in it, whatever a hello claims. */
  readonly truth = { epoch: 0n, received: 0 }
  /** Of the victim, from its last hello. */
  victim: Hello | null = null

  constructor(publicKey: Uint8Array) {
    this.publicKey = publicKey
  }

  honest(): Hello {
    const { epoch, nextEpoch, known, received, bootId, sent } = this
    return hostileHello(this.publicKey, {
      epoch,
      nextEpoch,
      known,
      received,
      bootId,
      helloNumber: ++this.helloNumber,
      first: sent,
      next: sent,
    })
  }

  /** The victim accepted this hello: continue as an honest end would. */
  adopt(mine: Hello, theirs: Hello): void {
    const verdict = verdictOf(mine, theirs)
    const isFresh = verdict.mine === 'FRESH'
    this.epoch = isFresh ? mine.nextEpoch : mine.epoch
    this.nextEpoch = isFresh ? mine.nextEpoch + 2n : mine.nextEpoch
    this.received = verdict.mine === 'RESUME' ? mine.received : 0
    this.sent = verdict.mine === 'RESUME' ? mine.next : 0
    this.known = verdict.theirs === 'FRESH' ? theirs.nextEpoch : theirs.epoch
    this.truth.epoch = this.known
    this.bootId = mine.bootId
    this.helloNumber = mine.helloNumber
    this.victim = theirs
  }
}

const counterMax = Number.MAX_SAFE_INTEGER
/** Offsets of 64-bit fields that no honest encoder would write with these values. */
const offsets = {
  bootId: 24,
  epoch: 32,
  nextEpoch: 40,
  known: 48,
  received: 56,
  first: 64,
  next: 72,
  helloNumber: 112,
} as const

export interface Forgery {
  readonly name: string
  readonly hello: Hello
  readonly bytes: Buffer
}

type Change = (
  honest: Hello,
  memory: LinkMemory,
  draw: (below: number) => number,
) => Partial<Record<keyof typeof offsets, bigint>> & { links?: number; connectionId?: number; laneWindowBytes?: number }

const big = (value: number): bigint => BigInt(Math.max(0, Math.min(counterMax, value)))

/** Each forges one field, or a group of related fields. */
const lies: Readonly<Record<string, Change>> = {
  'nothing: an honest hello': () => ({}),
  'received one too many': ({ received }) => ({ received: big(received + 1) }),
  'received far too many': (_, { victim }) => ({ received: big((victim?.next ?? 0) + 1_000_000) }),
  'received one too few': ({ received }) => ({ received: big(received - 1) }),
  'received nothing': () => ({ received: 0n }),
  'received all that was ever sent': (_, { victim }) => ({ received: big(victim?.next ?? 0) }),
  'received the largest count': () => ({ received: BigInt(counterMax) }),
  'received beyond all counts': () => ({ received: 2n ** 64n - 1n }),
  'sent less than was received': () => ({ first: 0n, next: 0n }),
  'sent far more than was received': ({ next }) => ({ first: big(next + 5_000), next: big(next + 9_000) }),
  'holds all that there ever was': ({ next }) => ({ first: 0n, next: big(next) }),
  'first behind next': ({ next }) => ({ first: big(next + 7), next: big(next) }),
  'first and next beyond all counts': () => ({ first: 2n ** 63n, next: 2n ** 64n - 1n }),
  'next at the largest count': () => ({ next: BigInt(counterMax) }),
  'knows nobody': () => ({ known: 0n }),
  'knows an epoch that never was': () => ({ known: 0xdead_beefn }),
  'knows the epoch that is not yet': (_, { victim }) => ({ known: victim?.nextEpoch ?? 1n, received: 0n, first: 0n }),
  'knows itself': ({ epoch }) => ({ known: epoch }),
  'no next epoch': () => ({ nextEpoch: 0n }),
  'no epoch': () => ({ epoch: 0n }),
  'the next epoch is the same': ({ epoch }) => ({ nextEpoch: epoch }),
  'the epoch of the victim': (_, { victim }) => ({ epoch: victim?.epoch ?? 3n }),
  'another epoch, with counters of the old': () => ({ epoch: 0xabcdn }),
  'the same hello again': ({ helloNumber }) => ({ helloNumber: big(helloNumber - 1) }),
  'hello 0': () => ({ helloNumber: 0n }),
  'an older boot': ({ bootId }) => ({ bootId: bootId - 1_000_000n }),
  'a newer boot that knows everything': ({ bootId }) => ({ bootId: bootId + 1n, helloNumber: 1n }),
  'no boot': () => ({ bootId: 0n }),
  'no links': () => ({ links: 0 }),
  'more links': () => ({ links: 7 }),
  'a link that is not there': () => ({ links: 65_535, connectionId: 5 }),
  'another lane window': () => ({ laneWindowBytes: 1 }),
}

const lieNames = Object.keys(lies)

/** @param number selects the forgery in turn; every other hello also has random values in random fields */
export function forge(memory: LinkMemory, number: number, random: Random): Forgery {
  const draw = (below: number): number => Math.floor(random.fraction() * below)
  const honest = memory.honest()
  const isRandom = number % 2 === 1
  const name = isRandom ? 'random fields' : (lieNames[(number >>> 1) % lieNames.length] as string)
  const change = isRandom ? randomFields(honest, memory, draw) : (lies[name] as Change)(honest, memory, draw)
  const { links, connectionId, laneWindowBytes, ...counters } = change
  const bytes = Buffer.from(encodeHello(honest))
  for (const [field, value] of Object.entries(counters))
    bytes.writeBigUInt64LE(value, offsets[field as keyof typeof offsets])
  if (links !== undefined) bytes.writeUInt16LE(links, 120)
  if (connectionId !== undefined) bytes.writeUInt32LE(connectionId, 8)
  if (laneWindowBytes !== undefined) bytes.writeUInt32LE(laneWindowBytes, 16)
  const numbers = Object.fromEntries(
    Object.entries(counters).map(([field, value]) => [
      field,
      ['bootId', 'epoch', 'nextEpoch', 'known'].includes(field) ? value : Number(value),
    ]),
  )
  return {
    name,
    bytes,
    hello: {
      ...honest,
      ...numbers,
      ...(links === undefined ? {} : { links }),
      ...(connectionId === undefined ? {} : { connectionId }),
    },
  }
}

function randomFields(honest: Hello, memory: LinkMemory, draw: (below: number) => number): ReturnType<Change> {
  const { victim } = memory
  const counters = [
    0n,
    1n,
    big(honest.received),
    big(honest.received + draw(5)),
    big(victim?.next ?? 0),
    big(victim?.first ?? 0),
    big(draw(100_000)),
    BigInt(counterMax),
    2n ** 63n,
  ]
  const epochs = [
    0n,
    1n,
    honest.epoch,
    honest.nextEpoch,
    honest.known,
    victim?.epoch ?? 5n,
    victim?.nextEpoch ?? 6n,
    BigInt(draw(2 ** 32)) + 1n,
  ]
  const pick = <T>(values: readonly T[]): T => values[draw(values.length)] as T
  const change: Record<string, bigint> = {}
  for (const field of ['received', 'first', 'next'] as const) if (draw(2) === 0) change[field] = pick(counters)
  for (const field of ['epoch', 'nextEpoch', 'known'] as const) if (draw(3) === 0) change[field] = pick(epochs)
  return change
}
