/**
 * Owns: a carrier whose pipes break on request: after a number of bytes, silently, or all at once with their process.
 * Independent of: what travels in them. It wraps the memory carrier, one wrapper for each party.
 */
import type { Clock } from '../../actors/index.ts'
import type {
  Address,
  DialOptions,
  ListenerHandlers,
  Pipe,
  PipeHandlers,
  PipeListener,
  Transport,
} from '../../actors/base/pipe.ts'

/** An address where nothing listens. */
const nowhere = 1

/** The most that one socket read returns. */
const readLengthBytes = 64 * 1024

function readsOf(whole: Buffer): Buffer[] {
  const reads: Buffer[] = []
  for (let start = 0; start < whole.length; start += readLengthBytes)
    reads.push(whole.subarray(start, start + readLengthBytes))
  return reads
}

export class FaultyPipe implements Pipe {
  readonly #inner: Pipe
  readonly #clock: Clock
  readonly #onGone: () => void
  #handlers: PipeHandlers | null = null
  #isSilent = false
  #closeHeld = false
  #closeTold = false
  /** Bytes that may still leave before the pipe is cut. */
  #leftBytes: number
  /** Bytes written by this side. */
  writtenBytes = 0

  constructor(inner: Pipe, clock: Clock, cutAfterBytes: number, onGone: () => void) {
    this.#inner = inner
    this.#clock = clock
    this.#leftBytes = cutAfterBytes
    this.#onGone = onGone
  }

  get remoteAddress(): string {
    return this.#inner.remoteAddress
  }
  get remoteHost(): string {
    return this.#inner.remoteHost
  }
  get peerId(): string | undefined {
    return this.#inner.peerId
  }
  get bufferedBytes(): number {
    return this.#inner.bufferedBytes
  }
  get closed(): boolean {
    return this.#closeTold
  }

  handle(handlers: PipeHandlers): void {
    this.#handlers = handlers
    this.#inner.handle({
      onOpen: () => handlers.onOpen(),
      onBytes: (bytes) => {
        if (!this.#isSilent) handlers.onBytes(bytes)
      },
      onDrain: () => handlers.onDrain(),
      onEnd: () => {
        if (!this.#isSilent) handlers.onEnd()
      },
      onClose: (error) => {
        if (this.#isSilent) this.#closeHeld = true
        else this.#notifyClosed(error)
      },
    })
  }

  secure(): Promise<void> {
    return this.#inner.secure()
  }

  write(bytes: readonly Buffer[], onFlushed?: (error: Error | null) => void): boolean {
    if (this.#isSilent) return true
    const whole = Buffer.concat(bytes)
    this.writtenBytes += whole.length
    if (whole.length < this.#leftBytes) {
      this.#leftBytes -= whole.length
      return this.#inner.write(readsOf(whole), onFlushed)
    }
    // The last bytes that get through, often half a frame; then both ends see the end.
    const rest = whole.subarray(0, this.#leftBytes)
    this.#leftBytes = 0
    this.#inner.write(readsOf(rest), () => this.#inner.destroy(new Error('cut')))
    return true
  }

  pause(): void {
    this.#inner.pause()
  }
  resume(): void {
    this.#inner.resume()
  }
  end(): void {
    if (this.#isSilent) this.destroy()
    else this.#inner.end()
  }

  destroy(cause?: Error): void {
    this.#inner.destroy(cause)
    if (!this.#isSilent) return
    this.#isSilent = this.#closeHeld
    if (this.#closeHeld) this.#clock.setImmediate(() => this.#notifyClosed(cause ?? null))
    this.#isSilent = false
  }

  /** From here on nothing arrives, nothing leaves, and no end is reported. */
  fallSilent(): void {
    this.#isSilent = true
  }

  /** Ends now, as by a reset. */
  cut(): void {
    this.#inner.destroy(new Error('cut'))
  }

  #notifyClosed(error: Error | null): void {
    if (this.#closeTold) return
    this.#closeTold = true
    this.#onGone()
    this.#handlers?.onClose(error)
  }
}

export class FaultyTransport implements Transport {
  readonly #inner: Transport
  readonly #clock: Clock
  readonly #listeners = new Set<PipeListener>()
  readonly pipes = new Set<FaultyPipe>()
  /** How many bytes a new pipe carries each way before it is cut; Infinity means never. */
  cutAfterBytes: () => number = () => Infinity
  /** Dials are refused. */
  isDown = false
  #isDead = false
  dials = 0

  constructor(inner: Transport, clock: Clock) {
    this.#inner = inner
    this.#clock = clock
  }

  get openHandles(): number {
    return this.pipes.size + this.#listeners.size
  }

  dial(address: Address, options: DialOptions): Pipe {
    this.dials++
    return this.#wrap(this.#inner.dial(this.isDown || this.#isDead ? { ...address, port: nowhere } : address, options))
  }

  async listen(address: Address, options: DialOptions, handlers: ListenerHandlers): Promise<PipeListener> {
    const inner = await this.#inner.listen(address, options, {
      onPipe: (pipe) => {
        const wrapped = this.#wrap(pipe)
        if (this.isDown || this.#isDead) {
          wrapped.handle({ onOpen() {}, onBytes() {}, onDrain() {}, onEnd() {}, onClose() {} })
          wrapped.destroy()
        } else handlers.onPipe(wrapped)
      },
      onError: handlers.onError,
    })
    const listener: PipeListener = {
      address: inner.address,
      close: () => {
        this.#listeners.delete(listener)
        return inner.close()
      },
    }
    this.#listeners.add(listener)
    return listener
  }

  /** The process is gone: its sockets are reset, its port is free, and whatever it still writes is lost. */
  async die(): Promise<void> {
    this.#isDead = true
    for (const listener of this.#listeners) await listener.close()
    for (const pipe of this.pipes) pipe.cut()
  }

  /** Cuts every open pipe. */
  cutAll(): void {
    for (const pipe of this.pipes) pipe.cut()
  }

  #wrap(inner: Pipe): FaultyPipe {
    const pipe: FaultyPipe = new FaultyPipe(inner, this.#clock, this.cutAfterBytes(), () => this.pipes.delete(pipe))
    this.pipes.add(pipe)
    return pipe
  }
}
