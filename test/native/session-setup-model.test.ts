/**
 * Owns: the contract of session set-up over random interleavings and faults (setup-model.ts says what must hold).
 * Independent of: the wire. The rules one by one are in session-setup.test.ts.
 */
import { describe, expect, test } from 'vitest'
import { sized } from '../support/size.ts'
import { noFaults, SetupModel } from './setup-model.ts'
import type { ModelFaults } from './setup-model.ts'

const seeds = Number(process.env['STATEWIRE_SETUP_SEEDS'] ?? sized(120, 3000))
const firstSeed = Number(process.env['STATEWIRE_SETUP_SEED'] ?? 1)

const everything: ModelFaults = {
  ...noFaults,
  resets: 3,
  restarts: 1,
  aborts: 3,
  closes: 3,
  wrongCounts: 5,
  refusals: 3,
}

const kinds: readonly [what: string, faults: ModelFaults][] = [
  ['nothing but delays', { ...noFaults, closes: 2 }],
  ['three parties that abort', { ...noFaults, aborts: 12, closes: 4, parties: 3 }],
  ['calls that are aborted', { ...noFaults, aborts: 6, closes: 2 }],
  ['links that are reset', { ...noFaults, resets: 5, closes: 2 }],
  ['processes that restart', { ...noFaults, restarts: 2, closes: 2 }],
  ['counts that differ and limits', { ...noFaults, wrongCounts: 20, refusals: 10, closes: 2 }],
  ['all faults together', everything],
]

describe('session set-up between parties that make mistakes and links that fail', () => {
  test.each(kinds)(
    'pairs all parties that keep calling, on the same lanes: %s',
    (_, faults) => {
      let done = 0
      for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
        const model = new SetupModel(seed, faults)
        try {
          for (let steps = 40 + model.chance(800); steps > 0; steps -= 1) model.step()
          model.settle()
          model.check()
        } catch (error) {
          throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
        }
        done += model.tally.done
      }
      expect(done).toBeGreaterThan(seeds * 2)
    },
    120_000,
  )
})
