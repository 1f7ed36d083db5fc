/**
 * Owns: runs of the built swarm in each dialect: sockets destroyed meanwhile, links reset, an interrupt.
 * Independent of: its parts and its options (swarm-transfer, swarm-options, swarm-output).
 */
import { execFile, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { exitCodes } from '../../examples/swarm/options.ts'
import type { summarise } from '../../examples/swarm/summary.ts'
import { digestOf } from '../../examples/swarm/transfer.ts'
import { runProgram } from '../support/run-program.ts'

const program = fileURLToPath(new URL('../../build/examples/swarm/main.js', import.meta.url))
const bytes = Buffer.from(Array.from({ length: 5_000 }, (_, index) => (index * 31 + (index >> 8)) % 256))
const sha256 = Buffer.from(digestOf(bytes)).toString('hex')

describe('the swarm', { timeout: 60_000 }, () => {
  it.each([
    ['native', 'tls', '3s'],
    ['native', 'plaintext', '1500ms'],
    ['ampc', 'plaintext', '1500ms'],
  ])('the swarm verifies every file while its sockets are destroyed: %s, %s', async (dialect, security, duration) => {
    const asked = dialect === 'native' && security === 'tls' ? [] : ['--dialect', dialect, '--security', security]
    const { code: exitCode, stdout } = await runProgram('examples/swarm/main.js', [
      '--peers',
      '3',
      '--duration',
      duration,
      '--kill-every',
      '100ms',
      '--json',
      ...asked,
    ])
    const summary = JSON.parse(stdout) as ReturnType<typeof summarise>
    expect(summary).toMatchObject({
      verified: true,
      problems: [],
      dialect,
      security,
      peers: 3,
      digests: { wrong: 0 },
      linkResets: 0,
      unknown: 0,
    })
    if (dialect === 'native') expect(summary.pieces).toMatchObject({ askedAgain: 0, sentAgain: 0, duplicates: 0 })
    expect(exitCode).toBe(exitCodes.verified)
    expect(summary.digests.verified).toBe(summary.rounds.begun)
    expect(summary.rounds.delivered).toBe(summary.rounds.begun)
    expect(summary.rounds.begun).toBeGreaterThanOrEqual(6)
    expect(summary.kills).toBeGreaterThan(0)
    expect(summary.reconnects).toBeGreaterThan(0)
    expect(summary.pieces.sentAgain).toBe(summary.pieces.askedAgain)
  })

  it('the swarm destroys sockets by default and loses nothing', async () => {
    const { code, stdout } = await runProgram('examples/swarm/main.js', ['--peers', '3', '--duration', '3s', '--json'])
    const summary = JSON.parse(stdout) as ReturnType<typeof summarise>
    expect({ code, ...summary }).toMatchObject({ code: exitCodes.verified, verified: true, crashes: 0 })
    expect(summary.pieces).toMatchObject({ askedAgain: 0, sentAgain: 0 })
    expect(summary.kills).toBeGreaterThan(0)
  })

  it('the swarm verifies every file while whole processes are killed and started again', async () => {
    const options = ['--peers', '3', '--duration', '4s', '--crash-every', '500ms', '--json']
    const { code, stdout } = await runProgram('examples/swarm/main.js', options)
    const summary = JSON.parse(stdout) as ReturnType<typeof summarise>
    expect({ code, ...summary }).toMatchObject({
      code: exitCodes.verified,
      verified: true,
      problems: [],
      digests: { wrong: 0 },
    })
    expect(summary.crashes).toBeGreaterThan(0)
    expect(summary.linkResets).toBeGreaterThan(0)
  })

  it('the swarm exits with code 3 when a process dies, and no longer counts it or its connections', async () => {
    const options = ['--peers', '2', '--duration', '10m', '--kill-every', 'never', '--json']
    const child = spawn(process.execPath, [program, ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
    let [stdout, stderr, isKilled] = ['', '', false]
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
      if (isKilled || !/running +peers 2\/2/.test(stderr)) return
      isKilled = true
      execFile('pgrep', ['-P', String(child.pid)], (_, pids) => process.kill(Number(pids.split('\n')[0]), 'SIGKILL'))
    })
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(exitCodes.peerDied)
    expect(stderr.trim().split('\n').at(-1)).toMatch(/ s over +peers 1\/2 {2}connections 0\//)
    const { problems } = JSON.parse(stdout) as ReturnType<typeof summarise>
    expect(problems[0]).toMatch(/^the process of peer \d ended with SIGKILL before its work was done$/)
  })

  it('the swarm makes sessions again and asks for missing pieces when links are reset', async () => {
    const { code: exitCode, stdout } = await runProgram('examples/swarm/main.js', [
      '--peers',
      '2',
      '--duration',
      '2s',
      '--kill-every',
      '50ms',
      '--resume-within',
      '1ms',
      '--json',
    ])
    const summary = JSON.parse(stdout) as ReturnType<typeof summarise>
    expect(summary).toMatchObject({
      verified: true,
      problems: [],
      digests: { wrong: 0, verified: summary.rounds.begun },
    })
    expect(summary.linkResets).toBeGreaterThan(0)
    expect(exitCode).toBe(exitCodes.verified)
  })

  it('the swarm drains when it is interrupted, and sends the file from stdin', async () => {
    const child = spawn(process.execPath, [program, '--peers', '2', '--duration', '10m', '--input', '-', '--json'], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    child.stdin.end(bytes)
    // The first line of progress comes a second after the start.
    child.stderr.once('data', () => child.kill('SIGINT'))
    let stdout = ''
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    const exitCode = await new Promise((resolve) => child.once('close', resolve))
    const summary = JSON.parse(stdout) as ReturnType<typeof summarise>
    expect(summary).toMatchObject({ interrupted: true, input: { name: 'stdin', bytes: bytes.length, sha256 } })
    // A machine so slow that nothing had begun after a second has nothing to verify.
    expect(exitCode).toBe(summary.verified ? exitCodes.verified : exitCodes.notVerified)
    if (summary.rounds.begun > 0) expect(summary.verified).toBe(true)
  })
})
