/**
 * Owns: the handlers of requests: which one runs, how many at once, and how its result or its error is answered.
 * Independent of: links; who may ask is decided before.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue, messageOf } from '../../codec/format-value.ts'
import type { IncomingRequest } from '../../protocol/exchange.ts'
import { invalid } from '../base/checks.ts'
import type { Clock } from '../base/environment.ts'
import type { Deadline, TimerWheel } from '../base/timer-wheel.ts'
import { checkName, headersOf, reservedPrefix, tooLong } from './content.ts'
import type { Headers } from './content.ts'

/** The code of an answer that is longer than may be sent (docs/protocol.md). */
const tooLongCode = 'too-long'

export interface RequestHandlersOptions {
  readonly clock: Clock
  readonly wheel: TimerWheel
  /** Of one peer, at once. */
  readonly requestsMax: number
  /** The longest answer. */
  readonly messageBytesMax: number
  onFailed(peer: string, name: string, error: unknown): void
  /** Whether the peer may ask for this name of the runtime: only `true` permits it. */
  permit(peer: string, name: string): unknown
}

/** The request itself is wrong: it is answered as failed, with this code, and is not reported as a failure here. */
export class CallerFault extends Error {
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** What a handler gets. `signal`, `deadline` and `headers` are made when they are read. */
export class RequestContext {
  readonly peer: string
  readonly name: string
  /** They belong to the handler. */
  readonly bytes: Buffer
  readonly #request: IncomingRequest
  readonly #options: RequestHandlersOptions
  #controller: AbortController | null = null
  #timer: Deadline | null = null
  #isGivenUp = false
  #isOver = false

  constructor(peer: string, request: IncomingRequest, options: RequestHandlersOptions) {
    this.peer = peer
    this.name = request.name
    this.bytes = request.bytes
    this.#request = request
    this.#options = options
  }

  get headers(): Headers {
    return headersOf(this.#request.headers)
  }

  /** When the caller gives up, in milliseconds since 1970 by the clock of this machine; null if it never does. */
  get deadline(): number | null {
    const leftMs = this.#leftMs()
    return leftMs === null ? null : this.#options.clock.wallMs() + leftMs
  }

  /** Aborts when the caller cancels, when its time is over, or when the answer cannot reach it any more. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController()
      const leftMs = this.#leftMs()
      if (this.#isGivenUp) this.giveUp()
      // After the handler has returned, nothing would cancel the deadline.
      else if (leftMs !== null && !this.#isOver) this.#timer = this.#options.wheel.schedule(leftMs, () => this.giveUp())
    }
    return this.#controller.signal
  }

  #leftMs(): number | null {
    const { timeLeftMs, arrivedAtMs } = this.#request
    return timeLeftMs === null ? null : arrivedAtMs + timeLeftMs - this.#options.clock.nowMs()
  }

  /** @internal */
  giveUp(): void {
    this.#isGivenUp = true
    this.#timer?.cancel()
    this.#controller?.abort(new StatewireError('ERR_CANCELLED', `${this.peer} does not wait for the answer any more`))
  }

  /** @internal The handler has returned. */
  end(): void {
    this.#isOver = true
    this.#timer?.cancel()
  }
}

/** What a handler may return. Text is sent as UTF-8. */
export type HandlerResult = Uint8Array | string
export type RequestHandler = (request: RequestContext) => HandlerResult | Promise<HandlerResult>

export interface RequestHandlerOptions {
  /** Handlers of this name that run at once, over all peers; further requests are refused. No limit by default. */
  readonly concurrency?: number | undefined
}

interface Entry {
  readonly handler: RequestHandler
  readonly concurrency: number
  running: number
}

export class RequestHandlers {
  readonly #options: RequestHandlersOptions
  readonly #byName = new Map<string, Entry>()
  /** Handlers that run, by peer. */
  readonly #running = new Map<string, number>()
  /** Why new requests are refused; null while they are not. */
  refusal: string | null = null

  constructor(options: RequestHandlersOptions) {
    this.#options = options
  }

