/**
 * The command line of the benchmark. Owns the options, their defaults and the help text.
 * Independent of what is done with them.
 */
import { parseArgs } from 'node:util'
import type { Malloc, Pinning } from './cell.ts'
import { rowNamed, rows, type Row } from './rows.ts'
import { defaultSubjectNames, subjectNames } from './subjects/index.ts'

export interface Options {
  rounds: number
  seconds: number
  warmupSeconds: number
  rows: readonly Row[]
  subjects: readonly string[]
  cores: Pinning
  malloc: Malloc
  heapMib: number
  json: string | undefined
  store: string | undefined
}

export const help = `npm run bench -- [options]

Measures each subject in two fresh processes a cell (client and server, pinned by taskset where there is one), in
interleaved rounds, and prints medians, the CPU that a value costs both ends together, and one BAR line a row.

  --rounds N        rounds (default 5)
  --seconds S       measured time of a cell (default 1)
  --warmup S        unmeasured time before it (default 3): V8 compiles the code of all subjects meanwhile; 1.2 shows
                    the first seconds of a process
  --quick           one round of 0.2 s: does it run, not how fast is it
  --rows a,b        of: ${rows.map((row) => row.name).join(', ')} (default all)
  --subjects a,b    of: ${subjectNames.join(', ')} (default ${defaultSubjectNames.join(', ')})
  --cores S,C       cores of server and client (default 0,1); a row of one core uses the server's for both
  --malloc M        steady (default): freed memory is kept, for both ends of every subject; or default: glibc's own
  --heap MIB        live objects in each process beforehand, as an application has them (default 0); see bench/README.md
  --json FILE       every cell, the medians and the bars
  --store DATE      keep the table in bench/results/DATE.md and latest.md, e.g. --store "$(date +%F)"
  --help

Exits 0 only if every bar passes, 1 if one fails or a cell breaks, 2 for wrong options.`

export class UsageError extends Error {}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0) || !Number.isFinite(value)) throw new UsageError(`--${name} must be a number above 0, not '${text}'`)
  return value
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')
}

/** @returns null if help was requested */
export function parseOptions(argv: readonly string[]): Options | null {
  let values
  try {
    values = parseArgs({
      args: [...argv],
      options: {
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        warmup: { type: 'string' },
        quick: { type: 'boolean', default: false },
        rows: { type: 'string' },
        subjects: { type: 'string' },
        cores: { type: 'string', default: '0,1' },
        malloc: { type: 'string', default: 'steady' },
        heap: { type: 'string', default: '0' },
        json: { type: 'string' },
        store: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  if (values.help) return null
  const rounds = positive('rounds', values.rounds ?? (values.quick ? '1' : '5'))
  if (!Number.isInteger(rounds)) throw new UsageError(`--rounds must be a whole number, not '${rounds}'`)
  const cores = listOf(values.cores).map(Number)
  if (cores.length !== 2 || !cores.every((core) => Number.isInteger(core) && core >= 0)) {
    throw new UsageError(`--cores must be two core numbers such as 0,1, not '${values.cores}'`)
  }
  const { malloc } = values
  if (malloc !== 'steady' && malloc !== 'default')
    throw new UsageError(`--malloc must be steady or default, not '${malloc}'`)
  const subjects = values.subjects === undefined ? defaultSubjectNames : listOf(values.subjects)
  for (const subject of subjects) {
    if (!subjectNames.includes(subject))
      throw new UsageError(`no subject is called ${subject}; the subjects are ${subjectNames.join(', ')}`)
  }
  if (values.store !== undefined && !/^[\w.-]+$/.test(values.store))
    throw new UsageError(`--store takes a date such as 2026-01-31, not '${values.store}'`)
  const heapMib = Number(values.heap)
  if (!Number.isInteger(heapMib) || heapMib < 0 || heapMib > 1024)
    throw new UsageError(`--heap must be a whole number from 0 to 1024, not '${values.heap}'`)
  let chosen = rows
  try {
    if (values.rows !== undefined) chosen = listOf(values.rows).map(rowNamed)
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  return {
    rounds,
    seconds: positive('seconds', values.seconds ?? (values.quick ? '0.2' : '1')),
    warmupSeconds: positive('warmup', values.warmup ?? (values.quick ? '0.6' : '3')),
    rows: chosen,
    subjects,
    cores: { server: cores[0]!, client: cores[1]! },
    malloc,
    heapMib,
    json: values.json,
    store: values.store,
  }
}
