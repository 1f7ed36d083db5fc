/**
 * Owns: that a program which uses this package prints no warning of XState's development build, which applications
 * select with `--conditions=development`.
 * Independent of: what the examples show.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const programOf = (example: string): string =>
  fileURLToPath(new URL(`../../build/examples/${example}/main.js`, import.meta.url))

it.each(['two-peers', 'embed', 'mpc'])(
  "the %s example prints no warning of XState's development build",
  async (example) => {
    const args = ['--conditions=development', programOf(example)]
    const { stderr } = await promisify(execFile)(process.execPath, args, { timeout: 20_000 })
    expect(stderr).toBe('')
  },
)
