/**
 * Owns: the session lanes of one native link in one epoch: how each begins by Credit of both sides, and how it ends, by
 * a Reset of either side or with its epoch.
 * Independent of: values (session-frames.ts); counting and sockets. Ids are in session-numbering.ts.
 */
import { StatewireError } from '../../../codec/errors.ts'
import { encodeCredit, encodeReset, nativeDescriptors, resetCodes } from '../../../codec/native-frames.ts'
import type { UnreadValue } from '../../kept-views.ts'
import type { FloodGuard } from './flood-guard.ts'
import { decodeCredit, decodeReset } from '../frame-bodies.ts'
import { LaneMemory } from '../memory/lane-memory.ts'
import { LinkResetError, NativeLane } from './native-lane.ts'
import type { NativeLinkOptions } from './native-link-options.ts'
import type { NativeOutbox } from './native-outbox.ts'
import { laneOutcome, outcomeSum } from '../epoch/outcomes.ts'
import type { EpochEnd, OutcomeCounts } from '../epoch/outcomes.ts'
import { LinkSessions } from './session-numbering.ts'
import type { Announcement } from './session-numbering.ts'
import { checkUnknownSession, onUnknownSession } from './unknown-session.ts'
import { resetError } from './session-reset.ts'

/** What sessions need of their link's acknowledgements. */
export interface LaneAcks {
  /** Calls of flush that wait for this lane fail unless everything was acknowledged. */
  laneEnded(lane: NativeLane, error: Error): void
  /** @returns the number of counted frames whose handler has returned */
  handledFrames(isTaken: boolean): number
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
  #sessions = new LinkSessions()
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

  get nextId(): number {
    return this.#sessions.nextId
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

  takeIds(first: number, count: number, ids: readonly number[]): void {
    this.#announce(this.#sessions.takeBatch(first, count, ids))
  }

  /** @param end why the link has ended, if it has */
  open(id: number, end: Error | null): NativeLane {
    const owner = {
      onTaken: (frameLengthBytes: number): void => this.#events.onTaken(lane, frameLengthBytes),
      onUnread: (unread: UnreadValue): void => this.#events.onUnread(unread),
      onHandlerRejected: (error: unknown): void => this.#events.onHandlerRejected(lane, error),
    }
    const lane: NativeLane = new NativeLane(id, owner, new LaneMemory(this.#options.memory))
    if (end !== null) {
      lane.close(end)
      return lane
    }
    this.#lanes.set(id, lane)
    this.#guard.sessionMade()
    const { early, announce } = this.#sessions.make(id)
    if (announce) this.#giveFirstCredit(id)
    if (early !== null && lane.end === null) {
      if (early.creditBytes > 0) {
        lane.credit.grant(early.creditBytes)
        lane.opened()
      }
      if (early.reset !== null) this.#end(lane, resetError(this.#options.peer, id, early.reset))
    }
    return lane
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

  refuse(lane: NativeLane, error: StatewireError, why: 'bad-value' | 'limit'): void {
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
      const error = resetError(this.#options.peer, lane.id, decodeReset(buffer, bodyStart, bodyEnd))
      this.#acks.laneEnded(lane, error)
      this.#end(lane, error)
      this.#announce(this.#sessions.closedByPeer(lane.id))
      return
    }
    this.#guard.frame(nowMs)
    const mayContinue = lane.credit.grant(decodeCredit(buffer, bodyStart))
    if (!lane.isOpened) {
      lane.opened()
      this.#announce(this.#sessions.answered(lane.id))
    }
    if (mayContinue && lane.waiting.length > 0) this.#outbox.sendWaiting()
  }

  /**
   * A frame for a session that is not open here. @returns whether it was used. Throws ProtocolError for a value without
   * credit.
   */
  onUnknown(
    id: number,
    descriptor: number,
    buffer: Buffer,
    bodyStart: number,
    bodyEnd: number,
    nowMs: number,
  ): boolean {
    const isEarly = this.#sessions.placeOf(id) === 'early'
    const isValue = descriptor !== nativeDescriptors.Credit && descriptor !== nativeDescriptors.Reset
    if (isValue && !isEarly) this.#recordDrop()
    const unacked = descriptor === nativeDescriptors.Reset ? this.#unackedLanes.get(id) : undefined
    if (unacked !== undefined)
      this.#acks.laneEnded(unacked, resetError(this.#options.peer, id, decodeReset(buffer, bodyStart, bodyEnd)))
    this.#announce(onUnknownSession(this.#sessions, this.#guard, id, descriptor, buffer, bodyStart, bodyEnd, nowMs))
    return isEarly
  }

  /** A value that spans chunks. Throws ProtocolError ERR_CREDIT_EXCEEDED. */
  mayBegin(id: number): void {
    const lane = this.#lanes.get(id)
    if (lane === undefined) checkUnknownSession(this.#sessions, this.#guard, id)
    else lane.window.check()
  }

  /** The link has ended, and nothing more is sent. */
  endAll(error: Error): void {
    for (const lane of this.#lanes.values()) this.#end(lane, error)
  }

  /**
   * Every value of every lane gets its outcome, once.
   * @param pending encoded and never handed over, by lane
   * @param leaving why this side itself ends the link: the reason of every lane that lost nothing
   */
  epochEnded(end: EpochEnd, pending: ReadonlyMap<number, number>, leaving: Error | null): OutcomeCounts {
    let sum: OutcomeCounts = { acked: 0, unknown: 0, notSent: 0 }
    for (const lane of this.#lanes.values()) {
      const pendingOfLane = pending.get(lane.id) ?? 0
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
    this.#sessions = new LinkSessions()
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
    if (this.#sessions.close(lane.id))
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

  #announce(announcements: readonly Announcement[]): void {
    const sessions = this.#sessions
    for (const { id, kind } of announcements) {
      // What was written before has ended the epoch.
      if (this.#sessions !== sessions) return
      if (kind === 'credit') this.#giveFirstCredit(id)
      else this.#outbox.writeOwn(encodeReset(id, { code: resetCodes.application, reason: 'closed' }))
    }
  }

  /** Counts as granted from here on: a value that comes earlier breaks the protocol. */
  #giveFirstCredit(id: number): void {
    const lane = this.#lanes.get(id)
    if (lane === undefined) return
    const windowBytes = lane.memory.open(this.#options.laneWindowBytes)
    if (windowBytes === 0) {
      this.refuse(
        lane,
        new StatewireError(
          'ERR_MEMORY_BUDGET',
          `the memory budget of this side has no room for session ${id}: raise memoryBudgetBytes, or close sessions`,
        ),
        'limit',
      )
      return
    }
    lane.window.grant(windowBytes)
    this.#outbox.writeOwn(encodeCredit(id, windowBytes))
  }
}
