/**
 * Owns: the state of one native link that outlives its sockets: its sessions, what waits for credit or for room, what was
 * handed over and not acknowledged, what is owed to the peer.
 * Refuses to know: sockets, clocks, actors. Two pumps drive it, its link tells it when a connection comes and goes, and
 * asks it at `nextDueAtMs`. Its parts are files of their own, such as link-epoch.ts (counting, verdict, replay) and session-lanes.ts.
 */
import { ProtocolError } from '../../../codec/errors.ts'
import { isView } from '../../../codec/decode-value.ts'
import type { Hello } from '../../../codec/hello.ts'
import { NativeFrameReader } from '../../../codec/native-frame-reader.ts'
import { controlLane, encodeAck, encodeCredit, encodeGoodbye, goodbyeCodes, nativeDescriptors, sessionLanesEnd } from '../../../codec/native-frames.ts'
import type { NetworkValue } from '../../../codec/values.ts'
import type { FrameSource } from '../../dialect.ts'
import { KeptViews } from '../../kept-views.ts'
import type { Lane } from '../../lane.ts'
import { idleHooks, type DueAction, type LinkCore, type LinkCounters, type LinkHooks, type Outbound } from '../../link-core.ts'
import { FloodGuard } from '../lanes/flood-guard.ts'
import { FrameReservation } from '../lanes/frame-reservation.ts'
import type { Adoption, LinkEpoch } from '../epoch/link-epoch.ts'
import { LinkUpkeep } from './link-upkeep.ts'
import { LinkResetError, NativeLane } from '../lanes/native-lane.ts'
import { creditOf, type LinkFigures, type NativeLinkOptions } from '../lanes/native-link-options.ts'
import { NativeOutbox } from '../lanes/native-outbox.ts'
import { settleHeld, withLost, type EpochEnd, type Lost, type ResetReason } from '../epoch/outcomes.ts'
import { SessionLanes } from '../lanes/session-lanes.ts'
import { UnservedLanes } from '../lanes/unserved.ts'

export class NativeLinkState implements LinkCore {
  readonly epoch: LinkEpoch
  readonly counters: LinkCounters = { valuesSent: 0, bytesSent: 0, valuesReceived: 0, bytesReceived: 0, framesDropped: 0 }
  onLaneOpened: (() => void) | null = null
  end: Error | null = null
  readonly kept = new KeptViews()
  readonly readsAtOnce = true
  readonly tellsOfLoss = false
  /** What the last hellos came to on this side. */
  lastVerdict: Adoption['verdict']['mine'] | null = null
  readonly #options: NativeLinkOptions
  readonly #lanes: SessionLanes
  readonly #outbox: NativeOutbox
  readonly #upkeep: LinkUpkeep
  readonly #unserved: UnservedLanes
  readonly #guard: FloodGuard
  readonly #largeFrame: FrameReservation
  #reader: NativeFrameReader | null = null
  #hooks: LinkHooks = idleHooks
  #chunkAtMs = 0
  /** Values that were accepted, and ended with an epoch unconfirmed. */
  lost: Lost = { unknown: 0, notSent: 0 }
  /** Why this side takes nothing new on this link. */
  #leaving: Error | null = null
  /** Resolves when the link is over for good. */
  readonly whenClosed: Promise<void>
  #settleClosed: () => void = () => {}
  readonly #counts = { connections: 0, resumes: 0, resets: 0 }

