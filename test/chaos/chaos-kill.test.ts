/** Owns: C1 and E4 at a size for every commit: sockets that die in four ways take no value with them. Refuses to know: figures of time. */
import { expect, it } from 'vitest'
import { quantile } from '../bars/bar.ts'
import { killKinds, killMany } from '../bars/chaos/chaos-kill.ts'
import { measureResume } from '../bars/chaos/resume-latency.ts'

const seed = Math.floor(Math.random() * 2 ** 31)
const faultless = { lost: 0, duplicated: 0, reordered: 0, spoilt: 0 }

it(`three peers lose no value, and get none twice, while their sockets are killed in four ways (seed ${seed})`, async () => {
  const counts = await killMany({ kills: 80, values: 8_000, sessions: 4, seed, progress: () => {} })
  expect(counts).toMatchObject({ ...faultless, errors: [] })
  expect(counts.received).toBe(counts.sent)
  for (const kind of killKinds) expect(counts.kills[kind]).toBeGreaterThan(0)
})

it(`a link that was established is dialled again at once, whatever the back-off (seed ${seed})`, async () => {
  const backoffMinMs = 3_000
  const { valueMs, failedDials, ...faults } = await measureResume(8, seed, backoffMinMs)
  expect(faults).toMatchObject(faultless)
  expect(failedDials).toBe(0)
  // A first back-off would be anywhere below its bound; the half of all below a tenth of it would be a miracle.
  expect(quantile(valueMs, 0.5)).toBeLessThan(backoffMinMs / 10)
})
