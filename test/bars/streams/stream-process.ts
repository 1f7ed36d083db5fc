/**
 * One end of what is measured of streams, as a process. Owns the process and the measuring.
 * Independent of: what is judged.
 */
import { quantile } from '../bar.ts'
import { connect, serve } from './stream-subject.ts'
import type { StreamClient, SubjectName } from './stream-subject.ts'

export interface StreamPlan {
  readonly subject: SubjectName
  readonly own: string
  readonly peer: string
  /** Where the other end listens; null: it is this end that listens. */
  readonly url: string | null
}

export type Measure =
  | { readonly what: 'asks' | 'askLaters'; readonly atOnce: number; readonly forMs: number }
  | { readonly what: 'count'; readonly atOnce: number; readonly count: number }
  | { readonly what: 'bulk'; readonly bytes: number }
  | { readonly what: 'echo'; readonly forMs: number; readonly besides: boolean }
  | { readonly what: 'idle'; readonly count: number }
  | { readonly what: 'memory' }

const plan = JSON.parse(process.argv[2] ?? '') as StreamPlan
let client: StreamClient | null = null

/** @returns calls a second */
async function rate(atOnce: number, forMs: number, call: () => Promise<void>): Promise<number> {
  const startedAtMs = performance.now()
  const untilMs = startedAtMs + forMs
  let calls = 0
  const worker = async (): Promise<void> => {
    while (performance.now() < untilMs) {
      await call()
      calls++
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return calls / ((performance.now() - startedAtMs) / 1000)
}

/** Bytes that this process uses, without garbage. */
async function memory(): Promise<{ used: number; rss: number }> {
  for (let look = 0; look < 4; look++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const { heapUsed, external, rss } = process.memoryUsage()
  return { used: heapUsed + external, rss }
}

async function measure(task: Measure): Promise<unknown> {
  if (task.what === 'memory') return memory()
  const own = client as StreamClient
  switch (task.what) {
    case 'asks':
      return rate(task.atOnce, task.forMs, () => own.ask())
    case 'askLaters':
      return rate(task.atOnce, task.forMs, () => own.askLater())
    case 'count': {
      let left = task.count
      const worker = async (): Promise<void> => {
        while (left-- > 0) await own.ask()
      }
      await Promise.all(Array.from({ length: task.atOnce }, worker))
      return task.count
    }
    case 'bulk': {
      const startedAtMs = performance.now()
      await own.bulk(task.bytes)
      return task.bytes / 2 ** 20 / ((performance.now() - startedAtMs) / 1000)
    }
    case 'echo': {
      const echo = await own.echo()
      const over = new AbortController()
      const busy = task.besides
        ? (async () => {
            while (!over.signal.aborted) await own.bulk(16 * 2 ** 20)
          })()
        : Promise.resolve()
      const times: number[] = []
      const untilMs = performance.now() + task.forMs
      while (performance.now() < untilMs) {
        const startedAtMs = performance.now()
        await echo()
        times.push(performance.now() - startedAtMs)
      }
      over.abort()
      await busy
      return { p50: quantile(times, 0.5), p99: quantile(times, 0.99), count: times.length }
    }
    case 'idle':
      for (let opened = 0; opened < task.count; opened++) await own.idle()
      return task.count
  }
}

process.on('message', (task: Measure) => void measure(task).then((told) => process.send?.({ told })))
const keys = { own: plan.own, peer: plan.peer }
if (plan.url === null) process.send?.({ told: await serve(plan.subject, keys) })
else {
  client = await connect(plan.subject, keys, plan.url)
  process.send?.({ told: null })
}
