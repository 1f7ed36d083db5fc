/**
 * Owns: that the benchmarks run and verify what they carried: small inputs, counts only, never a duration or a ratio.
 * Refuses to know: how fast anything is.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function run(script: string, options: readonly string[]): Promise<Finished> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join('build', 'bench', script), ...options], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })
}

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
    { row: 'lanes-8', subjects: ['statewire-tls'], bars: [] },
  ])('carry and verify every value of the row $row of $subjects', { timeout: 60_000 }, async ({ row, subjects, bars }) => {
    const folder = await mkdtemp(join(tmpdir(), 'statewire-bench-'))
    try {
      const file = join(folder, 'result.json')
      const { stdout, stderr } = await run('main.js', ['--quick', '--rows', row, '--subjects', subjects.join(','), '--json', file])
      expect(stdout + stderr).not.toContain('broken cell')
      const { cells } = JSON.parse(await readFile(file, 'utf8')) as { cells: { subject: string, values: number }[] }
      expect(cells.map((cell) => cell.subject)).toEqual(subjects)
      for (const cell of cells) expect(cell.values).toBeGreaterThan(0)
      expect([...stdout.matchAll(/^BAR (\S+) (?:pass|fail) ratio=\d/gm)].map((match) => match[1])).toEqual(bars)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('the codec benchmark prints a line for each of its bars', { timeout: 60_000 }, async () => {
    const { stdout } = await run('codec.js', ['--quick'])
    expect(stdout.match(/^BAR codec-\S+ (pass|fail) ratio=\d/gm)).toHaveLength(4)
  })

  test('an unknown row ends with exit code 2 and names the rows', async () => {
    const { code, stderr, stdout } = await run('main.js', ['--rows', 'nonsense'])
    expect(code).toBe(2)
    expect(stdout + stderr).toContain('one-way')
  })
})
