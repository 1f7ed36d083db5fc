/**
 * Owns: C7 in short: a bit that turns over on its way costs a socket and nothing else. The full figures are
 * `npm run chaos -- --only C7`.
 * Refuses to know: how long the end of a socket takes on a machine that is used by others; the bar does.
 */
import { expect, it } from 'vitest'
import { flipMany } from '../bars/chaos/bitflip.ts'

const seed = Number(process.env['BITFLIP_SEED'] ?? 1)

it(`a turned bit is never delivered, ends its socket, and costs no value, seed ${seed}`, async () => {
  const { flips, heads, endedMs, handshakeEndedMs, errors, lost, duplicated, reordered, spoilt, values } =
    await flipMany(40, seed, () => {})
  expect([errors, lost, duplicated, reordered, spoilt, flips]).toEqual([[], 0, 0, 0, 0, 40])
  expect(heads).toBeGreaterThan(3)
  expect(endedMs.length).toBeGreaterThan(30)
  expect(values).toBeGreaterThan(5_000)
  // Without an end of its own it would be the watchdog's, after 20 seconds.
  expect(Math.max(...endedMs, ...handshakeEndedMs)).toBeLessThan(8_000)
})
