/**
 * Owns: that every row of the benchmarks runs and verifies the values it carried: small inputs, counts only, never a
 * duration or a ratio.
 * Independent of: how fast anything is.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runProgram } from '../support/run-program.ts'

describe('the benchmarks', () => {
  const plain = ['raw-view', 'statewire']
  const secured = ['raw-tls', 'statewire-tls']

  test.each([
    { row: 'one-way', subjects: plain, bars: ['P1-plain'] },
    { row: 'lanes', subjects: plain, bars: ['P2-plain'] },
    { row: 'rtt', subjects: plain, bars: ['P3-plain'] },
    { row: '64KiB', subjects: plain, bars: ['P4-plain'] },
    { row: 'one-way', subjects: [...secured, 'statewire-tls-awaited'], bars: ['P1', 'P11'] },
    { row: 'rtt', subjects: secured, bars: ['P3'] },
    { row: '1MiB', subjects: secured, bars: ['P5'] },
    { row: 'echo', subjects: secured, bars: ['P6'] },
    { row: 'beside', subjects: ['raw-tls-mux', 'statewire-tls'], bars: ['P18-p50', 'P18-p99'] },
    { row: 'lanes-8', subjects: ['statewire-tls'], bars: [] },
  ])(
    'the benchmark row $row of $subjects carries and verifies every value',
    { timeout: 60_000 },
    async ({ row, subjects, bars }) => {
      const folder = await mkdtemp(join(tmpdir(), 'statewire-bench-'))
      try {
        const file = join(folder, 'result.json')
        const { stdout, stderr } = await runProgram('bench/main.js', [
          '--quick',
          '--rows',
          row,
          '--subjects',
          subjects.join(','),
          '--json',
          file,
        ])
        expect(stdout + stderr).not.toContain('broken cell')
        const { cells } = JSON.parse(await readFile(file, 'utf8')) as { cells: { subject: string; values: number }[] }
        expect(cells.map((cell) => cell.subject)).toEqual(subjects)
        for (const cell of cells) expect(cell.values).toBeGreaterThan(0)
        expect([...stdout.matchAll(/^BAR (\S+) (?:pass|fail) ratio=\d/gm)].map((match) => match[1])).toEqual(bars)
      } finally {
        await rm(folder, { recursive: true })
      }
    },
  )

  test('the codec benchmark prints one line for each requirement', { timeout: 60_000 }, async () => {
    const { stdout } = await runProgram('bench/codec.js', ['--quick'])
    expect(stdout.match(/^BAR codec-\S+ (pass|fail) ratio=\d/gm)).toHaveLength(4)
  })
})
