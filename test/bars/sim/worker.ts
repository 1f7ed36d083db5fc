/**
 * Owns: the program of one worker process: it runs the seeds it is sent, one after the other, and reports.
 * Independent of: how seeds are distributed, and what is printed.
 */
import { runSimulation } from '../../../testing/index.ts'
import { mutants } from './mutants.ts'
import { addResult, noTotals } from './totals.ts'
import type { Totals } from './totals.ts'

export interface Order {
  readonly from: number
  readonly to: number
  /** Seeds that are run a second time, to check determinism. */
  readonly twice: number
  readonly stopAtFailure: boolean
}

export interface Answer {
  readonly totals: Totals
}

// Errors are part of the traffic here, by the thousands; their stacks are not used.
Error.stackTraceLimit = process.argv.includes('--stacks') ? 20 : 0

const mutant = process.argv.find((argument) => argument.startsWith('mutant='))?.slice('mutant='.length)
if (mutant !== undefined) mutants[mutant]?.plant()

/** An uncaught error belongs to the seed that is running. */
let uncaught: unknown[] = []
process.on('uncaughtException', (error) => uncaught.push(error))
process.on('unhandledRejection', (error) => uncaught.push(error))

async function runOne(seed: number): Promise<Awaited<ReturnType<typeof runSimulation>>> {
  uncaught = []
  const result = await runSimulation(seed)
  // Unhandled rejections surface one tick later.
  await new Promise((resolve) => setImmediate(resolve))
  if (uncaught.length === 0) return result
  const [error] = uncaught as [Error]
  return {
    ...result,
    violations: [...result.violations, { kind: 'wrong', sentence: `nobody caught: ${error.stack ?? String(error)}` }],
  }
}

async function carryOut(order: Order): Promise<Totals> {
  const totals = noTotals()
  for (let seed = order.from; seed < order.to; seed += 1) {
    const result = await runOne(seed)
    addResult(totals, result)
    if (order.stopAtFailure && result.violations.length > 0) return totals
    if (totals.twice >= order.twice) continue
    totals.twice += 1
    const again = await runOne(seed)
    if (again.traceHash !== result.traceHash) totals.differing.push(seed)
  }
  return totals
}

process.on('message', (order: Order) => {
  carryOut(order).then(
    (totals) => process.send?.({ totals } satisfies Answer),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`)
      process.exit(1)
    },
  )
})
