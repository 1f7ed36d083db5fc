/**
 * Owns: the bars of security at the size that every commit can bear: what they assert, not how far it holds.
 * Refuses to know: figures that need a quiet machine; `npm run bars:security` has those.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { mebibyte } from '../../bars/bar.ts'
import { flood } from '../../bars/security/accept-flood.ts'
import { detonate } from '../../bars/security/codec-bombs.ts'
import { declaredLimits, tryLimits } from '../../bars/security/limits-bar.ts'
import { tryTexts } from '../../bars/security/log-bar.ts'
import { provePossession } from '../../bars/security/possession-bar.ts'
import { holdStuck } from '../../bars/security/slowloris.ts'
import { tryWrongProtocols } from '../../bars/security/wrong-protocol-bar.ts'

const root = new URL('../../', import.meta.url)

/** Bounds that are kept by the class that has them, with a test beside it: its own kind of figure, or not a bound of input. */
const keptElsewhere = new Set(['maxTimerMs', 'keyFileLengthBytesMax', 'chainLengthMax', 'idleSourcesMax', 'maxPreAuthenticationBytes', 'exactIntegerMax', 'uint64Max', 'pingIntervalMsMax', 'recordLengthBytesMax', 'recordsMax', 'maxFixedBodyLengthBytes', 'maxHeaderLengthBytes', 'lookedAtLength', 'timerMsMax', 'urlLengthMax', 'shownLengthMax', 'heldPerByteMax', 'shareBytesMax', 'provedHostsMax', 'nextReadBytesMax', 'dialersMax', 'discardedLengthBytesMax', 'discardedReadsMax', 'crowdMin', 'turnsMax', 'parkedLengthBytesMax', 'maxUint16', 'maxUint32', 'maxUint48', 'maxUint64', 'maxUint128'])

it('S9: every declared limit has its outcome at n-1, n and n+1', async () => {
  const { declared, covered, cases, wrong, notes } = await tryLimits()
  expect(notes).toEqual([])
  expect([covered, wrong]).toEqual([declared, 0])
  expect(cases).toBeGreaterThan(500)
}, 30_000)

it('S9: no number that is called a maximum or a minimum is left out', () => {
  const files = ['actors', 'codec', 'protocol'].flatMap((folder) => readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts')).map((name) => `${folder}/${name}`))
  const named = files.flatMap((file) => [...readFileSync(new URL(file, root), 'utf8').matchAll(/^(?:export )?const (\w*(?:Max|Min)|(?:max|min)[A-Z]\w*) = [\d(]/gm)].map((match) => match[1] as string))
  expect(named.length).toBeGreaterThan(15)
  const declared = new Set(declaredLimits())
  expect(named.filter((name) => !declared.has(name) && !keptElsewhere.has(name))).toEqual([])
})

it('S12: nothing that is said has control characters, no end, or a key in it, whoever chose the words', async () => {
  const { texts, notes, controls, long, secrets } = await tryTexts()
  expect(notes).toEqual([])
  expect([controls, long, secrets]).toEqual([0, 0, 0])
  expect(texts).toBeGreaterThan(1_000)
}, 60_000)

it('S10: whoever speaks another protocol is closed, with a reason, and little of it is read', async () => {
  const { cases, closed, typed, worstReadBytes, notes } = await tryWrongProtocols()
  expect(notes).toEqual([])
  expect([closed, typed]).toEqual([cases, cases])
  expect(worstReadBytes).toBeLessThanOrEqual(1024)
}, 60_000)

it('S4: a certificate without its key is worth nothing', async () => {
  expect(await provePossession(5)).toEqual({ attempts: 5, refused: 5, isClientSound: true })
})

it('S7: no bomb of the codec has another outcome than its own, takes much memory or pollutes', () => {
  const { cases, wrong, large, polluted, worstMs } = detonate()
  expect([wrong, large, polluted]).toEqual([0, 0, 0])
  expect(cases).toBeGreaterThanOrEqual(30)
  // The bar's 5 ms are for a quiet machine; what is meant by a bomb takes seconds.
  expect(worstMs).toBeLessThan(100)
})

it('S2: a flood fills no more than the table, and the honest peer gets in all the while', async () => {
  const counts = await flood({ connects: 500, seconds: 0.5, addresses: 120, holdMs: 10_000, isShort: true })
  expect(counts).toMatchObject({ crashes: 0, honestUp: counts.honestTries })
  expect(counts.honestTries).toBeGreaterThan(0)
  expect(counts.peakPending).toBeLessThanOrEqual(64)
}, 60_000)

it('S1: handshakes that are stuck are all closed in time, and the honest peer gets in meanwhile', async () => {
  const counts = await holdStuck({ stuck: 40, handshakeTimeoutMs: 2_000, honestConnects: 8, progress: () => {} })
  expect(counts).toMatchObject({ held: 40, closed: 40, closedLate: 0, crashes: 0, honestUp: counts.honestTries })
  expect(counts.honestTries).toBeGreaterThan(0)
  expect(counts.rssGrowthBytes).toBeLessThanOrEqual(64 * mebibyte)
}, 60_000)
