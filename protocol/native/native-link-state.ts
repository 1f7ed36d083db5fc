/**
 * Owns: the state of one native link that outlives its sockets: its sessions, what waits for credit or for room, what was
 * handed over and not acknowledged, what is owed to the peer.
 * Refuses to know: sockets, clocks, actors. Two pumps drive it, its link tells it when a connection comes and goes, and
 * asks it at `nextDueAtMs`.
 *
 * The parts it puts together are files of their own: link-epoch.ts (counting, verdict, replay), credit.ts,
 * session-numbering.ts, link-upkeep.ts (control frames and time), native-outbox.ts.
 */
import { ProtocolError, StatewireError } from '../../codec/errors.ts'
import { decodeBody, isView } from '../../codec/decode-value.ts'
import type { Hello } from '../../codec/hello.ts'
import { NativeFrameReader } from '../../codec/native-frame-reader.ts'
import { controlLane, encodeAck, encodeCredit, encodeGoodbye, encodeReset, goodbyeCodes, nativeDescriptors, resetCodes, sessionLanesEnd } from '../../codec/native-frames.ts'
import type { NetworkValue } from '../../codec/values.ts'
import type { FrameSource } from '../dialect.ts'
import { KeptViews } from '../kept-views.ts'
import type { Lane } from '../lane.ts'
import { idleHooks } from '../link-core.ts'
import type { DueAction, LinkCore, LinkCounters, LinkHooks } from '../link-core.ts'
import { decodeCredit, decodeReset } from './frame-bodies.ts'
import type { KeepAliveOptions } from './keep-alive.ts'
import type { Adoption, LinkEpoch } from './link-epoch.ts'
import { LinkUpkeep } from './link-upkeep.ts'
import { LinkResetError, NativeLane } from './native-lane.ts'
import { NativeOutbox } from './native-outbox.ts'
import type { OutboxOptions } from './native-outbox.ts'
import { laneOutcome } from './outcomes.ts'
import type { EpochEnd, ResetReason } from './outcomes.ts'
import { LinkSessions } from './session-numbering.ts'
import type { Announcement } from './session-numbering.ts'
import { resetError, UnservedLanes } from './unserved.ts'

export interface NativeLinkOptions extends OutboxOptions {
  readonly connectionId: number
  readonly epoch: LinkEpoch
  readonly laneWindowBytes: number
  readonly maxMessageLengthBytes: number
  readonly keepAlive: KeepAliveOptions
  /** Asked before a receive window grows by so many bytes. */
  readonly mayGrow: (bytes: number) => boolean
}

export class NativeLinkState implements LinkCore {
  readonly epoch: LinkEpoch
  readonly counters: LinkCounters = { valuesSent: 0, bytesSent: 0, valuesReceived: 0, bytesReceived: 0, framesDropped: 0 }
  onLaneOpened: (() => void) | null = null
  readonly kept = new KeptViews()
  readonly readsAtOnce = true
  /** Credit bounds what arrives, lane by lane: reading itself is never stopped here. */
  readonly isReceiveFull = false
  /** What the last hellos came to on this side. */
  lastVerdict: Adoption['verdict']['mine'] | null = null
  readonly #options: NativeLinkOptions
  readonly #lanes = new Map<number, NativeLane>()
  readonly #outbox: NativeOutbox
  readonly #upkeep: LinkUpkeep
  #sessions = new LinkSessions()
  readonly #unserved: UnservedLanes
  #hooks: LinkHooks = idleHooks
  #lastLane: NativeLane | null = null
  #end: Error | null = null
  #chunkAtMs = 0

  constructor(options: NativeLinkOptions) {
    this.#options = options
    this.epoch = options.epoch
    this.#outbox = new NativeOutbox(options, options.epoch, this.counters, () => this.#hooks)
    this.#unserved = new UnservedLanes((frame) => this.#outbox.writeOwn(frame))
    this.#upkeep = new LinkUpkeep(options.keepAlive, options.epoch, this.#outbox, () => this.#hooks)
  }

  get laneCount(): number {
    return this.#lanes.size
  }

  get hasPending(): boolean {
    return this.#outbox.hasPending
  }

  get end(): Error | null {
    return this.#end
  }

  get roundTripMs(): number | null {
    return this.#upkeep.roundTripMs
  }

  get nextSessionId(): number {
    return this.#sessions.nextId
  }

  setHooks(hooks: LinkHooks): void {
    this.#hooks = hooks
  }

