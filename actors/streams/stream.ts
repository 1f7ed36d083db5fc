/**
 * Owns: one stream as a Node Duplex: what an application writes becomes frames, what arrives becomes chunks, and every
 * way to end it.
 * Independent of: how it was opened or accepted, which link carries it, and other streams.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { applicationResetCodesBegin, resetCodes, streamFrameLengthBytesMax } from '../../codec/native-frames.ts'
import { StreamLostError } from '../../protocol/native/streams/stream-lost-error.ts'
import type { ByteCounts, StreamEvents, StreamPort, StreamReset } from '../../protocol/streams.ts'
import { invalid } from '../base/checks.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'
import type { StreamFacts } from '../../machines/stream.ts'
import type { StreamEvent } from '../../machines/stream.ts'
import { DuplexBase } from './duplex-base.ts'
import type { Callback } from './duplex-base.ts'
import { HeldError } from './held-error.ts'
import { IdleTimer } from './idle-timer.ts'
import { nameOf, refusedError, resetError, resetOf, StreamError } from './stream-error.ts'
import type { CloseReason } from './stream-error.ts'
import { streamToWeb } from './stream-web.ts'
import type { WebStream } from './stream-web.ts'
import type { StreamOpener, StreamOptions } from './stream-options.ts'
import { StreamWriter } from './stream-writer.ts'

/** 64 KiB, the longest frame of a stream. */
const highWaterMarkBytes = streamFrameLengthBytesMax

/** What a stream needs of the streams of its peer. */
export interface StreamHost {
  readonly wheel: TimerWheel
  /** An event for the stream's chart. */
  tell(stream: Stream, type: StreamEvent['type']): void
  /** A listener of the application threw. */
  onFailed(stream: Stream, error: unknown): void
}

/**
 * Bytes in both directions between two peers, under the name of a protocol. A Node Duplex: `pipe`, `pipeline`,
 * `for await`, `end`, `destroy` and the rest are as people know them. It survives lost sockets.
 */
export class Stream extends DuplexBase implements StreamEvents {
  readonly peer: string
  readonly protocol: string
  /** What the opener sent along. */
  readonly extra: Buffer
  readonly #host: StreamHost
  #opener: StreamOpener | null
  #port: StreamPort | null = null
  #link: number | null = null
  /** Bytes that arrived and are not given back as credit, and the frames that carried them. */
  #owedBytes = 0
  #owedFrames = 0
  #bytesRead = 0
  readonly #writer: StreamWriter
  /** It is about to be destroyed with this error. */
  #failure: StreamError | null = null
  /** @internal Why it fails once what has arrived was read. */
  readonly held = new HeldError(this)
  #hasPeerFinished = false
  #end: CloseReason | null = null
  #isEnded = false
  #closed: Promise<CloseReason> | null = null
  #settleClosed: ((reason: CloseReason) => void) | null = null
  readonly #idle: IdleTimer

  /** @internal */
  constructor(host: StreamHost, { peer, protocol, extra, opener }: StreamOptions) {
    super({ highWaterMark: highWaterMarkBytes, allowHalfOpen: true })
    this.#host = host
    this.peer = peer
    this.protocol = protocol
    this.extra = extra
    this.#opener = opener
    this.#writer = new StreamWriter(this)
    this.#idle = new IdleTimer(host.wheel, this)
  }

  /** Bytes that have arrived. */
  get bytesRead(): number {
    return this.#bytesRead
  }

  /** Bytes that were accepted for sending. */
  get bytesWritten(): number {
    return this.#writer.bytesWritten
  }

