/**
 * Owns: the memory transport: pipes inside one process, ordered by the clock, with bounded buffers.
 * Independent of: frames, peers, time. It behaves like TCP where the runtime can observe it, and passes the same
 * conformance suite (test/conformance/pipe.ts).
 */
import { StatewireError } from '../../codec/errors.ts'
import { checkPart } from '../base/environment-checks.ts'
import type { Clock } from '../base/environment.ts'
import { deliverBorrowedCopy } from './borrowed-reads.ts'
import { literalNames } from '../base/pipe.ts'
import type {
  Address,
  DialOptions,
  ListenerHandlers,
  Pipe,
  PipeHandlers,
  PipeListener,
  Transport,
} from '../base/pipe.ts'

const nothing = Buffer.alloc(0)

interface Sent {
  readonly bytes: Buffer
  readonly onFlushed: ((error: Error | null) => void) | undefined
}

export class MemoryPipe implements Pipe {
  readonly remoteAddress: string
  readonly remoteHost: string
  readonly peerId: string | undefined = undefined
  readonly #clock: Clock
  readonly #highWaterMarkBytes: number
  readonly #onReleased: () => void
  #handlers: PipeHandlers | null = null
  #far: MemoryPipe | null = null
  /** Bytes that the far side has not taken. */
  #outgoing: Sent[] = []
  #outgoingBytes = 0
  #needsDrain = false
  #isPaused = true
  #isConnected = false
  #isEnding = false
  #endDelivered = false
  #endReceived = false
  #closing = false
  #closed = false
  #deliveryPending = false

  constructor(remote: Address, clock: Clock, options: DialOptions, onReleased: () => void) {
    this.remoteHost = remote.host
    this.remoteAddress = `${remote.host}:${remote.port}`
    this.#clock = clock
    this.#highWaterMarkBytes = options.highWaterMarkBytes
    this.#onReleased = onReleased
  }

