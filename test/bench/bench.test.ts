/**
 * Owns: that one row of the benchmarks runs and verifies the values it carried, and how the command refuses wrong
 * options.
 * Independent of: how fast anything is. All rows: bench.long.test.ts.
 */
import { expect, test } from 'vitest'
import { runProgram } from '../support/run-program.ts'

test('the benchmark of one-way values over TLS verifies every value and prints its requirement', async () => {
  const options = ['--quick', '--seconds', '0.05', '--rows', 'one-way', '--subjects', 'raw-tls,statewire-tls']
  const { stdout, stderr } = await runProgram('bench/main.js', options)
  expect(stdout + stderr).not.toContain('broken cell')
  expect((stdout + stderr).match(/[1-9]\d* values verified/g)).toHaveLength(2)
  expect(stdout).toMatch(/^BAR P1 (pass|fail) ratio=\d/m)
})

test('the benchmark exits with code 2 for an unknown row and lists the rows', async () => {
  const { code, stderr, stdout } = await runProgram('bench/main.js', ['--rows', 'nonsense'])
  expect(code).toBe(2)
  expect(stdout + stderr).toContain('one-way')
})