  createReader(): FrameSource {
    return new NativeFrameReader({ maxMessageLengthBytes: this.#options.maxMessageLengthBytes, connectionId: this.#options.connectionId }, this)
  }

  // Sessions.

  /** A batch takes its ids on this link; it makes those of `ids` here, each with `openLane`. */
  takeIds(first: number, count: number, ids: readonly number[]): void {
    this.#sessions.takeBatch(first, count, ids)
  }

  openLane(id: number): NativeLane {
    const lane: NativeLane = new NativeLane(id, { onTaken: (frameLengthBytes) => this.#onTaken(lane, frameLengthBytes), onUnread: (unread) => this.kept.add(unread) }, this.#options.mayGrow)
    if (this.#end !== null) {
      lane.close(this.#end)
      return lane
    }
    this.#lanes.set(id, lane)
    const { early, announce } = this.#sessions.make(id)
    if (announce) this.#giveFirstCredit(id)
    if (early !== null) {
      if (early.creditBytes > 0) {
        lane.credit.grant(early.creditBytes)
        lane.opened()
      }
      if (early.reset !== null) this.#endLane(lane, resetError(this.#options.peer, id, early.reset))
    }
    this.onLaneOpened?.()
    return lane
  }

  closeLane(lane: Lane, error: Error, discard: boolean): void {
    const own = lane as NativeLane
    if (this.#lanes.get(own.id) !== own) return
    this.#endLane(own, error)
    if (this.#sessions.close(own.id)) {
      const code = error instanceof StatewireError && error.code === 'ERR_HANDLER_FAILED' ? resetCodes.refused : resetCodes.application
      this.#outbox.writeOwn(encodeReset(own.id, { code, reason: code === resetCodes.refused ? 'a handler of the application failed' : 'closed' }))
    }
    if (discard) own.discardUnread()
  }

  #endLane(lane: NativeLane, error: Error): void {
    this.#lanes.delete(lane.id)
    if (this.#lastLane === lane) this.#lastLane = null
    this.#outbox.rejectWaiting(lane, error)
    lane.close(error)
  }

  // Sending: the outbox does it.

  trySend(lane: Lane, value: NetworkValue): boolean {
    return this.#outbox.trySend(lane as NativeLane, value)
  }

  waitToSend(lane: Lane, value: NetworkValue, resolve: () => void, reject: (error: Error) => void): () => boolean {
    return this.#outbox.waitToSend(lane as NativeLane, value, resolve, reject)
  }

  takeBatch(): Buffer[] {
    this.#upkeep.sent(this.#options.nowMs())
    return this.#outbox.takeBatch()
  }

  flow(): void {
    if (this.#end === null) this.#outbox.flow()
  }

  block(): void {
    this.#outbox.block()
  }

  // Receiving.

  chunkBegins(): void {
    this.#chunkAtMs = this.#options.nowMs()
    this.#upkeep.received(this.#chunkAtMs)
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
    else this.#hooks.requestTimer()
    return !isKept
  }

  /** @returns whether the buffer is kept */
  #onSession(laneId: number, descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number, frameLengthBytes: number): boolean {
    let lane = this.#lastLane
    if (lane === null || lane.id !== laneId) {
      const found = this.#lanes.get(laneId)
      if (found === undefined) {
        this.#onUnknownSession(laneId, descriptor, buffer, bodyStart, bodyEnd)
        return false
      }
      lane = this.#lastLane = found
    }
    if (descriptor === nativeDescriptors.Credit) {
      this.#onCredit(lane, decodeCredit(buffer, bodyStart))
      return false
    }
    if (descriptor === nativeDescriptors.Reset) {
      const reset = decodeReset(buffer, bodyStart, bodyEnd)
      this.#endLane(lane, resetError(this.#options.peer, laneId, reset))
      this.#announce(this.#sessions.closedByPeer(laneId))
      return false
    }
    lane.window.arrive(frameLengthBytes)
    this.counters.valuesReceived++
    this.counters.bytesReceived += bodyEnd - bodyStart
    let value: NetworkValue
    try {
      value = decodeBody(descriptor, buffer, bodyStart, bodyEnd)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#refuseValue(lane, error)
      return false
    }
    return this.#deliver(lane, value, frameLengthBytes)
  }

  #deliver(lane: NativeLane, value: NetworkValue, frameLengthBytes: number): boolean {
    const hasHandler = lane.handler !== null
    let unreadBytes = 0
    try {
      unreadBytes = lane.deliver(value, frameLengthBytes)
    } catch (error) {
      this.#hooks.onHandlerFailed(lane, error)
    }
    if (unreadBytes === 0) this.#onTaken(lane, frameLengthBytes)
    return isView(value) && !(hasHandler && lane.isBorrowing)
  }

  /** A frame of sound length and unsound content costs its lane only: the socket and the other lanes stay. */
  #refuseValue(lane: NativeLane, error: ProtocolError): void {
    this.#endLane(lane, error)
    if (this.#sessions.close(lane.id)) this.#outbox.writeOwn(encodeReset(lane.id, { code: resetCodes['bad-value'], reason: error.code }))
  }

  #onTaken(lane: NativeLane, frameLengthBytes: number): void {
    if (this.#lanes.get(lane.id) !== lane) return
    // The time of the last chunk would make a reader look quick who takes what came long ago.
    const nowMs = lane.window.refillsWith(frameLengthBytes) ? this.#options.nowMs() : 0
    const creditBytes = lane.window.take(frameLengthBytes, nowMs, this.roundTripMs)
    if (creditBytes > 0) this.#outbox.writeOwn(encodeCredit(lane.id, creditBytes))
  }

  #onCredit(lane: NativeLane, creditBytes: number): void {
    const mayGoOn = lane.credit.grant(creditBytes)
    if (!lane.isOpened) {
      lane.opened()
      this.#announce(this.#sessions.answered(lane.id))
    }
    if (mayGoOn && lane.waiting.length > 0) this.#outbox.sendWaiting()
  }

  #announce(announcements: readonly Announcement[]): void {
    for (const { id, kind } of announcements) {
      if (kind === 'credit') this.#giveFirstCredit(id)
      else this.#outbox.writeOwn(encodeReset(id, { code: resetCodes.application, reason: 'closed' }))
    }
  }

  /** Counts as granted from here on: a value that comes earlier breaks the protocol. */
  #giveFirstCredit(id: number): void {
    this.#lanes.get(id)?.window.grant(this.#options.laneWindowBytes)
    this.#outbox.writeOwn(encodeCredit(id, this.#options.laneWindowBytes))
  }

  #onUnknownSession(laneId: number, descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number): void {
    if (this.#sessions.placeOf(laneId) !== 'early') {
      // Closed on both sides before it was credited: the peer need not remember it any more, so others may be announced.
      if (descriptor === nativeDescriptors.Credit || descriptor === nativeDescriptors.Reset) this.#announce(this.#sessions.answered(laneId))
      this.counters.framesDropped++
    } else if (descriptor === nativeDescriptors.Credit) this.#sessions.rememberCredit(laneId, decodeCredit(buffer, bodyStart))
    else if (descriptor === nativeDescriptors.Reset) this.#sessions.rememberReset(laneId, decodeReset(buffer, bodyStart, bodyEnd))
    else throw new ProtocolError('ERR_CREDIT_EXCEEDED', `A value arrived on session ${laneId}, for which no credit was given.`)
  }

  /** `agreed` are the two hellos. Lanes of an epoch that ended have been told. @returns the replay, which goes first */
  established(agreed: unknown): readonly Buffer[] {
    const { mine, theirs } = agreed as { readonly mine: Hello; readonly theirs: Hello }
    const heldFrames = this.epoch.window.heldFrames
    const { verdict, end, replay } = this.epoch.adopt(mine, theirs)
    this.lastVerdict = verdict.mine
    if (end !== null) this.#endEpoch(end)
    else this.#upkeep.acknowledged(heldFrames - this.epoch.window.heldFrames)
    // The peer's balance on the endpoint lane begins with this side's hello, unless both go on where they were.
    if (verdict.mine === 'FRESH' || verdict.theirs === 'FRESH' || theirs.known === 0n) this.#unserved.begin(mine.laneWindowBytes)
    this.#upkeep.begin(this.#options.nowMs())
    return replay
  }

  connectionLost(): void {
    this.block()
    this.#upkeep.end()
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

  /** Else the peer would send the frame again that this side has a bug about, for ever. */
  crashed(): void {
    this.#renew('internal-error')
  }

  #renew(reason: ResetReason): void {
    this.block()
    this.#upkeep.end()
    this.#endEpoch(this.epoch.renew(reason))
  }

  whenAcked(lane: Lane, resolve: () => void, reject: (error: Error) => void): () => void {
    const end = this.#end ?? (lane.end instanceof LinkResetError ? lane.end : null)
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
    this.epoch.goodbye.say()
    return this.#goodbye(goodbyeCodes.normal, reason)
  }

  /** Without it the peer would report what we have heard as unknown. */
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
    if (this.#end !== null) return
    this.#end = error
    this.block()
    for (const lane of this.#lanes.values()) this.#endLane(lane, error)
    this.#upkeep.rejectFlushes(() => error)
    this.#upkeep.end()
  }

  /** Every value of every lane gets its outcome, once. */
  #endEpoch(end: EpochEnd): void {
    const pending = this.#outbox.dropPending()
    for (const lane of this.#lanes.values()) {
      const pendingOfLane = pending.get(lane.id) ?? 0
      const outcomes = laneOutcome(end, lane.id, lane.encoded - pendingOfLane, pendingOfLane + lane.waiting.length)
      this.#endLane(lane, new LinkResetError(this.#options.peer, end.reason, outcomes))
    }
    this.#sessions = new LinkSessions()
    this.#upkeep.rejectFlushes((lane) => (lane.end instanceof LinkResetError ? lane.end : new LinkResetError(this.#options.peer, end.reason, { acked: 0, unknown: 0, notSent: 0 })))
  }

  /** When `poll` is to be called next, or null. */
  get nextDueAtMs(): number | null {
    if (this.#end !== null) return null
    return this.epoch.isUp ? this.#upkeep.nextDueAtMs : this.epoch.expiresAtMs
  }

  /** @returns what the link has to do about the connection */
  poll(nowMs: number, dueAtMs: number): readonly DueAction[] {
    if (this.epoch.isUp) return this.#upkeep.poll(nowMs, dueAtMs)
    const end = this.epoch.expire(nowMs)
    if (end === null) return []
    this.#endEpoch(end)
    return ['expired']
  }

  lookAgain(): DueAction | null {
    return this.#upkeep.lookAgain()
  }
}
