/**
 * Owns: C8 at a small size: two peers that dial each other at the same time end up with one connection. Independent of:
 * measured times.
 */
import { expect, it } from 'vitest'
import { crossMany } from '../bars/chaos/crossing-dials.ts'

it.each(['plaintext', 'tls'] as const)(
  'peers that dial each other simultaneously over %s keep one connection each time, and lose no value',
  async (carrier) => {
    const counts = await crossMany({ carrier, crossings: 30, pairs: 2 })
    expect(counts).toMatchObject({
      crossings: 30,
      notOne: 0,
      livelocks: 0,
      lost: 0,
      duplicated: 0,
      reordered: 0,
      corrupted: 0,
      errors: [],
    })
    expect(counts.bothArrived).toBeGreaterThan(15)
  },
)
