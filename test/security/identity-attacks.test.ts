/** Owns: S3, the verdict on the attacks on identity. Refuses to know: what they are (identity-attacks.ts). */
import { expect, it } from 'vitest'
import { runIdentityAttacks } from './identity-attacks.ts'

it('nobody passes for somebody else: 255 attacks and more, none accepted, no wrong id, no byte given away', async () => {
  const counts = await runIdentityAttacks()
  expect(counts.failures).toEqual([])
  expect([counts.accepted, counts.wrongId, counts.leakedBytes]).toEqual([0, 0, 0])
  expect(counts.attacks).toBeGreaterThanOrEqual(255)
  // Nothing of a certificate but its key counts, so many a changed one is still hers; that shows the attack reaches TLS.
  expect(counts.changedAccepted).toBeGreaterThan(50)
  expect(counts.changedRefused).toBeGreaterThan(50)
})
