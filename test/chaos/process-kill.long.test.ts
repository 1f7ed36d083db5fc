/** Owns: C2 at a size for every commit: what was acknowledged had been handed over, although processes were killed. Refuses to know: figures of time. */
import { expect, it } from 'vitest'
import { killProcesses } from '../bars/chaos/process-kill.ts'

const seed = Math.floor(Math.random() * 2 ** 31)

it(`no value is acknowledged that was not handed over, and every session has one end, while processes are killed (seed ${seed})`, async () => {
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
