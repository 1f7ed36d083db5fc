/** Owns: S11 in small: hellos that lie get nothing of others, and what the application is told stays true. Refuses to know: the lies. */
import { expect, it } from 'vitest'
import { forgeHellos } from '../bars/chaos/resume-forgery.ts'

it.each([
  ['the peer', true],
  ['another', true],
  ['the peer', false],
] as const)('forged hellos of %s (plain: %s)', async (from, isPlain) => {
  const counts = await forgeHellos(isPlain ? 130 : 66, from, isPlain, 11)
  expect(counts.notes).toEqual([])
  expect([counts.leaked, counts.untrue, counts.outOfOrder, counts.disturbed, counts.restarts]).toEqual([0, 0, 0, 0, 0])
  expect([counts.taken > 20, counts.refused > 10, counts.honestValues > 100]).toEqual([true, true, true])
})
