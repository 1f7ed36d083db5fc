/**
 * Owns: the command lines of the acceptance programs: what they print as help and which options they refuse.
 * Independent of: what each of them measures; a short version of each is beside the tests of its subject.
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

describe.each(['security', 'chaos', 'growth'])('the %s acceptance program', (set) => {
  test(`the ${set} acceptance program lists its options and its checks for --help`, async () => {
    const { code, output } = await run(set, ['--help'])
    expect([code, output]).toEqual([0, expect.stringContaining('--only')])
  })

  test.each([
    { options: ['--only', 'X99'], says: 'there is no bar X99' },
    { options: ['--seed', 'x'], says: "not 'x'" },
    { options: ['--fast'], says: '--fast' },
  ])(`the ${set} acceptance program exits with code 2 for $options`, async ({ options, says }) => {
    const { code, output } = await run(set, options)
    expect([code, output]).toEqual([2, expect.stringContaining(says)])
  })
})