  /**
   * @throws StatewireError ERR_INVALID_OPTION, ERR_HANDLER_EXISTS
   * @returns a function that removes the handler; what it has begun goes on
   */
  add(name: string, handler: RequestHandler, options: RequestHandlerOptions = {}, isReserved = false): () => void {
    checkName(name, isReserved)
    const { concurrency = Infinity } = options
    if (concurrency !== Infinity && (!Number.isSafeInteger(concurrency) || concurrency < 1))
      throw invalid(`concurrency must be a whole number of at least 1, got ${formatValue(concurrency)}`)
    if (this.#byName.has(name))
      throw new StatewireError(
        'ERR_HANDLER_EXISTS',
        `requests with the name ${JSON.stringify(name)} have a handler already; remove it first`,
      )
    const entry: Entry = { handler, concurrency, running: 0 }
    this.#byName.set(name, entry)
    return () => {
      if (this.#byName.get(name) === entry) this.#byName.delete(name)
    }
  }

  /** Runs the handler of a request, or answers why none runs. Never throws. */
  run(peer: string, request: IncomingRequest): void {
    const entry = this.#byName.get(request.name)
    const running = this.#running.get(peer) ?? 0
    const { clock, requestsMax } = this.#options
    if (entry === undefined) {
      const isReserved = request.name.startsWith(reservedPrefix)
      return request.fail('no-handler', '', isReserved ? 'this version does not have it' : 'the name has no handler')
    }
    if (this.refusal !== null) return request.fail('refused', 'stopping', this.refusal)
    if (request.name.startsWith(reservedPrefix) && !this.#isPermitted(peer, request.name))
      return request.fail('refused', 'not-permitted', 'this side does not permit it')
    if (running >= requestsMax)
      return request.fail('refused', 'busy', `${requestsMax} requests of this peer are running (limits.requestsMax)`)
    if (entry.running >= entry.concurrency)
      return request.fail('refused', 'busy', `${entry.concurrency} requests with this name are running`)
    const { timeLeftMs, arrivedAtMs } = request
    if (timeLeftMs !== null && clock.nowMs() - arrivedAtMs >= timeLeftMs)
      return request.fail('too-late', '', 'its time was over before a handler was called')
    this.#running.set(peer, running + 1)
    entry.running++
    const context = new RequestContext(peer, request, this.#options)
    request.onCancel = () => {
      context.giveUp()
      // The caller waits no more. What the handler still returns is dropped.
      request.fail('cancelled', '', '')
    }
    let result: unknown
    let isPromise: boolean
    try {
      result = entry.handler(context)
      isPromise = result instanceof Promise || (typeof result === 'object' && result !== null && 'then' in result)
    } catch (error) {
      return this.#failed(entry, context, request, error)
    }
    if (isPromise)
      Promise.resolve(result).then(
        (value) => this.#answered(entry, context, request, value),
        (error: unknown) => this.#failed(entry, context, request, error),
      )
    else this.#answered(entry, context, request, result)
  }

  /** Neither an error in the application's function nor a promise permits anything. */
  #isPermitted(peer: string, name: string): boolean {
    try {
      const answer = this.#options.permit(peer, name)
      if (typeof answer === 'boolean') return answer
      // Nobody waits for it: without this, its rejection would end the process.
      if (answer instanceof Promise) answer.catch(() => {})
      throw new StatewireError('ERR_HANDLER_FAILED', `permit must return true or false, got ${formatValue(answer)}`)
    } catch (error) {
      this.#options.onFailed(peer, name, error)
      return false
    }
  }

  #ended(entry: Entry, context: RequestContext): void {
    entry.running--
    const left = (this.#running.get(context.peer) ?? 1) - 1
    if (left === 0) this.#running.delete(context.peer)
    else this.#running.set(context.peer, left)
    context.end()
  }

  #answered(entry: Entry, context: RequestContext, request: IncomingRequest, value: unknown): void {
    this.#ended(entry, context)
    const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value
    const { messageBytesMax } = this.#options
    if (!(bytes instanceof Uint8Array))
      return this.#report(
        context,
        request,
        new StatewireError(
          'ERR_HANDLER_FAILED',
          `a request handler must return bytes or a string ('' for an empty answer), got ${formatValue(value)}`,
        ),
        'bad-result',
      )
    if (bytes.length > messageBytesMax)
      return this.#report(context, request, tooLong(bytes.length, messageBytesMax, 'an answer'), tooLongCode)
    request.answer(bytes)
  }

  #failed(entry: Entry, context: RequestContext, request: IncomingRequest, error: unknown): void {
    this.#ended(entry, context)
    const code = fieldOf(error, 'code')
    const data = fieldOf(error, 'data')
    const { messageBytesMax } = this.#options
    if (data instanceof Uint8Array && data.length > messageBytesMax)
      this.#report(context, request, tooLong(data.length, messageBytesMax, 'the data of an error'), tooLongCode)
    else
      this.#report(
        context,
        request,
        error,
        typeof code === 'string' ? code : '',
        data instanceof Uint8Array ? data : undefined,
      )
  }

  #report(
    { peer, name }: RequestContext,
    request: IncomingRequest,
    error: unknown,
    code: string,
    data?: Uint8Array,
  ): void {
    request.fail('failed', code, messageOf(error), data)
    if (!(error instanceof CallerFault)) this.#options.onFailed(peer, name, error)
  }

  end(): void {
    this.#byName.clear()
  }
}

/** What was thrown may be anything: undefined, or an object whose getters throw. */
function fieldOf(error: unknown, field: 'code' | 'data'): unknown {
  try {
    return (error as Partial<Record<'code' | 'data', unknown>> | null | undefined)?.[field]
  } catch {
    return undefined
  }
}
