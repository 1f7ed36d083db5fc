/**
 * Owns: what a seed stands for: how many peers, which groups, which limits.
 * Independent of: faults (plan-faults.ts), and what is sent.
 */
import type { NameFault } from '../simulated-names.ts'
import { Chance } from './chance.ts'
import { faultsOf, peerChangesOf } from './plan-faults.ts'
import { streamsOf } from './stream-plan.ts'
import type { StreamPlan } from './stream-plan.ts'
import type { Fault } from './plan-faults.ts'

/** Parties that make sessions together under one name, over and over. */
export interface Group {
  readonly name: string
  /** Indices of two or more. */
  readonly parties: readonly number[]
  readonly count: number
}

export interface Plan {
  readonly seed: number
  readonly peers: number
  /** At most; each process has a number of its own. */
  readonly links: number
  /** Both sides of every pair dial; otherwise one, and which one. */
  readonly bothDial: boolean
  readonly groups: readonly Group[]
  /** The share of calls of `makeSessions` that time out or are aborted early. */
  readonly impatience: number
  /** The share of these that ask for another count than the others. */
  readonly wrongCounts: number
  /** The pause after a call that failed, the same for all, as in retries in lockstep; null if it is drawn each time. */
  readonly callPauseMs: number | null
  readonly valuesPerSession: number
  /** Messages and requests together, from each process to each peer, at most. 0 for none at all. */
  readonly messagesPerPeer: number
  /** The longest body of a message, a request or an answer. */
  readonly messageBytesMax: number
  /** Streams and channels; null for none. */
  readonly streams: StreamPlan | null
  /** Largest value, in bytes. */
  readonly valueBytesMax: number
  /** Room for a few of the longest values; null for the default. */
  readonly memoryBudgetBytes: number | null
  readonly chaosMs: number
  readonly replayWindowBytes: number
  readonly laneWindowBytes: number
  readonly highWaterMarkBytes: number
  readonly pathBytes: number
  readonly chunkBytesMax: number
  readonly latencyMs: readonly [number, number]
  readonly bytesPerMs: number
  readonly resumeTimeoutMs: number
  readonly backoffMaxMs: number
  /** No fault at all: then no connection may end either. */
  readonly isFair: boolean
  /** Links may expire: outages are longer than the resume timeout. */
  readonly canExpire: boolean
  readonly canCrash: boolean
  readonly canLeave: boolean
  readonly faults: readonly Fault[]
  /** The share of connections that are cut after some bytes. */
  readonly cutShare: number
  /** Every connection is cut before the longest values could be complete, until all have arrived. */
  readonly cutsLongValues: boolean
  /** Wall clocks are set forward and back, also while a process is away. */
  readonly clocksStep: boolean
  /** Peers are disconnected, removed and taken back while the processes run. */
  readonly changesPeers: boolean
  /** Peers change and nothing breaks: what is drained in time is acknowledged then. */
  readonly onlyPeersChange: boolean
  /** A second process with the key of a party runs for a while. */
  readonly hasTwin: boolean
  /** The chance of each fault at every lookup of a name; null if the name service has none. */
  readonly nameFaults: Readonly<Record<NameFault, number>> | null
  /** Each name has two addresses, and nothing listens at the first. */
  readonly hasDeadAddress: boolean
  /** All peers are seen at one address, as behind a NAT, and the limits for one address are the default. */
  readonly sharesAddress: boolean
  /** After calm nothing is sent for this long, and nothing may happen. */
  readonly idleMs: number
  /** How the run ends: all at once, or one says Goodbye while the others still send. */
  readonly ending: 'together' | 'oneFirst'
}

/** A few Pieces. */
const longBytesMax = 300_000
const veryLongBytes = 600_000

