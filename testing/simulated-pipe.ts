/**
 * Owns: one end of a simulated connection: what was written and has not left, what is in flight, what arrived and was
 * not read; how it ends. It behaves as TCP does as far as a runtime can observe, and passes the same conformance suite.
 * Independent of: when faults happen; nodes and addresses. Latency, slicing and partitions come from its network.
 */
import { StatewireError } from '../codec/errors.ts'
import { deliverBorrowedCopy } from '../actors/transport/borrowed-reads.ts'
import type { Address, DialOptions, Pipe, PipeHandlers } from '../actors/base/pipe.ts'

/** What a pipe needs of the network around it. */
export interface Carriage {
  /** Length of the next chunk, given how many bytes could leave. */
  chunkBytes(availableBytes: number): number
  /** Runs `arrive` at the other end, after everything that was sent before. */
  carry(from: SimulatedPipe, lengthBytes: number, arrive: () => void): void
  /** Runs a callback of the process that owns the pipe: later if it is stalled, never if it is dead. */
  run(pipe: SimulatedPipe, callback: () => void): void
  /** Like `run`, in the next tick. */
  runSoon(pipe: SimulatedPipe, callback: () => void): void
  /** Whether a destroyed pipe sends a reset; otherwise it sends an end, after what is in flight. */
  destroysByReset(): boolean
  note(pipe: SimulatedPipe, event: string): void
  released(pipe: SimulatedPipe): void
}

interface Waiting {
  bytes: Buffer
  readonly onFlushed: ((error: Error | null) => void) | undefined
}

const nothing = Buffer.alloc(0)

export class SimulatedPipe implements Pipe {
  readonly remoteHost: string
  readonly remoteAddress: string
  readonly peerId: string | undefined = undefined
  /** The connection that this is an end of, for the trace. */
  readonly wire: number
  /** Bytes that may still arrive at the other end before the connection is cut. */
  cutAfterBytes = Infinity
  /** Runs at the cut; set with {@link cutAfterBytes}. */
  onCut: () => void = () => {}
  /** Time at which the last data of this end arrives: nothing overtakes it. */
  lastArrivalMs = 0
  /** What this end sends from here on is lost silently. */
  isMute = false
  /** So is what it has sent before and is still in flight. */
  isSevered = false
  far: SimulatedPipe | null = null
  readonly #carriage: Carriage
  readonly #highWaterMarkBytes: number
  readonly #pathBytes: number
  #handlers: PipeHandlers | null = null
  #outgoing: Waiting[] = []
  #outgoingBytes = 0
  /** Bytes that left this end and were not read by the application at the other. */
  #pathUsedBytes = 0
  #arrived: Buffer[] = []
  #isPaused = true
  #isConnected = false
  #needsDrain = false
  #isEnding = false
  #endSent = false
  #endArrived = false
  #endReceived = false
  #isClosing = false
  #closed = false

  /** @param pathBytes capacity of the path to the other end: sent, and not read there */
  constructor(wire: number, remote: Address, options: DialOptions, pathBytes: number, carriage: Carriage) {
    this.wire = wire
    this.remoteHost = remote.host
    this.remoteAddress = `${remote.host}:${remote.port}`
    this.#highWaterMarkBytes = options.highWaterMarkBytes
    this.#pathBytes = pathBytes
    this.#carriage = carriage
  }

