/**
 * `npm run sim`. Owns: the command line of the simulation, its progress and its output.
 * Independent of: what a run does, and what its figures mean.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { runSimulation } from '../../../testing/index.ts'
import { UsageError } from '../arguments.ts'
import { writeBar } from '../bar.ts'
import { huntAll } from './hunt.ts'
import { mutants } from './mutants.ts'
import { barsOf } from './totals.ts'
import type { Totals } from './totals.ts'
import { Workers } from './workers.ts'
import { leave } from '../leave.ts'

const help = `npm run sim -- [options]

Real networks on a simulated one, in virtual time: random traffic, random faults, then calm; what every sender was told is
held against what every receiver got. A seed is one run, and always the same run.

  --seeds N      number of runs (default 2000)
  --from N       the first seed (default 1)
  --minutes M    as many as that time allows, from the first seed on
  --seed S       this one alone, with its whole trace
  --processes P  side by side (default: one for each core)
  --mutant NAME  with a bug planted in the runtime; what is found then is no fault of ours
  --mutants      every planted bug in turn, until it is found; --seeds says after how many to give up (default 10000)
  --help

Planted bugs: ${Object.keys(mutants).join(', ')}

Exits 0 if every promise was kept, 1 if not, 2 for wrong options.`

interface Options {
  readonly seeds: number
  readonly from: number
  readonly minutes: number | null
  readonly seed: number | null
  readonly processes: number
  readonly mutant: string | undefined
  readonly huntsMutants: boolean
}

function parse(argv: readonly string[]): Options | null {
  let values
  try {
    values = parseArgs({
      args: [...argv],
      options: {
        seeds: { type: 'string' },
        from: { type: 'string' },
        minutes: { type: 'string' },
        seed: { type: 'string' },
        processes: { type: 'string' },
        mutant: { type: 'string' },
        mutants: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  if (values.help) return null
  const whole = (name: 'seeds' | 'from' | 'seed' | 'processes', least: number): number | null => {
    const text = values[name]
    if (text === undefined) return null
    const value = Number(text)
    if (!Number.isSafeInteger(value) || value < least)
      throw new UsageError(`--${name} must be a whole number of at least ${least}, not '${text}'`)
    return value
  }
  const minutes = values.minutes === undefined ? null : Number(values.minutes)
  if (minutes !== null && !(minutes > 0))
    throw new UsageError(`--minutes must be a number above 0, not '${values.minutes ?? ''}'`)
  if (values.mutant !== undefined && mutants[values.mutant] === undefined)
    throw new UsageError(`there is no planted bug '${values.mutant}'; there are: ${Object.keys(mutants).join(', ')}`)
  const seeds = whole('seeds', 1) ?? (values.mutants ? 10_000 : minutes === null ? 2000 : Number.MAX_SAFE_INTEGER)
  return {
    seeds,
    from: whole('from', 0) ?? 1,
    minutes,
    seed: whole('seed', 0),
    processes: whole('processes', 1) ?? availableParallelism(),
    mutant: values.mutant,
    huntsMutants: values.mutants,
  }
}

async function replay(seed: number, mutant: string | undefined): Promise<number> {
  if (mutant !== undefined) mutants[mutant]?.plant()
  const result = await runSimulation(seed)
  for (const line of result.trace) console.log(line)
  for (const { kind, sentence } of result.violations) console.log(`BROKEN ${kind}: ${sentence}`)
  console.log(
    `seed ${seed}: ${result.violations.length} promises broken, ${result.events} events in ${Math.round(result.virtualMs)} ms of virtual time, trace ${result.traceHash.toString(16)}`,
  )
  return result.violations.length === 0 ? 0 : 1
}

function progressLine(totals: Totals, startedMs: number): string {
  const runsPerMinute = Math.round((totals.seeds / (performance.now() - startedMs)) * 60_000)
  const faults = (totals.counts['breaks'] ?? 0) + (totals.counts['crashes'] ?? 0)
  return `${totals.seeds} runs, ${runsPerMinute} a minute, ${faults} kills, ${totals.failures.length} failed`
}

async function runMany(options: Options): Promise<number> {
  const workers = new Workers({ processes: options.processes, mutant: options.mutant })
  const startedMs = performance.now()
  let saidAtMs = startedMs
  try {
    const totals = await workers.run({
      from: options.from,
      seeds: options.seeds,
      ...(options.minutes === null ? {} : { untilMs: startedMs + options.minutes * 60_000 }),
      onProgress: (soFar) => {
        if (performance.now() - saidAtMs < 1000) return
        saidAtMs = performance.now()
        process.stderr.write(`${progressLine(soFar, startedMs)}\n`)
      },
    })
    const tookMs = performance.now() - startedMs
    const again =
      options.mutant === undefined
        ? await workers.run({ from: options.from, seeds: Math.min(500, options.seeds), twice: 500 })
        : null
    if (again !== null) {
      totals.twice = again.twice
      totals.differing.push(...again.differing)
    }
    for (const { seed, violations, traceTail } of totals.failures.slice(0, 3)) {
      for (const line of traceTail) console.log(`    ${line}`)
      for (const { kind, sentence } of violations) console.log(`seed ${seed}: ${kind}: ${sentence}`)
      console.log(
        `again, with its whole trace: npm run sim -- --seed ${seed}${options.mutant === undefined ? '' : ` --mutant ${options.mutant}`}`,
      )
    }
    const bars = barsOf(totals, tookMs, options.processes)
    for (const bar of bars) {
      for (const note of bar.notes) console.log(`  ${note}`)
      console.log(`${writeBar(bar)} from=${options.from}`)
    }
    return bars.every(({ passed }) => passed) ? 0 : 1
  } finally {
    workers.stop()
  }
}

async function main(): Promise<number> {
  const options = parse(process.argv.slice(2))
  if (options === null) {
    console.log(help)
    return 0
  }
  if (options.seed !== null) return replay(options.seed, options.mutant)
  if (options.huntsMutants) return huntAll(options)
  return runMany(options)
}

main().then(leave, (error: unknown) => {
  console.error(error instanceof UsageError ? `${error.message}\n(--help tells the options)` : error)
  leave(error instanceof UsageError ? 2 : 1)
})
