/**
 * Owns: one connection over TLS as a Pipe: the raw socket, the TLS socket on top of it, and reporting its close only
 * when both are released.
 * Independent of: dialects (it is given a side, or a way to choose one), frames, deadlines: the caller of `secure()`
 * destroys a pipe whose handshake takes too long.
 *
 * Its life: connecting (dialled only) → plain (TCP is connected, nothing is read) → choosing (only where a port serves
 * two dialects: the ClientHello is checked) → handshake → secure. Bytes written before `secure` wait inside; none
 * leaves earlier. A batch too long for one write waits here as well, chunk by chunk (write-chunks.ts).
 */
import type net from 'node:net'
import type tls from 'node:tls'
import { StatewireError } from '../../codec/errors.ts'
import { chooseByFirstBytes } from './client-hello-check.ts'
import { borrowReads, pauseReads } from '../transport/borrowed-reads.ts'
import { onAcceptedSecure, onTlsError } from '../transport/node-internals.ts'
import { cutIntoChunks, needsChunks, lengthOf } from './write-chunks.ts'
import { formatAddress } from '../base/pipe.ts'
import type { Address, Pipe, PipeHandlers } from '../base/pipe.ts'
import { closedEarly, refusal } from './tls-errors.ts'
import type { Proof, TlsChooser, TlsDialect, TlsSide } from './tls-side.ts'

interface Waiting {
  readonly bytes: readonly Buffer[]
  readonly onFlushed: ((error: Error | null) => void) | undefined
}

interface Securing {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export interface TlsPipeOptions {
  readonly remote: Address
  readonly highWaterMarkBytes: number
  /** The read buffer that all pipes share. */
  readonly memory: Buffer
  readonly onReleased: (pipe: TlsPipe) => unknown
}

const nothing: Buffer = Buffer.alloc(0)

export class TlsPipe implements Pipe {
  readonly remoteAddress: string
  readonly remoteHost: string
  readonly #raw: net.Socket
  readonly #side: TlsSide | TlsChooser
  readonly #options: TlsPipeOptions
  #tls: tls.TLSSocket | null = null
  #proof: Proof | null = null
  #securing: Securing | null = null
  #error: Error | null = null
  #handlers: PipeHandlers | null = null
  /** Written before the handshake completed, or while earlier chunks are leaving. */
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #flows = false
  /** The raw socket, and the TLS socket on top of it. Each reports its close once. */
  #openSockets = 1
  #isConnected: boolean
  #isShaking = false
  #isEnding = false
  #destroyed = false
  #closed = false

