/**
 * Owns: where the parties run: each in a process of its own, or all in this one.
 * Refuses to know: what they compute.
 */
import { fork } from 'node:child_process'
import { runParty } from './party.ts'
import type { PartyJob, PartyReport } from './party.ts'

export interface StartedParty {
  /** Where it listens; null if nobody has to dial it. */
  readonly listening: Promise<string | null>
  readonly report: Promise<PartyReport>
  /** Ends it if it still runs. */
  stop(): void
}

type Message = { readonly type: 'listening'; readonly url: string | null } | { readonly type: 'report'; readonly report: PartyReport } | { readonly type: 'failed'; readonly message: string }

export function startHere(job: PartyJob): StartedParty {
  const { promise, resolve } = latch<string | null>()
  const report = runParty(job, resolve)
  return { listening: Promise.race([promise, report.then(() => null)]), report, stop() {} }
}

/** `file` is the program that calls `serveParty` when it is started with `--party`. */
export function startProcess(job: PartyJob, file: string): StartedParty {
  const child = fork(file, ['--party'], { stdio: 'inherit' })
  const listening = latch<string | null>()
  const report = latch<PartyReport>()
  const fail = (error: Error): void => {
    listening.reject(error)
    report.reject(error)
  }
  child.on('message', (message: Message) => {
    if (message.type === 'listening') listening.resolve(message.url)
    else if (message.type === 'report') report.resolve(message.report)
    else fail(new Error(`${job.name}: ${message.message}`))
  })
  child.on('error', fail)
  child.on('exit', (code, signal) => fail(new Error(`${job.name} ended with ${signal ?? `exit code ${code}`} and without a report`)))
  child.send(job)
  return { listening: listening.promise, report: report.promise, stop: () => void (child.connected && child.kill()) }
}

/** The other end of `startProcess`. */
export function serveParty(): void {
  const tell = (message: Message): void => void process.send?.(message)
  process.once('message', (job: PartyJob) => {
    runParty(job, (url) => tell({ type: 'listening', url }))
      .then((report) => {
        if (report.problem !== null) process.exitCode = 1
        tell({ type: 'report', report })
      })
      .catch((error: unknown) => {
        process.exitCode = 1
        tell({ type: 'failed', message: error instanceof Error ? error.message : String(error) })
      })
      .finally(() => process.disconnect())
  })
}

interface Latch<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: Error): void
}

/** `Promise.withResolvers`, which Node 20 has not. A rejection that nobody waits for any more is no crash. */
function latch<T>(): Latch<T> {
  let settle!: Omit<Latch<T>, 'promise'>
  const promise = new Promise<T>((resolve, reject) => (settle = { resolve, reject }))
  promise.catch(() => {})
  return { promise, ...settle }
}
