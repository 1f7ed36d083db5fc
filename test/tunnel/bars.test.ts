/**
 * Owns: the short form of the long checks of tunnels, as far as it needs no other programs.
 * Independent of: how long anything takes.
 */
import { expect, it } from 'vitest'
import { runProgram } from '../support/run-program.ts'

it('web requests and a download through a tunnel are whole while its carrier is destroyed, in the short form of the long checks', async () => {
  const { code, stdout } = await runProgram('test/bars/tunnel/main.js', ['--quick', '--only', 'T1,T2,P16'])
  const lines = stdout.split('\n').filter((line) => line.startsWith('BAR'))
  expect(lines.map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual([
    'BAR T1 pass',
    'BAR T2 pass',
    'BAR P16 pass',
  ])
  expect(code).toBe(0)
}, 60_000)