  get bufferedBytes(): number {
    return this.#outgoingBytes
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Destroyed; it closes in a moment. */
  get isClosing(): boolean {
    return this.#isClosing
  }

  handle(handlers: PipeHandlers): void {
    this.#handlers = handlers
  }

  secure(): Promise<void> {
    return Promise.resolve()
  }

  /** The two ends know each other: the connection was accepted. */
  join(far: SimulatedPipe): void {
    this.far = far
  }

  /** Allows sending from here on and notifies the dialing end. */
  connected(isDialler: boolean): void {
    if (this.#isClosing) return
    this.#isConnected = true
    if (isDialler) this.#handlers?.onOpen()
    this.#transmit()
  }

  write(bytes: readonly Buffer[], onFlushed?: (error: Error | null) => void): boolean {
    if (this.#isClosing || this.#isEnding) {
      onFlushed?.(new StatewireError('ERR_TRANSPORT', 'the pipe is closed'))
      return false
    }
    for (const part of bytes) {
      if (part.length === 0) continue
      this.#outgoing.push({ bytes: part, onFlushed: undefined })
      this.#outgoingBytes += part.length
    }
    if (onFlushed !== undefined) this.#outgoing.push({ bytes: nothing, onFlushed })
    this.#transmit()
    if (this.#outgoingBytes < this.#highWaterMarkBytes) return true
    this.#needsDrain = true
    return false
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    if (this.#arrived.length > 0 || this.#endArrived) this.#carriage.runSoon(this, () => this.#deliver())
  }

  end(): void {
    if (this.#isEnding || this.#isClosing) return
    this.#isEnding = true
    this.#transmit()
  }

  destroy(cause?: Error): void {
    if (this.#isClosing) return
    const isInOrder = this.#isEnding || this.#endReceived
    const isReset = !isInOrder && (this.#arrived.length > 0 || this.#carriage.destroysByReset())
    this.#carriage.note(this, isReset ? 'destroys by reset' : 'destroys')
    this.#close(cause ?? null)
    this.#send(0, (far) =>
      isReset ? far.reset('the other side destroyed the connection (ECONNRESET)') : far.endHasArrived(),
    )
  }

  // What the network does to it.

  /** The connection is gone for this end. What arrived and was not read is lost with it. */
  reset(why: string): void {
    if (this.#isClosing) return
    this.#carriage.note(this, `is reset: ${why}`)
    this.#close(new StatewireError('ERR_TRANSPORT', why))
  }

  /** The process is gone: nothing is called back any more. */
  vanish(): void {
    this.#isClosing = true
    this.#closed = true
    this.#forget()
  }

  endHasArrived(): void {
    if (this.#isClosing) return
    this.#endArrived = true
    this.#carriage.run(this, () => this.#deliver())
  }

  #close(error: Error | null): void {
    this.#isClosing = true
    const unsent = this.#outgoing
    this.#forget()
    this.#carriage.runSoon(this, () => {
      for (const { onFlushed } of unsent)
        onFlushed?.(error ?? new StatewireError('ERR_TRANSPORT', 'the pipe was destroyed'))
      this.#closed = true
      this.#carriage.released(this)
      this.#handlers?.onClose(error)
    })
  }

  #forget(): void {
    this.#outgoing = []
    this.#outgoingBytes = 0
    this.#arrived = []
  }

  /**
   * What fits the path leaves now, as the kernel takes it within the call. It also arrives if this end is destroyed
   * right after.
   */
  #transmit(): void {
    if (!this.#isConnected || this.#isClosing) return
    while (this.#outgoing.length > 0) {
      const first = this.#outgoing[0]!
      if (first.onFlushed !== undefined) {
        const { onFlushed } = this.#outgoing.shift()!
        this.#carriage.runSoon(this, () => onFlushed?.(null))
        continue
      }
      const roomBytes = this.#pathBytes - this.#pathUsedBytes
      if (roomBytes <= 0) break
      this.#sendChunk(this.#takeOutgoing(this.#carriage.chunkBytes(Math.min(roomBytes, this.#outgoingBytes))))
    }
    if (this.#needsDrain && this.#outgoingBytes === 0) {
      this.#needsDrain = false
      this.#carriage.runSoon(this, () => {
        if (!this.#isClosing) this.#handlers?.onDrain()
      })
    }
    if (this.#isEnding && !this.#endSent && this.#outgoing.length === 0) {
      this.#endSent = true
      this.#carriage.note(this, 'ends')
      this.#send(0, (far) => far.endHasArrived())
      this.#closeIfOver()
    }
  }

  /** A copy: the receiver owns it. Chunks are independent of writes, so one may contain the ends of several. */
  #takeOutgoing(lengthBytes: number): Buffer {
    const chunk = Buffer.allocUnsafe(lengthBytes)
    let at = 0
    while (at < lengthBytes) {
      const first = this.#outgoing[0]!
      // A callback waiting for a write runs when the chunk with its last byte has left.
      if (first.onFlushed !== undefined) {
        const { onFlushed } = this.#outgoing.shift()!
        this.#carriage.runSoon(this, () => onFlushed?.(null))
        continue
      }
      const count = first.bytes.copy(chunk, at, 0, lengthBytes - at)
      at += count
      if (count === first.bytes.length) this.#outgoing.shift()
      else first.bytes = first.bytes.subarray(count)
    }
    this.#outgoingBytes -= lengthBytes
    return chunk
  }

  #sendChunk(chunk: Buffer): void {
    this.#pathUsedBytes += chunk.length
    this.#send(chunk.length, (far) => {
      const passes = Math.min(chunk.length, this.cutAfterBytes)
      this.cutAfterBytes -= passes
      if (passes > 0) far.#bytesHaveArrived(passes === chunk.length ? chunk : chunk.subarray(0, passes))
      if (this.cutAfterBytes > 0) return
      this.cutAfterBytes = Infinity
      this.isSevered = true
      this.onCut()
    })
  }

  #send(lengthBytes: number, arrive: (far: SimulatedPipe) => void): void {
    const { far } = this
    if (far === null || this.isMute) return
    this.#carriage.carry(this, lengthBytes, () => {
      if (!this.isSevered && !far.#isClosing) arrive(far)
    })
  }

  #bytesHaveArrived(bytes: Buffer): void {
    this.#arrived.push(bytes)
    if (this.#arrived.length === 1 || !this.#isPaused) this.#carriage.run(this, () => this.#deliver())
  }

  /** What arrived while reading was paused is one chunk, as a read of a socket finds it. */
  #deliver(): void {
    while (this.#arrived.length > 0 && !this.#isPaused && !this.#isClosing) {
      const chunk = this.#arrived.length === 1 ? this.#arrived[0]! : Buffer.concat(this.#arrived)
      this.#arrived = []
      this.#carriage.note(this, `reads ${chunk.length} bytes`)
      deliverBorrowedCopy(chunk, this.#handlers)
      this.far?.wasTaken(chunk.length)
    }
    if (!this.#endArrived || this.#endReceived || this.#isPaused || this.#isClosing) return
    this.#endReceived = true
    this.#carriage.note(this, 'sees the end')
    // Half-close is a close: what this side has written still leaves, and then its end follows by itself.
    this.end()
    this.#handlers?.onEnd()
    this.#closeIfOver()
  }

  wasTaken(lengthBytes: number): void {
    this.#pathUsedBytes -= lengthBytes
    this.#transmit()
  }

  #closeIfOver(): void {
    if (this.#endSent && this.#endReceived && !this.#isClosing) this.#close(null)
  }

  toJSON(): string {
    return `simulated ${this.remoteAddress}`
  }
}
