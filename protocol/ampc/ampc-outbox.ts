/**
 * Owns: the sending half of an ampc link: the write batch, the values that wait while the link does not flow, and the
 * frames that a lost connection did not take.
 * Independent of: what arrives, sockets and clocks.
 */
import { encodedLength } from '../../codec/encode-value.ts'
import { StatewireError } from '../../codec/errors.ts'
import { largeFrameThresholdBytes } from '../../codec/limits.ts'
import { FrameWriter, type EncodedFrame } from '../../codec/frame-writer.ts'
import type { NetworkValue } from '../../codec/values.ts'
import { Deque } from '../deque.ts'
import type { Framing } from '../dialect.ts'
import type { Lane } from '../lane.ts'
import type { LinkCounters, LinkHooks, Outbound } from '../link-core.ts'

/**
 * What each waiting value costs besides its bytes, so that many empty values are bounded too. About the size of its
 * objects.
 */
export const valueOverheadBytes = 64

/**
 * A write batch of this length is written before the tick ends. Short frames: 64 KiB, so that the kernel works while
 * the next are encoded. Large frames: 1 MiB in one gathered write, which is faster than a write for each.
 */
const flushAtBytes = 64 * 1024
const flushLargeAtBytes = 1024 * 1024

/** Values that wait while the link does not flow, in bytes and in number. */
export interface SendQueueLimits {
  readonly sendQueueBytesMax: number
  readonly sendQueueValuesMax: number
}

interface WaitingSend {
  readonly lane: Lane
  readonly frame: EncodedFrame
  readonly costBytes: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class AmpcOutbox implements Outbound {
  readonly #framing: Framing
  readonly #limits: SendQueueLimits
  readonly #counters: LinkCounters
  readonly #hooks: () => LinkHooks
  readonly #writer = new FrameWriter()
  readonly #waiting = new Deque<WaitingSend>()
  #waitingBytes = 0
  #isFlowing = false
  #flushRequested = false
  #carriedOver: Buffer[] = []
  /** Nothing is acknowledged in this dialect. */
  readonly isAckDue = false

  constructor(framing: Framing, limits: SendQueueLimits, counters: LinkCounters, hooks: () => LinkHooks) {
    this.#framing = framing
    this.#limits = limits
    this.#counters = counters
    this.#hooks = hooks
  }

  get isFlowing(): boolean {
    return this.#isFlowing
  }

  get waitingSends(): number {
    return this.#waiting.length
  }

  get pendingBytes(): number {
    return this.#carriedOver.reduce((sum, { length }) => sum + length, this.#writer.pendingBytes)
  }

  get hasPending(): boolean {
    return this.#carriedOver.length > 0 || this.#writer.pendingBytes > 0
  }

  trySend(lane: Lane, value: NetworkValue, transfer: boolean): boolean {
    if (!this.#isFlowing || this.#waiting.length > 0 || lane.end !== null) return false
    this.#count(lane, this.#framing.write(this.#writer, lane.id, value, transfer))
    return true
  }

  /** Waits, in order, until the link flows. The returned function withdraws a value that was not encoded yet. */
  waitToSend(
    lane: Lane,
    value: NetworkValue,
    resolve: () => void,
    reject: (error: Error) => void,
    transfer: boolean,
  ): () => boolean {
    const costBytes = encodedLength(value) + valueOverheadBytes
    const isFull = this.#waiting.length > 0 && this.#waitingBytes + costBytes > this.#limits.sendQueueBytesMax
    if (isFull || this.#waiting.length >= this.#limits.sendQueueValuesMax) {
      const waiting = `${this.#waiting.length} values (${this.#waitingBytes} bytes)`
      reject(
        new StatewireError('ERR_SEND_QUEUE_FULL', `${waiting} wait to be sent already; await send() before the next`),
      )
      return () => false
    }
    const frame = this.#framing.encode(this.#writer, lane.id, value, transfer)
    const send: WaitingSend = { lane, frame, costBytes, resolve, reject }
    this.#waiting.push(send)
    this.#waitingBytes += costBytes
    return () => {
      if (!this.#waiting.remove(send)) return false
      this.#waitingBytes -= costBytes
      return true
    }
  }

  #count(lane: Lane, addedBytes: number): void {
    lane.sentSinceUp++
    this.#counters.valuesSent++
    this.#counters.bytesSent += addedBytes
    const limitBytes = addedBytes < largeFrameThresholdBytes ? flushAtBytes : flushLargeAtBytes
    if (this.#writer.pendingBytes >= limitBytes) this.#hooks().flushNow()
    else if (!this.#flushRequested) {
      this.#flushRequested = true
      this.#hooks().requestFlush()
    }
  }

  /** Takes what is to be written: whole frames, in order. */
  takeBatch(): Buffer[] {
    this.#flushRequested = false
    const batch = this.#writer.take()
    if (this.#carriedOver.length === 0) return batch
    const all = this.#carriedOver.concat(batch)
    this.#carriedOver = []
    return all
  }

  /** The values that wait go first. */
  flow(): void {
    if (this.#isFlowing) return
    this.#isFlowing = true
    if (this.#carriedOver.length > 0) this.#hooks().requestFlush()
    while (this.#isFlowing) {
      const send = this.#waiting.shift()
      if (send === undefined) return
      this.#waitingBytes -= send.costBytes
      try {
        this.#count(send.lane, this.#writer.writeEncoded(send.frame))
        send.resolve()
      } catch (error) {
        send.reject(error as Error)
      }
    }
  }

  block(): void {
    this.#isFlowing = false
  }

  /**
   * The connection is gone. What it did not take goes first on the next one. @returns how many frames of each lane that
   * is
   */
  carryOver(): Map<number, number> {
    this.#carriedOver = this.takeBatch()
    const counts = new Map<number, number>()
    if (this.#carriedOver.length === 0) return counts
    const count = (laneId: number): boolean => counts.set(laneId, (counts.get(laneId) ?? 0) + 1) !== undefined
    const reader = this.#framing.createReader({ onFrame: count })
    for (const buffer of this.#carriedOver) reader.push(buffer)
    return counts
  }

  rejectWaiting(lane: Lane, error: Error): void {
    for (const send of this.#waiting.drain()) {
      if (send.lane === lane) this.#reject(send, error)
      else this.#waiting.push(send)
    }
  }

  close(error: Error): void {
    this.block()
    for (const send of this.#waiting.drain()) this.#reject(send, error)
    this.#carriedOver = []
    this.#writer.take()
  }

  #reject(send: WaitingSend, error: Error): void {
    this.#waitingBytes -= send.costBytes
    send.reject(error)
  }
}
