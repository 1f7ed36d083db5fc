/**
 * Owns: where the parties run: each in a process of its own, or all in this one. A key is generated where its party
 * runs, and only its id leaves that process.
 * Independent of: what they compute.
 */
import { fork } from 'node:child_process'
import { Identity } from '../../index.ts'
import { runParty } from './party.ts'
import type { PartyJob, PartyName, PartyReport } from './party.ts'

export interface StartedParty {
  readonly name: PartyName
  /** The id of the key that it generated at its start. */
  readonly keyId: Promise<string>
  /** Where it listens, once it runs; null if no other party dials it. */
  readonly listening: Promise<string | null>
  readonly report: Promise<PartyReport>
  run(job: PartyJob, dialect: Dialect): void
  /** Ends it if it still runs. */
  stop(): void
}

export type Dialect = 'native' | 'ampc'

type Message =
  | { readonly type: 'started'; readonly keyId: string }
  | { readonly type: 'listening'; readonly url: string | null }
  | { readonly type: 'report'; readonly report: PartyReport }
  | { readonly type: 'failed'; readonly message: string }

interface Order {
  readonly job: PartyJob
  readonly dialect: Dialect
}

export function startHere(name: PartyName): StartedParty {
  const key = Identity.generate()
  const listening = latch<string | null>()
  const report = latch<PartyReport>()
  const fail = (error: Error): void => {
    listening.reject(error)
    report.reject(error)
  }
  return {
    name,
    keyId: Promise.resolve(key.id),
    listening: listening.promise,
    report: report.promise,
    run: (job, dialect) =>
      void runParty(job, dialect === 'native' ? key : null, listening.resolve).then(report.resolve, fail),
    stop() {},
  }
}

/** `file` is the program that calls `serveParty` when it is started with `--party`. */
export function startProcess(name: PartyName, file: string): StartedParty {
  const child = fork(file, ['--party'], { stdio: 'inherit' })
  const keyId = latch<string>()
  const listening = latch<string | null>()
  const report = latch<PartyReport>()
  const fail = (error: Error): void => {
    for (const each of [keyId, listening, report]) each.reject(error)
  }
  child.on('message', (message: Message) => {
    if (message.type === 'started') keyId.resolve(message.keyId)
    else if (message.type === 'listening') listening.resolve(message.url)
    else if (message.type === 'report') report.resolve(message.report)
    else fail(new Error(`${name}: ${message.message}`))
  })
  child.on('error', fail)
  child.on('exit', (code, signal) =>
    fail(new Error(`${name} ended with ${signal ?? `exit code ${code}`} and without a report`)),
  )
  return {
    name,
    keyId: keyId.promise,
    listening: listening.promise,
    report: report.promise,
    run: (job, dialect) => void child.send({ job, dialect } satisfies Order, () => {}),
    stop: () => void (child.connected && child.kill()),
  }
}

/** The other end of `startProcess`. */
export function serveParty(): void {
  const sendToParent = (message: Message): void => void process.send?.(message)
  const key = Identity.generate()
  process.once('message', ({ job, dialect }: Order) => {
    runParty(job, dialect === 'native' ? key : null, (url) => sendToParent({ type: 'listening', url }))
      .then((report) => {
        if (report.problem !== null) process.exitCode = 1
        sendToParent({ type: 'report', report })
      })
      .catch((error: unknown) => {
        process.exitCode = 1
        sendToParent({ type: 'failed', message: error instanceof Error ? error.message : String(error) })
      })
      .finally(() => process.disconnect())
  })
  sendToParent({ type: 'started', keyId: key.id })
}

interface Latch<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: Error): void
}

/** `Promise.withResolvers`, which Node 20 lacks. A rejection that is no longer awaited does not crash the process. */
function latch<T>(): Latch<T> {
  let settle!: Omit<Latch<T>, 'promise'>
  const promise = new Promise<T>((resolve, reject) => (settle = { resolve, reject }))
  promise.catch(() => {})
  return { promise, ...settle }
}
