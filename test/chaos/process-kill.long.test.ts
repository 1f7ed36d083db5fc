/**
 * Owns: C2 at a larger size: every acknowledged value had been delivered, although processes were killed. Independent
 * of: measured times.
 */
import { expect, it } from 'vitest'
import { killProcesses } from '../bars/chaos/process-kill.ts'

const seed = Math.floor(Math.random() * 2 ** 31)

it(`killed processes leave no acknowledged value undelivered, and each session ends once (seed ${seed})`, async () => {
  const counts = await killProcesses({ kills: 5, processes: 3, lanes: 2, seed, progress: () => {} })
  expect(counts).toMatchObject({
    errors: [],
    crashes: 0,
    kills: 5,
    ackedNotDelivered: 0,
    deliveredNotSent: 0,
    duplicated: 0,
    misplaced: 0,
    unknownBeyondInFlight: 0,
    wrongSums: 0,
    endedTwice: 0,
    neverEnded: 0,
    lostAtTheEnd: 0,
    otherEnds: 0,
  })
  expect(counts.resets).toBeGreaterThan(0)
})
