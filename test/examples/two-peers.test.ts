/**
 * Owns: a run of the built examples/two-peers: it works and ends by itself.
 * Independent of: its code.
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const program = fileURLToPath(new URL('../../build/examples/two-peers/main.js', import.meta.url))
const source = fileURLToPath(new URL('../../examples/two-peers/main.ts', import.meta.url))

it('the two-peers example carries a value from one key to another, and its process ends by itself', async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [program], { timeout: 10_000 })
  expect({ stdout, stderr }).toEqual({
    stdout: "bob received { type: 'VecRing32', value: Uint32Array(3) [ 1, 2, 3 ] }\n",
    stderr: '',
  })
})

it('the two-peers example is short enough to be read in a minute', () => {
  expect(readFileSync(source, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(32)
})
