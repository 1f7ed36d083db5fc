/**
 * Owns: what is reported when a link's epoch ends: of each lane, how many values were acknowledged, how many may have
 * arrived, and how many surely did not (docs/protocol.md, native, "Outcomes").
 * Refuses to know: who is told, sessions and promises.
 *
 * Nothing is counted while values flow but one number a lane, the values handed over. What became of them follows from
 * the frames that the replay window still holds at the end: those no longer held are acknowledged.
 */
import { isPaying, laneKindOf } from '../../../codec/native-frames.ts'
import { canGoOnFrom } from '../handshake/verdict.ts'
import type { RetransmitBuffer } from './retransmit-buffer.ts'

export type ResetReason = 'peer-restarted' | 'protocol-error' | 'expired' | 'goodbye' | 'internal-error'

/** In the order in which the values were sent: first the acknowledged, then the unknown, then the not sent. */
export interface OutcomeCounts {
  readonly acked: number
  readonly unknown: number
  /** Never handed to a connection, or surely not received: safe to send again. */
  readonly notSent: number
}

export function outcomeSum(a: OutcomeCounts, b: OutcomeCounts): OutcomeCounts {
  return { acked: a.acked + b.acked, unknown: a.unknown + b.unknown, notSent: a.notSent + b.notSent }
}

export type Lost = Pick<OutcomeCounts, 'unknown' | 'notSent'>

/** Of all lanes, those that are over already too. @param pending encoded and never handed over, by lane */
export function withLost(before: Lost, end: EpochEnd, pending: ReadonlyMap<number, number>): Lost {
  let { unknown, notSent } = before
  for (const count of pending.values()) notSent += count
  for (const counts of end.held.values()) {
    unknown += counts.unknown
    notSent += counts.notSent
  }
  return { unknown, notSent }
}

/** What the end of an epoch means for every lane of the link. */
export interface EpochEnd {
  readonly reason: ResetReason
  /** By lane, of the values that were held for replay; lanes that had none are left out. See {@link laneOutcome}. */
  readonly held: ReadonlyMap<number, OutcomeCounts>
}

const noneHeld: OutcomeCounts = { acked: 0, unknown: 0, notSent: 0 }

/**
 * Settles what a window holds. `heard` is what the peer says it has of this epoch, if it knows this epoch: then every
 * outcome is certain. Null if it does not: what is held may have arrived or not.
 */
export function settleHeld(window: RetransmitBuffer, heard: number | null): ReadonlyMap<number, OutcomeCounts> {
  const certain = heard !== null && canGoOnFrom(window, heard)
  const held = new Map<number, { acked: number; unknown: number; notSent: number }>()
  window.forEachHeld((sequence, lane, descriptor) => {
    if (!isPaying(laneKindOf(lane), descriptor)) return
    let counts = held.get(lane)
    if (counts === undefined) held.set(lane, (counts = { ...noneHeld }))
    if (!certain) counts.unknown += 1
    else if (sequence < heard) counts.acked += 1
    else counts.notSent += 1
  })
  return held
}

/**
 * The outcome of all values of one lane since it began.
 * @param handedOver values of the lane that were handed to a connection; @param waiting values that were not, and were not
 * withdrawn
 */
export function laneOutcome(end: EpochEnd, lane: number, handedOver: number, waiting: number): OutcomeCounts {
  const { unknown, notSent } = end.held.get(lane) ?? noneHeld
  return { acked: handedOver - unknown - notSent, unknown, notSent: notSent + waiting }
}
