/**
 * Owns: the verdict of two hellos (docs/protocol.md), as a pure function.
 * Independent of: links, buffers, lanes; link-epoch.ts applies a verdict.
 *
 * Both sides run this on the same two hellos and must get the same pair, so it reads nothing else.
 *
 * RESUME the state of both sides fits: continue where the other side stopped receiving
 *   KEEP    this side's state stays, and what it holds is numbered from 0
 *   FRESH   this side's state is lost: every value that is held gets an outcome, and a new epoch begins
 */
import type { Hello } from '../../../codec/hello.ts'

export type Fate = 'RESUME' | 'KEEP' | 'FRESH'

/** The six fields of a hello that a verdict reads. */
export type LinkPosition = Pick<Hello, 'epoch' | 'nextEpoch' | 'known' | 'received' | 'first' | 'next'>

export interface Verdict {
  readonly mine: Fate
  readonly theirs: Fate
}

/** @param mine this side's hello as sent, not its state at a later moment */
export function verdictOf(mine: LinkPosition, theirs: LinkPosition): Verdict {
  const amAhead = isAhead(mine, theirs)
  if (amAhead !== isAhead(theirs, mine))
    return amAhead ? { mine: 'KEEP', theirs: 'FRESH' } : { mine: 'FRESH', theirs: 'KEEP' }
  if (areEpochsOk(mine, theirs) && areRangesOk(mine, theirs)) return { mine: 'RESUME', theirs: 'RESUME' }
  return { mine: withoutResume(mine), theirs: withoutResume(theirs) }
}

/** Each side knows the other's epoch, or none. */
export function areEpochsOk(mine: LinkPosition, theirs: LinkPosition): boolean {
  return (theirs.known === mine.epoch || theirs.known === 0n) && (mine.known === theirs.epoch || mine.known === 0n)
}

/** Whether the other side can continue from what this side has received: `from.first <= heard <= from.next`. */
export function canContinueFrom(from: Pick<LinkPosition, 'first' | 'next'>, heard: number): boolean {
  return from.first <= heard && heard <= from.next
}

function areRangesOk(mine: LinkPosition, theirs: LinkPosition): boolean {
  return canContinueFrom(mine, theirs.received) && canContinueFrom(theirs, mine.received)
}

/** `x` has been through a FRESH that `y` does not know of: the answer that reported it was cut off. */
function isAhead(x: LinkPosition, y: LinkPosition): boolean {
  return x.known === y.nextEpoch && x.received === 0 && x.first === 0
}

/** A side that knows no peer never sent a frame in this epoch: it has nothing to lose. */
function withoutResume(side: LinkPosition): Fate {
  return side.known === 0n ? 'KEEP' : 'FRESH'
}
