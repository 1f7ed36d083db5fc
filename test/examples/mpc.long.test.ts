/**
 * Owns: the built program of examples/mpc in each dialect and at its limits.
 * Independent of: its arithmetic and its three parties (mpc.test.ts).
 */
import { describe, expect, it } from 'vitest'
import type { PartyReport } from '../../examples/mpc/party.ts'
import { lengthMax } from '../../examples/mpc/shares.ts'
import { runProgram } from '../support/run-program.ts'

const run = (...args: string[]): ReturnType<typeof runProgram> => runProgram('examples/mpc/main.js', args)

describe('the mpc example', () => {
  it('the mpc example computes the same result in the ampc dialect', async () => {
    const { code, stdout } = await run('--dialect', 'ampc', '--length', '100', '--json')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, dialect: 'ampc' })
  })

  it('the mpc example prints one JSON object with --json, the same in one process as in three', async () => {
    const [apart, together] = await Promise.all([
      run('--json', '--seed', '7', '--length', '50'),
      run('--json', '--seed', '7', '--length', '50', '--in-process'),
    ])
    expect([apart.code, together.code]).toEqual([0, 0])
    const [first, second] = [apart, together].map(
      ({ stdout }) => JSON.parse(stdout) as { ok: boolean; expected: number; reports: PartyReport[] },
    )
    expect(first).toMatchObject({
      ok: true,
      reports: [
        { name: 'alice', opened: first?.expected },
        { name: 'bob', opened: first?.expected },
        { name: 'charlie', opened: first?.expected },
      ],
    })
    expect(second?.expected).toBe(first?.expected)
  })

  it.each([
    ['one element over many sessions', '--length', '1', '--sessions', '64'],
    ['the longest vectors', '--length', String(lengthMax), '--sessions', '1'],
  ])('the mpc example computes %s', async (_, ...args) => {
    expect(await run(...args, '--in-process')).toMatchObject({ code: 0, stderr: '' })
  })

  it('the mpc example exits with code 1 when a party opens a wrong share', async () => {
    const { code, stdout } = await run('--cheat', 'bob', '--length', '10')
    expect(code).toBe(1)
    // Which of the others gets the wrong share depends on the order of the keys, which are new in each run.
    expect(stdout).toMatch(/(alice|charlie) +WRONG: the two parties that hold the missing share sent different values/)
    expect(stdout).toContain('NOT EQUAL')
  })

  it.each([
    ['--length', '0'],
    ['--length', String(lengthMax + 1)],
    ['--length', 'ten'],
    ['--cheat', 'dora'],
    ['--sessions', '65'],
    ['--dialect', 'rust'],
    ['--nonsense'],
  ])('the mpc example exits with code 2 for %s %s', async (...args) => {
    const { code, stderr } = await run(...args)
    expect(code).toBe(2)
    expect(stderr).toContain(args[0])
  })
})
