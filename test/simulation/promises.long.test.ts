/**
 * Owns: that a few hundred simulated runs keep every promise and repeat themselves, and that mutants are found.
 * Independent of: how a run goes. The runs are done by the compiled program, in processes of their own.
 */
import { expect, test } from 'vitest'
import { barsOf } from '../bars/sim/totals.ts'
import { hunt } from '../bars/sim/hunt.ts'
import { Workers } from '../bars/sim/workers.ts'

const processes = 2
/** On a machine that has other things to do. */
const patienceMs = 120_000

test(
  'a few hundred runs keep every promise, and repeat themselves',
  async () => {
    const workers = new Workers({ processes })
    try {
      const totals = await workers.run({ from: 1, seeds: 250, twice: 20 })
      expect(totals.failures.map(({ seed, violations }) => ({ seed, violations }))).toEqual([])
      expect([totals.seeds, totals.twice, totals.differing]).toEqual([250, 20, []])
      // They met what they are about.
      for (const what of ['breaks', 'partitions', 'stalls', 'crashes', 'leaves', 'unknown', 'notSent', 'withdrawn'])
        expect(totals.counts[what], what).toBeGreaterThan(20)
      for (const what of ['streamsFinished', 'streamsReset', 'streamsRefused', 'streamsLost'])
        expect(totals.counts[what], what).toBeGreaterThan(20)
      for (const what of ['clockSteps', 'behind', 'twins', 'duplicates'])
        expect(totals.counts[what], what).toBeGreaterThan(5)
      // Twenty seeds twice are too few for that bar.
      for (const bar of barsOf(totals, 1, processes))
        if (bar.id !== 'D5') expect(bar).toMatchObject({ passed: true, notes: [] })
    } finally {
      workers.stop()
    }
  },
  patienceMs,
)

// The quickest of each kind; all of them: npm run sim -- --mutants.
test.each([
  'replay-one-too-late',
  'ack-before-hand-over',
  'credit-forgotten-on-resume',
  'received-not-restored',
  'no-ack-when-idle',
  'waiting-value-not-copied',
  'clock-behind-ignored',
  'voided-lanes-not-reset',
  'stream-frame-lost-on-resume',
  'stream-end-before-last-bytes',
  'stream-window-kept-at-reset',
  'stream-delivered-too-high',
  'stream-permitted-after-accept',
  'stream-place-kept',
])(
  'the planted bug %s is found',
  async (mutant) => {
    const found = await hunt(mutant, { from: 1, seeds: 300, processes: 1, mutant })
    expect(found.seeds, found.sentence).not.toBeNull()
  },
  patienceMs,
)
