/**
 * Owns: the receiving side of a lane, whatever it carries: frames that arrive use up its window, and what the
 * application takes is granted to the peer again.
 * Independent of: what a frame carries, how unread frames are kept, and who reads them.
 */
import { encodeCredit } from '../../../codec/native-frames.ts'
import type { LaneMemory } from '../memory/lane-memory.ts'
import type { ReceiveWindow } from './credit.ts'
import type { LongFrame } from './long-frame.ts'

export interface ReceivingLane {
  readonly id: number
  /** Why the lane has ended, or null. */
  readonly end: Error | null
  /** What the peer may still send. */
  readonly window: ReceiveWindow
  /** What the window holds of the memory budget. */
  readonly memory: LaneMemory
  /** The long frame whose Pieces arrive. Null between frames. Only long-frames.ts sets the two. */
  longArriving: LongFrame | null
  /** The long frame that has a reservation and is not taken: it arrives, or is unread. */
  longReserved: LongFrame | null
}

/** What granting credit needs of its link. */
export interface CreditSource {
  nowMs(): number
  /** The last measured, or null. Windows do not grow before a round trip is measured. */
  roundTripMs(): number | null
  /** Measures a round trip, if none was measured yet. */
  measure(nowMs: number): void
  writeOwn(frame: Buffer): void
}

/** A frame that pays credit has arrived. Throws ProtocolError ERR_CREDIT_EXCEEDED. */
export function frameArrived(lane: ReceivingLane, frameLengthBytes: number): void {
  lane.window.arrive(frameLengthBytes)
}

/** The application has taken a frame of a lane that has not ended. */
export function frameTaken(lane: ReceivingLane, frameLengthBytes: number, source: CreditSource): void {
  const { window } = lane
  // The time of the last chunk would make a reader look fast that takes what arrived long ago.
  const nowMs = window.refillsWith(frameLengthBytes) ? source.nowMs() : 0
  const creditBytes = window.take(frameLengthBytes, nowMs, source.roundTripMs())
  if (creditBytes === 0) return
  source.measure(nowMs)
  source.writeOwn(encodeCredit(lane.id, creditBytes))
}
