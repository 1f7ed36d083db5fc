/**
 * Owns: the TCP transport: `net.Socket` as a Pipe.
 * Independent of: frames, peers, back-off, deadlines.
 */
import type net from 'node:net'
import { borrowReads, checkReadBuffer, pauseReads } from './borrowed-reads.ts'
import { formatAddress } from '../base/pipe.ts'
import type {
  Address,
  DialOptions,
  ListenerHandlers,
  Pipe,
  PipeHandlers,
  PipeListener,
  Transport,
} from '../base/pipe.ts'
import { createSocket, listenForSockets, targetOf } from './tcp-sockets.ts'

const nothing = Buffer.alloc(0)

export class TcpPipe implements Pipe {
  readonly remoteAddress: string
  readonly remoteHost: string
  readonly peerId: string | undefined = undefined
  readonly #socket: net.Socket
  #error: Error | null = null
  #handlers: PipeHandlers | null = null
  /** This side ended or destroyed it, or the other side ended. Cached because `socket.writable` is slow. */
  #isEnding = false
  #closed = false

  constructor(socket: net.Socket, remote: Address, memory: Buffer, onReleased: () => void) {
    this.#socket = socket
    this.remoteHost = remote.host
    this.remoteAddress = formatAddress(remote)
    socket.pause()
    // Listeners are added once and look up the current handlers, so that a pipe can change owners. An 'error' without a
    // listener would end the process.
    const read = (): boolean => borrowReads(socket, memory, (bytes) => this.#handlers?.onBytes(bytes))
    if (!socket.pending) read()
    socket.on('connect', () => {
      read()
      this.#handlers?.onOpen()
    })
    socket.on('drain', () => this.#handlers?.onDrain())
    socket.on('end', () => {
      // The socket now ends its own side automatically. A write after that would destroy it and lose what is buffered.
      this.#isEnding = true
      this.#handlers?.onEnd()
    })
    socket.on('error', (error) => {
      this.#error ??= error
      this.#isEnding = true
      socket.destroy()
    })
    socket.on('close', () => {
      this.#closed = true
      onReleased()
      const handlers = this.#handlers
      // Node's handle of a closed socket lives until garbage collection; this releases what it references.
      this.#handlers = null
      handlers?.onClose(this.#error)
    })
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength
  }

  get closed(): boolean {
    return this.#closed
  }

  handle(handlers: PipeHandlers): void {
    this.#handlers = handlers
  }

  secure(): Promise<void> {
    return Promise.resolve()
  }

  /** Life of a byte 7/12: the write batch of one tick is sent in one system call. */
  write(bytes: readonly Buffer[], onFlushed?: (error: Error | null) => void): boolean {
    const socket = this.#socket
    if (this.#isEnding || this.#closed) {
      onFlushed?.(this.#error ?? new Error('the socket is closed'))
      return false
    }
    if (bytes.length === 1 && onFlushed === undefined) {
      if (socket.write(bytes[0] as Buffer)) return true
    } else {
      socket.cork()
      const last = bytes.length - 1
      for (let i = 0; i < last; i++) socket.write(bytes[i] as Buffer)
      const lastPart = bytes[last] ?? nothing
      if (onFlushed === undefined) socket.write(lastPart)
      // Node reports a write that was cut off by a destroy as successful; here it counts as failed.
      else
        socket.write(lastPart, (error) =>
          onFlushed(error ?? (socket.destroyed ? (this.#error ?? new Error('the socket was destroyed')) : null)),
        )
      socket.uncork()
    }
    // Not the result of `write`, which is decided before the kernel is asked; the kernel often takes everything at
    // once. If this is false, `write` has returned false as well, so 'drain' will follow.
    return socket.writableLength < socket.writableHighWaterMark
  }

  pause(): void {
    pauseReads(this.#socket)
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    if (this.#isEnding) return
    this.#isEnding = true
    this.#socket.end()
  }

  destroy(cause?: Error): void {
    if (cause !== undefined) this.#error ??= cause
    this.#isEnding = true
    this.#socket.destroy()
  }

  /** Resets the connection instead of ending it in order. For fault injection. */
  reset(): void {
    this.#isEnding = true
    // While its own end is pending libuv refuses to reset, and Node then closes it neither way.
    if (this.#socket.writableEnded) this.#socket.destroy()
    else this.#socket.resetAndDestroy()
  }

  toJSON(): string {
    return `tcp ${this.remoteAddress}`
  }
}

export interface TcpTransportOptions {
  /** What is read from a socket at once, in bytes. Default: 64 KiB, as `limits.readBufferBytes`. */
  readonly readBufferBytes?: number | undefined
}

export class TcpTransport implements Transport {
  readonly #pipes = new Set<TcpPipe>()
  /** The read buffer that all pipes share. */
  readonly #memory: Buffer
  #listeners = 0

  constructor(options: TcpTransportOptions = {}) {
    this.#memory = Buffer.allocUnsafeSlow(checkReadBuffer(options.readBufferBytes))
  }

  get openHandles(): number {
    return this.#pipes.size + this.#listeners
  }

  /** The open pipes, for fault injection. */
  get pipes(): ReadonlySet<TcpPipe> {
    return this.#pipes
  }

  dial(address: Address, options: DialOptions): Pipe {
    const socket = createSocket(options)
    const pipe = this.#adopt(socket, address)
    socket.connect(targetOf(address))
    return pipe
  }

  listen(address: Address, options: DialOptions, handlers: ListenerHandlers): Promise<PipeListener> {
    this.#listeners++
    return listenForSockets({
      ...options,
      address,
      onSocket: (socket, remote) => handlers.onPipe(this.#adopt(socket, remote)),
      onError: (error) => handlers.onError(error),
      onReleased: () => this.#listeners--,
    })
  }

  #adopt(socket: net.Socket, remote: Address): TcpPipe {
    const pipe: TcpPipe = new TcpPipe(socket, remote, this.#memory, () => this.#pipes.delete(pipe))
    this.#pipes.add(pipe)
    return pipe
  }
}
