/** Owns: S8 in small: who floods a process is closed and kept out, and memory stays. Refuses to know: floods. */
import { expect, it } from 'vitest'
import { mebibyte } from '../bars/bar.ts'
import { floodOnce } from '../bars/chaos/flood-bar.ts'
import { floods } from '../bars/chaos/floods.ts'
import type { Flood } from '../bars/chaos/floods.ts'

// Time on a machine that others use says nothing here: the bar judges it.
it('whoever floods with pings is closed with a reason, and then not let in for a while', async () => {
  const flood = floods(mebibyte).find(({ name }) => name === 'pings') as Flood
  const { stats, report, rssGrowthBytes } = await floodOnce(flood, 1)
  expect(report.goodbyes).toEqual([expect.stringContaining('carry nothing')])
  expect(report.refusals.join()).toContain('busy: the protocol was broken too often')
  expect([stats.crashes, rssGrowthBytes < 32 * mebibyte]).toEqual([0, true])
})
