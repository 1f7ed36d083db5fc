/**
 * Owns: the TCP carrier: `net.Socket` as a Pipe.
 * Independent of: frames, peers, back-off, deadlines.
 */
import type net from 'node:net'
import { lendReads, lentReadBytes, pauseReads } from './borrowed-reads.ts'
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
import { createSocket, listenForSockets } from './tcp-sockets.ts'

const nothing = Buffer.alloc(0)

export class TcpPipe implements Pipe {
  readonly remoteAddress: string
  readonly remoteHost: string
  readonly peerId: string | undefined = undefined
  readonly #socket: net.Socket
  #error: Error | null = null
  #handlers: PipeHandlers | null = null
  /**
   * This side ended or destroyed it, or the other side ended. Kept here: `socket.writable` looks at six things at
   * each call.
   */
  #isEnding = false
  #closed = false

  constructor(socket: net.Socket, remote: Address, memory: Buffer, onReleased: () => void) {
    this.#socket = socket
    this.remoteHost = remote.host
    this.remoteAddress = formatAddress(remote)
    socket.pause()
    // Listeners are put on once and look their target up, so that a pipe can change hands without a gap in which
    // an 'error' would be unhandled and take the process with it.
    const read = (): boolean => lendReads(socket, memory, (bytes) => this.#handlers?.onBytes(bytes))
    if (!socket.pending) read()
    socket.on('connect', () => {
      read()
      this.#handlers?.onOpen()
    })
    socket.on('drain', () => this.#handlers?.onDrain())
    socket.on('end', () => {
      // The socket ends its own side by itself now; a write after that would destroy it, with what still waits in it.
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
      // Node's handle of a closed socket lives until the heap is marked, and what it leads to with it: here that ends.
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

  /** Byte path 6/12: the batch of one turn leaves, gathered into one system call. */
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
      // Node calls a write that a destroy cut short a success: what ends after that is none.
      else
        socket.write(lastPart, (error) =>
          onFlushed(error ?? (socket.destroyed ? (this.#error ?? new Error('the socket was destroyed')) : null)),
        )
      socket.uncork()
    }
    // Not what `write` returned: that is said before the kernel was asked, and it often takes all of it at once.
    // Where this is false, `write` has returned false as well, so that 'drain' will come.
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

  /** A reset instead of an orderly end: what chaos tests and the swarm's `--kill-every` use. */
  reset(): void {
    this.#isEnding = true
    // While its own end is under way libuv refuses to reset, and Node closes it neither way then.
    if (this.#socket.writableEnded) this.#socket.destroy()
    else this.#socket.resetAndDestroy()
  }

  toJSON(): string {
    return `tcp ${this.remoteAddress}`
  }
}

export class TcpTransport implements Transport {
  readonly #pipes = new Set<TcpPipe>()
  /** What is read is lent from here, by all of them. */
  readonly #memory = Buffer.allocUnsafeSlow(lentReadBytes)
  #listeners = 0

  get openHandles(): number {
    return this.#pipes.size + this.#listeners
  }

  /** The open pipes, for tools that break them on purpose. */
  get pipes(): ReadonlySet<TcpPipe> {
    return this.#pipes
  }

  dial(address: Address, options: DialOptions): Pipe {
    const socket = createSocket(options)
    const pipe = this.#adopt(socket, address)
    socket.connect({ host: address.host, port: address.port })
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
