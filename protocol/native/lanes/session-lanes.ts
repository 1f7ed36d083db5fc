/**
 * Owns: the session lanes of one native link in one epoch: the set-up of sessions opens them, and each ends by a Reset
 * of either side or with its epoch; what a frame means for a session that is not open here.
 * Independent of: values (session-frames.ts); counting and sockets; which call a session belongs to (../setup/).
 */
import { ProtocolError, StatewireError } from '../../../codec/errors.ts'
import { encodeReset, nativeDescriptors, resetCodes } from '../../../codec/native-frames.ts'
import type { UnreadValue } from '../../kept-views.ts'
import type { FloodGuard } from './flood-guard.ts'
import { decodeCredit, decodeReset } from '../frame-bodies.ts'
import { LaneMemory } from '../memory/lane-memory.ts'
import { LinkResetError, NativeLane } from './native-lane.ts'
import type { NativeLinkOptions } from './native-link-options.ts'
import type { NativeOutbox } from './native-outbox.ts'
import { laneOutcome, outcomeSum } from '../epoch/outcomes.ts'
import type { EpochEnd, OutcomeCounts, PendingFrames } from '../epoch/outcomes.ts'
import { SessionIds } from '../setup/session-ids.ts'
import { resetError } from './session-reset.ts'

/** What sessions need of their link's acknowledgements. */
export interface LaneAcks {
  /** Calls of flush that wait for this lane fail unless everything was acknowledged. */
  laneEnded(lane: NativeLane, error: Error): void
  /** @returns the number of counted frames whose handler has returned */
  handledFrames(isTaken: boolean): number
}

export interface NewLane {
  readonly id: number
  /** What this side grants, reserved in the memory budget. */
  readonly windowBytes: number
  /** What the peer has granted; 0 if {@link SessionLanes.granted} follows. */
  readonly creditBytes: number
}

interface SessionLaneEvents {
  onTaken(lane: NativeLane, frameLengthBytes: number): void
  onUnread(unread: UnreadValue): void
  onEnded(lane: NativeLane): void
  onHandlerRejected(lane: NativeLane, error: unknown): void
}

export class SessionLanes {
  readonly #options: NativeLinkOptions
  readonly #outbox: NativeOutbox
  readonly #acks: LaneAcks
  readonly #guard: FloodGuard
  readonly #events: SessionLaneEvents
  readonly #lanes = new Map<number, NativeLane>()
  /**
   * Ended by this side, with values that are not acknowledged: the peer may have ended them too, and dropped those
   * values.
   */
  readonly #unackedLanes = new Map<number, NativeLane>()
  /** How many frames were encoded when a value was last dropped. The Reset of its session is one of them. */
  #framesAtDrop = 0
  #ids = new SessionIds()
  /** The lane of the last frame: values come in bursts. */
  #last: NativeLane | null = null

  constructor(
    options: NativeLinkOptions,
    outbox: NativeOutbox,
    acks: LaneAcks,
    guard: FloodGuard,
    events: SessionLaneEvents,
  ) {
    this.#options = options
    this.#outbox = outbox
    this.#acks = acks
    this.#guard = guard
    this.#events = events
  }

  get size(): number {
    return this.#lanes.size
  }

  get all(): IterableIterator<NativeLane> {
    return this.#lanes.values()
  }

  /** A value was dropped whose sender may not have received the Reset of its session. */
  get hasUnreportedDrop(): boolean {
    return this.#framesAtDrop > this.#outbox.ackedFrames
  }

  /** Of the present epoch. */
  get ids(): SessionIds {
    return this.#ids
  }

  has(lane: NativeLane): boolean {
    return lane === this.#last || this.#lanes.get(lane.id) === lane
  }

