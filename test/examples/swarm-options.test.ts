/**
 * Owns: the command line of the swarm: its defaults, and the values that it refuses.
 * Independent of: what the options do.
 */
import { describe, expect, it } from 'vitest'
import { parseOptions, UsageError } from '../../examples/swarm/options.ts'

describe('the options of the swarm', () => {
  it('the options of the swarm have defaults in each dialect', () => {
    expect(parseOptions([])).toEqual({
      peers: 5,
      dialect: 'native',
      security: 'tls',
      input: null,
      sessions: 4,
      connections: 2,
      killEveryMs: 500,
      crashEveryMs: 0,
      resumeWithinMs: null,
      durationMs: 8000,
      json: false,
      corrupt: false,
    })
    expect(parseOptions(['--dialect', 'ampc'])).toMatchObject({ dialect: 'ampc', security: 'plaintext' })
    expect(parseOptions(['--security', 'plaintext', '--resume-within', '1ms'])).toMatchObject({
      dialect: 'native',
      security: 'plaintext',
      resumeWithinMs: 1,
    })
    expect(parseOptions(['--sessions', '1'])).toMatchObject({ sessions: 1, connections: 1 })
    expect(parseOptions(['--kill-every', 'never', '--crash-every', '2s'])).toMatchObject({
      killEveryMs: 0,
      crashEveryMs: 2000,
    })
    for (const flag of ['--help', '-h']) expect(parseOptions([flag, '--peers', '9'])).toBeNull()
  })

  it.each<[string, number]>([
    ['500ms', 500],
    ['2s', 2000],
    ['1.5s', 1500],
    ['1m', 60_000],
  ])('the options of the swarm accept the time %s', (text, expected) => {
    expect(parseOptions(['--kill-every', text])?.killEveryMs).toBe(expected)
  })

  it.each([
    ['--peers', '1'],
    ['--peers', '17'],
    ['--peers', 'two'],
    ['--sessions', '0'],
    ['--sessions', '65'],
    ['--connections', '9'],
    ['--connections', '5'],
    ['--duration', '5'],
    ['--duration', '0s'],
    ['--kill-every', '1ms'],
    ['--kill-every', '0'],
    ['--crash-every', '50ms'],
    ['--dialect=ampc', '--crash-every=2s'],
    ['--input', ''],
    ['--dialect', 'rust'],
    ['--security', 'ssl'],
    ['--dialect=ampc', '--security=tls'],
    ['--dialect=ampc', '--resume-within=1s'],
    ['--resume-within', '0ms'],
    ['--colour', 'red'],
    ['extra'],
  ])('the options of the swarm refuse %s %s in one sentence', (...argv) => {
    expect(() => parseOptions(argv)).toThrow(UsageError)
    expect(() => parseOptions(argv)).toThrow(/^[^\n]+$/)
  })
})
