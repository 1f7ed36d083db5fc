/**
 * Owns: a few processes that run seeds in parallel, in small portions, so that none waits for another.
 * Independent of: what a seed is.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Answer, Order } from './worker.ts'
import { addTotals, noTotals } from './totals.ts'
import type { Totals } from './totals.ts'

export interface WorkersOptions {
  readonly processes: number
  readonly mutant?: string | undefined
}

export interface Job {
  readonly from: number
  readonly seeds: number
  readonly twice?: number
  readonly stopAtFailure?: boolean
  /** No new portion starts after it. */
  readonly untilMs?: number
  readonly onProgress?: (totals: Totals) => void
}

const portionSeeds = 100

/** Node 20 cannot run TypeScript: from sources, the compiled version of the program is started. */
function programPath(): string {
  const isCompiled = import.meta.url.endsWith('.js')
  return fileURLToPath(new URL(isCompiled ? 'worker.js' : '../../../build/test/bars/sim/worker.js', import.meta.url))
}

export class Workers {
  readonly #children: ChildProcess[]

  constructor({ processes, mutant }: WorkersOptions) {
    const argv = mutant === undefined ? [] : [`mutant=${mutant}`]
    // A large young generation, because there are millions of short-lived objects.
    this.#children = Array.from({ length: processes }, () =>
      fork(programPath(), argv, {
        execArgv: ['--max-semi-space-size=32'],
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      }),
    )
  }

  /** @throws if a process dies */
  async run(job: Job): Promise<Totals> {
    const totals = noTotals()
    const endSeed = job.from + job.seeds
    let nextSeed = job.from
    let twiceLeft = job.twice ?? 0
    let isStopped = false
    const work = async (child: ChildProcess): Promise<void> => {
      while (nextSeed < endSeed && !isStopped && performance.now() < (job.untilMs ?? Infinity)) {
        const from = nextSeed
        nextSeed = Math.min(endSeed, from + portionSeeds)
        const twice = Math.min(twiceLeft, nextSeed - from)
        twiceLeft -= twice
        addTotals(totals, await ask(child, { from, to: nextSeed, twice, stopAtFailure: job.stopAtFailure ?? false }))
        if (job.stopAtFailure === true && totals.failures.length > 0) isStopped = true
        job.onProgress?.(totals)
      }
    }
    await Promise.all(this.#children.map(work))
    return totals
  }

  stop(): void {
    for (const child of this.#children) child.kill()
  }
}

function ask(child: ChildProcess, order: Order): Promise<Totals> {
  return new Promise((resolve, reject) => {
    const onMessage = (answer: unknown): void => {
      child.off('exit', onExit)
      resolve((answer as Answer).totals)
    }
    const onExit = (code: number | null): void => {
      child.off('message', onMessage)
      reject(
        new Error(`a worker process ended (${String(code)}) while it ran the seeds ${order.from} to ${order.to - 1}`),
      )
    }
    child.once('message', onMessage)
    child.once('exit', onExit)
    child.send(order)
  })
}
