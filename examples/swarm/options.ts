/**
 * Owns: the command line of the swarm: options, defaults, help, and one plain sentence for each error.
 * Independent of: how the options are used.
 */
import { parseArgs } from 'node:util'

export const dialects = ['native', 'ampc'] as const
export type Dialect = (typeof dialects)[number]
export const securities = ['tls', 'plaintext'] as const
export type Security = (typeof securities)[number]

export interface SwarmOptions {
  readonly peers: number
  readonly dialect: Dialect
  readonly security: Security
  /** A path, '-' for stdin, null for the sample. */
  readonly input: string | null
  readonly sessions: number
  readonly connections: number
  /** 0: never. */
  readonly killEveryMs: number
  /** Native: a whole process is killed and started again. 0: never. */
  readonly crashEveryMs: number
  /** Native: a link that is broken for longer is reset. null: the network's own limit. */
  readonly resumeWithinMs: number | null
  readonly durationMs: number
  readonly json: boolean
  readonly corrupt: boolean
}

/** Exit code of each way in which a run can end. */
export const exitCodes = { verified: 0, notVerified: 1, badOption: 2, peerDied: 3, interrupted: 130 } as const

export class UsageError extends Error {}

/** Processes on one machine; each is a Node of some 60 MiB. */
const peersMax = 16
const sessionsMax = 64
const connectionsMax = 8
const durationMaxMs = 3_600_000
/** A connection takes a moment to come back, and only then is breaking it again useful. */
const killEveryMinMs = 10
const crashEveryMinMs = 100

const defaults = {
  peers: 5,
  dialect: 'native',
  sessions: 4,
  connections: 2,
  killEvery: '500ms',
  duration: '8s',
} as const

export const help = `npm start -- [options]

Starts a swarm of peers on loopback, each in a process of its own and connected to all others. Each sends a file to
every other peer until the time is over, in numbered pieces over several sessions. Receivers check the SHA-256 of every
file. Peers know each other by keys that they generate at the start, and speak mutual TLS. Meanwhile random sockets are
destroyed: the sessions go on, and no piece is sent twice. With --crash-every, whole processes are killed: their links
are reset, sessions are made again, and receivers ask for the missing pieces. In the ampc dialect a broken connection
loses pieces.

  --peers N         processes, 2 to ${peersMax} (default ${defaults.peers})
  --input FILE      what every peer sends; - reads stdin (default: a book of 145 KiB that comes with the example)
  --dialect D       ${dialects.join(' or ')} (default ${defaults.dialect})
  --security S      ${securities.join(' or ')}; ampc is plaintext here (default: tls in native)
  --sessions N      sessions that the pieces are spread over, 1 to ${sessionsMax} (default ${defaults.sessions})
  --connections N   TCP connections between two peers, 1 to ${connectionsMax}, not more than sessions
                    (default ${defaults.connections})
  --kill-every T    destroy a random socket of a random peer every T, such as 100ms or 2s, or never
                    (default ${defaults.killEvery})
  --crash-every T   native: kill a random process every T, or later if one is still starting, and start it again with
                    its key
  --resume-within T native: how long a link may be broken and still be resumed (default: two minutes); with 1ms links
                    are reset instead, sessions are made again, and missing pieces are asked for
  --duration T      how long new rounds begin, such as 500ms, 20s or 2m (default ${defaults.duration}); begun rounds
                    are finished
  --json            the summary as one JSON object on stdout; progress goes to stderr. npm prints its own lines on
                    stdout unless it is silent: npm start --silent -- --json | jq
  --corrupt         peer 1 flips one bit of one piece, which must be detected: the run exits with 1
  --help, -h

Ctrl-C finishes the rounds under way, shuts the networks down and prints the summary; a second Ctrl-C ends at once.

Exit codes
  ${exitCodes.verified}    every file arrived and every digest was right
  ${exitCodes.notVerified}    something is missing or wrong; the summary says what
  ${exitCodes.badOption}    an option or the input cannot be used
  ${exitCodes.peerDied}    a peer's process ended, did not start or did not answer
  ${exitCodes.interrupted}  ended at once by a second Ctrl-C; nothing was verified`