  get bufferedBytes(): number {
    return this.#outgoingBytes
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Destroyed; `onClose` follows shortly. */
  get isClosing(): boolean {
    return this.#closing
  }

  handle(handlers: PipeHandlers): void {
    this.#handlers = handlers
  }

  secure(): Promise<void> {
    return Promise.resolve()
  }

  /** Connects two ends and calls `onOpen` of the dialling one. */
  join(far: MemoryPipe): void {
    this.#far = far
    this.#isConnected = true
  }

  opened(): void {
    if (this.#closing) return
    this.#handlers?.onOpen()
    this.#deliverSoon()
  }

  write(bytes: readonly Buffer[], onFlushed?: (error: Error | null) => void): boolean {
    if (this.#closing || this.#isEnding) {
      onFlushed?.(new StatewireError('ERR_TRANSPORT', 'the pipe is closed'))
      return false
    }
    for (const part of bytes) {
      this.#outgoing.push({ bytes: part, onFlushed: undefined })
      this.#outgoingBytes += part.length
    }
    if (onFlushed !== undefined) this.#outgoing.push({ bytes: nothing, onFlushed })
    this.#deliverSoon()
    if (this.#outgoingBytes < this.#highWaterMarkBytes) return true
    this.#needsDrain = true
    return false
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#far?.deliverSoon()
  }

  end(): void {
    if (this.#isEnding || this.#closing) return
    this.#isEnding = true
    this.#deliverSoon()
  }

  destroy(cause?: Error): void {
    if (this.#closing) return
    this.#closing = true
    const far = this.#far
    for (const { onFlushed } of this.#outgoing)
      onFlushed?.(cause ?? new StatewireError('ERR_TRANSPORT', 'the pipe was destroyed'))
    this.#outgoing = []
    this.#outgoingBytes = 0
    if (far !== null) this.#clock.setImmediate(() => far.farDestroyed(this.#isEnding || this.#endReceived))
    this.#clock.setImmediate(() => this.#release(cause ?? null))
  }

  deliverSoon(): void {
    this.#deliverSoon()
  }

  farDestroyed(orderly: boolean): void {
    if (this.#closing) return
    if (orderly && (this.#isEnding || this.#endReceived)) this.destroy()
    else this.destroy(new StatewireError('ERR_TRANSPORT', 'the other side destroyed the connection (ECONNRESET)'))
  }

  /** Delivers everything that the far side accepts, in the next tick. */
  #deliverSoon(): void {
    if (this.#deliveryPending || !this.#isConnected) return
    this.#deliveryPending = true
    this.#clock.setImmediate(() => {
      this.#deliveryPending = false
      this.#deliver()
    })
  }

  #deliver(): void {
    const far = this.#far
    if (far === null) return
    while (this.#outgoing.length > 0 && !far.#isPaused && !this.#closing && !far.#closing) {
      const sent = this.#outgoing.shift() as Sent
      this.#outgoingBytes -= sent.bytes.length
      if (sent.bytes.length > 0) deliverBorrowedCopy(sent.bytes, far.#handlers)
      sent.onFlushed?.(null)
    }
    if (this.#needsDrain && this.#outgoingBytes === 0 && !this.#closing) {
      this.#needsDrain = false
      this.#handlers?.onDrain()
    }
    if (this.#isEnding && this.#outgoing.length === 0 && !this.#endDelivered && !far.#isPaused && !far.#closing) {
      this.#endDelivered = true
      far.#endReceived = true
      // There is no half-close: what the far side has written is still delivered, and then its end follows
      // automatically.
      far.end()
      far.#handlers?.onEnd()
    }
    if (this.#endDelivered && far.#endDelivered) {
      this.destroy()
      far.destroy()
    }
  }

  #release(error: Error | null): void {
    if (this.#closed) return
    this.#closed = true
    this.#onReleased()
    this.#handlers?.onClose(error)
  }

  toJSON(): string {
    return `memory ${this.remoteAddress}`
  }
}

interface MemoryListener {
  readonly options: DialOptions
  readonly handlers: ListenerHandlers
}

/** A network inside one process. Transports that share a MemoryTransport can reach each other. */
export class MemoryTransport implements Transport {
  readonly names = literalNames
  readonly #clock: Clock
  readonly #listeners = new Map<number, MemoryListener>()
  readonly #pipes = new Set<MemoryPipe>()
  #nextPort = 1024

  constructor(clock: Clock) {
    checkPart(clock, 'clock', 'the clock of a MemoryTransport')
    this.#clock = clock
  }

  get openHandles(): number {
    return this.#pipes.size + this.#listeners.size
  }

  get pipes(): ReadonlySet<MemoryPipe> {
    return this.#pipes
  }

  dial(address: Address, options: DialOptions): Pipe {
    const near = this.#create(address, options)
    this.#clock.setImmediate(() => {
      if (near.isClosing) return
      const listener = this.#listeners.get(address.port)
      if (listener === undefined) {
        near.destroy(
          new StatewireError('ERR_TRANSPORT', `nothing listens at ${address.host}:${address.port} (ECONNREFUSED)`),
        )
        return
      }
      const far = this.#create({ host: '127.0.0.1', port: this.#nextPort++ }, listener.options)
      near.join(far)
      far.join(near)
      listener.handlers.onPipe(far)
      near.opened()
    })
    return near
  }

  listen(address: Address, options: DialOptions, handlers: ListenerHandlers): Promise<PipeListener> {
    const port = address.port === 0 ? this.#nextPort++ : address.port
    if (this.#listeners.has(port))
      return Promise.reject(new StatewireError('ERR_TRANSPORT', `${address.host}:${port} is in use (EADDRINUSE)`))
    const listener: MemoryListener = { options, handlers }
    this.#listeners.set(port, listener)
    return Promise.resolve({
      address: { host: address.host, port },
      close: () => {
        if (this.#listeners.get(port) === listener) this.#listeners.delete(port)
        return Promise.resolve()
      },
    })
  }

  #create(remote: Address, options: DialOptions): MemoryPipe {
    const pipe: MemoryPipe = new MemoryPipe(remote, this.#clock, options, () => this.#pipes.delete(pipe))
    this.#pipes.add(pipe)
    return pipe
  }
}
