/**
 * Owns: what the verdict of `npm run sim` may depend on: what the runs did, and never how long they took.
 * Independent of: the simulation itself.
 */
import { describe, expect, it } from 'vitest'
import { barsOf, noTotals } from '../bars/sim/totals.ts'

describe('the verdict of the simulation', () => {
  it.each([1, 3_600_000])('is the same however slow the machine is: %i ms for 20 runs', (tookMs) => {
    const totals = { ...noTotals(), seeds: 20, events: 4000 }
    expect(barsOf(totals, tookMs, 2).filter(({ passed }) => !passed)).toEqual([])
  })

  it('is a failure if nothing ran', () => {
    expect(
      barsOf(noTotals(), 1000, 2)
        .filter(({ passed }) => !passed)
        .map(({ id }) => id),
    ).toEqual(['D1'])
  })
})
