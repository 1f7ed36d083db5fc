/**
 * Owns: accepting the streams that peers open: which protocol has which handler, who may open it, and how many at once.
 * Independent of: opening streams, and how they travel.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue, messageOf } from '../../codec/format-value.ts'
import { resetCodes } from '../../codec/native-frames.ts'
import type { StreamEvents, StreamOpening, StreamPort, StreamReset } from '../../protocol/streams.ts'
import { checkFunction, invalid } from '../base/checks.ts'
import { checkProtocol, reservedPrefix } from './protocol-name.ts'
import { resetOf } from './stream-error.ts'
import type { Stream } from './stream.ts'
import type { StreamPool } from './stream-pool.ts'

/** A stream that a peer wants to open. */
export interface StreamRequest {
  readonly peer: string
  readonly protocol: string
  /** What the opener sent along, at most 64 KiB. */
  readonly extra: Buffer
  /** Aborts when the opener gives up, or when the decision takes too long. */
  readonly signal: AbortSignal
}

/** `true` serves the stream; so does an object with a `context`, which the handler gets. Anything else refuses. */
export type Permission<Context> = boolean | { readonly context: Context }

export type StreamHandler<Context = undefined> = (stream: Stream, context: Context) => unknown

export interface StreamHandlerOptions<Context = undefined> {
  /**
   * Decides before the stream is accepted. What it throws refuses the stream: the opener gets `streamErrorCode` if the
   * error has one, and its message.
   */
  readonly permit?: ((request: StreamRequest) => Permission<Context> | Promise<Permission<Context>>) | undefined
  /** Streams of this protocol at once, over all peers; further ones are refused as overloaded. No limit by default. */
  readonly concurrency?: number | undefined
}

interface Entry {
  readonly handler: StreamHandler<unknown>
  readonly permit: StreamHandlerOptions<unknown>['permit']
  readonly concurrency: number
  open: number
}

export interface AcceptedStreamsOptions {
  readonly openTimeoutMs: number
  /** Whether a peer may use a protocol of the runtime. */
  readonly permit: (peer: string, name: string) => boolean
  readonly onFailed: (peer: string, protocol: string, link: number, error: unknown) => void
}

export class AcceptedStreams {
  readonly #options: AcceptedStreamsOptions
  readonly #byProtocol = new Map<string, Entry>()
  /** Why streams are refused; null while they are not. */
  refusal: string | null = null

  constructor(options: AcceptedStreamsOptions) {
    this.#options = options
  }

  /** @throws StatewireError ERR_INVALID_OPTION, ERR_HANDLER_EXISTS. @returns a function that removes the handler */
  add<Context>(
    protocol: string,
    handler: StreamHandler<Context>,
    options: StreamHandlerOptions<Context> = {},
    isReserved = false,
  ): () => void {
    checkProtocol(protocol, isReserved)
    const { permit, concurrency = Infinity } = options
    if (permit !== undefined) checkFunction(permit, 'permit of onStream')
    if (concurrency !== Infinity && (!Number.isSafeInteger(concurrency) || concurrency < 1))
      throw invalid(`concurrency must be a whole number of at least 1, got ${formatValue(concurrency)}`)
    if (this.#byProtocol.has(protocol))
      throw new StatewireError(
        'ERR_HANDLER_EXISTS',
        `streams of ${JSON.stringify(protocol)} have a handler already; remove it first`,
      )
    const entry: Entry = { handler: handler as StreamHandler<unknown>, permit, concurrency, open: 0 }
    this.#byProtocol.set(protocol, entry)
    return () => {
      if (this.#byProtocol.get(protocol) === entry) this.#byProtocol.delete(protocol)
    }
  }

  /** A peer opens a stream. Never throws. */
  open(
    peer: string,
    link: number,
    pool: StreamPool,
    port: StreamPort,
    opening: StreamOpening,
  ): StreamEvents | StreamReset {
    const { protocol } = opening
    const entry = this.#byProtocol.get(protocol)
    if (this.refusal !== null) return { code: resetCodes.refused, reason: this.refusal }
    if (entry === undefined) return { code: resetCodes['no-such-protocol'], reason: '' }
    if (protocol.startsWith(reservedPrefix) && !this.#options.permit(peer, protocol)) return notPermitted
    if (entry.open >= entry.concurrency)
      return { code: resetCodes.limit, reason: `${entry.concurrency} streams of this protocol are open` }
    const { openTimeoutMs, onFailed } = this.#options
    const abort = new LazyAbort()
    const stream = pool.create(
      { peer, protocol, extra: opening.extra as Buffer, opener: null },
      openTimeoutMs,
      (late) => late.refuse({ code: resetCodes['time-out'], reason: 'the decision took too long' }),
    )
    entry.open++
    stream.once('close', () => {
      entry.open--
      abort.abort()
    })
    stream.attach(() => port, link)
    stream.onSent()
    const failed = (error: unknown): void => onFailed(peer, protocol, link, error)
    if (entry.permit === undefined) this.#accept(stream, entry, undefined, failed)
    else this.#decide(stream, entry, entry.permit, abort, failed)
    return stream
  }

  #decide(
    stream: Stream,
    entry: Entry,
    permit: NonNullable<Entry['permit']>,
    abort: LazyAbort,
    failed: (error: unknown) => void,
  ): void {
    const { peer, protocol, extra } = stream
    const request: StreamRequest = {
      peer,
      protocol,
      extra,
      get signal() {
        return abort.signal
      },
    }
    const decided = (permission: unknown): void => {
      if (stream.destroyed) return
      if (permission === true) this.#accept(stream, entry, undefined, failed)
      else if (typeof permission === 'object' && permission !== null && 'context' in permission)
        this.#accept(stream, entry, permission.context, failed)
      else stream.refuse(notPermitted)
    }
    const threw = (error: unknown): void => {
      if (stream.destroyed) return
      const { code } = error instanceof Error ? resetOf(error) : { code: resetCodes.application }
      stream.refuse({ code: code === resetCodes.application ? resetCodes.refused : code, reason: messageOf(error) })
    }
    try {
      const permission = permit(request)
      if (permission instanceof Promise) permission.then(decided, threw)
      else decided(permission)
    } catch (error) {
      threw(error)
    }
  }

  #accept(stream: Stream, { handler }: Entry, context: unknown, failed: (error: unknown) => void): void {
    if (!stream.accept()) {
      stream.destroy()
      return
    }
    stream.handOut()
    const threw = (error: unknown): void => {
      failed(error)
      // Nobody else may listen, and a reason is owed to the peer only.
      if (stream.listenerCount('error') === 0) stream.on('error', () => {})
      stream.destroy(error instanceof Error ? error : new StatewireError('ERR_HANDLER_FAILED', messageOf(error)))
    }
    try {
      const result = handler(stream, context)
      if (result instanceof Promise) result.catch(threw)
    } catch (error) {
      threw(error)
    }
  }

  end(): void {
    this.#byProtocol.clear()
  }
}

const notPermitted: StreamReset = { code: resetCodes.refused, reason: 'not permitted' }

/** An AbortController that is made when its signal is read. */
class LazyAbort {
  #controller: AbortController | null = null
  #isAborted = false

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#isAborted) this.#controller.abort()
    return this.#controller.signal
  }

  abort(): void {
    this.#isAborted = true
    this.#controller?.abort(new StatewireError('ERR_ABORTED', 'the stream has ended'))
  }
}
