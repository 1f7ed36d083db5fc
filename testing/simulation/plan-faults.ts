/**
 * Owns: which faults a plan may have, and their draws: what breaks, when, for how long.
 * Independent of: how faults are caused (faults.ts).
 */
import type { Break } from '../simulated-network.ts'
import type { Chance } from './chance.ts'
import type { Plan } from './plan.ts'

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
  | {
      readonly kind: 'crash'
      readonly node: number
      readonly isSilent: boolean
      readonly forMs: number
      /** While the process is away, the wall clock of the machine is set by this much. */
      readonly clockByMs: number
    }
  | { readonly kind: 'leave'; readonly node: number; readonly forMs: number; readonly clockByMs: number }
  | { readonly kind: 'clock'; readonly node: number; readonly byMs: number }
  | {
      readonly kind: 'twin'
      readonly node: number
      readonly isSilent: boolean
      readonly forMs: number
      readonly clockByMs: number
    }
  | { readonly kind: 'leavePeer'; readonly change: PeerChange }
)

/** One party leaves a peer, and takes it back. */
export interface PeerChange {
  readonly how: 'disconnect' | 'remove' | 'cut'
  readonly node: number
  readonly peer: number
  readonly timeoutMs: number
  readonly forMs: number
}

/** A connection is cut after this many bytes of one end. */
export interface PlannedCut {
  readonly end: 'dialler' | 'acceptor'
  readonly lengthBytes: number
  readonly notified: Break
  readonly arrives: boolean
}

const heard: readonly Break[] = ['both', 'both', 'both', 'dialler', 'acceptor', 'neither']

const hourMs = 3_600_000
/** By how much a wall clock is set, at once. */
const clockStepsMs: readonly number[] = [-hourMs, -hourMs, hourMs, -100, 100, 0]

type Frame = Pick<
  Plan,
  'peers' | 'chaosMs' | 'canCrash' | 'canLeave' | 'canExpire' | 'resumeTimeoutMs' | 'clocksStep' | 'hasTwin'
>

export function faultsOf(chance: Chance, frame: Frame): Fault[] {
  const { peers, chaosMs, canCrash, canLeave, canExpire, resumeTimeoutMs, clocksStep, hasTwin } = frame
  const faults: Fault[] = []
  const at = (): number => chance.whole(10, chaosMs)
  const node = (): number => chance.whole(0, peers - 1)
  const step = (): number => (clocksStep ? chance.oneOf(clockStepsMs) : 0)
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
    faults.push({
      kind: 'crash',
      atMs: at(),
      node: node(),
      isSilent: chance.is(0.3),
      forMs: chance.spread(1, 100),
      clockByMs: step(),
    })
  if (canLeave)
    faults.push({ kind: 'leave', atMs: at(), node: node(), forMs: chance.spread(1, 100), clockByMs: step() })
  for (let count = clocksStep ? chance.whole(0, 2) : 0; count > 0; count -= 1)
    faults.push({ kind: 'clock', atMs: at(), node: node(), byMs: step() })
  if (hasTwin)
    faults.push({
      kind: 'twin',
      atMs: at(),
      node: node(),
      isSilent: chance.is(0.3),
      forMs: chance.whole(500, 4000),
      clockByMs: chance.oneOf([-hourMs, 0, hourMs]),
    })
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

export function peerChangesOf(chance: Chance, peers: number, chaosMs: number): Fault[] {
  return Array.from({ length: chance.whole(1, 3) }, () => {
    const node = chance.whole(0, peers - 1)
    const change: PeerChange = {
      how: chance.oneOf(['disconnect', 'remove', 'cut'] as const),
      node,
      peer: (node + chance.whole(1, peers - 1)) % peers,
      timeoutMs: chance.is(0.3) ? chance.spread(20, 500) : 3000,
      forMs: chance.spread(1, 400),
    }
    return { kind: 'leavePeer', atMs: chance.whole(10, chaosMs), change }
  })
}

/** Drawn for each connection. @param share the share of connections that are cut */
export function cutOf(chance: Chance, share: number): PlannedCut | null {
  if (!chance.is(share)) return null
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

/** After two Pieces and more, and before the longest values are complete. */
export function longCutOf(chance: Chance): PlannedCut {
  return {
    end: chance.oneOf(['dialler', 'acceptor']),
    lengthBytes: chance.whole(150_000, 300_000),
    notified: 'both',
    arrives: chance.is(0.5),
  }
}
