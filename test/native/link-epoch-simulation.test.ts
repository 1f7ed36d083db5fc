/**
 * Owns: the contract of resumption, over random breaks: exactly once and in order, or an outcome that is never wrong.
 * Independent of: sockets and actors.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sized } from '../support/size.ts'
import { SimulatedLink } from './simulated-link.ts'
import { noTally } from './simulated-link-side.ts'
import type { Tally } from './simulated-link-side.ts'

type Step = [kind: number, side: number, pick: number]

/** Weights: mostly traffic, sometimes a break, rarely a crash. */
function run(link: SimulatedLink, [kind, who, pick]: Step): void {
  const side = link.sides[who]!
  if (kind < 25) link.send(side, 1 + (pick % 2))
  else if (kind < 62) link.deliver(pick, pick % 3 === 0 ? pick % 17 : Infinity)
  else if (kind < 74) link.dial(side)
  else if (kind < 82) link.ack(side)
  else if (kind < 92) link.cut(pick, 1 + (pick % 3), pick % 2 === 0)
  else if (kind < 95) link.crash(side)
  else if (kind < 97) link.expire(side)
  else if (kind < 98) link.protocolError(side)
  else link.goodbye(side)
}

const step = fc.tuple(fc.nat(99), fc.nat(1), fc.nat(1000))
const runs = Number(process.env['STATEWIRE_LINK_RUNS'] ?? sized(400, 2000))

describe('a simulated link with breaks', () => {
  test('random breaks deliver each value exactly once and in order, or give it a true outcome', () => {
    const sum = noTally()
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 150, size: 'max' }), (steps) => {
        const link = new SimulatedLink()
        for (const one of steps) run(link, one)
        link.settle()
        link.check()
        for (const key of Object.keys(sum) as (keyof Tally)[]) sum[key] += link.tally[key]
      }),
      { numRuns: runs },
    )
    if (process.env['STATEWIRE_LINK_RUNS'] !== undefined) process.stdout.write(`${JSON.stringify(sum)}\n`)
    // Checks that the runs covered these cases.
    for (const [what, count] of Object.entries(sum)) expect(count, what).toBeGreaterThan(runs / 50)
  }, 120_000)

  test('breaks without a crash, an expiry, a protocol error or a Goodbye lose and reset nothing', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(91), fc.nat(1), fc.nat(1000)), { minLength: 10, maxLength: 150, size: 'max' }),
        (steps) => {
          const link = new SimulatedLink()
          for (const one of steps) run(link, one as Step)
          link.settle()
          link.check()
          expect([link.tally.freshes, link.tally.unknown, link.tally.notSent]).toEqual([0, 0, 0])
        },
      ),
      { numRuns: runs / 2 },
    )
  }, 60_000)

  test('a Goodbye by either side leaves no value with an unknown outcome', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(61), fc.nat(1), fc.nat(1000)), { maxLength: 40 }),
        fc.constantFrom([0], [1], [0, 1]),
        fc.array(fc.nat(1000), { maxLength: 30 }),
        (steps, who, picks) => {
          const link = new SimulatedLink()
          link.dial(link.sides[0])
          for (let round = 0; round < 2; round += 1) link.deliver(0)
          for (const one of steps) run(link, one as Step)
          for (const side of who) link.goodbye(link.sides[side]!)
          for (const pick of picks) link.deliver(pick)
          for (let round = 0; round < 400; round += 1) link.deliver(round)
          link.noticeEnds()
          expect(
            link.sides.every((side) => side.connection === null),
            'both sockets have ended',
          ).toBe(true)
          link.check()
          expect([link.tally.unknown, link.tally.acked]).toEqual([0, link.tally.arrived])
        },
      ),
      { numRuns: 300 },
    )
  })
})