  /** @param raw a socket that is about to connect, or that was accepted */
  constructor(raw: net.Socket, side: TlsSide | TlsChooser, options: TlsPipeOptions) {
    this.#raw = raw
    this.#side = side
    this.#options = options
    this.remoteHost = options.remote.host
    this.remoteAddress = formatAddress(options.remote)
    this.#isConnected = !raw.pending
    raw.pause()
    raw.once('connect', () => {
      this.#isConnected = true
      this.#handlers?.onOpen()
      if (this.#securing !== null) this.#shake()
    })
    raw.on('error', (error) => this.#fail(error))
    raw.once('close', () => {
      this.#openSockets--
      this.#release()
    })
  }

  get peerId(): string | undefined {
    return this.#proof?.peerId
  }

  /** Undefined until `secure()` has resolved. */
  get dialect(): TlsDialect | undefined {
    return this.#proof?.dialect
  }

  /**
   * Whether the peer may claim this identity. Native: its own id. In ampc, where the claim follows TLS: an identity in
   * whose root its certificate is anchored. False until `secure()` has resolved.
   */
  isAnchoredIn(identity: string): boolean {
    return this.#proof?.covers(identity) ?? false
  }

  get bufferedBytes(): number {
    return this.#waitingBytes + (this.#proof === null ? 0 : (this.#tls as tls.TLSSocket).writableLength)
  }

  get closed(): boolean {
    return this.#closed
  }

  handle(handlers: PipeHandlers): void {
    this.#handlers = handlers
  }

  /**
   * Performs the handshake with every check of the dialect. On failure it destroys the pipe and rejects with
   * ERR_HANDSHAKE_FAILED, ERR_UNEXPECTED_PEER, ERR_UNKNOWN_PEER, ERR_CERTIFICATE_REJECTED or ERR_TLS_PROTOCOL. It has
   * no deadline; `destroy()` ends it.
   *
   * The dialling side does not learn here whether the other side accepts it: wait for the peer's first bytes.
   */
  secure(): Promise<void> {
    if (this.#securing !== null) return this.#securing.promise
    let resolve = (): void => {}
    let reject: (error: Error) => void = () => {}
    const promise = new Promise<void>((onResolved, onRejected) => {
      resolve = onResolved
      reject = onRejected
    })
    this.#securing = { promise, resolve, reject }
    if (this.#destroyed || this.#closed) reject(this.#failure())
    else if (this.#proof !== null) resolve()
    else if (this.#isConnected) this.#shake()
    return promise
  }

  /** Life of a byte 7/12: the write batch of one tick is sent in few TLS records and one system call. */
  write(bytes: readonly Buffer[], onFlushed?: (error: Error | null) => void): boolean {
    if (this.#isEnding || this.#closed) {
      onFlushed?.(
        this.#error ?? new StatewireError('ERR_TRANSPORT', `the connection with ${this.remoteAddress} is closed`),
      )
      return false
    }
    if (this.#proof === null) {
      this.#wait(bytes, onFlushed)
      return this.#waitingBytes < this.#options.highWaterMarkBytes
    }
    if (this.#waiting.length === 0 && !needsChunks(bytes)) return this.#writeNow(bytes, onFlushed)
    const chunks = cutIntoChunks(bytes)
    const last = chunks.pop() as Buffer[]
    const isLeaving = this.#waiting.length > 0
    for (const chunk of chunks) this.#wait(chunk, undefined)
    this.#wait(last, onFlushed)
    return !isLeaving && this.#writeChunks()
  }

  #wait(bytes: readonly Buffer[], onFlushed: Waiting['onFlushed']): void {
    this.#waiting.push({ bytes, onFlushed })
    this.#waitingBytes += lengthOf(bytes)
  }

  /** @returns whether all chunks have left, and there is room for more */
  #writeChunks(): boolean {
    for (let chunk = this.#waiting.shift(); chunk !== undefined; chunk = this.#waiting.shift()) {
      this.#waitingBytes -= lengthOf(chunk.bytes)
      if (!this.#writeNow(chunk.bytes, chunk.onFlushed)) return false
    }
    return true
  }

  #writeNow(bytes: readonly Buffer[], onFlushed: Waiting['onFlushed']): boolean {
    const socket = this.#tls as tls.TLSSocket
    const last = bytes.length - 1
    if (last > 0) socket.cork()
    for (let i = 0; i < last; i++) socket.write(bytes[i] as Buffer)
    // Node reports a write that was cut off by a destroy as successful; here it counts as failed.
    const hasRoom = socket.write(
      bytes[last] ?? nothing,
      onFlushed === undefined ? undefined : (error) => onFlushed(error ?? (socket.destroyed ? this.#failure() : null)),
    )
    if (last > 0) socket.uncork()
    else if (hasRoom) return true
    // As in the TCP pipe: the result of `write` is decided before the kernel is asked.
    return socket.writableLength < socket.writableHighWaterMark
  }

  pause(): void {
    this.#flows = false
    if (this.#proof !== null && !this.#destroyed && this.#tls !== null) pauseReads(this.#tls)
  }

  resume(): void {
    this.#flows = true
    if (this.#proof !== null && !this.#destroyed) this.#tls?.resume()
  }

  end(): void {
    if (this.#isEnding) return
    this.#isEnding = true
    if (this.#proof !== null && this.#waiting.length === 0) this.#tls?.end()
  }

  destroy(cause?: Error): void {
    if (cause !== undefined) this.#error ??= cause
    this.#isEnding = true
    if (this.#destroyed) return
    this.#destroyed = true
    this.#dropWaiting()
    // Destroying the TLS socket destroys the raw one too; if it ever does not, the close handler does (see #watch).
    const socket = this.#tls ?? this.#raw
    socket.destroy()
  }

  /**
   * Resets the connection instead of ending it in order. For fault injection. A TLS socket can be reset only once it is
   * established.
   */
  reset(): void {
    if (this.#proof === null) return this.destroy()
    if (this.#destroyed) return
    this.#isEnding = true
    // The TLS socket must not be touched from here on: destroying it in the same tick crashes the process.
    this.#destroyed = true
    // `TLSSocket.resetAndDestroy` throws. While the socket's own end is pending libuv refuses to reset, and Node would
    // then close it neither way.
    if (this.#tls?.writableEnded === true) this.#tls.destroy()
    else this.#raw.resetAndDestroy()
  }

  toJSON(): string {
    return `tls ${this.remoteAddress}`
  }

  #shake(): void {
    const side = this.#side
    if (this.#isShaking) return
    this.#isShaking = true
    if (typeof side !== 'function') return this.#begin(side)
    chooseByFirstBytes(this.#raw, side, {
      onChosen: (chosen) => this.#begin(chosen),
      onUnsuitable: (error) => this.#fail(error),
      onEnd: () =>
        this.#fail(closedEarly(this.remoteAddress, 'it closed the connection before its ClientHello was complete')),
    })
  }

  #begin(side: TlsSide): void {
    let socket: tls.TLSSocket
    try {
      socket = side.begin(this.#raw, this.#options.highWaterMarkBytes)
    } catch (error) {
      return this.#fail(side.failed(error))
    }
    this.#watch(socket, side)
  }

  #watch(socket: tls.TLSSocket, side: TlsSide): void {
    this.#tls = socket
    this.#openSockets++
    // A TLS error after the handshake does not close the socket.
    const onError = (error: Error): void => this.#fail(this.#proof === null ? side.failed(error) : error)
    socket.on('error', onError)
    onTlsError(socket, onError)
    socket.once('close', () => {
      this.#openSockets--
      this.#raw.destroy()
      this.#release()
    })
    socket.on('end', () => {
      if (this.#proof === null) return this.#fail(closedEarly(this.remoteAddress))
      // The socket now ends its own side automatically. A write after that would destroy it and lose what is buffered.
      this.#isEnding = true
      this.#dropWaiting()
      this.#handlers?.onEnd()
    })
    const onSecure = (): void => this.#prove(socket, side)
    if (side.role === 'acceptor') onAcceptedSecure(socket, onSecure)
    else socket.once('secureConnect', onSecure)
  }

  #prove(socket: tls.TLSSocket, side: TlsSide): void {
    if (this.#destroyed) return
    try {
      this.#proof = side.check(socket)
    } catch (error) {
      return this.#fail(error instanceof StatewireError ? error : side.failed(error))
    }
    // Waiting bytes are sent first: the other side waits for them.
    this.#writeWaiting(socket)
    if (!this.#destroyed) this.#flow(socket)
    this.#securing?.resolve()
  }

  /** The peer is verified: bytes flow both ways from here on. */
  #flow(socket: tls.TLSSocket): void {
    socket.on('drain', () => {
      const isLeaving = this.#waiting.length > 0
      const hasRoom = this.#writeChunks()
      if (isLeaving && this.#isEnding && this.#waiting.length === 0) socket.end()
      else if (hasRoom) this.#handlers?.onDrain()
    })
    // Paused before there is a listener for bytes, which would start the flow.
    if (this.#flows) socket.resume()
    else socket.pause()
    borrowReads(socket, this.#options.memory, (bytes) => this.#handlers?.onBytes(bytes))
  }

  #writeWaiting(socket: tls.TLSSocket): void {
    const waiting = this.#waiting
    const neededDrain = this.#waitingBytes >= this.#options.highWaterMarkBytes
    const isEnding = this.#isEnding
    this.#waiting = []
    this.#waitingBytes = 0
    this.#isEnding = false
    for (const { bytes, onFlushed } of waiting) this.write(bytes, onFlushed)
    if (isEnding) this.end()
    else if (neededDrain && !socket.writableNeedDrain) this.#handlers?.onDrain()
  }

  #dropWaiting(): void {
    const waiting = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    for (const { onFlushed } of waiting) onFlushed?.(this.#failure())
  }

  /** The first error counts; later ones are consequences of it. */
  #fail(error: Error): void {
    this.#error ??= error
    this.destroy()
  }

  #failure(): Error {
    if (this.#proof !== null)
      return this.#error ?? new StatewireError('ERR_CONNECTION_LOST', `the connection with ${this.remoteAddress} ended`)
    if (this.#error !== null) return this.#error
    return this.#destroyed
      ? refusal(this.remoteAddress, 'this side closed the connection')
      : closedEarly(this.remoteAddress)
  }

  #release(): void {
    if (this.#openSockets > 0) return
    this.#closed = true
    this.#isEnding = true
    this.#dropWaiting()
    if (this.#proof === null) this.#securing?.reject(this.#failure())
    this.#options.onReleased(this)
    const handlers = this.#handlers
    // Node's handle of a closed socket lives until garbage collection; this releases what it references.
    this.#handlers = null
    handlers?.onClose(this.#error)
  }
}
