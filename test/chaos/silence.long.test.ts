/**
 * Owns: C3 and C4 at a larger size, with keep-alive times of a second: frozen processes and half-open connections.
 * Independent of: the default keep-alive times.
 */
import { expect, it } from 'vitest'
import { freezeMany } from '../bars/chaos/freeze.ts'
import { dropMany } from '../bars/chaos/half-open.ts'
import { shortKeepAlive } from '../bars/chaos/short-keep-alive.ts'

const seed = Math.floor(Math.random() * 2 ** 31)
const faultless = { lost: 0, duplicated: 0, reordered: 0, corrupted: 0, errors: [] }

it(`a frozen process is declared dead only after a long freeze, and no value is missing (seed ${seed})`, async () => {
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

it('a connection silent in one direction is closed by both sides, and its link resumes on the next one', async () => {
  const counts = await dropMany({ pairs: 4, keepAlive: shortKeepAlive })
  expect(counts).toMatchObject(faultless)
  expect(counts.takeoverMs).toHaveLength(4)
  // Only the watchdog can have detected it.
  expect(new Set(counts.deafCodes)).toEqual(new Set(['ERR_TIMED_OUT']))
})
