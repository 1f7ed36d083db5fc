/**
 * Owns: running a set of bars: their order, the output, the exit code. A crash of this process fails the bar that was
 * running.
 * Independent of: what a bar does.
 */
import { writeFileSync } from 'node:fs'
import { helpFor, parseOptions, UsageError } from './arguments.ts'
import type { About } from './arguments.ts'
import { writeBar } from './bar.ts'
import type { Bar, BarRun } from './bar.ts'
import { leave } from './leave.ts'

/** Imports a bar's program when its turn comes, so that one bar does not add to the memory of another. */
export type BarSet = Readonly<Record<string, () => Promise<BarRun>>>

async function run(about: About, bars: BarSet): Promise<number> {
  const options = parseOptions(process.argv.slice(2), Object.keys(bars))
  if (options === null) {
    console.log(helpFor(about, Object.keys(bars)))
    return 0
  }
  let crashes = 0
  const onCrash =
    (what: string) =>
    (error: unknown): void => {
      crashes++
      console.error(`${what}:`, error)
    }
  process.on('uncaughtException', onCrash('uncaught exception'))
  process.on('unhandledRejection', onCrash('unhandled rejection'))
  const all: Bar[] = []
  const progress = (text: string): void => void process.stderr.write(`${text}\n`)
  for (const [id, load] of Object.entries(bars)) {
    if (!options.only.includes(id)) continue
    progress(`--- ${id}`)
    const crashesBefore = crashes
    let results: readonly Bar[]
    try {
      const bar = await load()
      results = await bar({ isQuick: options.isQuick, seed: options.seed, progress })
    } catch (error) {
      results = [
        {
          id,
          passed: false,
          figures: { broken: JSON.stringify((error as Error).message) },
          notes: [(error as Error).stack ?? ''],
        },
      ]
    }
    for (const bar of results) {
      const judged: Bar =
        crashes === crashesBefore
          ? bar
          : { ...bar, passed: false, figures: { ...bar.figures, uncaught: crashes - crashesBefore } }
      all.push(judged)
      for (const note of judged.notes) console.log(`  ${note}`)
      console.log(`${writeBar(judged)} seed=${options.seed}`)
    }
  }
  if (options.json !== undefined)
    writeFileSync(
      options.json,
      `${JSON.stringify({ seed: options.seed, quick: options.isQuick, bars: all }, null, 2)}\n`,
    )
  return all.every(({ passed }) => passed) ? 0 : 1
}

/** Runs what the command line asks for, and exits the process. */
export function runBars(about: About, bars: BarSet): void {
  // Nobody reads any more: the report of that crash would crash again, for ever.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => process.exit(1))
  run(about, bars).then(leave, (error: unknown) => {
    console.error(error instanceof UsageError ? `${error.message}\n(--help tells the options)` : error)
    leave(error instanceof UsageError ? 2 : 1)
  })
}
