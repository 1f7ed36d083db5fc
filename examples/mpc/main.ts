/**
 * Three parties compute the dot product of two secret vectors, and none of them learns more than the result.
 *
 * 1. alice has x, bob has y, charlie has nothing. Reals become fixed-point integers in the ring Z_2^32.
 *   2. A secret is cut into random addends x = x0 + x1 + x2; party i gets x_i and x_(i-1). One alone learns nothing.
 *   3. `makeSessions({ agreePrfKeys: true })` gives each session two keys: its own, shared with next, and previous's.
 *   4. Each party multiplies and sums what it holds: z_i = sum(x_i y_i + x_i y_(i-1) + x_(i-1) y_i). No message.
 *   5. It adds PRF(own key) - PRF(previous key): the three masks sum to zero, and z_i now looks random to others.
 *   6. Reshare: z_i goes to next as VecRing32, z_(i-1) comes from previous. One element each, whatever the length.
 *   7. Open: both others send the missing share; if their copies differ, one of them cheats, and the result is refused.
 *   8. A barrier, and only then everything is closed.
 *
 * Parties know each other by keys that they generate at the start, and speak mutual TLS; `--dialect ampc` uses names on
 * plain TCP. Araki, Furukawa, Lindell, Nof, Ohara: High-Throughput Semi-Honest Secure Three-Party Computation with an
 * Honest Majority (CCS 2016). Secure against a party that is curious but follows the protocol; the check in 7 is a
 * courtesy, not a proof.
 *
 * Owns: options, inputs, the order in which parties start, printed text.
 * Independent of: the protocol (party.ts) and its arithmetic (shares.ts).
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { seededRandom } from '../../testing/index.ts'
import { serveParty, startHere, startProcess } from './launch.ts'
import type { Dialect } from './launch.ts'
import { partyNames } from './party.ts'
import type { Ids, PartyName, PartyReport } from './party.ts'
import { encodeFixed, fractionBitsFor, lengthMax, plainDot } from './shares.ts'

const help = `node build/examples/mpc/main.js [options]

Three parties, each a process of its own, compute a secret-shared dot product and compare it with the plain one.

  --length N     elements of the vectors, 1 to ${lengthMax} (default 1000)
  --seed N       seed of the sample vectors (default 2016)
  --sessions N   sessions that share the work, 1 to 64 (default 4)
  --dialect D    native or ampc (default native)
  --in-process   all three parties in one process, as three networks
  --cheat NAME   alice, bob or charlie opens a wrong share: the run must end with exit code 1
  --json         one JSON object instead of text
  --help

Exits 0 if every party opened exactly the plain result, 1 if not, 2 for wrong options.`

interface Options {
  readonly length: number
  readonly seed: number
  readonly sessions: number
  readonly dialect: Dialect
  readonly inProcess: boolean
  readonly cheat: PartyName | null
  readonly json: boolean
}

class UsageError extends Error {}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new UsageError(`--${name} must be a whole number from ${min} to ${max}, got ${text}`)
  return value
}

function parseOptions(values: {
  length: string
  seed: string
  sessions: string
  dialect: string
  'in-process': boolean
  cheat?: string
  json: boolean
}): Options {
  const cheat = values.cheat ?? null
  if (cheat !== null && !partyNames.includes(cheat as PartyName))
    throw new UsageError(`--cheat must be one of ${partyNames.join(', ')}, got ${cheat}`)
  const { dialect } = values
  if (dialect !== 'native' && dialect !== 'ampc')
    throw new UsageError(`--dialect must be native or ampc, got ${dialect}`)
  return {
    dialect,
    length: wholeNumber('length', values.length, 1, lengthMax),
    seed: wholeNumber('seed', values.seed, 0, 0xffff_ffff),
    sessions: wholeNumber('sessions', values.sessions, 1, 64),
    inProcess: values['in-process'],
    cheat: cheat as PartyName | null,
    json: values.json,
  }
}

async function compute(options: Options): Promise<boolean> {
  const { length, seed, sessions, dialect, inProcess, cheat, json } = options
  const random = seededRandom(seed)
  const [x, y] = [0, 1].map(() => Float64Array.from({ length }, () => 2 * random.fraction() - 1)) as [
    Float64Array,
    Float64Array,
  ]
  const fractionBits = fractionBitsFor(length)
  const expected = plainDot(encodeFixed(x, fractionBits), encodeFixed(y, fractionBits))
  const say = (line: string): void => void (json || console.log(line))
  say(
    [
      `${length} elements in [-1, 1] from seed ${seed}`,
      `${fractionBits} fraction bits`,
      `${sessions} sessions`,
      inProcess ? 'three networks in one process' : 'three processes',
      dialect === 'native' ? 'native over mutual TLS' : 'ampc on plain TCP',
    ].join(', '),
  )

  const inputs: Record<PartyName, Float64Array | null> = { alice: x, bob: y, charlie: null }
  const urls: Partial<Record<PartyName, string>> = {}
  const parties = partyNames.map((name) =>
    inProcess ? startHere(name) : startProcess(name, fileURLToPath(import.meta.url)),
  )
  let reports: PartyReport[]
  try {
    const keyIds = await Promise.all(parties.map(({ keyId }) => keyId))
    const ids = Object.fromEntries(
      partyNames.map((name, index) => [name, dialect === 'native' ? keyIds[index] : name]),
    ) as Ids
    for (const party of parties) {
      const { name } = party
      const input = inputs[name]
      party.run(
        {
          name,
          ids,
          urls: { ...urls },
          input: input === null ? null : [...input],
          length,
          fractionBits,
          sessions,
          expected,
          cheats: name === cheat,
        },
        dialect,
      )
      const url = await party.listening
      if (url !== null) urls[name] = url
      say(
        `${name.padEnd(7)}  ${dialect === 'native' ? `${ids[name].slice(0, 7)}…  ` : ''}${url === null ? 'dials the others' : `listens on ${url}`}`,
      )
    }
    reports = await Promise.all(parties.map((party) => party.report))
  } finally {
    for (const party of parties) party.stop()
  }

  const plain = x.reduce((sum, element, index) => sum + element * (y[index] ?? 0), 0)
  // Each factor is off by at most half a step, and no factor is above 1.
  const roundingMax = length * (2 ** -fractionBits + 4 ** -(fractionBits + 1))
  const rounding = Math.abs(expected / 4 ** fractionBits - plain)
  const isRight = reports.every(({ problem }) => problem === null) && rounding <= roundingMax
  for (const { name, processId, opened, problem } of reports) {
    say(
      `${name.padEnd(7)}  ${problem === null ? `opened ${opened} = ${((opened ?? 0) / 4 ** fractionBits).toFixed(6)}` : `WRONG: ${problem}`}  (process ${processId})`,
    )
  }
  say(`plain    ${expected} on the same fixed-point numbers: ${isRight ? 'equal, at all three parties' : 'NOT EQUAL'}`)
  say(
    `plain    ${plain.toFixed(6)} on the reals: differs by ${rounding.toFixed(6)}, at most ${roundingMax.toFixed(6)} by rounding`,
  )
  if (json)
    console.log(
      JSON.stringify({
        ok: isRight,
        dialect,
        length,
        seed,
        fractionBits,
        sessions,
        plain,
        expected,
        rounding,
        roundingMax,
        reports,
      }),
    )
  return isRight
}

async function main(): Promise<number> {
  let options: Options
  try {
    const { values } = parseArgs({
      options: {
        length: { type: 'string', default: '1000' },
        seed: { type: 'string', default: '2016' },
        sessions: { type: 'string', default: '4' },
        dialect: { type: 'string', default: 'native' },
        'in-process': { type: 'boolean', default: false },
        cheat: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) {
      console.log(help)
      return 0
    }
    options = parseOptions(values)
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${help}`)
    return 2
  }
  try {
    return (await compute(options)) ? 0 : 1
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    return 1
  }
}

// A party's process is this same program; it gets its job over the channel of `fork`.
if (process.send !== undefined && process.argv[2] === '--party') serveParty()
else process.exitCode = await main()
