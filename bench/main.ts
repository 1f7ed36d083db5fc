/**
 * `npm run bench`. Owns the order of the cells, the output and the exit code.
 * Independent of how a cell is run (cell.ts) or summed up (report.ts).
 *
 * Rounds are interleaved: each round runs every row for every subject, one directly after the other, so that a slow
 * minute of the machine affects all of them. The ratio of two medians is then meaningful.
 */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { help, parseOptions, UsageError, type Options } from './arguments.ts'
import { pinningProblem, runCell, type Cell, type Conditions } from './cell.ts'
import { judge, summarise, writeBar, writeCpu, writeRate, writeTable } from './report.ts'
import { takesPart } from './rows.ts'
import { describeMachine, storeResults } from './results.ts'

function progress(text: string): void {
  process.stderr.write(`${text}\n`)
}

async function runAll(options: Options, conditions: Conditions): Promise<{ cells: Cell[]; failures: string[] }> {
  const cells: Cell[] = []
  const failures: string[] = []
  for (let round = 1; round <= options.rounds; round++) {
    for (const row of options.rows) {
      // Every second round runs backwards, so that no subject always follows the same one.
      const subjects = round % 2 === 1 ? options.subjects : [...options.subjects].reverse()
      for (const subject of subjects) {
        if (!takesPart(subject, row)) continue
        const place = `round ${round}/${options.rounds}  ${row.name.padEnd(8)} ${subject.padEnd(12)}`
        try {
          const cell = await runCell(subject, row, round, conditions)
          cells.push(cell)
          progress(
            `${place} ${writeRate(row, cell.rate).padStart(16)}  ${writeCpu(cell.cpuUsPerValue)} CPU a value, ${cell.values} values verified`,
          )
        } catch (error) {
          failures.push(`${place} ${(error as Error).message}`)
          progress(`${place} FAILED: ${(error as Error).message}`)
        }
      }
    }
  }
  return { cells, failures }
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2))
  if (options === null) {
    console.log(help)
    return 0
  }
  const problem = pinningProblem(options.cores)
  if (problem !== null) progress(`not pinned: ${problem}; differences under 50 % will mean nothing`)
  const { rounds, seconds, warmupSeconds, malloc, heapMib } = options
  const pinned = problem === null
  const { cells, failures } = await runAll(options, {
    seconds,
    warmupSeconds,
    malloc,
    heapMib,
    pinning: pinned ? options.cores : null,
  })

  // A broken cell invalidates its row for that subject: a median of only the rounds that worked would be too good.
  const whole = summarise(cells).filter((summary) => summary.rounds === rounds)
  const table = writeTable(whole, options.rows, options.subjects)
  const verdicts = judge(whole, options.rows, options.subjects)
  const barLines = verdicts.map(writeBar)
  const root = process.cwd()
  const machine = describeMachine(root)

  console.log(
    `\n${machine.cpu}, ${machine.cores} cores, node ${machine.node}, ${rounds} rounds of ${seconds} s, malloc ${malloc}, medians\n`,
  )
  console.log(`${table}\n`)
  for (const failure of failures) console.log(`broken cell: ${failure}`)
  for (const line of barLines) console.log(line)

  if (options.json !== undefined) {
    writeFileSync(
      options.json,
      `${JSON.stringify({ machine, pinned, malloc, rounds, seconds, summaries: whole, bars: verdicts, failures, cells }, null, 2)}\n`,
    )
    progress(`wrote ${path.relative(root, path.resolve(options.json))}`)
  }
  if (options.store !== undefined) {
    const command = ['npm run bench --', ...process.argv.slice(2)].join(' ')
    const files = storeResults(root, {
      date: options.store,
      machine,
      pinned,
      malloc,
      rounds,
      seconds,
      command,
      table,
      bars: barLines,
    })
    progress(`wrote ${files.join(' and ')}`)
  }
  return failures.length === 0 && verdicts.every((verdict) => verdict.passed) ? 0 : 1
}

main().then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    console.error(error instanceof UsageError ? `${error.message}\n\n${help}` : error)
    process.exitCode = error instanceof UsageError ? 2 : 1
  },
)
