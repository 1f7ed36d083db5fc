/**
 * Owns: what two hellos mean for the two ends of a link: the verdict of docs/protocol.md, native, as a pure function.
 * Refuses to know: links, windows, lanes; what is done about a verdict is link-epoch.ts.
 *
 * Both sides run this on the same two hellos and must come to the same pair, so it reads nothing else.
 *
 *   RESUME  the state of both sides fits: go on where the other side stopped hearing
 *   KEEP    this side's state stays, and what it holds is numbered from 0
 *   FRESH   this side's state is lost: every value that is held gets an outcome, and a new epoch begins
 */
import type { Hello } from '../../../codec/hello.ts'

export type Fate = 'RESUME' | 'KEEP' | 'FRESH'

/** The six fields of a hello that a verdict looks at. */
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

/** What one side has heard is what the other can go on from: `from.first <= heard <= from.next`. */
export function canGoOnFrom(from: Pick<LinkPosition, 'first' | 'next'>, heard: number): boolean {
  return from.first <= heard && heard <= from.next
}

function areRangesOk(mine: LinkPosition, theirs: LinkPosition): boolean {
  return canGoOnFrom(mine, theirs.received) && canGoOnFrom(theirs, mine.received)
}

/** `x` has been through a FRESH that `y` has not heard of: the answer that told it was cut off. */
function isAhead(x: LinkPosition, y: LinkPosition): boolean {
  return x.known === y.nextEpoch && x.received === 0 && x.first === 0
}

/** A side that knows nobody never sent a frame in this epoch: it has nothing to lose. */
function withoutResume(side: LinkPosition): Fate {
  return side.known === 0n ? 'KEEP' : 'FRESH'
}
