/**
 * Owns: C7 at a small size: a bit flipped in transit costs one socket and nothing else. The full figures are `npm run
 * chaos -- --only C7`.
 * Independent of: how long the end of a socket takes on a shared machine; the full run measures it.
 */
import { expect, it } from 'vitest'
import { flipMany } from '../bars/chaos/bitflip.ts'

const seed = Number(process.env['BITFLIP_SEED'] ?? 1)

it(`a flipped bit is never delivered, closes its socket, and loses no value (seed ${seed})`, async () => {
  const { flips, heads, endedMs, handshakeEndedMs, errors, lost, duplicated, reordered, corrupted, values } =
    await flipMany(40, seed, () => {})
  expect([errors, lost, duplicated, reordered, corrupted, flips]).toEqual([[], 0, 0, 0, 0, 40])
  expect(heads).toBeGreaterThan(3)
  expect(endedMs.length).toBeGreaterThan(30)
  expect(values).toBeGreaterThan(5_000)
  // A socket that the checks do not close is closed by the watchdog after 20 seconds.
  expect(Math.max(...endedMs, ...handshakeEndedMs)).toBeLessThan(8_000)
})
