/**
 * Owns: S11 in short: forged hellos reveal nothing of other links, and the application is told the truth.
 * Independent of: what the hellos say. More hellos, also over TLS and of another peer: resume-forgery.long.test.ts.
 */
import { expect, it } from 'vitest'
import { forgeHellos } from '../bars/chaos/resume-forgery.ts'

it('forged hellos of a peer reveal no values of others and disturb no other link', async () => {
  const counts = await forgeHellos(40, 'the peer', true, 11)
  expect(counts.notes).toEqual([])
  expect([counts.leaked, counts.untrue, counts.outOfOrder, counts.disturbed, counts.restarts]).toEqual([0, 0, 0, 0, 0])
  expect([counts.taken > 6, counts.refused > 3, counts.honestValues > 30]).toEqual([true, true, true])
})
