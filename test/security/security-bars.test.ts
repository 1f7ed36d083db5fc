/**
 * Owns: the security requirements at a size that every commit can afford: what they assert, not how far it holds.
 * Independent of: figures that need a quiet machine (`npm run bars:security`), and long runs
 * (security-bars.long.test.ts).
 */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { detonate } from '../bars/security/codec-bombs.ts'
import { declaredLimits, tryLimits } from '../bars/security/limits-bar.ts'
import { provePossession } from '../bars/security/possession-bar.ts'
import { tryWrongProtocols } from '../bars/security/wrong-protocol-bar.ts'

const root = new URL('../../', import.meta.url)

/** Bounds that one class keeps, with a test beside it: another kind of figure, or not a bound of input. */
const keptElsewhere = new Set([
  'maxFrameCost',
  'unhandledNamesMax',
  'urlsPerPeerMax',
  'readBufferBytesMin',
  'readBufferBytesMax',
  'unreadBytesMax',
  'pingsMax',
  'unixPathBytesMax',
  'maxTimerMs',
  'staleBootIdMax',
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
  'pauseMsMax',
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

it('S9: every number that is named a maximum or a minimum is covered', () => {
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

it('S10: a peer of another protocol is closed with a reason after little of it was read', async () => {
  const { cases, closed, typed, worstReadBytes, notes } = await tryWrongProtocols()
  expect(notes).toEqual([])
  expect([closed, typed]).toEqual([cases, cases])
  expect(worstReadBytes).toBeLessThanOrEqual(1024)
}, 60_000)

it('S4: a certificate without its key gives no access', async () => {
  expect(await provePossession(5)).toEqual({ attempts: 5, refused: 5, isClientSound: true })
})

it('S7: malicious input of the codec has its own outcome, takes little memory and pollutes no prototype', () => {
  const { cases, wrong, large, polluted } = detonate()
  expect([wrong, large, polluted]).toEqual([0, 0, 0])
  expect(cases).toBeGreaterThanOrEqual(30)
})
