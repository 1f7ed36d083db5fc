/**
 * Owns: the short form of the long checks of streams: that they work, not how fast.
 * Independent of: how long anything takes.
 */
import { expect, it } from 'vitest'
import { runProgram } from '../support/run-program.ts'

it('streams open by the thousand and saturate each other without a loss, in the short form of the long checks', async () => {
  const { code, stdout } = await runProgram('test/bars/streams/main.js', ['--quick'], ['--expose-gc'])
  const lines = stdout.split('\n').filter((line) => line.startsWith('BAR'))
  expect(lines.map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual(
    ['P7', 'P7b', 'P8', 'P10', 'P13', 'MIX', 'S1', 'S2'].map((id) => `BAR ${id} pass`),
  )
  expect(code).toBe(0)
}, 120_000)
