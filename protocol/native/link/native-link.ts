/**
 * Owns: one native link, which outlives its sockets: its parts, and what a connection, a frame or an ended epoch means
 * to each of them. Kinds of lanes are in ../lanes/, counting, verdict and retransmission in ../epoch/.
 * Independent of: sockets, clocks, actors, and what lanes carry. Two pumps drive it; its actor tells it when a
 * connection comes and goes, and calls `poll` at `nextDueAtMs`.
 */
import { frameHeaderLengthBytes } from '../../../codec/constants.ts'
import type { Hello } from '../../../codec/hello.ts'
import { NativeFrameReader } from '../../../codec/native-frame-reader.ts'
import { controlLane, encodeAck, goodbyeCodes } from '../../../codec/native-frames.ts'
import type { NetworkValue } from '../../../codec/values.ts'
import type { FrameSource } from '../../dialect.ts'
import { KeptViews } from '../../kept-views.ts'
import type { Lane } from '../../lane.ts'
import { noopHooks } from '../../link-core.ts'
import type * as core from '../../link-core.ts'
import type { LinkFigures } from '../../link-figures.ts'
import type { Adoption, LinkEpoch } from '../epoch/link-epoch.ts'
import { noneHeld, settleHeld, withLost, type EpochEnd, type Lost, type ResetReason } from '../epoch/outcomes.ts'
import type { FloodGuard } from '../lanes/flood-guard.ts'
import type { LaneTable } from '../lanes/lane-kind.ts'
import type { LongFrames } from '../lanes/long-frames.ts'
import { LinkResetError, NativeLane } from '../lanes/native-lane.ts'
import { figuresOf, useOf, type NativeLinkOptions } from '../lanes/native-link-options.ts'
import type { NativeOutbox } from '../lanes/native-outbox.ts'
import { valueFrames } from '../lanes/sending-lane.ts'
import type { NewLane, SessionLanes } from '../lanes/session-lanes.ts'
import type { LinkMemory } from '../memory/node-memory.ts'
import type { SessionIds } from '../setup/session-ids.ts'
import type { StreamLanes } from '../streams/stream-lanes.ts'
import { lostEndOf } from '../streams/stream-lost-error.ts'
import { createLinkParts } from './link-parts.ts'
import type { LinkUpkeep } from './link-upkeep.ts'
import type { LinkExchange } from '../messages/link-exchange.ts'

export class NativeLink implements core.LinkCore, core.DeliveryReports {
  readonly epoch: LinkEpoch
  readonly counters: core.LinkCounters = {
    valuesSent: 0,
    bytesSent: 0,
    valuesReceived: 0,
    bytesReceived: 0,
    framesDropped: 0,
  }
  onLaneOpened: (() => void) | null = null
  end: Error | null = null
  readonly kept = new KeptViews()
  readonly readsAtOnce = true
  /** Credit limits what arrives, lane by lane, so a link never stops reading. */
  readonly isReceiveFull = false
  readonly reportsLoss = false
  lastVerdict: Adoption['verdict']['mine'] | null = null
  lost: Lost = { unknown: 0, notSent: 0 }
  readonly whenClosed: Promise<void>
  readonly #options: NativeLinkOptions
  readonly #sessions: SessionLanes
  readonly #table: LaneTable
  readonly #outbox: NativeOutbox
  readonly #upkeep: LinkUpkeep
  readonly #guard: FloodGuard
  readonly #longFrames: LongFrames
  readonly exchange: LinkExchange | null
  readonly streams: StreamLanes
  adoption: core.LinkAdoption | null = null
  #hooks: core.LinkHooks = noopHooks
  #chunkAtMs = 0
  #isMade = false
  /** Why this side accepts nothing new on this link. */
  #leaving: Error | null = null
  #settleClosed: () => void = () => {}
  readonly #counts = { connections: 0, resumes: 0, resets: 0 }

