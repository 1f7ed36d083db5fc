/**
 * Owns: the state of one link that outlives its sockets: its lanes, what waits to be sent, what arrived and was not read,
 * and how many values a broken connection may have cost.
 * Refuses to know: sockets, clocks, actors. It is driven by two pumps (actors/link/forwarder.ts) and told when a connection
 * comes and goes.
 *
 * Invariants
 *   - A value is encoded only while the link flows; while it does not, the value itself waits, in order, within bounds.
 *   - Encoded bytes are handed to a connection whole frames at a time. Those not handed over survive a break.
 *   - unreadBytes is the sum of what the lanes hold; above the bound the pump stops reading.
 */
import { StatewireError } from '../../codec/errors.ts'
import { isView } from '../../codec/decode-value.ts'
import { encodedLength } from '../../codec/encode-value.ts'
import { largeFrameThresholdBytes } from '../../codec/limits.ts'
import { FrameWriter, type EncodedFrame } from '../../codec/frame-writer.ts'
import type { NetworkValue } from '../../codec/values.ts'
import { Deque } from '../deque.ts'
import type { FrameSource, Framing } from '../dialect.ts'
import { EarlyFrames } from './early-frames.ts'
import { KeptViews } from '../kept-views.ts'
import { ConnectionLostError, Lane } from '../lane.ts'
import { idleHooks } from '../link-core.ts'
import type { DueAction, LinkCore, LinkCounters, LinkHooks, Outbound } from '../link-core.ts'

/** What each waiting value costs besides its bytes, so that many empty values are bounded too. About the size of its objects. */
const valueOverheadBytes = 64

/**
 * A batch is written without waiting for the end of the turn once it is this long. Short frames: 64 KiB, so that the
 * kernel works while the next are encoded. Large frames: 1 MiB in one gathered write, which is faster than
 * a write for each.
 */
const flushAtBytes = 64 * 1024
const flushLargeAtBytes = 1024 * 1024

export interface LinkLimits {
  readonly maxMessageLengthBytes: number
  /** Sum over all lanes of what arrived and was not read; above it reading stops. */
  readonly receiveQueueBytesMax: number
  /** Values that wait while the link does not flow, in bytes and in number. */
  readonly sendQueueBytesMax: number
  readonly sendQueueValuesMax: number
  /** Frames for sessions that will exist but do not yet (mode `reconnect`). */
  readonly earlyBytesMax: number
}

