/**
 * Owns: E2 and E3 at a small size: cycles leave no lane, listener or handle, and acknowledgements stay small.
 * Independent of: speed.
 */
import { expect, it } from 'vitest'
import { compareResumption } from '../bars/chaos/ack-overhead.ts'
import { connectCycles, sessionCycles } from '../bars/chaos/leak-cycle.ts'

it('connections that are opened and closed leave no listener and no handle', async () => {
  const { listenersGrown, handlesGrown } = await connectCycles(20, 5)
  expect([listenersGrown, handlesGrown <= 0]).toEqual([0, true])
})

it('sessions that are opened and closed leave no lane', async () => {
  const { listenersGrown, lanesLeft } = await sessionCycles(2_000, 200)
  expect([listenersGrown, lanesLeft]).toEqual([0, 0])
})

it.each([[false], [true]])(
  'acknowledgements cost less than half a byte per value (two-way traffic: %s)',
  async (isTwoWay) => {
    const { withBytes, withoutBytes } = await compareResumption(1, 50_000, isTwoWay)
    expect(withBytes).toBeLessThan(0.5)
    expect(withBytes).toBeGreaterThan(withoutBytes)
  },
)
