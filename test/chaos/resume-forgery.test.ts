/**
 * Owns: S11 at a small size: forged hellos reveal nothing of other links, and reports to the application stay true.
 * Independent of: what the hellos contain. More hellos, also over TLS and from another peer:
 * resume-forgery.long.test.ts.
 */
import { expect, it } from 'vitest'
import { forgeHellos } from '../bars/chaos/resume-forgery.ts'

it('forged hellos from a peer reveal no values of other links and disturb none of them', async () => {
  const counts = await forgeHellos(40, 'the peer', true, 11)
  expect(counts.notes).toEqual([])
  expect([counts.leaked, counts.untrue, counts.outOfOrder, counts.disturbed, counts.restarts]).toEqual([0, 0, 0, 0, 0])
  expect([counts.taken > 6, counts.refused > 3, counts.honestValues > 30]).toEqual([true, true, true])
})