interface WaitingSend {
  readonly lane: Lane
  readonly frame: EncodedFrame
  readonly costBytes: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class LinkState implements LinkCore {
  readonly framing: Framing
  /** A link does not read before it has a lane: its actor waits for this. */
  onLaneOpened: (() => void) | null = null
  readonly counters: LinkCounters = { valuesSent: 0, bytesSent: 0, valuesReceived: 0, bytesReceived: 0, framesDropped: 0 }
  readonly kept = new KeptViews()
  readonly #limits: LinkLimits
  readonly #lanes = new Map<number, Lane>()
  readonly #writer = new FrameWriter()
  readonly #waiting = new Deque<WaitingSend>()
  readonly #early: EarlyFrames
  #hooks: LinkHooks = idleHooks
  #waitingBytes = 0
  #unreadBytes = 0
  #isReceiveFull = false
  #isConnected = false
  #isFlowing = false
  #flushRequested = false
  #lastLane: Lane | null = null
  #carriedOver: Buffer[] = []
  #end: Error | null = null

  constructor(framing: Framing, limits: LinkLimits) {
    this.framing = framing
    this.#limits = limits
    this.#early = new EarlyFrames(limits.earlyBytesMax)
  }

  get unreadBytes(): number {
    return this.#unreadBytes
  }

  get waitingSends(): number {
    return this.#waiting.length
  }

  get isConnected(): boolean {
    return this.#isConnected
  }

  get laneCount(): number {
    return this.#lanes.size
  }

  get isFlowing(): boolean {
    return this.#isFlowing
  }

  get end(): Error | null {
    return this.#end
  }

  // This dialect has no hello, no last words, and nothing that is due by time.
  readonly readsAtOnce = false
  readonly tellsOfLoss = true
  readonly isAckDue = false
  readonly nextDueAtMs = null

  established(): readonly Buffer[] {
    this.#isConnected = true
    return []
  }

  contractBroken(): null {
    return null
  }

  farewell(): null {
    return null
  }

  lastWords(): null {
    return null
  }

  replaced(): void {}

  /** The lanes are told of the connection that is lost with it. */
  crashed(): void {}

  whenAcked(_lane: Lane, _resolve: () => void, reject: (error: Error) => void): () => void {
    reject(new StatewireError('ERR_DIALECT_UNSUPPORTED', 'nothing is acknowledged in the ampc dialect, so there is nothing to wait for'))
    return () => {}
  }

  poll(): readonly DueAction[] {
    return []
  }

  lookAgain(): null {
    return null
  }

  chunkBegins(): void {}

  createReader(): FrameSource {
    return this.framing.createReader(this)
  }

  setHooks(hooks: LinkHooks): void {
    this.#hooks = hooks
  }

  /** Makes a lane. Frames that came for it before it existed are delivered first. */
  openLane(id: number): Lane {
    if (this.#lanes.has(id)) throw new StatewireError('ERR_INTERNAL', `lane ${id} is open already`)
    const lane: Lane = new Lane(id, { onTaken: (costBytes) => this.#onTaken(costBytes), onUnread: (unread) => this.kept.add(unread), onHandlerRejected: (error) => this.#hooks.onHandlerFailed(lane, error) })
    if (this.#end !== null) {
      lane.close(this.#end)
      return lane
    }
    this.#lanes.set(id, lane)
    try {
      for (const frame of this.#early.take(id)) this.onFrame(id, frame.descriptor, frame.buffer, 0, frame.buffer.length)
    } catch (error) {
      this.#hooks.onBroken(error)
    }
    this.#reconsiderReading()
    this.onLaneOpened?.()
    return lane
  }

  /** Ends a lane: later frames for it are counted and dropped. `discard` also forgets what was not read. */
  closeLane(lane: Lane, error: Error, discard: boolean): void {
    if (this.#lanes.get(lane.id) !== lane) return
    this.#lanes.delete(lane.id)
    if (this.#lastLane === lane) this.#lastLane = null
    lane.close(error)
    if (discard) this.#onTaken(lane.discardUnread())
    for (const send of this.#waiting.drain()) {
      if (send.lane === lane) this.#rejectSend(send, error)
      else this.#waiting.push(send)
    }
  }

  /** Frames of lanes from here on are early, not unknown: they wait until their session is made. Mode `reconnect` only. */
  expectLanesFrom(id: number): void {
    this.counters.framesDropped += this.#early.expectFrom(id)
    this.#reconsiderReading()
  }

  /**
   * Byte path 2/12: a value is encoded into the link's batch.
   * @returns false when the link does not flow or others wait already: then use `waitToSend`
   */
  trySend(lane: Lane, value: NetworkValue, transfer = false): boolean {
    if (!this.#isFlowing || this.#waiting.length > 0 || lane.end !== null) return false
    this.#count(lane, this.framing.write(this.#writer, lane.id, value, transfer))
    return true
  }

  /** Waits, in order, until the link flows. The returned function withdraws a value that was not encoded yet. */
  waitToSend(lane: Lane, value: NetworkValue, resolve: () => void, reject: (error: Error) => void, transfer = false): () => boolean {
    const end = lane.end ?? this.#end
    if (end !== null) {
      reject(end)
      return () => false
    }
    const lengthBytes = encodedLength(value)
    const costBytes = lengthBytes + valueOverheadBytes
    if (this.#waiting.length >= this.#limits.sendQueueValuesMax || (this.#waiting.length > 0 && this.#waitingBytes + costBytes > this.#limits.sendQueueBytesMax)) {
      reject(new StatewireError('ERR_SEND_QUEUE_FULL', `${this.#waiting.length} values (${this.#waitingBytes} bytes) wait to be sent already; await send() before the next`))
      return () => false
    }
    const frame = this.framing.encode(this.#writer, lane.id, value, transfer)
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
    this.counters.valuesSent++
    this.counters.bytesSent += addedBytes
    const limitBytes = addedBytes < largeFrameThresholdBytes ? flushAtBytes : flushLargeAtBytes
    if (this.#writer.pendingBytes >= limitBytes) this.#hooks.flushNow()
    else if (!this.#flushRequested) {
      this.#flushRequested = true
      this.#hooks.requestFlush()
    }
  }

  get outbound(): Outbound {
    return this
  }

  get pendingBytes(): number {
    return this.#carriedOver.reduce((sum, { length }) => sum + length, this.#writer.pendingBytes)
  }

  get hasPending(): boolean {
    return this.#carriedOver.length > 0 || this.#writer.pendingBytes > 0
  }

  /** Byte path 4/12: takes what is to be written; whole frames, in order. */
  takeBatch(): Buffer[] {
    this.#flushRequested = false
    const batch = this.#writer.take()
    if (this.#carriedOver.length === 0) return batch
    const all = this.#carriedOver.concat(batch)
    this.#carriedOver = []
    return all
  }

  /** A connection was adopted, or its socket has room again: those who waited go first. */
  flow(): void {
    if (this.#isFlowing || this.#end !== null) return
    this.#isFlowing = true
    if (this.#carriedOver.length > 0) this.#hooks.requestFlush()
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

  /** The socket takes no more, or there is none. */
  block(): void {
    this.#isFlowing = false
  }

  /**
   * The connection is gone: every lane learns it, at its place in the order of values.
   * Frames that were not handed to the connection stay and go first on the next one.
   */
  connectionLost(message: string, cause: unknown): void {
    this.#isConnected = false
    this.block()
    // What came for sessions to come belongs to a call that this break fails on the other side: it will be made again.
    this.#early.clear()
    this.#reconsiderReading()
    this.#carriedOver = this.takeBatch()
    const kept = this.#framesByLane(this.#carriedOver)
    for (const lane of this.#lanes.values()) {
      const keptOfLane = kept.get(lane.id) ?? 0
      const outboundAtMost = Math.max(0, lane.sentSinceUp - keptOfLane)
      lane.sentSinceUp = keptOfLane
      const loss = new ConnectionLostError(`${message}; of the values sent on this session since the connection came up, at most ${outboundAtMost} did not arrive`, outboundAtMost, { cause })
      try {
        lane.deliverLoss(loss)
      } catch (error) {
        // As for values: a listener that throws costs its own lane, and the others hear of the loss all the same.
        this.#hooks.onHandlerFailed(lane, error)
      }
    }
  }

  /** The link is over: lanes end, waiting senders hear why. */
  close(error: Error): void {
    if (this.#end !== null) return
    this.#end = error
    this.#isConnected = false
    this.block()
    for (const send of this.#waiting.drain()) this.#rejectSend(send, error)
    for (const lane of this.#lanes.values()) lane.close(error)
    this.#lanes.clear()
    this.#lastLane = null
    this.#early.clear()
    this.#carriedOver = []
    this.#writer.take()
  }

  /** Byte path 9/12: a frame finds its lane. Unknown lanes are counted and dropped; their value is not parsed. */
  onFrame(laneId: number, descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number): boolean {
    let lane = this.#lastLane
    if (lane === null || lane.id !== laneId) {
      const found = this.#lanes.get(laneId)
      if (found === undefined) {
        this.#onUnknownLane(laneId, descriptor, buffer, bodyStart, bodyEnd)
        return true
      }
      lane = this.#lastLane = found
    }
    this.counters.valuesReceived++
    this.counters.bytesReceived += bodyEnd - bodyStart
    const value = this.kept.decode(descriptor, buffer, bodyStart, bodyEnd, lane.isBorrowing || lane.parks(bodyEnd - bodyStart))
    if (lane.handler !== null) {
      const { isBorrowing } = lane
      try {
        lane.deliver(value, 0)
      } catch (error) {
        this.#hooks.onHandlerFailed(lane, error)
      }
      return isBorrowing || !isView(value)
    }
    const costBytes = lane.deliver(value, bodyEnd - bodyStart + valueOverheadBytes)
    if (costBytes > 0) {
      this.#unreadBytes += costBytes
      this.#reconsiderReading()
    }
    return !isView(value)
  }

  #onUnknownLane(laneId: number, descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number): void {
    if (!this.#early.keep(laneId, descriptor, buffer, bodyStart, bodyEnd)) {
      this.counters.framesDropped++
      return
    }
    this.#reconsiderReading()
  }

  #onTaken(costBytes: number): void {
    this.#unreadBytes -= costBytes
    if (this.#isReceiveFull) this.#reconsiderReading()
  }

  /** Stops at the bound, goes on at half of it, so that reading does not flutter. */
  #reconsiderReading(): void {
    if (!this.#isReceiveFull && (this.#unreadBytes >= this.#limits.receiveQueueBytesMax || this.#early.isFull)) {
      this.#isReceiveFull = true
      this.#hooks.onReceiveFull()
    } else if (this.#isReceiveFull && this.#unreadBytes <= this.#limits.receiveQueueBytesMax / 2 && !this.#early.isFull) {
      this.#isReceiveFull = false
      this.#hooks.onReceiveRoom()
    }
  }

  get isReceiveFull(): boolean {
    return this.#isReceiveFull
  }

  #rejectSend(send: WaitingSend, error: Error): void {
    this.#waitingBytes -= send.costBytes
    send.reject(error)
  }

  #framesByLane(buffers: readonly Buffer[]): Map<number, number> {
    const counts = new Map<number, number>()
    if (buffers.length === 0) return counts
    const reader = this.framing.createReader({ onFrame: (laneId) => counts.set(laneId, (counts.get(laneId) ?? 0) + 1) !== undefined })
    for (const buffer of buffers) reader.push(buffer)
    return counts
  }
}
