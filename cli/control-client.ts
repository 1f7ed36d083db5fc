/**
 * Owns: one connection to the control socket of a running peer: commands, their answers, and the events in between.
 * Independent of: what the commands do.
 */
import net from 'node:net'
import { ControlError } from './ctl.ts'

/** A running peer answers at once; one that closes a tunnel waits for its connections. */
const answerTimeoutMs = 60_000

interface Answer {
  readonly id: number
  readonly ok: boolean
  readonly result?: unknown
  readonly code?: string
  readonly message?: string
}

interface Waiting {
  resolve(result: unknown): void
  reject(error: Error): void
}

export class ControlClient<Event extends { readonly type: string } = { readonly type: string }> {
  readonly #socket: net.Socket
  readonly #waiting = new Map<number, Waiting>()
  /** Settles when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>
  onEvent: (event: Event) => void = () => {}
  #nextId = 1
  #text = ''

  private constructor(socket: net.Socket) {
    this.#socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => this.#read(chunk))
    socket.on('error', () => {})
    this.closed = new Promise((resolve) =>
      socket.once('close', () => {
        for (const { reject } of this.#waiting.values()) reject(goneError())
        this.#waiting.clear()
        resolve()
      }),
    )
  }

  /** @throws ControlError */
  static async connect<Event extends { readonly type: string }>(path: string): Promise<ControlClient<Event>> {
    const socket = net.connect(path)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', ({ code }: NodeJS.ErrnoException) =>
        reject(new ControlError(`no peer answers at ${path} (${code}): start one with statewire peer --config FILE`)),
      )
    })
    return new ControlClient<Event>(socket)
  }

  /** @throws ControlError for an error that the peer reports, or if it is gone */
  async request(command: string, fields: object = {}): Promise<unknown> {
    if (this.#socket.destroyed) throw goneError()
    const id = this.#nextId++
    const answered = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
    const deadline = setTimeout(() => this.#socket.destroy(), answerTimeoutMs)
    this.#socket.write(`${JSON.stringify({ command, ...fields, id })}\n`)
    try {
      return await answered
    } finally {
      clearTimeout(deadline)
    }
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(chunk: string): void {
    this.#text += chunk
    const lines = this.#text.split('\n')
    this.#text = lines.pop() ?? ''
    for (const line of lines) {
      const value = JSON.parse(line) as Answer | Event
      if ('type' in value) this.onEvent(value)
      else this.#answer(value)
    }
  }

  #answer({ id, ok, result, code, message }: Answer): void {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (ok) waiting?.resolve(result)
    else waiting?.reject(new ControlError(`${message ?? ''} (${code ?? ''})`))
  }
}

function goneError(): ControlError {
  return new ControlError('the running peer has ended, or does not answer')
}
