/**
 * Owns: S11 at a larger size: forged hellos get no data of other links, and reports to the application stay true.
 * Independent of: what the hellos contain.
 */
import { expect, it } from 'vitest'
import { forgeHellos } from '../bars/chaos/resume-forgery.ts'

it.each([
  ['the peer', true],
  ['another', true],
  ['the peer', false],
] as const)(
  'forged hellos from %s reveal nothing, disturb no other link, and cause no false report (plaintext: %s)',
  async (from, isPlain) => {
    const counts = await forgeHellos(isPlain ? 130 : 66, from, isPlain, 11)
    expect(counts.notes).toEqual([])
    expect([counts.leaked, counts.untrue, counts.outOfOrder, counts.disturbed, counts.restarts]).toEqual([
      0, 0, 0, 0, 0,
    ])
    expect([counts.taken > 20, counts.refused > 10, counts.honestValues > 100]).toEqual([true, true, true])
  },
)
