/** Owns: C12 in small: what is accepted before a stop under load is acknowledged or reported. Refuses to know: how it is counted. */
import { expect, it } from 'vitest'
import { stopUnderLoad } from '../bars/chaos/graceful-stop.ts'

it('three stops under load lose nothing silently, leave nothing, and tell the other side why', async () => {
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
