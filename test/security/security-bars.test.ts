/**
 * Owns: the bars of security at the size that every commit can bear: what they assert, not how far it holds.
 * Refuses to know: figures that need a quiet machine (`npm run bars:security`), and what takes long (security-bars.long.test.ts).
 */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { detonate } from '../bars/security/codec-bombs.ts'
import { declaredLimits, tryLimits } from '../bars/security/limits-bar.ts'
import { provePossession } from '../bars/security/possession-bar.ts'
import { tryWrongProtocols } from '../bars/security/wrong-protocol-bar.ts'

const root = new URL('../../', import.meta.url)

/** Bounds that are kept by the class that has them, with a test beside it: its own kind of figure, or not a bound of input. */
const keptElsewhere = new Set([
  'maxTimerMs',
  'keyFileLengthBytesMax',
  'chainLengthMax',
  'idleSourcesMax',
  'unreportedMax',
  'maxPreAuthenticationBytes',
  'exactIntegerMax',
  'uint64Max',
  'pingIntervalMsMax',
  'recordLengthBytesMax',
  'recordsMax',
  'maxFixedBodyLengthBytes',
  'maxHeaderLengthBytes',
  'lookedAtLength',
  'timerMsMax',
  'urlLengthMax',
  'shownLengthMax',
  'heldPerByteMax',
  'shareBytesMax',
  'provedHostsMax',
  'waitingMax',
  'addressesMax',
  'nextReadBytesMax',
  'dialersMax',
  'discardedLengthBytesMax',
  'discardedReadsMax',
  'coalesceMinLinks',
  'turnsMax',
  'batchTicksMax',
  'packedLengthBytesMax',
  'maxUint16',
  'maxUint32',
  'maxUint48',
  'maxUint64',
  'maxUint128',
])

it('S9: every declared limit has its outcome at n-1, n and n+1', async () => {
  const { declared, covered, cases, wrong, notes } = await tryLimits()
  expect(notes).toEqual([])
  expect([covered, wrong]).toEqual([declared, 0])
  expect(cases).toBeGreaterThan(500)
}, 30_000)

it('S9: no number that is called a maximum or a minimum is left out', () => {
  const files = ['actors', 'codec', 'protocol'].flatMap((folder) =>
    readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name}`),
  )
  const named = files.flatMap((file) =>
    [
      ...readFileSync(new URL(file, root), 'utf8').matchAll(
        /^(?:export )?const (\w*(?:Max|Min)|(?:max|min)[A-Z]\w*) = [\d(]/gm,
      ),
    ].map((match) => match[1] as string),
  )
  expect(named.length).toBeGreaterThan(15)
  const declared = new Set(declaredLimits())
  expect(named.filter((name) => !declared.has(name) && !keptElsewhere.has(name))).toEqual([])
})

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
  const { cases, wrong, large, polluted } = detonate()
  expect([wrong, large, polluted]).toEqual([0, 0, 0])
  expect(cases).toBeGreaterThanOrEqual(30)
})
