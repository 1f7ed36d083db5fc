/**
 * Owns: the outcomes of a link's epoch that ends: how many values of each lane were acknowledged, may have arrived, or
 * were not sent (docs/protocol.md, native, "Outcomes").
 * Independent of: who is notified, sessions and promises.
 *
 * While values flow, only one number a lane is counted, the values encoded. Their outcomes follow from the frames that
 * the retransmit buffer still holds at the end: those it no longer holds are acknowledged. A value in Pieces has the
 * outcome of its last Piece, and is not sent if that was never handed over.
 */
import { frameHeaderLengthBytes, lengthFieldLengthBytes } from '../../../codec/constants.ts'
import { isPaying, laneKindOf } from '../../../codec/native-frames.ts'
import { canContinueFrom } from '../handshake/verdict.ts'
import type { RetransmitBuffer } from './retransmit-buffer.ts'

export type ResetReason = 'peer-restarted' | 'protocol-error' | 'expired' | 'goodbye' | 'internal-error'

/** In the order in which the values were sent: first the acknowledged, then the unknown, then the not sent. */
export interface OutcomeCounts {
  readonly acked: number
  readonly unknown: number
  /** Never handed to a connection, or certainly not received: safe to send again. */
  readonly notSent: number
}

export function outcomeSum(a: OutcomeCounts, b: OutcomeCounts): OutcomeCounts {
  return { acked: a.acked + b.acked, unknown: a.unknown + b.unknown, notSent: a.notSent + b.notSent }
}

/** Frames that were encoded and never handed to a connection, by lane. */
export interface PendingFrames {
  /** Values that end in them. */
  readonly values: ReadonlyMap<number, number>
  /** What they carry of streams. */
  readonly streamBytes: ReadonlyMap<number, number>
}

/** What Bytes of this length carry of a stream. */
export function payloadBytes(frameLengthBytes: number): number {
  return frameLengthBytes - frameHeaderLengthBytes - lengthFieldLengthBytes
}

export type Lost = Pick<OutcomeCounts, 'unknown' | 'notSent'>

/** Of all lanes, including those that ended earlier. */
export function withLost(before: Lost, end: EpochEnd, pending: PendingFrames): Lost {
  let { unknown, notSent } = before
  for (const count of pending.values.values()) notSent += count
  for (const counts of end.held.values()) {
    unknown += counts.unknown
    notSent += counts.notSent
  }
  return { unknown, notSent }
}

/** What the end of an epoch means for every lane of the link. */
export interface EpochEnd {
  readonly reason: ResetReason
  /** What the peer said in its Goodbye, or ''. */
  readonly peerReason?: string
  /**
   * By lane, of the values that were held for retransmission. Lanes without any are left out. See {@link laneOutcome}.
   */
  readonly held: ReadonlyMap<number, OutcomeCounts>
  /** Bytes of streams in those values that were not acknowledged, by lane. Absent where there are none. */
  readonly heldBytes?: ReadonlyMap<number, LostBytes>
}

export interface LostBytes {
  readonly unknown: number
  readonly notSent: number
}

interface Held extends Pick<EpochEnd, 'held' | 'heldBytes'> {}

export const noneHeld: OutcomeCounts = { acked: 0, unknown: 0, notSent: 0 }

/**
 * The outcomes of what a buffer holds.
 * @param heard what the peer says it has of this epoch, if it knows this epoch: then every outcome is certain. Null if
 *   it does not: what is held may have arrived or not.
 */
export function settleHeld(window: RetransmitBuffer, heard: number | null): Held {
  const certain = heard !== null && canContinueFrom(window, heard)
  const held = new Map<number, { acked: number; unknown: number; notSent: number }>()
  const heldBytes = new Map<number, { unknown: number; notSent: number }>()
  window.forEachHeld((sequence, lane, descriptor, endsValue, lengthBytes) => {
    const laneKind = laneKindOf(lane)
    if (!endsValue || !isPaying(laneKind, descriptor)) return
    let counts = held.get(lane)
    if (counts === undefined) held.set(lane, (counts = { ...noneHeld }))
    const outcome = !certain ? 'unknown' : sequence < heard ? 'acked' : 'notSent'
    counts[outcome] += 1
    if (laneKind !== 'stream' || outcome === 'acked') return
    const bytes = heldBytes.get(lane) ?? { unknown: 0, notSent: 0 }
    bytes[outcome] += payloadBytes(lengthBytes)
    heldBytes.set(lane, bytes)
  })
  return heldBytes.size === 0 ? { held } : { held, heldBytes }
}

/**
 * The outcome of all values of one lane since it began.
 * @param handedOver values of the lane that were handed to a connection; @param waiting values that were not, and were
 *   not withdrawn
 */
export function laneOutcome(end: EpochEnd, lane: number, handedOver: number, waiting: number): OutcomeCounts {
  const { unknown, notSent } = end.held.get(lane) ?? noneHeld
  return { acked: handedOver - unknown - notSent, unknown, notSent: notSent + waiting }
}
