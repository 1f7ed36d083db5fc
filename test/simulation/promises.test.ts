/**
 * Owns: that some simulated runs keep every promise and repeat themselves, that a mutant is found, and what the command
 * says to wrong options.
 * Independent of: how a run goes. More runs and more mutants: promises.long.test.ts. The runs are done by the compiled
 * program, in processes of their own.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { hunt } from '../bars/sim/hunt.ts'
import { mutants } from '../bars/sim/mutants.ts'
import { Workers } from '../bars/sim/workers.ts'
import { planOf } from '../../testing/index.ts'

const processes = 2
/** On a machine that has other things to do. */
const patienceMs = 120_000

test(
  'forty simulated runs keep every promise, and two of them repeat themselves',
  async () => {
    const workers = new Workers({ processes })
    try {
      const totals = await workers.run({ from: 1, seeds: 40, twice: 2 })
      expect(totals.failures.map(({ seed, violations }) => ({ seed, violations }))).toEqual([])
      expect([totals.seeds, totals.twice, totals.differing]).toEqual([40, 2, []])
      for (const what of ['breaks', 'partitions', 'crashes', 'unknown', 'notSent', 'streamsFinished', 'streamsReset'])
        expect(totals.counts[what], what).toBeGreaterThan(0)
    } finally {
      workers.stop()
    }
  },
  patienceMs,
)

test(
  'the simulation finds the mutant received-not-restored',
  async () => {
    const found = await hunt('received-not-restored', {
      from: 1,
      seeds: 300,
      processes: 1,
      mutant: 'received-not-restored',
    })
    expect(found.seeds, found.sentence).not.toBeNull()
  },
  patienceMs,
)

test('there are twenty planted bugs and more, each with a sentence', () => {
  expect(Object.keys(mutants).length).toBeGreaterThanOrEqual(20)
  for (const { sentence } of Object.values(mutants)) expect(sentence).toMatch(/^[A-Z].*\.$/)
})

test('a seed means one plan, and another seed another', () => {
  expect(planOf(7)).toEqual(planOf(7))
  expect(planOf(7)).not.toEqual(planOf(8))
})

test.each([
  ['--help', 0, 'Planted bugs: '],
  ['--seed 3', 0, 'seed 3: 0 promises broken'],
  ['--seed 3 --mutant received-not-restored', 1, 'BROKEN '],
  ['--seeds many', 2, '--seeds must be a whole number'],
  ['--mutant nothing', 2, "there is no planted bug 'nothing'"],
  ['--surprise', 2, '--surprise'],
])(
  '%s exits with %i and says %s',
  async (options, code, words) => {
    const program = fileURLToPath(new URL('../../build/test/bars/sim/main.js', import.meta.url))
    const ended = await new Promise<{ code: number; output: string }>((resolve) => {
      const child = execFile(
        process.execPath,
        [program, ...options.split(' ')],
        { maxBuffer: 2 ** 26 },
        (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, output: stdout + stderr }),
      )
    })
    expect(ended.code).toBe(code)
    expect(ended.output).toContain(words)
  },
  patienceMs,
)
