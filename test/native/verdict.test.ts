/**
 * Owns: the contract of the verdict: the native table of docs/protocol.md, and that both sides reach the same pair.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { verdictOf, type Fate, type LinkPosition } from '../../protocol/native/handshake/verdict.ts'

function position(
  epoch: bigint,
  nextEpoch: bigint,
  known: bigint,
  received: number,
  first: number,
  next: number,
): LinkPosition {
  return { epoch, nextEpoch, known, received, first, next }
}

describe('the resumption verdict', () => {
  // Mine is epoch 1, then 2; theirs is epoch 11, then 12.
  test.each<[string, LinkPosition, LinkPosition, Fate, Fate]>([
    [
      'the peers connect for the first time',
      position(1n, 2n, 0n, 0, 0, 0),
      position(11n, 12n, 0n, 0, 0, 0),
      'RESUME',
      'RESUME',
    ],
    [
      'a connection broke and both sides know each other',
      position(1n, 2n, 11n, 7, 3, 9),
      position(11n, 12n, 1n, 5, 7, 7),
      'RESUME',
      'RESUME',
    ],
    [
      'one side does not know the other yet',
      position(1n, 2n, 0n, 0, 0, 0),
      position(11n, 12n, 1n, 0, 0, 4),
      'RESUME',
      'RESUME',
    ],
    [
      'none of the retained frames was received',
      position(1n, 2n, 11n, 0, 0, 4),
      position(11n, 12n, 1n, 0, 0, 0),
      'RESUME',
      'RESUME',
    ],
    ['everything was received', position(1n, 2n, 11n, 0, 0, 4), position(11n, 12n, 1n, 4, 0, 0), 'RESUME', 'RESUME'],
    [
      'the other side claims more than was sent',
      position(1n, 2n, 11n, 0, 0, 4),
      position(11n, 12n, 1n, 5, 0, 0),
      'FRESH',
      'FRESH',
    ],
    [
      'the other side claims less than it acknowledged',
      position(1n, 2n, 11n, 0, 2, 4),
      position(11n, 12n, 1n, 1, 0, 0),
      'FRESH',
      'FRESH',
    ],
    [
      'this side claims more than the other sent',
      position(1n, 2n, 11n, 3, 0, 0),
      position(11n, 12n, 1n, 0, 0, 2),
      'FRESH',
      'FRESH',
    ],
    ['the other side restarted', position(1n, 2n, 11n, 3, 0, 4), position(21n, 22n, 0n, 0, 0, 0), 'FRESH', 'KEEP'],
    ['this side restarted', position(5n, 6n, 0n, 0, 0, 0), position(11n, 12n, 1n, 3, 0, 0), 'KEEP', 'FRESH'],
    [
      'the other side did a FRESH that this side does not know of',
      position(1n, 2n, 11n, 3, 1, 4),
      position(12n, 13n, 2n, 0, 0, 5),
      'FRESH',
      'KEEP',
    ],
    [
      'this side did a FRESH that the other does not know of',
      position(2n, 3n, 12n, 0, 0, 5),
      position(11n, 12n, 1n, 3, 1, 4),
      'KEEP',
      'FRESH',
    ],
    [
      'the other side is ahead by its epoch, but has received a frame',
      position(1n, 2n, 11n, 3, 1, 4),
      position(12n, 13n, 2n, 1, 0, 5),
      'FRESH',
      'FRESH',
    ],
    [
      'the other side is ahead by its epoch, but has an acknowledgement',
      position(1n, 2n, 11n, 3, 1, 4),
      position(12n, 13n, 2n, 0, 1, 5),
      'FRESH',
      'FRESH',
    ],
    [
      'both sides seem to be ahead, so neither is',
      position(2n, 3n, 12n, 0, 0, 0),
      position(11n, 12n, 3n, 0, 0, 0),
      'FRESH',
      'FRESH',
    ],
    [
      'both sides restarted and know other epochs',
      position(1n, 2n, 31n, 0, 0, 0),
      position(11n, 12n, 41n, 0, 0, 0),
      'FRESH',
      'FRESH',
    ],
  ])('the resumption verdict is right when %s', (_, mine, theirs, expectedMine, expectedTheirs) => {
    expect(verdictOf(mine, theirs)).toEqual({ mine: expectedMine, theirs: expectedTheirs })
    expect(verdictOf(theirs, mine)).toEqual({ mine: expectedTheirs, theirs: expectedMine })
  })

  test('the resumption verdict is the same pair on both sides, over every combination of small values', () => {
    const ids = [1n, 2n]
    const knowns = [0n, 1n, 2n, 3n]
    const counts = [0, 1, 2]
    const all = ids.flatMap((epoch) =>
      [2n, 3n].flatMap((nextEpoch) =>
        knowns.flatMap((known) =>
          counts.flatMap((received) =>
            counts.flatMap((first) => counts.map((next) => position(epoch, nextEpoch, known, received, first, next))),
          ),
        ),
      ),
    )
    const seen = new Map<string, number>()
    let differing = 0
    for (const mine of all) {
      for (const theirs of all) {
        const here = verdictOf(mine, theirs)
        const there = verdictOf(theirs, mine)
        if (here.mine !== there.theirs || here.theirs !== there.mine) differing += 1
        const pair = `${here.mine} ${here.theirs}`
        seen.set(pair, (seen.get(pair) ?? 0) + 1)
      }
    }
    expect(differing).toBe(0)
    expect([...seen.keys()].sort()).toEqual(['FRESH FRESH', 'FRESH KEEP', 'KEEP FRESH', 'KEEP KEEP', 'RESUME RESUME'])
  })

  test('the resumption verdict resumes both sides or none, and never counts a frame twice', () => {
    const id = fc.bigInt({ min: 0n, max: 4n })
    const any = fc.record({
      epoch: fc.bigInt({ min: 1n, max: 4n }),
      nextEpoch: fc.bigInt({ min: 1n, max: 4n }),
      known: id,
      received: fc.nat(4),
      first: fc.nat(4),
      next: fc.nat(4),
    })
    fc.assert(
      fc.property(any, any, (mine, theirs) => {
        const verdict = verdictOf(mine, theirs)
        expect(verdict.mine === 'RESUME').toBe(verdict.theirs === 'RESUME')
        // What a KEEP side sends again from 0 was not counted by the other in any epoch that is still used.
        if (verdict.mine === 'KEEP')
          expect(mine.known === 0n || (mine.first === 0 && verdict.theirs === 'FRESH')).toBe(true)
      }),
      { numRuns: 5000 },
    )
  })
})
