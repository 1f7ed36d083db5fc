/**
 * Owns: one ampc link, which outlives its sockets: its lanes, what arrived and is unread, and how many values a broken
 * connection may have lost. Its sending half is ampc-outbox.ts.
 * Independent of: sockets, clocks, actors. Two pumps (actors/link/forwarder.ts) drive it; its actor tells it when a
 * connection comes and goes.
 *
 * Invariants
 *   - A value that waits is copied when it is queued, and enters the write batch only while the link flows.
 *   - Encoded bytes are handed to a connection whole frames at a time. Those not handed over survive a break.
 *   - unreadBytes is the sum of what the lanes hold. Above the limit the pump stops reading.
 */
import { StatewireError } from '../../codec/errors.ts'
import { isView } from '../../codec/decode-value.ts'
import type { NetworkValue } from '../../codec/values.ts'
import type { FrameSource, Framing } from '../dialect.ts'
import { AmpcOutbox, valueOverheadBytes, type SendQueueLimits } from './ampc-outbox.ts'
import { EarlyFrames } from './early-frames.ts'
import { KeptViews } from '../kept-views.ts'
import { ConnectionLostError, Lane } from '../lane.ts'
import { noopHooks } from '../link-core.ts'
import type { DueAction, LinkCore, LinkCounters, LinkHooks, Outbound } from '../link-core.ts'

export interface LinkLimits extends SendQueueLimits {
  readonly maxMessageLengthBytes: number
  /** Sum over all lanes of what arrived and is unread. Above it reading stops. */
  readonly receiveQueueBytesMax: number
  /** Frames for sessions that are not made yet (mode `reconnect`). */
  readonly earlyBytesMax: number
}

export class AmpcLink implements LinkCore {
  readonly framing: Framing
  onLaneOpened: (() => void) | null = null
  readonly counters: LinkCounters = {
    valuesSent: 0,
    bytesSent: 0,
    valuesReceived: 0,
    bytesReceived: 0,
    framesDropped: 0,
  }
  readonly kept = new KeptViews()
  readonly #limits: LinkLimits
  readonly #lanes = new Map<number, Lane>()
  readonly #outbox: AmpcOutbox
  readonly #early: EarlyFrames
  #hooks: LinkHooks = noopHooks
  #unreadBytes = 0
  #isReceiveFull = false
  #isConnected = false
  #lastLane: Lane | null = null
  #end: Error | null = null

  constructor(framing: Framing, limits: LinkLimits) {
    this.framing = framing
    this.#limits = limits
    this.#early = new EarlyFrames(limits.earlyBytesMax)
    this.#outbox = new AmpcOutbox(framing, limits, this.counters, () => this.#hooks)
  }

  get unreadBytes(): number {
    return this.#unreadBytes
  }

  get waitingSends(): number {
    return this.#outbox.waitingSends
  }

  get isConnected(): boolean {
    return this.#isConnected
  }

  get isFlowing(): boolean {
    return this.#outbox.isFlowing
  }

  get laneCount(): number {
    return this.#lanes.size
  }

  get end(): Error | null {
    return this.#end
  }

  get outbound(): Outbound {
    return this.#outbox
  }

  get isReceiveFull(): boolean {
    return this.#isReceiveFull
  }

  // This dialect has no hello, no Goodbye, no acknowledgements, and nothing that is due by time.
  readonly readsAtOnce = false
  readonly reportsLoss = true
  readonly nextDueAtMs = null
  readonly deliveries = null
  readonly exchange = null
  readonly streams = null
  readonly isSuspect = false
  readonly roundTripMs = null
  readonly use = null
  readonly adoption = null
  readonly figures = null
  readonly peerLinks = undefined

  protocolBroken(): null {
    return null
  }

  goodbye(): null {
    return null
  }

  finalAck(): null {
    return null
  }

  /** The connection is lost with it, and the lanes are notified of that. */
  crashed(): void {}

