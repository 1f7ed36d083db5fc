/**
 * The contract of examples/two-peers: the least program there is works, and ends by itself.
 * Owns: a run of the built program. Refuses to know: what is in it.
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const program = fileURLToPath(new URL('../../build/examples/two-peers/main.js', import.meta.url))
const source = fileURLToPath(new URL('../../examples/two-peers/main.ts', import.meta.url))

it('carries a value from one key to another, and leaves nothing that would keep the process', async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [program], { timeout: 10_000 })
  expect({ stdout, stderr }).toEqual({
    stdout: "bob received { type: 'VecRing32', value: Uint32Array(3) [ 1, 2, 3 ] }\n",
    stderr: '',
  })
})

it('is short enough to be read in a minute', () => {
  expect(readFileSync(source, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(32)
})