  /** Resolves when the stream has ended, with how. Never rejects. */
  get closed(): Promise<CloseReason> {
    this.#closed ??= new Promise((resolve) => {
      if (this.#isEnded) resolve(this.#closeReason())
      else this.#settleClosed = resolve
    })
    return this.#closed
  }

  /**
   * Ends both directions at once. What was not read and not sent is lost.
   * @param code the application's own, from 256 to 65,535: the peer finds it as `error.streamErrorCode`
   * @param reason at most 256 bytes of UTF-8; the rest is cut
   * @throws StatewireError ERR_INVALID_OPTION
   */
  reset(code: number, reason = ''): void {
    if (!Number.isInteger(code) || code < applicationResetCodesBegin || code > 0xffff)
      throw invalid(
        `the code of reset must be a whole number from ${applicationResetCodesBegin} to 65535, ` +
          `got ${formatValue(code)}`,
      )
    if (typeof reason !== 'string') throw invalid(`the reason of reset must be a string, got ${formatValue(reason)}`)
    this.#reset({ code, reason })
    this.destroy()
  }

  /** Emits `timeout` when so many milliseconds pass without a byte in either direction; 0 turns it off. */
  setTimeout(timeoutMs: number, listener?: () => void): this {
    if (typeof timeoutMs !== 'number' || !(timeoutMs >= 0))
      throw invalid(`setTimeout takes milliseconds, got ${formatValue(timeoutMs)}`)
    if (listener !== undefined) {
      if (timeoutMs === 0) this.off('timeout', listener)
      else this.once('timeout', listener)
    }
    this.#idle.set(this.#isEnded ? 0 : timeoutMs)
    return this
  }

  /**
   * The two directions as Web Streams. `close()` of the writer resolves when the peer has everything; `abort(reason)`
   * resets the stream with `reason.streamErrorCode`; `cancel` of the reader ends reading only.
   */
  toWeb(): WebStream {
    return streamToWeb(this, {
      whenAcked: (resolve, reject) => this.#port?.whenAcked(resolve, reject) ?? (() => {}),
      stopReading: (reset) => this.#stopReading(reset),
      reset: (reset) => {
        this.#reset(reset)
        this.destroy()
      },
    })
  }

  /** After writing has finished, a Reset ends reading alone. */
  #stopReading(reset: StreamReset): void {
    const stop = (): void => {
      this.#reset(reset)
      this.destroy()
    }
    if (this.writableFinished) stop()
    else if (!this.destroyed) this.once('finish', stop)
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    if (!this.destroyed) this.destroy()
    await this.closed
  }

  /** @internal */
  facts(): StreamFacts & { readonly link: number | null } {
    const { peer, protocol } = this
    return { peer, protocol, openedBy: this.#opener === null ? 'peer' : 'self', link: this.#link }
  }

  // From the link.

  /** @internal @param open gives it its place on a link */
  attach(open: (stream: Stream) => StreamPort, link: number): void {
    this.#link = link
    this.#port = this.#writer.port = open(this)
  }

  /** @internal Its Open has not left. */
  get isOpening(): boolean {
    return this.#port === null || this.#port.id === 0
  }

  /** @internal It was not accepted yet, and this side gives up. */
  cancel(reset: StreamReset, error: StreamError): void {
    if (this.#isEnded) return
    this.#reset(reset)
    this.fail(error)
  }

  /** @internal This side serves it. @returns false if memory is short */
  accept(): boolean {
    if (this.#port?.accept() !== true) return false
    this.#host.tell(this, 'stream.accepted')
    return true
  }

  /** @internal This side does not serve it. */
  refuse(reset: StreamReset): void {
    if (this.#isEnded) return
    this.#reset(reset)
    this.destroy()
  }

  /** @internal */
  onSent(): void {
    this.#host.tell(this, 'open.sent')
    this.#opener?.onSent()
  }

  /** @internal */
  onAccepted(): void {
    this.#host.tell(this, 'stream.accepted')
    this.#handedOut = true
    this.#opener?.onAccepted()
  }

  #handedOut = false

  /** @internal It is in the hands of the application, which gets its errors. */
  handOut(): void {
    this.#handedOut = true
  }

  /** @internal */
  onBytes(bytes: Buffer): void {
    const { length } = bytes
    if (this.destroyed || this.#failure !== null) return
    this.#bytesRead += length
    let hasRoom: boolean
    try {
      hasRoom = this.push(bytes)
    } catch (error) {
      // A listener of `data`. In a socket this would end the process; here it ends its stream.
      this.#host.onFailed(this, error)
      this.destroy(error instanceof Error ? error : new StatewireError('ERR_HANDLER_FAILED', String(error)))
      return
    }
    if (hasRoom) this.#port?.taken(length)
    else {
      this.#owedBytes += length
      this.#owedFrames++
    }
  }

  /** @internal */
  onFin(): void {
    this.#hasPeerFinished = true
    this.#host.tell(this, 'fin.received')
    this.#finished()
    if (this.destroyed) return
    try {
      this.push(null)
    } catch (error) {
      this.#host.onFailed(this, error)
    }
  }

  /** @internal */
  onReset(reset: StreamReset, keepsReading: boolean): void {
    const { peer, protocol } = this
    const error = this.#handedOut ? resetError(peer, protocol, reset) : refusedError(peer, protocol, reset)
    this.#end ??= this.#ended('reset', 'peer', reset)
    this.#host.tell(this, 'stream.failed')
    if (keepsReading && !this.readableEnded && !this.destroyed) this.#failWriting(error)
    else this.fail(error)
  }

  /** @internal */
  onLost(error: Error, bytes: ByteCounts): void {
    const { peer, protocol } = this
    const code = error instanceof StatewireError ? error.code : 'ERR_LINK_RESET'
    // This side shut down, or removed the peer: no listener has to know unless bytes are lost.
    const isOwn = !(error instanceof StreamLostError)
    const why = isOwn ? error.message : error.why
    this.#end ??= this.#ended('lost', isOwn ? 'self' : 'network', { code: null, reason: why })
    this.#host.tell(this, 'stream.failed')
    if (isOwn && this.#handedOut && bytes.unknown + bytes.notSent === 0) {
      this.destroy()
      return
    }
    const failure = new StreamError(code, `${nameOf(peer, protocol)} has ended: ${why}`, {
      peer,
      protocol,
      by: isOwn ? 'self' : 'network',
      bytes,
      cause: error,
    })
    const hasEnd = this.#hasPeerFinished && !this.readableEnded
    const isUnread = this.held.unread > 0 || hasEnd
    if (isOwn || !isUnread || !this.#handedOut || this.destroyed || this.#failure !== null) return this.fail(failure)
    this.held.hold(failure, hasEnd)
    if (hasEnd) this.#failWriting(failure)
    else this.#writer.failure = failure
  }

  /** @internal It ends with this error, which goes to whoever has it now. */
  fail(error: StreamError): void {
    if (this.#handedOut) {
      this.#writer.failure = this.#failure = error
      this.#writer.readingEnded()
      // The caller of getStream may be about to get it, and can listen for the error only then.
      queueMicrotask(() => this.destroy(error))
    } else {
      this.#handedOut = true
      this.#opener?.onFailed(error)
      this.destroy()
    }
  }

  /** What the peer wrote can still be read; then the stream ends with the error. */
  #failWriting(error: StreamError): void {
    this.#writer.failure = error
    const end = (): void => {
      if (!this.#writer.readingEnded()) this.destroy(this.writableFinished ? undefined : error)
    }
    if (this.readableEnded) end()
    else this.once('end', end)
  }

  /** @internal It has failed, and a time has passed since, or since this was called last. */
  giveUpReading(): void {
    // What the peer had finished stays readable without a limit; only the chart ends.
    if (!this.held.timePassed()) this.#host.tell(this, 'stream.destroyed')
  }

  // From the application.

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as in Node's types
  override read(size?: number): any {
    const chunk: unknown = super.read(size)
    this.held.afterRead(size, chunk === null)
    return chunk
  }

  override _read(): void {
    if (this.#owedFrames === 0) return
    const [bytes, frames] = [this.#owedBytes, this.#owedFrames]
    this.#owedBytes = this.#owedFrames = 0
    this.#port?.taken(bytes, frames)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#writer.write(chunk, 0, callback)
  }

  /** Small chunks that have waited share frames. */
  override _writev(chunks: { chunk: Buffer }[], callback: Callback): void {
    this.#writer.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 0, callback)
  }

  override _final(callback: Callback): void {
    this.#writer.finish((error) => {
      if (error === undefined) {
        this.#host.tell(this, 'fin.sent')
        this.#finished()
      }
      callback(error)
    })
  }

  #finished(): void {
    if (this.#port?.isOver === true) this.#end ??= this.#ended('finished', 'both', { code: null, reason: '' })
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#idle.set(0)
    this.#writer.close()
    if (error !== null) this.#host.tell(this, 'stream.failed')
    this.#reset(resetOf(error))
    this.#isEnded = true
    this.#host.tell(this, 'stream.destroyed')
    this.#settleClosed?.(this.#closeReason())
    callback(error)
  }

  #reset(reset: StreamReset): void {
    this.#end ??= this.#ended('reset', 'self', reset)
    if (this.#port?.isOver === false) this.#port.reset(reset)
  }

  #ended(
    how: CloseReason['how'],
    by: CloseReason['by'],
    { code, reason }: { readonly code: number | null; readonly reason: string },
  ): CloseReason {
    return {
      how,
      by,
      code,
      reason,
      link: this.#link,
      bytesRead: this.#bytesRead,
      bytesWritten: this.#writer.bytesWritten,
    }
  }

  #closeReason(): CloseReason {
    const end = this.#end ?? this.#ended('reset', 'self', { code: resetCodes.application, reason: '' })
    return { ...end, bytesRead: this.#bytesRead, bytesWritten: this.#writer.bytesWritten }
  }
}
