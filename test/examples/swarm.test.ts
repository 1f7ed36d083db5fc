/**
 * Owns: short runs of the built swarm as a process; longer ones: swarm.long.test.ts.
 * Independent of: its parts, which have tests of their own (swarm-transfer, swarm-options, swarm-output).
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { exitCodes } from '../../examples/swarm/options.ts'
import type { summarise } from '../../examples/swarm/summary.ts'
import { runProgram } from '../support/run-program.ts'
import type { Finished } from '../support/run-program.ts'

const program = fileURLToPath(new URL('../../build/examples/swarm/main.js', import.meta.url))

describe('the program', { timeout: 60_000 }, () => {
  const run = (...args: string[]): Promise<Finished> => runProgram('examples/swarm/main.js', args)

  it('the swarm verifies every file while its sockets are destroyed', async () => {
    const { code, stdout } = await run('--peers', '2', '--duration', '600ms', '--kill-every', '100ms', '--json')
    const summary = JSON.parse(stdout) as ReturnType<typeof summarise>
    expect(summary).toMatchObject({
      verified: true,
      problems: [],
      dialect: 'native',
      security: 'tls',
      digests: { wrong: 0 },
    })
    expect(summary.pieces).toMatchObject({ askedAgain: 0, sentAgain: 0, duplicates: 0 })
    expect(code).toBe(exitCodes.verified)
    expect(summary.digests.verified).toBe(summary.rounds.begun)
    expect(summary.rounds.begun).toBeGreaterThan(0)
    expect(summary.kills).toBeGreaterThan(0)
  })

  it('the last line of the swarm shows the state before its own shutdown', async () => {
    const { code, stderr } = await run('--peers', '3', '--duration', '300ms', '--kill-every', 'never', '--json')
    expect(code).toBe(exitCodes.verified)
    const lastFrame = stderr.trim().split('\n').at(-1)
    expect(lastFrame).toMatch(/ s over +peers 3\/3 {2}connections 6\/6 .* reconnects 0 {2}asked again 0$/)
  })

  it.each([
    ['notice', 1],
    ['silent', 0],
  ])(
    'the swarm prints only JSON on stdout with --json, and says how to silence npm (loglevel %s)',
    async (loglevel, hints) => {
      const env = { ...process.env, npm_lifecycle_event: 'start', npm_config_loglevel: loglevel }
      const { stdout, stderr } = await promisify(execFile)(
        process.execPath,
        [program, '--peers', '2', '--duration', '100ms', '--json'],
        { env },
      )
      expect(JSON.parse(stdout)).toMatchObject({ verified: true })
      expect(stderr.split('npm start --silent -- --json').length - 1).toBe(hints)
    },
  )

  it('the swarm exits with code 1 when a piece was corrupted', async () => {
    const { code: exitCode, stdout } = await run('--peers', '2', '--duration', '100ms', '--corrupt', '--json')
    expect(exitCode).toBe(exitCodes.notVerified)
    expect(JSON.parse(stdout)).toMatchObject({ verified: false, digests: { wrong: 1 } })
  })

  it('the swarm exits with code 2 and one sentence when an option is wrong', async () => {
    expect(await run('--peers', '1')).toEqual({
      code: exitCodes.badOption,
      stdout: '',
      stderr: "--peers must be a whole number from 2 to 16, got '1'\n",
    })
    expect(await run('--input', '/no/such/file')).toMatchObject({ code: exitCodes.badOption, stdout: '' })
  })
})
