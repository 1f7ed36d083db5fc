/**
 * Owns: what a link asks of each kind of lane, and the table that finds the handler of a frame's lane.
 * Independent of: what any kind of lane carries.
 */
import { laneKindOf, sessionLanesEnd, type LaneKind } from '../../../codec/native-frames.ts'
import { outcomeSum, type EpochEnd, type OutcomeCounts, type PendingFrames } from '../epoch/outcomes.ts'
import type { ReceivingLane } from './receiving-lane.ts'

/** The windows of the two hellos, for the lanes whose balances begin with a hello. Null: that balance stays. */
export interface AdoptedWindows {
  /** What this side grants. */
  readonly receiveBytes: number | null
  /** What the peer grants. */
  readonly sendBytes: number | null
}

/** All lanes of one kind on one link. Where a frame breaks the protocol, calls throw ProtocolError. */
export interface LaneKindHandler {
  /**
   * Frames that carried something for an application, both ways. The flood guard allows other frames in proportion to
   * it.
   */
  readonly carriedFrames: number
  /** A whole frame. @returns whether the handler keeps its memory */
  onFrame(
    laneId: number,
    descriptor: number,
    buffer: Buffer,
    bodyStart: number,
    bodyEnd: number,
    nowMs: number,
  ): boolean
  /** A frame that spans chunks begins: what could not be accepted is not collected either. */
  mayBegin(laneId: number, descriptor: number): void
  /** The lane whose memory a frame that spans chunks is reserved from. */
  receiving(laneId: number): ReceivingLane | undefined
  /** A connection is adopted. If an epoch ended, {@link epochEnded} was called before. */
  adopted(windows: AdoptedWindows): void
  /**
   * The epoch has ended: every lane ends, and everything sent on it gets its outcome, once.
   * @param pending frames that were encoded and never handed to a connection, by lane
   * @param leaving why this side itself ends the link, if it does
   * @returns the sum over the lanes
   */
  epochEnded(end: EpochEnd, pending: PendingFrames, leaving: Error | null): OutcomeCounts
  /** The link has ended for good. */
  close(error: Error): void
}

const noOutcomes: OutcomeCounts = { acked: 0, unknown: 0, notSent: 0 }

/** What a kind of lane without credit, lanes and outcomes has in common with others of that sort. */
export abstract class LaneKindWithoutState implements LaneKindHandler {
  readonly carriedFrames: number = 0

  abstract onFrame(
    laneId: number,
    descriptor: number,
    buffer: Buffer,
    bodyStart: number,
    bodyEnd: number,
    nowMs: number,
  ): boolean

  mayBegin(_laneId: number, _descriptor: number): void {}

  receiving(_laneId: number): ReceivingLane | undefined {
    return undefined
  }

  adopted(_windows: AdoptedWindows): void {}

  epochEnded(_end: EpochEnd, _pending: PendingFrames, _leaving: Error | null): OutcomeCounts {
    return noOutcomes
  }

  close(_error: Error): void {}
}

export class LaneTable {
  readonly #sessions: LaneKindHandler
  readonly #handlers: Readonly<Record<LaneKind, LaneKindHandler>>
  /** Each once, in the order of their outcomes. */
  readonly #all: ReadonlySet<LaneKindHandler>

  /** One handler may serve several kinds. */
  constructor(handlers: Readonly<Record<LaneKind, LaneKindHandler>>) {
    this.#handlers = handlers
    this.#sessions = handlers.session
    this.#all = new Set(Object.values(handlers))
  }

  of(laneId: number): LaneKindHandler {
    return laneId < sessionLanesEnd ? this.#sessions : this.#handlers[laneKindOf(laneId)]
  }

  get carriedFrames(): number {
    let sum = 0
    for (const { carriedFrames } of this.#all) sum += carriedFrames
    return sum
  }

  adopted(windows: AdoptedWindows): void {
    for (const handler of this.#all) handler.adopted(windows)
  }

  epochEnded(end: EpochEnd, pending: PendingFrames, leaving: Error | null): OutcomeCounts {
    let sum = noOutcomes
    for (const handler of this.#all) sum = outcomeSum(sum, handler.epochEnded(end, pending, leaving))
    return sum
  }

  close(error: Error): void {
    for (const handler of this.#all) handler.close(error)
  }
}