  whenAcked(_lane: Lane, _resolve: () => void, reject: (error: Error) => void): () => void {
    reject(new StatewireError('ERR_DIALECT_UNSUPPORTED', 'the ampc dialect has no acknowledgements to wait for'))
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

  established(): readonly Buffer[] {
    this.#isConnected = true
    return []
  }

  /** Makes a lane. Frames that came for it before it existed are delivered first. */
  openLane(id: number): Lane {
    if (this.#lanes.has(id)) throw new StatewireError('ERR_INTERNAL', `lane ${id} is open already`)
    const lane: Lane = new Lane(id, {
      onTaken: (costBytes) => this.#onTaken(costBytes),
      onUnread: (unread) => this.kept.add(unread),
      onHandlerRejected: (error) => this.#hooks.onHandlerFailed(lane, error),
    })
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
    this.#updateReading()
    this.onLaneOpened?.()
    return lane
  }

  closeLane(lane: Lane, error: Error, discard: boolean): void {
    if (this.#lanes.get(lane.id) !== lane) return
    this.#lanes.delete(lane.id)
    if (this.#lastLane === lane) this.#lastLane = null
    lane.close(error)
    if (discard) this.#onTaken(lane.discardUnread())
    this.#outbox.rejectWaiting(lane, error)
  }

  /** Mode `reconnect` only. */
  expectLanesFrom(id: number): void {
    this.counters.framesDropped += this.#early.expectFrom(id)
    this.#updateReading()
  }

  /** A value is encoded into the link's batch. */
  trySend(lane: Lane, value: NetworkValue, transfer = false): boolean {
    return this.#outbox.trySend(lane, value, transfer)
  }

  waitToSend(
    lane: Lane,
    value: NetworkValue,
    resolve: () => void,
    reject: (error: Error) => void,
    transfer = false,
  ): () => boolean {
    const end = lane.end ?? this.#end
    if (end === null) return this.#outbox.waitToSend(lane, value, resolve, reject, transfer)
    reject(end)
    return () => false
  }

  /** Takes what is to be written; whole frames, in order. */
  takeBatch(): Buffer[] {
    return this.#outbox.takeBatch()
  }

  flow(): void {
    if (this.#end === null) this.#outbox.flow()
  }

  block(): void {
    this.#outbox.block()
  }

  /**
   * Every lane is notified, at its place in the order of values. Frames not handed over go first on the next
   * connection.
   */
  connectionLost(message: string, cause: unknown): void {
    this.#isConnected = false
    this.block()
    // Frames for sessions to come belong to a call that this break fails on the other side. It will be made again.
    this.#early.clear()
    this.#updateReading()
    const carriedOver = this.#outbox.carryOver()
    for (const lane of this.#lanes.values()) {
      const ofLane = carriedOver.get(lane.id) ?? 0
      const outboundAtMost = Math.max(0, lane.sentSinceUp - ofLane)
      lane.sentSinceUp = ofLane
      const sent = `of the values sent on this session since the connection came up, at most ${outboundAtMost} did not arrive`
      const loss = new ConnectionLostError(`${message}; ${sent}`, outboundAtMost, { cause })
      try {
        lane.deliverLoss(loss)
      } catch (error) {
        // A listener that throws ends its own lane only, as for values.
        this.#hooks.onHandlerFailed(lane, error)
      }
    }
  }

  /** Lanes end with `error`, and so do the senders that wait. */
  close(error: Error): void {
    if (this.#end !== null) return
    this.#end = error
    this.#isConnected = false
    this.#outbox.close(error)
    for (const lane of this.#lanes.values()) lane.close(error)
    this.#lanes.clear()
    this.#lastLane = null
    this.#early.clear()
  }

  /** A frame finds its lane. Unknown lanes are counted and dropped; their value is not parsed. */
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
    const value = this.kept.decode(
      descriptor,
      buffer,
      bodyStart,
      bodyEnd,
      lane.isBorrowing || lane.packs(bodyEnd - bodyStart),
    )
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
      this.#updateReading()
    }
    return !isView(value)
  }

  #onUnknownLane(laneId: number, descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number): void {
    if (this.#early.keep(laneId, descriptor, buffer, bodyStart, bodyEnd)) this.#updateReading()
    else this.counters.framesDropped++
  }

  #onTaken(costBytes: number): void {
    this.#unreadBytes -= costBytes
    if (this.#isReceiveFull) this.#updateReading()
  }

  /** Stops at the limit and goes on at half of it, so that reading does not stop and start for each value. */
  #updateReading(): void {
    const { receiveQueueBytesMax } = this.#limits
    if (!this.#isReceiveFull && (this.#unreadBytes >= receiveQueueBytesMax || this.#early.isFull)) {
      this.#isReceiveFull = true
    } else if (this.#isReceiveFull && this.#unreadBytes <= receiveQueueBytesMax / 2 && !this.#early.isFull) {
      this.#isReceiveFull = false
      this.#hooks.onReceiveRoom()
    }
  }
}
