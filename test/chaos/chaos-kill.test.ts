/**
 * Owns: C1 and E4 at a small size: sockets killed in four ways lose no value. Independent of: measured times.
 */
import { expect, it } from 'vitest'
import { quantile } from '../bars/bar.ts'
import { killKinds, killMany } from '../bars/chaos/chaos-kill.ts'
import { measureResume } from '../bars/chaos/resume-latency.ts'

const seed = Math.floor(Math.random() * 2 ** 31)
const faultless = { lost: 0, duplicated: 0, reordered: 0, corrupted: 0 }

it(`three peers lose and duplicate no value while sockets are killed in four ways (seed ${seed})`, async () => {
  const counts = await killMany({ kills: 80, values: 8_000, sessions: 4, seed, progress: () => {} })
  expect(counts).toMatchObject({ ...faultless, errors: [] })
  expect(counts.received).toBe(counts.sent)
  for (const kind of killKinds) expect(counts.kills[kind]).toBeGreaterThan(0)
})

it(`an established link is redialed at once, whatever the back-off (seed ${seed})`, async () => {
  const backoffMinMs = 3_000
  const { valueMs, failedDials, ...faults } = await measureResume(8, seed, backoffMinMs)
  expect(faults).toMatchObject(faultless)
  expect(failedDials).toBe(0)
  // A first back-off is a random time below its bound. Half of all below a tenth of the bound cannot be chance.
  expect(quantile(valueMs, 0.5)).toBeLessThan(backoffMinMs / 10)
})