  constructor(options: NativeLinkOptions) {
    this.#options = options
    this.epoch = options.epoch
    this.whenClosed = new Promise((resolve) => (this.#settleClosed = resolve))
    const parts = createLinkParts(options, { counters: this.counters, kept: this.kept, hooks: () => this.#hooks })
    this.#sessions = parts.sessions
    this.#table = parts.table
    this.#outbox = parts.outbox
    this.#upkeep = parts.upkeep
    this.#guard = parts.guard
    this.#longFrames = parts.longFrames
    this.exchange = parts.exchange
    this.streams = parts.streams
    this.epoch.isResponsive = () => this.end === null && !this.#upkeep.isSuspect
  }

  /** The peer refused this side's hello as stale. @returns when to dial again */
  refusedAsStale(hello: Hello, staleBootId: bigint): 'now' | 'free' | 'stale' {
    const meaning = this.epoch.refusedAsStale(hello, staleBootId)
    if (meaning === 'duplicate') this.#options.witness?.onDuplicate()
    if (meaning === 'duplicate' || meaning === 'ignored') return 'stale'
    if (meaning === 'behind-now' || meaning === 'behind') this.#options.witness?.onClockBehind()
    return meaning === 'behind-now' ? 'now' : 'free'
  }

  get isConnected(): boolean {
    return this.epoch.isUp
  }

  get isSuspect(): boolean {
    return this.#upkeep.isSuspect
  }

  get laneCount(): number {
    return this.#sessions.size
  }

  get outbound(): core.Outbound {
    return this.#outbox
  }

  get deliveries(): core.DeliveryReports {
    return this
  }

  get peerLinks(): number | null {
    return this.epoch.peerLinks
  }

  get use(): core.LinkUse {
    return useOf(this.#table, this.epoch, this.#sessions.size + this.#outbox.waitingValues, this)
  }

  get roundTripMs(): number | null {
    return this.#upkeep.roundTripMs
  }

  get sessionIds(): SessionIds {
    return this.#sessions.ids
  }

  /** A hello was adopted in the present epoch: what is written now waits for a connection if there is none. */
  get isMade(): boolean {
    return this.#isMade
  }

  get memory(): LinkMemory {
    return this.#options.memory
  }

  setHooks(hooks: core.LinkHooks): void {
    this.#hooks = hooks
  }

  createReader(): FrameSource {
    const { maxMessageLengthBytes, linkIndex, spares } = this.#options
    return new NativeFrameReader({ maxMessageLengthBytes, linkIndex, spares }, this)
  }

  openSession(opened: NewLane): NativeLane {
    const lane = this.#sessions.open(opened, this.end)
    if (this.end === null) this.onLaneOpened?.()
    return lane
  }

  /** The peer has made the session too. */
  granted(lane: NativeLane, creditBytes: number): void {
    if (this.#sessions.has(lane)) this.#sessions.granted(lane, creditBytes)
  }

  /** A frame of the set-up lane. It is admitted always, and leaves before frames that are written later. */
  writeSetup(frame: Buffer): void {
    this.#outbox.writeOwn(frame)
  }

  /** A Want, which waits for room as a value does. The returned function takes it back if it still waits. */
  writeWant(frame: Buffer): () => boolean {
    return this.#outbox.held.add(() => this.#outbox.writeOwn(frame))
  }

  closeLane(lane: Lane, error: Error, discard: boolean): void {
    this.#sessions.close(lane as NativeLane, error, discard)
  }

  trySend(lane: Lane, value: NetworkValue, transfer?: boolean, whole?: boolean): boolean {
    return this.#outbox.trySendFrame(lane as NativeLane, valueFrames, value, transfer, whole)
  }

  waitToSend(
    lane: Lane,
    value: NetworkValue,
    resolve: () => void,
    reject: (error: Error) => void,
    transfer?: boolean,
  ): () => boolean {
    return this.#outbox.waitToSend(lane as NativeLane, valueFrames, value, resolve, reject, transfer)
  }

  takeBatch(): Buffer[] {
    const nowMs = this.#options.nowMs()
    const batch = this.#outbox.takeBatch(nowMs)
    if (batch.length > 0) this.#upkeep.sent(nowMs)
    return batch
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

  mayBegin(laneId: number, descriptor: number): void {
    if (this.epoch.isUp) this.#table.of(laneId).mayBegin(laneId, descriptor)
  }

  placeFor(laneId: number, lengthBytes: number): Buffer | null {
    return this.#table.of(laneId).receiving(laneId)?.longArriving?.placeFor(lengthBytes) ?? null
  }

  chunkEnds(): void {
    this.#upkeep.isReading = false
  }

  /** Life of a byte 10/12: a frame goes to the handler of its lane kind, and is counted for the next Ack. */
  onFrame(laneId: number, descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number): boolean {
    // The epoch ended within this chunk: the rest belongs to a connection that is not the link's any more.
    if (!this.epoch.isUp) return true
    const isCounted = laneId !== controlLane
    if (isCounted) this.epoch.goodbye.checkCounted()
    const isKept = this.#table.of(laneId).onFrame(laneId, descriptor, buffer, bodyStart, bodyEnd, this.#chunkAtMs)
    if (!isCounted || !this.epoch.isUp) return !isKept
    const frameLengthBytes = bodyEnd - bodyStart + frameHeaderLengthBytes
    if (this.epoch.countFrame(frameLengthBytes, this.#chunkAtMs)) this.#outbox.ackIsDue()
    else if (this.epoch.acks.owedFrames === 1) this.#hooks.requestTimer() // later ones are due with the first
    return !isKept
  }

  /** `agreed` are the two hellos. @returns the frames that are sent again */
  established(agreed: unknown): readonly Buffer[] {
    const { mine, theirs } = agreed as { readonly mine: Hello; readonly theirs: Hello }
    const { retransmit } = this.epoch
    const heldFrames = retransmit.heldFrames
    const { downSinceMs } = this.epoch
    const { verdict, end, replay, laneWindowBytes } = this.epoch.adopt(mine, theirs)
    this.lastVerdict = verdict.mine
    this.#counts.connections++
    const resumed = mine.known !== 0n && verdict.mine === 'RESUME'
    if (resumed) this.#counts.resumes++
    this.adoption = {
      resumed,
      replayedFrames: resumed ? retransmit.heldFrames : 0,
      downMs: downSinceMs === null ? null : this.#options.nowMs() - downSinceMs,
    }
    if (end !== null) this.#epochEnded(end)
    // A known of 0 has received nothing in this epoch, also where the peer adopted an earlier connection alone.
    const begins = mine.known === 0n || theirs.known === 0n || verdict.mine === 'FRESH' || verdict.theirs === 'FRESH'
    this.#table.adopted({ receiveBytes: begins ? mine.laneWindowBytes : null, sendBytes: laneWindowBytes })
    this.#longFrames.connectionBegins()
    this.#upkeep.begin(this.#options.nowMs(), end === null ? heldFrames - retransmit.heldFrames : 0)
    // The hello does not say whether the frames it counts came before the Resets that follow. This Ack does.
    const isAckFirst = verdict.mine === 'RESUME' && !this.#sessions.hasUnreportedDrop
    this.#isMade = true
    this.#options.setup?.onUp()
    return isAckFirst ? [encodeAck(this.epoch.received), ...replay] : replay
  }

  connectionLost(): void {
    this.#connectionEnds()
    const end = this.epoch.connectionLost(this.#options.nowMs())
    if (end !== null) this.#epochEnded(end)
    if (this.#outbox.waitingValues > 0) this.epoch.valueWaits(this.#options.nowMs())
    this.#hooks.requestTimer()
  }

  protocolBroken(reason: string): Buffer {
    const goodbye = this.epoch.encodeGoodbye(goodbyeCodes.protocol, reason)
    this.#renew('protocol-error')
    return goodbye
  }

  crashed(): void {
    this.#renew('internal-error')
  }

  retire(): void {
    const isEmpty = this.#sessions.size === 0 && this.#outbox.unackedFrames === 0
    if (this.end === null && !this.epoch.isUp && !isEmpty) this.#renew('expired')
  }

  #renew(reason: ResetReason): void {
    this.#connectionEnds()
    this.#epochEnded(this.epoch.renew(reason))
  }

  #connectionEnds(): void {
    this.block()
    this.#upkeep.end(this.#options.nowMs())
    this.#longFrames.connectionEnds()
  }

  /** The ids of the next epoch begin, and no attempt may use this link any more, before its lanes end. */
  #unmake(): void {
    this.#isMade = false
    this.#sessions.renewIds()
    this.#options.setup?.onReset()
  }

  #epochEnded(end: EpochEnd, told = this.#upkeep.withPeerReason(end)): void {
    const { witness, peer } = this.#options
    const pending = this.#outbox.dropPending()
    this.#unmake()
    this.lost = withLost(this.lost, end, pending)
    const sum = this.#table.epochEnded(told, pending, this.#leaving)
    this.#counts.resets++
    witness?.onReset(end.reason, sum, told.peerReason)
    this.#upkeep.rejectFlushes((lane) => lostEndOf(lane) ?? new LinkResetError(peer, end.reason, noneHeld))
  }

  leave(error: Error): void {
    this.#leaving ??= error
    this.streams.refuse(error)
    this.#outbox.refuse(error)
  }

  acceptedValues(): number {
    let sum = this.#outbox.pendingValues
    for (const { unknown } of settleHeld(this.epoch.retransmit, null).held.values()) sum += unknown
    return sum
  }

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

  /** After its own Goodbye this side sends no counted frame: values that wait are not sent. */
  goodbye(reason: string): Buffer | null {
    this.block()
    if (!this.epoch.isUp) return null
    // Sent already, as an answer: there is nothing to add, and the peer's FIN to wait for.
    if (this.epoch.goodbye.isSent) return Buffer.alloc(0)
    this.#upkeep.goodbyeSent(this.#options.nowMs())
    return this.epoch.encodeGoodbye(goodbyeCodes.normal, reason)
  }

  finalAck(): Buffer {
    return encodeAck(this.epoch.received)
  }

  close(error: Error): void {
    if (this.end !== null) return
    // What was accepted and not confirmed gets its outcome in any case. Why this side left is closer than how the link
    // ended.
    const end = (this.#leaving ??= error)
    if (this.acceptedValues() > 0) this.#renew('goodbye')
    this.end = end
    this.block()
    this.#unmake()
    this.#table.close(end)
    this.#outbox.dropPending()
    this.#options.memory.close()
    this.#settleClosed()
    this.#upkeep.rejectFlushes(() => end)
    this.#upkeep.end(this.#options.nowMs())
  }

  get nextDueAtMs(): number | null {
    if (this.end !== null) return null
    return this.epoch.isUp ? Math.min(this.#upkeep.nextDueAtMs, this.#longFrames.dueAtMs) : this.epoch.expiresAtMs
  }

  poll(nowMs: number, dueAtMs: number): readonly core.DueAction[] {
    if (this.epoch.isUp) {
      this.#longFrames.poll(nowMs)
      return this.#upkeep.poll(nowMs, dueAtMs)
    }
    const end = this.epoch.expire(nowMs)
    if (end === null) return []
    this.#epochEnded(end)
    return ['expired']
  }

  lookAgain(): core.DueAction | null {
    return this.#upkeep.lookAgain()
  }

  /** Costs a walk over the lanes. */
  get figures(): LinkFigures {
    const { roundTrip } = this.#upkeep
    const own = { roundTrip, sendQueue: this.#outbox.figures, memory: this.#options.memory.held, ...this.#counts }
    return figuresOf(this.epoch.retransmit, this.#sessions, own)
  }
}