/** @returns null if help was requested @throws UsageError */
export function parseOptions(argv: readonly string[]): SwarmOptions | null {
  const values = parsed(argv)
  if (values.help) return null
  const sessions = whole('sessions', values.sessions, 1, sessionsMax)
  const connections = whole(
    'connections',
    values.connections ?? String(Math.min(defaults.connections, sessions)),
    1,
    connectionsMax,
  )
  // A connection is read once it has a session; one without would only be kept alive.
  if (connections > sessions)
    throw new UsageError(`--connections must not be more than --sessions (${sessions}), got ${connections}`)
  if (values.input === '') throw new UsageError('--input must name a file, or be - for stdin')
  const dialect = oneOf('dialect', values.dialect, dialects)
  const security = oneOf('security', values.security ?? (dialect === 'native' ? 'tls' : 'plaintext'), securities)
  if (dialect === 'ampc' && security === 'tls')
    throw new UsageError(
      '--security tls in the ampc dialect needs certificates, which the swarm does not make; leave it out',
    )
  if (dialect === 'ampc' && values['resume-within'] !== undefined)
    throw new UsageError('--resume-within belongs to the native dialect; ampc cannot resume')
  if (dialect === 'ampc' && values['crash-every'] !== undefined)
    throw new UsageError('--crash-every belongs to the native dialect; sessions of ampc do not survive a process')
  return {
    dialect,
    security,
    resumeWithinMs:
      values['resume-within'] === undefined ? null : duration('resume-within', values['resume-within'], 1),
    peers: whole('peers', values.peers, 2, peersMax),
    input: values.input ?? null,
    sessions,
    connections,
    killEveryMs: values['kill-every'] === 'never' ? 0 : duration('kill-every', values['kill-every'], killEveryMinMs),
    crashEveryMs:
      values['crash-every'] === undefined ? 0 : duration('crash-every', values['crash-every'], crashEveryMinMs),
    durationMs: duration('duration', values.duration, 100),
    json: values.json,
    corrupt: values.corrupt,
  }
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        peers: { type: 'string', default: String(defaults.peers) },
        input: { type: 'string' },
        dialect: { type: 'string', default: defaults.dialect },
        security: { type: 'string' },
        'resume-within': { type: 'string' },
        sessions: { type: 'string', default: String(defaults.sessions) },
        connections: { type: 'string' },
        'kill-every': { type: 'string', default: defaults.killEvery },
        'crash-every': { type: 'string' },
        duration: { type: 'string', default: defaults.duration },
        json: { type: 'boolean', default: false },
        corrupt: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    // Node's own sentence, without its advice on how to pass such a thing as a positional argument.
    throw new UsageError(`${(error as Error).message.split(/[.\n]/)[0] ?? 'a wrong option'}; --help lists the options`)
  }
}

function whole(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < least || value > most)
    throw new UsageError(`--${name} must be a whole number from ${least} to ${most}, got '${text}'`)
  return value
}

function oneOf<T extends string>(name: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((each) => each === text)
  if (choice === undefined) throw new UsageError(`--${name} must be ${choices.join(' or ')}, got '${text}'`)
  return choice
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 }

function duration(name: string, text: string, leastMs: number): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text)
  if (match === null) throw new UsageError(`--${name} must be a time such as 500ms, 2s or 1m, got '${text}'`)
  const valueMs = Math.round(Number(match[1]) * (unitsMs[match[2] as string] as number))
  if (valueMs < leastMs || valueMs > durationMaxMs)
    throw new UsageError(`--${name} must be from ${leastMs}ms to ${durationMaxMs / 60_000}m, got '${text}'`)
  return valueMs
}
