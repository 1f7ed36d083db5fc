/**
 * Owns: that a delay is always a number a timer accepts, between 0 and its bound. Independent of: who waits.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoffMs } from '../../protocol/backoff.ts'

const options = { minMs: 100, maxMs: 30_000, factor: 1.6 }
const almostOne = 1 - Number.EPSILON

describe('the back-off', () => {
  it.each([
    [0, 100],
    [1, 160],
    [2, 256],
    [3, 409.6],
    [12, 28_147.4977],
    [13, 30_000],
    [64, 30_000],
    [65, 30_000],
    [2000, 30_000],
    [Number.MAX_SAFE_INTEGER, 30_000],
  ])('the back-off of retry %i is below %d ms', (attempt, boundMs) => {
    expect(backoffMs(attempt, almostOne, options)).toBeCloseTo(boundMs, 3)
    expect(backoffMs(attempt, almostOne, options)).toBeLessThan(boundMs + 1e-3)
  })

  it('the back-off has full jitter, from 0 on', () => {
    expect(backoffMs(5, 0, options)).toBe(0)
    expect(backoffMs(5, 0.5, options)).toBeCloseTo(backoffMs(5, almostOne, options) / 2, 6)
  })

  it('the back-off is a delay that a timer accepts, for every attempt, random number and configuration', () => {
    const anyOptions = fc
      .record({
        minMs: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
        maxMs: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
        factor: fc.double({ min: 1, max: 1e308, noNaN: true }),
      })
      .filter(({ minMs, maxMs }) => minMs <= maxMs)
    fc.assert(
      fc.property(
        fc.nat(Number.MAX_SAFE_INTEGER),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        anyOptions,
        (attempt, fraction, some) => {
          const waitMs = backoffMs(attempt, fraction, some)
          expect(Number.isFinite(waitMs)).toBe(true)
          expect(waitMs).toBeGreaterThanOrEqual(0)
          expect(waitMs).toBeLessThanOrEqual(some.maxMs)
        },
      ),
    )
  })

  it('the back-off never gets shorter from one attempt to the next, for the same random number', () => {
    let before = 0
    for (let attempt = 0; attempt < 100; attempt++) {
      const waitMs = backoffMs(attempt, 0.7, options)
      expect(waitMs).toBeGreaterThanOrEqual(before)
      before = waitMs
    }
  })
})
