/**
 * Owns: what a seed stands for: how many peers, which limits, which faults at which time.
 * Independent of: how faults are caused, and what is sent.
 */
import type { Break } from '../simulated-network.ts'
import { Chance } from './chance.ts'

export type Fault = { readonly atMs: number } & (
  | { readonly kind: 'break'; readonly pick: number; readonly notified: Break; readonly arrives: boolean }
  | {
      readonly kind: 'partition'
      readonly from: number
      readonly to: number
      readonly oneWay: boolean
      readonly forMs: number
    }
  | { readonly kind: 'stall'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'crash'; readonly node: number; readonly isSilent: boolean; readonly forMs: number }
  | { readonly kind: 'leave'; readonly node: number; readonly forMs: number }
)

/** A connection is cut after this many bytes of one end. */
export interface PlannedCut {
  readonly end: 'dialler' | 'acceptor'
  readonly lengthBytes: number
  readonly notified: Break
  readonly arrives: boolean
}

export interface Plan {
  readonly seed: number
  readonly peers: number
  /** At most; each process has a number of its own. */
  readonly links: number
  /** Both sides of every pair dial; otherwise one, and which one. */
  readonly bothDial: boolean
  readonly sessions: number
  readonly valuesPerSession: number
  /** Largest value, in bytes. */
  readonly valueBytesMax: number
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
  /** After calm nothing is sent for this long, and nothing may happen. */
  readonly idleMs: number
  /** How the run ends: all at once, or one says Goodbye while the others still send. */
  readonly ending: 'together' | 'oneFirst'
}

const heard: readonly Break[] = ['both', 'both', 'both', 'dialler', 'acceptor', 'neither']

export function planOf(seed: number): Plan {
  const chance = new Chance(seed, 1)
  const peers = chance.is(0.08) ? 3 : 2
  const isFair = chance.is(0.08)
  const canCrash = !isFair && chance.is(0.4)
  const canLeave = !isFair && chance.is(0.25)
  const canExpire = !isFair && chance.is(0.15)
  const isSlow = chance.is(0.1)
  const resumeTimeoutMs = canExpire ? 1000 : 120_000
  const chaosMs = chance.spread(60, 800)
  const laneWindowBytes = chance.is(0.3) ? 65_536 : chance.spread(64, 8192)
  const latencyMs: [number, number] = chance.is(0.2) ? [0.05, 0.1] : [0.1, chance.spread(1, 20)]
  const valueBytesMax = chance.oneOf([16, 100, 1000, 4000, 40_000])
  const plan: Plan = {
    seed,
    peers,
    links: chance.is(0.12) ? 2 : 1,
    bothDial: chance.is(isFair ? 0.8 : 0.4),
    sessions: chance.whole(1, 3),
    valuesPerSession: Math.ceil(chance.spread(4, 80) / peers),
    valueBytesMax,
    chaosMs,
    replayWindowBytes: chance.is(0.3) ? 4 * 1024 * 1024 : chance.spread(256, 16_384),
    laneWindowBytes,
    highWaterMarkBytes: chance.spread(256, 65_536),
    // A backlog of large values through a narrow path takes longer than any bound on healing allows.
    pathBytes: chance.spread(512 + valueBytesMax, 262_144),
    chunkBytesMax: chance.is(0.5) ? Infinity : chance.spread(200 + valueBytesMax / 10, 20_000),
    latencyMs,
    bytesPerMs: isSlow ? chance.whole(50, 500) + valueBytesMax / 10 : Infinity,
    resumeTimeoutMs,
    backoffMaxMs: chance.oneOf([100, 300, 1000]),
    isFair,
    canExpire,
    canCrash,
    canLeave,
    faults: isFair
      ? []
      : faultsOf(new Chance(seed, 2), { peers, chaosMs, canCrash, canLeave, canExpire, resumeTimeoutMs }),
    idleMs: chance.is(0.1) ? 30_000 : 0,
    ending: chance.is(0.3) ? 'oneFirst' : 'together',
  }
  return plan
}

type Frame = Pick<Plan, 'peers' | 'chaosMs' | 'canCrash' | 'canLeave' | 'canExpire' | 'resumeTimeoutMs'>

function faultsOf(chance: Chance, { peers, chaosMs, canCrash, canLeave, canExpire, resumeTimeoutMs }: Frame): Fault[] {
  const faults: Fault[] = []
  const at = (): number => chance.whole(10, chaosMs)
  const node = (): number => chance.whole(0, peers - 1)
  for (let count = chance.whole(0, 5); count > 0; count -= 1)
    faults.push({
      kind: 'break',
      atMs: at(),
      pick: chance.whole(0, 1000),
      notified: chance.oneOf(heard),
      arrives: chance.is(0.5),
    })
  for (let count = chance.is(0.3) ? chance.whole(1, 2) : 0; count > 0; count -= 1) {
    const from = node()
    faults.push({
      kind: 'partition',
      atMs: at(),
      from,
      to: (from + chance.whole(1, peers - 1)) % peers,
      oneWay: chance.is(0.5),
      forMs: chance.is(0.05) ? chance.whole(15_000, 26_000) : chance.spread(5, 800),
    })
  }
  for (let count = chance.is(0.3) ? chance.whole(1, 2) : 0; count > 0; count -= 1)
    faults.push({
      kind: 'stall',
      atMs: at(),
      node: node(),
      forMs: chance.is(0.05) ? chance.whole(5000, 26_000) : chance.spread(2, 300),
    })
  for (let count = canCrash ? chance.whole(1, 2) : 0; count > 0; count -= 1)
    faults.push({ kind: 'crash', atMs: at(), node: node(), isSilent: chance.is(0.3), forMs: chance.spread(1, 100) })
  if (canLeave) faults.push({ kind: 'leave', atMs: at(), node: node(), forMs: chance.spread(1, 100) })
  if (canExpire) {
    const from = node()
    faults.push({
      kind: 'partition',
      atMs: at(),
      from,
      to: (from + 1) % peers,
      oneWay: false,
      forMs: resumeTimeoutMs + chance.whole(100, 1000),
    })
    // A partition alone breaks nothing: the link has to be down for its clock to run.
    faults.push(
      { kind: 'break', atMs: at(), pick: 0, notified: 'both', arrives: false },
      { kind: 'break', atMs: chaosMs, pick: 0, notified: 'both', arrives: false },
    )
  }
  return faults.sort((a, b) => a.atMs - b.atMs)
}

/** Drawn for each connection. */
export function cutOf(chance: Chance): PlannedCut | null {
  if (!chance.is(0.25)) return null
  const lengthBytes = chance.oneOf([
    chance.whole(1, 159),
    160,
    chance.whole(161, 240),
    chance.spread(160, 3000),
    chance.spread(1000, 50_000),
  ])
  return {
    end: chance.oneOf(['dialler', 'acceptor']),
    lengthBytes,
    notified: chance.oneOf(heard),
    arrives: chance.is(0.5),
  }
}