  constructor(options: NativeLinkOptions) {
    this.#options = options
    this.epoch = options.epoch
    this.whenClosed = new Promise((resolve) => (this.#settleClosed = resolve))
    this.#outbox = new NativeOutbox(options, options.epoch, this.counters, () => this.#hooks)
    this.#guard = new FloodGuard(this.counters, options.nowMs())
    this.#unserved = new UnservedLanes((frame) => this.#outbox.writeOwn(frame), this.#guard)
    this.#upkeep = new LinkUpkeep(options.keepAlive, options.epoch, this.#outbox, this.#guard, () => this.#hooks)
    this.#lanes = new SessionLanes(options, this.#outbox, this.#upkeep, this.#guard, { onTaken: (lane, lengthBytes) => this.#onTaken(lane, lengthBytes), onUnread: (unread) => this.kept.add(unread), onEnded: (lane) => this.#largeFrame.laneEnded(lane), onHandlerRejected: (lane, error) => this.#hooks.onHandlerFailed(lane, error) })
    this.#largeFrame = new FrameReservation(options.memory, { onReadingStops: () => this.#readingStops(), onReadingGoesOn: () => this.#readingGoesOn() })
  }

  /** Credit bounds what arrives, lane by lane; reading stops only for want of memory for one value longer than its window. */
  get isReceiveFull(): boolean {
    return this.#largeFrame.isWaiting
  }

  get isConnected(): boolean {
    return this.epoch.isUp
  }

  get laneCount(): number {
    return this.#lanes.size
  }

  get outbound(): Outbound {
    return this.#outbox
  }

  get roundTripMs(): number | null {
    return this.#upkeep.roundTripMs
  }

  get nextSessionId(): number {
    return this.#lanes.nextId
  }

  setHooks(hooks: LinkHooks): void {
    this.#hooks = hooks
  }

  createReader(): FrameSource {
    return (this.#reader = new NativeFrameReader({ maxMessageLengthBytes: this.#options.maxMessageLengthBytes, connectionId: this.#options.connectionId, spares: this.#options.spares }, this))
  }

  /** A batch takes its ids on this link; it makes those of `ids` here, each with `openLane`. */
  takeIds(first: number, count: number, ids: readonly number[]): void {
    this.#lanes.takeIds(first, count, ids)
  }

  openLane(id: number): NativeLane {
    const lane = this.#lanes.open(id, this.end)
    if (this.end === null) this.onLaneOpened?.()
    return lane
  }

  closeLane(lane: Lane, error: Error, discard: boolean): void {
    this.#lanes.close(lane as NativeLane, error, discard)
  }

  trySend(lane: Lane, value: NetworkValue, transfer?: boolean): boolean {
    return this.#outbox.trySend(lane as NativeLane, value, transfer)
  }

  waitToSend(lane: Lane, value: NetworkValue, resolve: () => void, reject: (error: Error) => void, transfer?: boolean): () => boolean {
    return this.#outbox.waitToSend(lane as NativeLane, value, resolve, reject, transfer)
  }

  takeBatch(): Buffer[] {
    const nowMs = this.#options.nowMs()
    this.#upkeep.sent(nowMs)
    return this.#outbox.takeBatch(nowMs)
  }

  flow(): void {
    if (this.end === null) this.#outbox.flow()
  }

  block(): void {
    this.#outbox.block()
  }

  chunkBegins(lengthBytes: number): void {
    this.#chunkAtMs = this.#options.nowMs()
    this.#upkeep.received(this.#chunkAtMs)
    this.#guard.chunk(lengthBytes, this.#chunkAtMs)
  }

  /** A session's value that spans chunks: what can not be taken is not collected either. */
  mayBegin(laneId: number): void {
    if (laneId < sessionLanesEnd && this.epoch.isUp) this.#lanes.mayBegin(laneId)
  }

  /** A value that will not fit into its window may be on its way: its memory is reserved before it is there. */
  chunkEnds(): void {
    this.#upkeep.isReading = false
    const lengthBytes = this.#reader?.assemblingBytes ?? 0
    if (lengthBytes < this.#options.laneWindowBytes) return // bounded by the chunk that it began in
    const lane = this.#lanes.find(this.#reader?.assemblingLane ?? 0)
    if (lane !== undefined) this.#largeFrame.reserve(lane, lengthBytes)
  }

  #readingStops(): void {
    this.#upkeep.readingPaused(this.#options.nowMs())
    this.#hooks.onReceiveFull()
  }

  #readingGoesOn(): void {
    this.#upkeep.readingResumed(this.#options.nowMs())
    this.#hooks.requestTimer()
    this.#hooks.onReceiveRoom()
  }

  onFrame(laneId: number, descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number): boolean {
    // The epoch ended within this chunk: what follows belongs to a connection that is not the link's any more.
    if (!this.epoch.isUp) return true
    if (laneId === controlLane) {
      this.#upkeep.onControl(descriptor, buffer, bodyStart, bodyEnd, this.#chunkAtMs)
      return true
    }
    this.epoch.goodbye.checkCounted()
    const frameLengthBytes = bodyEnd - bodyStart + 5
    let isKept = false
    if (laneId < sessionLanesEnd) isKept = this.#onSession(laneId, descriptor, buffer, bodyStart, bodyEnd, frameLengthBytes)
    else {
      this.#unserved.onFrame(laneId, descriptor, buffer, bodyStart, bodyEnd, this.#chunkAtMs)
      this.counters.framesDropped++
    }
    if (!this.epoch.isUp) return !isKept
    if (this.epoch.countFrame(frameLengthBytes, this.#chunkAtMs)) this.#outbox.ackIsDue()
    else if (this.epoch.acks.owedFrames === 1) this.#hooks.requestTimer() // later ones are due with the first
    return !isKept
  }

  /** @returns whether the buffer is kept */
  #onSession(laneId: number, descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number, frameLengthBytes: number): boolean {
    const lane = this.#lanes.find(laneId)
    if (lane === undefined) {
      if (!this.#lanes.onUnknown(laneId, descriptor, buffer, bodyStart, bodyEnd, this.#chunkAtMs)) this.counters.framesDropped++
      return false
    }
    if (descriptor === nativeDescriptors.Credit || descriptor === nativeDescriptors.Reset) {
      this.#lanes.onOwnFrame(lane, descriptor, buffer, bodyStart, bodyEnd, this.#chunkAtMs)
      return false
    }
    lane.window.arrive(frameLengthBytes)
    if (lane.window.ownCountBytes < 0) lane.memory.overdraw(-lane.window.ownCountBytes)
    this.counters.valuesReceived++
    this.counters.bytesReceived += bodyEnd - bodyStart
    let value: NetworkValue
    try {
      value = this.kept.decode(descriptor, buffer, bodyStart, bodyEnd, lane.isBorrowing || lane.parks(bodyEnd - bodyStart))
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      // The frame was of sound length, so the socket and the other lanes stay.
      this.#lanes.refuse(lane, error, 'bad-value')
      return false
    }
    return this.#deliver(lane, value, frameLengthBytes)
  }

  #deliver(lane: NativeLane, value: NetworkValue, frameLengthBytes: number): boolean {
    // Asked before the call, in which the handler may change.
    const { isBorrowing } = lane
    let unreadBytes = 0
    try {
      unreadBytes = lane.deliver(value, frameLengthBytes)
    } catch (error) {
      this.#hooks.onHandlerFailed(lane, error)
    }
    if (unreadBytes === 0) this.#onTaken(lane, frameLengthBytes)
    return isView(value) && !isBorrowing
  }

  #onTaken(lane: NativeLane, frameLengthBytes: number): void {
    if (!this.#lanes.has(lane)) return
    // The time of the last chunk would make a reader look quick who takes what came long ago.
    const nowMs = lane.window.refillsWith(frameLengthBytes) ? this.#options.nowMs() : 0
    const creditBytes = lane.window.take(frameLengthBytes, nowMs, this.roundTripMs)
    if (creditBytes === 0) return
    this.#upkeep.measure(nowMs)
    lane.memory.settle(Math.max(0, -lane.window.ownCountBytes))
    this.#outbox.writeOwn(encodeCredit(lane.id, creditBytes))
  }

  /** `agreed` are the two hellos. Lanes of an epoch that ended have been told. @returns the replay, which goes first */
  established(agreed: unknown): readonly Buffer[] {
    const { mine, theirs } = agreed as { readonly mine: Hello; readonly theirs: Hello }
    const heldFrames = this.epoch.window.heldFrames
    const isAgain = mine.known !== 0n
    const { verdict, end, replay } = this.epoch.adopt(mine, theirs)
    this.lastVerdict = verdict.mine
    this.#counts.connections++
    if (isAgain && verdict.mine === 'RESUME') {
      this.#counts.resumes++
      this.#options.witness?.onResumed(this.epoch.window.heldFrames)
    }
    if (end !== null) this.#endEpoch(end)
    // The peer's balance on the endpoint lane begins with this side's hello, unless both go on where they were.
    if (verdict.mine === 'FRESH' || verdict.theirs === 'FRESH' || theirs.known === 0n) this.#unserved.begin(mine.laneWindowBytes)
    this.#upkeep.begin(this.#options.nowMs(), end === null ? heldFrames - this.epoch.window.heldFrames : 0)
    // The hello does not say whether what it counts came before the Resets that follow; this Ack does.
    return verdict.mine === 'RESUME' && !this.#lanes.hasUnreportedDrop ? [encodeAck(this.epoch.received), ...replay] : replay
  }

  connectionLost(): void {
    this.block()
    this.#upkeep.end()
    this.#largeFrame.forget()
    const end = this.epoch.connectionLost(this.#options.nowMs())
    if (end !== null) this.#endEpoch(end)
    if (this.#outbox.waitingValues > 0) this.epoch.valueWaits(this.#options.nowMs())
    this.#hooks.requestTimer()
  }

  /** The peer broke the contract: outcomes, and a new epoch. @returns the Goodbye that says so */
  contractBroken(reason: string): Buffer {
    const goodbye = this.#goodbye(goodbyeCodes.protocol, reason)
    this.#renew('protocol-error')
    return goodbye
  }

  /** Else the peer would send again, for ever, what this side has a bug about. */
  crashed(): void {
    this.#renew('internal-error')
  }

  #renew(reason: ResetReason): void {
    this.block()
    this.#upkeep.end()
    this.#largeFrame.forget()
    this.#endEpoch(this.epoch.renew(reason))
  }

  /** Takes nothing new: what was accepted goes on its way, what waits is refused, and what the peer sends still arrives. */
  leave(error: Error): void {
    this.#leaving ??= error
    this.#outbox.refuse(error)
  }

  /** By `send`, and not acknowledged yet. Not on the byte path. */
  acceptedValues(): number {
    let sum = this.#outbox.pendingValues
    for (const { unknown } of settleHeld(this.epoch.window, null).values()) sum += unknown
    return sum
  }

  /** Or never will be. */
  whenAllAcked(onSettled: () => void): void {
    if (this.end !== null || this.acceptedValues() === 0) onSettled()
    else this.#upkeep.whenAcked(null, this.#options.nowMs(), onSettled, onSettled)
  }

  whenAcked(lane: Lane, resolve: () => void, reject: (error: Error) => void): () => void {
    const end = this.end ?? (lane.end instanceof LinkResetError ? lane.end : (lane as NativeLane).cutOff)
    if (end === null) return this.#upkeep.whenAcked(lane as NativeLane, this.#options.nowMs(), resolve, reject)
    reject(end)
    return () => {}
  }

  /** The own Goodbye: after it no counted frame is sent. What waits was not sent. Null if there is no connection. */
  farewell(reason: string): Buffer | null {
    this.block()
    if (!this.epoch.isUp) return null
    // Said already, as an answer: nothing more to say, and the peer's end to wait for.
    if (this.epoch.goodbye.isSaid) return Buffer.alloc(0)
    this.#upkeep.sayGoodbye(this.#options.nowMs())
    return this.#goodbye(goodbyeCodes.normal, reason)
  }

  lastWords(): Buffer {
    return encodeAck(this.epoch.received)
  }

  replaced(): void {
    this.#endEpoch(this.epoch.replaced(BigInt(Math.ceil(this.#options.nowMs() * 1000))))
  }

  #goodbye(code: number, reason: string): Buffer {
    return encodeGoodbye({ code, next: this.epoch.window.next, received: this.epoch.received, reason })
  }

  close(error: Error): void {
    if (this.end !== null) return
    // What was accepted and is not confirmed has its outcome in any case. Why this side left is nearer than how the link ended.
    const end = (this.#leaving ??= error)
    if (this.acceptedValues() > 0) this.#renew('goodbye')
    this.end = end
    this.block()
    this.#lanes.endAll(end)
    this.#largeFrame.forget()
    this.#outbox.dropPending()
    this.#options.memory.close()
    this.#settleClosed()
    this.#upkeep.rejectFlushes(() => end)
    this.#upkeep.end()
  }

  /** Every value of every lane gets its outcome, once. */
  #endEpoch(end: EpochEnd): void {
    const pending = this.#outbox.dropPending()
    this.lost = withLost(this.lost, end, pending)
    const sum = this.#lanes.endEpoch(end, pending, this.#leaving)
    this.#counts.resets++
    this.#options.witness?.onReset(end.reason, sum, end.reason === 'goodbye' ? this.#upkeep.peersReason : '')
    this.#upkeep.rejectFlushes((lane) => (lane?.end instanceof LinkResetError ? lane.end : new LinkResetError(this.#options.peer, end.reason, { acked: 0, unknown: 0, notSent: 0 })))
  }

  /** When `poll` is to be called next, or null. */
  get nextDueAtMs(): number | null {
    if (this.end !== null) return null
    return this.epoch.isUp ? this.#upkeep.nextDueAtMs : this.epoch.expiresAtMs
  }

  poll(nowMs: number, dueAtMs: number): readonly DueAction[] {
    if (this.epoch.isUp) return this.#upkeep.poll(nowMs, dueAtMs)
    const end = this.epoch.expire(nowMs)
    if (end === null) return []
    this.#endEpoch(end)
    return ['expired']
  }

  retire(): void {
    if (this.end === null && !this.epoch.isUp && (this.#lanes.size > 0 || this.#outbox.unackedFrames > 0)) this.#renew('expired')
  }

  /** Costs a walk over the lanes. */
  get figures(): LinkFigures {
    const { window } = this.epoch
    return {
      roundTrip: this.#upkeep.roundTrip,
      replay: { frames: window.heldFrames, bytes: window.heldBytes },
      sendQueue: this.#outbox.figures,
      credit: creditOf(this.#lanes.all),
      memory: this.#options.memory.held,
      lanes: this.#lanes.size,
      ...this.#counts,
    }
  }

  lookAgain(): DueAction | null {
    return this.#upkeep.lookAgain()
  }
}
