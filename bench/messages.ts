/**
 * The messages between the harness and its two workers over the channel of `child_process.fork`. Owns the shapes and
 * waiting for one of them. Independent of when which is sent (cell.ts, worker.ts).
 */
import type { ChildProcess } from 'node:child_process'
import type { Latency } from './beside.ts'

export interface WorkerInput {
  role: 'server' | 'client'
  subject: string
  row: string
  /** Client only. */
  port: number
  heapMib: number
}

export type FromWorker =
  | { type: 'listening'; port: number }
  | { type: 'connected' }
  /** The server has received every value of a phase; `cpuUs` since its phase before. */
  | { type: 'arrived'; values: number; endUs: number; cpuUs: number }
  /** The client has sent its last value; with echoes, also when the last one arrived. */
  | {
      type: 'sent'
      startUs: number
      echoedValues: number | null
      echoedEndUs: number | null
      latency: Latency | null
    }
  /** The client's CPU time since the phase began, acknowledgements included. */
  | { type: 'settled'; cpuUs: number }
  | { type: 'failed'; message: string }

export type ToWorker = { type: 'phase'; durationMs: number } | { type: 'settle' } | { type: 'stop' }

type Kind = FromWorker['type']
type Of<K extends Kind> = Extract<FromWorker, { type: K }>

/** The messages of one worker, awaited by kind. Rejects when the worker fails, ends, or is silent for too long. */
export class Mailbox {
  readonly child: ChildProcess
  readonly #name: string
  readonly #arrived: FromWorker[] = []
  #failure: Error | undefined
  #wake: (() => void) | undefined

  constructor(name: string, child: ChildProcess) {
    this.#name = name
    this.child = child
    child.on('message', (message: FromWorker) => {
      if (message.type === 'failed') this.#fail(message.message)
      else this.#arrived.push(message)
      this.#wake?.()
    })
    child.on('error', (error) => this.#fail(error.message))
    child.on('exit', (code, signal) => this.#fail(`ended early (${signal ?? `code ${code}`})`))
  }

  tell(message: ToWorker): void {
    if (this.child.connected) this.child.send(message)
  }

  async next<K extends Kind>(type: K, withinMs: number): Promise<Of<K>> {
    const deadline = setTimeout(() => this.#fail(`said nothing of '${type}' within ${withinMs} ms`), withinMs)
    try {
      for (;;) {
        const index = this.#arrived.findIndex((message) => message.type === type)
        if (index >= 0) return this.#arrived.splice(index, 1)[0] as Of<K>
        if (this.#failure !== undefined) throw this.#failure
        await new Promise<void>((wake) => (this.#wake = wake))
      }
    } finally {
      clearTimeout(deadline)
    }
  }

  #fail(message: string): void {
    this.#failure ??= new Error(`${this.#name}: ${message}`)
    this.#wake?.()
  }
}