  find(id: number): NativeLane | undefined {
    if (this.#last?.id === id) return this.#last
    const found = this.#lanes.get(id)
    if (found !== undefined) this.#last = found
    return found
  }

  /** @param end why the link has ended, if it has */
  open({ id, windowBytes, creditBytes }: NewLane, end: Error | null): NativeLane {
    const owner = {
      onTaken: (frameLengthBytes: number): void => this.#events.onTaken(lane, frameLengthBytes),
      onUnread: (unread: UnreadValue): void => this.#events.onUnread(unread),
      onHandlerRejected: (error: unknown): void => this.#events.onHandlerRejected(lane, error),
    }
    const memory = new LaneMemory(this.#options.memory, windowBytes)
    const lane: NativeLane = new NativeLane(id, owner, memory, { windowBytes, creditBytes })
    if (end !== null) {
      memory.end()
      lane.close(end)
      return lane
    }
    this.#lanes.set(id, lane)
    this.#guard.sessionMade()
    return lane
  }

  /** The peer has made the session too, with this first window. Throws ProtocolError ERR_CREDIT_OVERFLOW. */
  granted(lane: NativeLane, creditBytes: number): void {
    const mayContinue = lane.credit.grant(creditBytes)
    if (mayContinue && (lane.long !== null || lane.waiting.length > 0)) this.#outbox.sendWaiting()
  }

  /** By the application, or because its handler failed. */
  close(lane: NativeLane, error: Error, discard: boolean): void {
    if (!this.has(lane)) return
    this.#guard.sessionClosed(lane.window.ownCountBytes)
    this.#end(lane, error)
    const isHandler = error instanceof StatewireError && error.code === 'ERR_HANDLER_FAILED'
    this.#reset(
      lane,
      isHandler ? resetCodes.refused : resetCodes.application,
      isHandler ? 'a handler of the application failed' : 'closed',
      true,
    )
    if (discard) lane.discardUnread()
  }

  refuse(lane: NativeLane, error: StatewireError, why: 'bad-value' | 'limit' | 'time-out'): void {
    this.#guard.sessionClosed(lane.window.ownCountBytes)
    this.#end(lane, error)
    this.#reset(lane, resetCodes[why], error.code, false)
    this.#recordDrop()
  }

  /** Credit or Reset for a session that is open here. Throws ProtocolError ERR_CREDIT_OVERFLOW, ERR_FLOOD. */
  onOwnFrame(
    lane: NativeLane,
    descriptor: number,
    buffer: Buffer,
    bodyStart: number,
    bodyEnd: number,
    nowMs: number,
  ): void {
    if (descriptor === nativeDescriptors.Reset) {
      const error = resetError(this.#options.peer, lane.name, decodeReset(buffer, bodyStart, bodyEnd))
      this.#acks.laneEnded(lane, error)
      this.#end(lane, error)
      return
    }
    this.#guard.frame(nowMs)
    this.granted(lane, decodeCredit(buffer, bodyStart))
  }

  /**
   * A frame for a session that is not open here. It is dropped, unless it breaks the protocol. Throws ProtocolError
   * ERR_SESSION_UNKNOWN, ERR_CREDIT_EXCEEDED, ERR_FLOOD.
   */
  onUnknown(id: number, descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number, nowMs: number): void {
    const isValue = descriptor !== nativeDescriptors.Credit && descriptor !== nativeDescriptors.Reset
    this.#checkOver(id, isValue)
    if (isValue) {
      this.#recordDrop()
      this.#guard.late(bodyEnd - bodyStart + 5, nowMs)
      return
    }
    this.#guard.frame(nowMs)
    if (descriptor === nativeDescriptors.Credit) decodeCredit(buffer, bodyStart)
    else {
      const reset = decodeReset(buffer, bodyStart, bodyEnd)
      const unacked = this.#unackedLanes.get(id)
      if (unacked !== undefined) this.#acks.laneEnded(unacked, resetError(this.#options.peer, unacked.name, reset))
    }
  }

  /** Throws ProtocolError if the id was never made, or, for a value, if this side gave no credit for it. */
  #checkOver(id: number, isValue: boolean): void {
    const place = this.#ids.placeOf(id)
    if (place === 'unmade')
      throw new ProtocolError(
        'ERR_SESSION_UNKNOWN',
        `A frame arrived for session ${id}, which was never made on this link.`,
      )
    if (isValue && place === 'refused')
      throw new ProtocolError('ERR_CREDIT_EXCEEDED', `A value arrived on session ${id}, for which no credit was given.`)
  }

  /**
   * A value that spans chunks begins: its bytes are not collected if it could not be accepted. Throws ProtocolError
   * ERR_SESSION_UNKNOWN, ERR_CREDIT_EXCEEDED.
   */
  mayBegin(id: number): void {
    const lane = this.#lanes.get(id)
    if (lane !== undefined) return lane.window.check()
    this.#checkOver(id, true)
  }

  /** The link has ended, and nothing more is sent. */
  endAll(error: Error): void {
    for (const lane of this.#lanes.values()) this.#end(lane, error)
  }

  /** The next epoch begins: its ids are given from 0. Called before {@link epochEnded}. */
  renewIds(): void {
    this.#ids = new SessionIds()
  }

  /**
   * Every value of every lane gets its outcome, once.
   * @param pending encoded and never handed over, by lane
   * @param leaving why this side itself ends the link: the reason of every lane that lost nothing
   */
  epochEnded(end: EpochEnd, pending: PendingFrames, leaving: Error | null): OutcomeCounts {
    let sum: OutcomeCounts = { acked: 0, unknown: 0, notSent: 0 }
    for (const lane of this.#lanes.values()) {
      const pendingOfLane = pending.values.get(lane.id) ?? 0
      const outcomes = laneOutcome(end, lane.id, lane.encoded - pendingOfLane, pendingOfLane + lane.waiting.length)
      sum = outcomeSum(sum, outcomes)
      const isSettled = outcomes.unknown + outcomes.notSent === 0
      this.#end(
        lane,
        leaving !== null && isSettled
          ? leaving
          : new LinkResetError(this.#options.peer, end.reason, outcomes, lane.waiting.length),
      )
    }
    this.#unackedLanes.clear()
    return sum
  }

  #end(lane: NativeLane, error: Error): void {
    this.#lanes.delete(lane.id)
    if (this.#last === lane) this.#last = null
    lane.memory.end()
    this.#events.onEnded(lane)
    this.#outbox.rejectWaiting(lane, error)
    lane.close(error)
  }

  #reset(lane: NativeLane, code: number, reason: string, isTaken: boolean): void {
    this.#keepUnacked(lane)
    this.#outbox.writeReset(encodeReset(lane.id, { code, reason }), this.#acks.handledFrames(isTaken))
  }

  #recordDrop(): void {
    this.#framesAtDrop = this.#outbox.ackedFrames + this.#outbox.unackedFrames
  }

  #keepUnacked(lane: NativeLane): void {
    const { ackedFrames } = this.#outbox
    for (const [id, { lastFrame }] of this.#unackedLanes) {
      if (lastFrame > ackedFrames) break
      this.#unackedLanes.delete(id)
    }
    if (lane.lastFrame > ackedFrames) this.#unackedLanes.set(lane.id, lane)
  }
}
