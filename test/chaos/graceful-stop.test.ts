/**
 * Owns: C12 at a small size: every value accepted before a stop under load is acknowledged or reported. Independent of:
 * how values are counted.
 */
import { expect, it } from 'vitest'
import { stopUnderLoad } from '../bars/chaos/graceful-stop.ts'

it('graceful stops under load lose nothing silently, leave nothing open, and give a reason', async () => {
  const counts = await stopUnderLoad(3, 12)
  expect(counts.notes).toEqual([])
  expect([
    counts.silent,
    counts.surplus,
    counts.unexplained,
    counts.handlesLeft,
    counts.actorsLeft,
    counts.socketsLeft,
  ]).toEqual([0, 0, 0, 0, 0, 0])
  expect(counts.acked + counts.reported).toBe(counts.accepted)
  expect(counts.acked).toBeGreaterThan(100)
})
