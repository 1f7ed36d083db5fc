/** Owns: S3, the verdict on the attacks on identity. Refuses to know: what they are (identity-attacks.ts). */
import { expect, it } from 'vitest'
import { sized } from '../support/size.ts'
import { runIdentityAttacks } from './identity-attacks.ts'

// A step that has no factor in common with 8 changes every bit of a byte somewhere.
const step = sized(7, 1)

it('no attack on identity is accepted, gets a wrong id or receives a byte', async () => {
  const counts = await runIdentityAttacks(step)
  expect(counts.failures).toEqual([])
  expect([counts.accepted, counts.wrongId, counts.leakedBytes]).toEqual([0, 0, 0])
  expect(counts.attacks).toBeGreaterThanOrEqual(sized(60, 255))
  // Nothing of a certificate but its key counts, so many a changed one is still hers; that shows the attack reaches TLS.
  expect(counts.changedAccepted).toBeGreaterThan(50 / step)
  expect(counts.changedRefused).toBeGreaterThan(50 / step)
})
