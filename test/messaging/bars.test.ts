/**
 * Owns: the short form of the long checks of messages and requests: counts only.
 * Independent of: how long anything takes.
 */
import { expect, it } from 'vitest'
import { runProgram } from '../support/run-program.ts'

it('broadcasts and requests keep their promises while sockets and processes die, in the short form of the long checks', async () => {
  const { code, stdout } = await runProgram('test/bars/messages/main.js', ['--quick'])
  const lines = stdout.split('\n').filter((line) => line.startsWith('BAR'))
  expect(lines.map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual([
    'BAR B1 pass',
    'BAR B2 pass',
    'BAR B3 pass',
    'BAR B4 pass',
    'BAR P15 pass',
  ])
  expect(code).toBe(0)
}, 60_000)
