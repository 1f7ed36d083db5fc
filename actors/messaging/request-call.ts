/**
 * Owns: one request of this side: its deadline, its signal, and how it settles.
 * Independent of: handlers, and which peer is asked.
 */
import type { Answer, Exchange, OutgoingMessage, OutgoingRequest, SentRequest } from '../../protocol/exchange.ts'
import { onAbort } from '../base/abort-listeners.ts'
import type { Cause } from '../base/causes.ts'
import type { Deadline, TimerWheel } from '../base/timer-wheel.ts'
import { errorOfAnswer, RequestError } from './request-error.ts'

/** The answer to a request. */
export interface Reply {
  /** They belong to the caller. */
  readonly bytes: Buffer
  /** Who answered. */
  readonly peer: string
}

export interface RequestCallOptions {
  readonly peer: string
  readonly name: string
  readonly message: OutgoingMessage
  readonly exchange: Exchange
  readonly wheel: TimerWheel
  readonly nowMs: () => number
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  /** Explains why the peer does not answer, for the end of an error message. */
  readonly explain: () => string
  readonly onSettled: (call: RequestCall) => void
}

export class RequestCall implements OutgoingRequest {
  readonly message: OutgoingMessage
  readonly promise: Promise<Reply>
  readonly #options: RequestCallOptions
  readonly #endsAtMs: number
  readonly #deadline: Deadline
  readonly #removeAbort: (() => void) | undefined
  #sent: SentRequest | null = null
  #isSettled = false
  #resolve!: (reply: Reply) => void
  #reject!: (error: Error) => void

  constructor(options: RequestCallOptions) {
    const { message, wheel, nowMs, timeoutMs, signal } = options
    this.#options = options
    this.message = message
    this.#endsAtMs = nowMs() + timeoutMs
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#deadline = wheel.schedule(timeoutMs, () => this.#timedOut())
    this.#removeAbort = signal === undefined ? undefined : onAbort(signal, () => this.#aborted())
  }

  get peer(): string {
    return this.#options.peer
  }

  send(): void {
    try {
      const sent = this.#options.exchange.request(this)
      if (!this.#isSettled) this.#sent = sent
    } catch (error) {
      this.#settle()
      this.#reject(error as Error)
    }
  }

  timeLeftMs(): number {
    return this.#endsAtMs - this.#options.nowMs()
  }

  onAnswer(answer: Answer): void {
    if (this.#isSettled) return
    this.#settle()
    const { peer, name } = this.#options
    if (answer.status === 'ok') this.#resolve({ bytes: answer.bytes, peer })
    else this.#reject(errorOfAnswer(peer, name, answer))
  }

  /** The peer cannot be connected without a change of configuration. */
  connectFailed({ code, message }: Cause): void {
    this.#giveUp((wasSent) => {
      const { peer, name } = this.#options
      const outcome = wasSent ? 'unknown' : 'notSent'
      return new RequestError(code, `the request ${JSON.stringify(name)} to ${peer} failed: ${message}`, {
        outcome,
        peer,
      })
    })
  }

  cancel(reason?: unknown): void {
    this.#giveUp((wasSent) => {
      const { peer, name } = this.#options
      const how = wasSent ? 'it was sent already, so its handler may run' : 'it was not sent'
      return new RequestError('ERR_CANCELLED', `the request ${JSON.stringify(name)} to ${peer} was cancelled: ${how}`, {
        outcome: wasSent ? 'cancelled' : 'notSent',
        peer,
        cause: reason,
      })
    })
  }

  #aborted(): void {
    this.cancel(this.#options.signal?.reason)
  }

  #timedOut(): void {
    this.#giveUp((wasSent) => {
      const { peer, name, timeoutMs, explain } = this.#options
      const how = wasSent ? ': its handler may run' : ': it was not sent'
      return new RequestError(
        'ERR_TIMED_OUT',
        `${peer} did not answer the request ${JSON.stringify(name)} within ${timeoutMs} ms${how}${explain()}`,
        { outcome: wasSent ? 'unknown' : 'notSent', peer },
      )
    })
  }

  #giveUp(errorOf: (wasSent: boolean) => RequestError): void {
    if (this.#isSettled) return
    this.#settle()
    const wasWithdrawn = this.#sent?.cancel() ?? true
    this.#reject(errorOf(!wasWithdrawn))
  }

  #settle(): void {
    this.#isSettled = true
    this.#deadline.cancel()
    this.#removeAbort?.()
    this.#options.onSettled(this)
  }
}