export function planOf(seed: number): Plan {
  const chance = new Chance(seed, 1)
  const peers = chance.is(0.15) ? 3 : 2
  const isFair = chance.is(0.08)
  // Draws of their own: what was added later shifts nothing else.
  const changes = new Chance(seed, 9)
  const changesPeers = !isFair && changes.is(0.2)
  const onlyPeersChange = changesPeers && changes.is(0.5)
  const canBreak = !isFair && !onlyPeersChange
  const canCrash = !isFair && chance.is(0.4) && canBreak
  const canLeave = !isFair && chance.is(0.25) && canBreak
  const canExpire = !isFair && chance.is(0.15) && canBreak
  const isSlow = chance.is(0.1)
  const resumeTimeoutMs = canExpire ? 1000 : 120_000
  const chaosMs = chance.spread(60, 800)
  const laneWindowBytes = chance.is(0.3) ? 65_536 : chance.spread(64, 8192)
  const latencyMs: [number, number] = chance.is(0.2) ? [0.05, 0.1] : [0.1, chance.spread(1, 20)]
  const usualBytesMax = chance.oneOf([16, 100, 1000, 4000, 40_000])
  // Draws of its own: what was added later shifts nothing above.
  const more = new Chance(seed, 5)
  const clocksStep = !isFair && more.is(0.15) && canBreak
  const hasTwin = !isFair && more.is(0.06) && canBreak
  const hasLongValues = more.is(0.12)
  const messages = new Chance(seed, 7)
  const cutsLongValues = hasLongValues && !isFair && !canExpire && more.is(0.3) && canBreak
  const longBytes = cutsLongValues ? veryLongBytes : more.spread(66_000, longBytesMax)
  const valueBytesMax = hasLongValues ? longBytes : usualBytesMax
  const links = chance.is(0.12) ? 2 : 1
  const groups = groupsOf(new Chance(seed, 6), peers, chance.whole(1, 3))
  const streams = streamsOf(new Chance(seed, 10), laneWindowBytes, cutsLongValues)
  const streamsAtOnce = streams === null ? 0 : 2 * peers * links * Math.min(streams.limit, streams.perPeer)
  const budgetBytes = leastBudgetBytes(groups, peers * links, streamsAtOnce, laneWindowBytes, valueBytesMax)
  const plan: Plan = {
    seed,
    peers,
    links,
    bothDial: chance.is(isFair ? 0.8 : 0.4),
    groups,
    wrongCounts: more.is(0.15) ? 0.3 : 0,
    impatience: more.oneOf([0.1, 0.1, 0.4]),
    callPauseMs: more.is(0.15) ? more.oneOf([0, 10]) : null,
    valuesPerSession: Math.ceil(chance.spread(4, 80) / peers / (hasLongValues ? 6 : 1)),
    messagesPerPeer: messages.is(0.35) ? messages.spread(5, 200) : 0,
    streams,
    messageBytesMax: cutsLongValues ? 1000 : valueBytesMax,
    valueBytesMax,
    memoryBudgetBytes: hasLongValues ? more.oneOf([budgetBytes, 2 * budgetBytes, null]) : null,
    chaosMs,
    replayWindowBytes: chance.is(0.3) ? 4 * 1024 * 1024 : chance.spread(256, 16_384),
    laneWindowBytes,
    highWaterMarkBytes: chance.spread(256, 65_536),
    // A backlog of large values through a narrow path takes longer than any bound on healing allows.
    pathBytes: chance.spread(512 + valueBytesMax, 2 * veryLongBytes),
    chunkBytesMax: chance.is(0.5) ? Infinity : chance.spread(200 + valueBytesMax / 10, 20_000),
    latencyMs,
    bytesPerMs: isSlow ? chance.whole(50, 500) + valueBytesMax / 10 : Infinity,
    resumeTimeoutMs,
    backoffMaxMs: chance.oneOf([100, 300, 1000]),
    isFair,
    canExpire,
    canCrash,
    canLeave,
    faults: [
      ...(canBreak
        ? faultsOf(new Chance(seed, 2), {
            peers,
            chaosMs,
            canCrash,
            canLeave,
            canExpire,
            resumeTimeoutMs,
            clocksStep,
            hasTwin,
          })
        : []),
      ...(changesPeers ? peerChangesOf(changes, peers, chaosMs) : []),
    ].sort((a, b) => a.atMs - b.atMs),
    cutShare: isFair ? 0 : (more.is(0.1) ? 0.8 : 0.25) * (canBreak ? 1 : 0),
    cutsLongValues,
    clocksStep,
    changesPeers,
    onlyPeersChange,
    hasTwin,
    nameFaults:
      !isFair && !cutsLongValues && more.is(0.1) && canBreak
        ? { hangs: more.oneOf([0, 0.1, 0.3]), 'not-found': more.oneOf([0, 0.2]) }
        : null,
    hasDeadAddress: more.is(0.1),
    sharesAddress: more.is(0.1),
    idleMs: chance.is(0.1) ? 30_000 : 0,
    ending: chance.is(0.3) ? 'oneFirst' : 'together',
  }
  return plan
}

/** A small one, with room for the windows of all sessions, and for one of the longest values. */
function leastBudgetBytes(
  groups: readonly Group[],
  links: number,
  streams: number,
  laneWindowBytes: number,
  valueBytesMax: number,
): number {
  // Messages, requests and responses have a window each; one call may ask for one session more than its group.
  const lanes = groups.reduce(
    (sum, { parties, count }) => sum + (count + 1) * (parties.length - 1),
    3 * links + streams,
  )
  return Math.max(1024 * 1024, 4 * lanes * laneWindowBytes, 3 * valueBytesMax)
}

/** Every pair has sessions under the empty name. Some have more, under other names, also all three together. */
function groupsOf(chance: Chance, peers: number, count: number): Group[] {
  const all = Array.from({ length: peers }, (_, index) => index)
  const pairs = all.flatMap((first) =>
    all.filter((second) => second > first).map((second) => ({ name: '', parties: [first, second], count })),
  )
  const named = Array.from({ length: chance.is(0.4) ? chance.whole(1, 3) : 0 }, (_, index) => ({
    name: ['a', 'ä'.repeat(127), 'b'][index]!,
    parties: chance.is(0.7) ? all : pairs[chance.whole(0, pairs.length - 1)]!.parties,
    count: chance.whole(1, 4),
  }))
  const groups = [...pairs, ...named]
  // Two independent parts of each application may use one name.
  return groups.flatMap((group) => (group.name !== '' && chance.is(0.4) ? [group, group] : [group]))
}
