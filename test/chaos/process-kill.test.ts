/**
 * Owns: C2 at a small size: after a process was killed, every acknowledged value had been delivered and every session
 * ended once.
 * Independent of: measured times. More kills: process-kill.long.test.ts.
 */
import { expect, it } from 'vitest'
import { killProcesses } from '../bars/chaos/process-kill.ts'

const seed = Math.floor(Math.random() * 2 ** 31)

it(`killing a process leaves no acknowledged value undelivered (seed ${seed})`, async () => {
  const counts = await killProcesses({ kills: 1, processes: 2, lanes: 2, seed, progress: () => {} })
  expect(counts).toMatchObject({
    errors: [],
    crashes: 0,
    kills: 1,
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
