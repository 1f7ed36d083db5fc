/** Owns: C3 and C4 at a size for every commit, with keep-alive times of a second: who stands still, and who is half-open. Refuses to know: the times that are shipped. */
import { expect, it } from 'vitest'
import { freezeMany } from '../bars/chaos/freeze.ts'
import { dropMany } from '../bars/chaos/half-open.ts'
import { shortKeepAlive } from '../bars/chaos/short-keep-alive.ts'

const seed = Math.floor(Math.random() * 2 ** 31)
const faultless = { lost: 0, duplicated: 0, reordered: 0, spoilt: 0, errors: [] }

it(`a process that stands still is found dead when it was long, and only then, and nothing is missing afterwards (seed ${seed})`, async () => {
  const counts = await freezeMany({
    processes: 4,
    freezes: 4,
    keepAlive: shortKeepAlive,
    leastMs: 50,
    mostMs: 2_500,
    seed,
    progress: () => {},
  })
  expect(counts).toMatchObject({ ...faultless, short: 2, long: 2, falseDead: 0, undetected: 0 })
})

it('a connection of which one direction is silent is given up by both sides, and the next one goes on where it was', async () => {
  const counts = await dropMany({ pairs: 4, keepAlive: shortKeepAlive })
  expect(counts).toMatchObject(faultless)
  expect(counts.takeoverMs).toHaveLength(4)
  // Only the watchdog can have found it.
  expect(new Set(counts.deafCodes)).toEqual(new Set(['ERR_TIMED_OUT']))
})
