/**
 * Owns: S8 at a small size: a peer that floods a process is closed and kept out, and memory stays bounded. Independent
 * of: what the floods are.
 */
import { expect, it } from 'vitest'
import { mebibyte } from '../bars/bar.ts'
import { floodOnce } from '../bars/chaos/flood-bar.ts'
import { floods } from '../bars/chaos/floods.ts'
import type { Flood } from '../bars/chaos/floods.ts'

// Durations on a shared machine prove nothing, so only the full run checks them.
it('a peer that floods with pings is closed with a reason, and then refused for a while', async () => {
  const flood = floods(mebibyte).find(({ name }) => name === 'pings') as Flood
  const { stats, report, rssGrowthBytes } = await floodOnce(flood, 1)
  expect(report.goodbyes).toEqual([expect.stringContaining('control frames faster')])
  expect(report.refusals.join()).toContain('busy: the protocol was violated too often')
  expect([stats.crashes, rssGrowthBytes < 32 * mebibyte]).toEqual([0, true])
})
