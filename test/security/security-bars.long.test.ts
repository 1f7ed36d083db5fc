/**
 * Owns: the bars of security that take seconds: texts, floods and stuck handshakes.
 * Independent of: figures that need a quiet machine; `npm run bars:security` has those.
 */
import { expect, it } from 'vitest'
import { mebibyte } from '../bars/bar.ts'
import { flood } from '../bars/security/accept-flood.ts'
import { tryTexts } from '../bars/security/log-bar.ts'
import { holdStuck } from '../bars/security/slowloris.ts'

it('S12: texts chosen by a peer show no control characters, no key, and are bounded in length', async () => {
  const { texts, notes, controls, long, secrets } = await tryTexts()
  expect(notes).toEqual([])
  expect([controls, long, secrets]).toEqual([0, 0, 0])
  expect(texts).toBeGreaterThan(1_000)
}, 60_000)

it('S2: a flood fills only its share of the table, and the honest peer gets in throughout', async () => {
  const counts = await flood({ connects: 500, seconds: 0.5, addresses: 120, holdMs: 10_000, isShort: true })
  expect(counts).toMatchObject({ crashes: 0, honestUp: counts.honestTries })
  expect(counts.honestTries).toBeGreaterThan(0)
  expect(counts.peakPending).toBeLessThanOrEqual(64)
}, 60_000)

it('S1: stuck handshakes are all closed in time, and the honest peer gets in meanwhile', async () => {
  const counts = await holdStuck({ stuck: 40, handshakeTimeoutMs: 2_000, honestConnects: 8, progress: () => {} })
  expect(counts).toMatchObject({ held: 40, closed: 40, closedLate: 0, crashes: 0, honestUp: counts.honestTries })
  expect(counts.honestTries).toBeGreaterThan(0)
  expect(counts.rssGrowthBytes).toBeLessThanOrEqual(64 * mebibyte)
}, 60_000)
