/**
 * Owns: that the programs of the bars say what they take, and refuse what they do not.
 * Refuses to know: what any bar measures; each has a short version of its own beside the tests of its subject.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

function run(set: string, options: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['--expose-gc', join('build', 'test', 'bars', set, 'main.js'), ...options],
      (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, output: stdout + stderr })
      },
    )
  })
}

describe.each(['security', 'chaos', 'growth'])('the bars of %s', (set) => {
  test('tell their options and their names by --help', async () => {
    const { code, output } = await run(set, ['--help'])
    expect([code, output]).toEqual([0, expect.stringContaining('--only')])
  })

  test.each([
    { options: ['--only', 'X99'], says: 'there is no bar X99' },
    { options: ['--seed', 'x'], says: "not 'x'" },
    { options: ['--fast'], says: '--fast' },
  ])('end with exit code 2 for $options', async ({ options, says }) => {
    const { code, output } = await run(set, options)
    expect([code, output]).toEqual([2, expect.stringContaining(says)])
  })
})
