/**
 * Owns: S3, the check that attacks on identity fail.
 * Independent of: the attacks themselves (identity-attacks.ts).
 */
import { expect, it } from 'vitest'
import { sized } from '../support/size.ts'
import { runIdentityAttacks } from './identity-attacks.ts'

// A step that is coprime to 8 changes every bit of a byte somewhere.
const step = sized(7, 1)

it('no attack on identity is accepted, gets a wrong id or receives a byte', async () => {
  const counts = await runIdentityAttacks(step)
  expect(counts.failures).toEqual([])
  expect([counts.accepted, counts.wrongId, counts.leakedBytes]).toEqual([0, 0, 0])
  expect(counts.attacks).toBeGreaterThanOrEqual(sized(60, 255))
  // Only the key of a certificate counts, so many changed ones are still hers; that shows that the attack reaches TLS.
  expect(counts.changedAccepted).toBeGreaterThan(50 / step)
  expect(counts.changedRefused).toBeGreaterThan(50 / step)
})
