/**
 * Owns: small rules of streams: what became of the bytes of one that ended with its epoch, and how a frame that comes
 * at the wrong time is reported.
 * Independent of: the table of streams.
 */
import { ProtocolError } from '../../../codec/errors.ts'
import { resetCodes } from '../../../codec/native-frames.ts'
import type { StreamReset } from '../../streams.ts'
import { laneOutcome, outcomeSum } from '../epoch/outcomes.ts'
import type { EpochEnd, OutcomeCounts, PendingFrames } from '../epoch/outcomes.ts'
import type { NativeOutbox } from '../lanes/native-outbox.ts'
import type { StreamLane } from './stream-lane.ts'
import { StreamLostError } from './stream-lost-error.ts'

export const noBytes: OutcomeCounts = { acked: 0, unknown: 0, notSent: 0 }
export const noSuchProtocol: StreamReset = {
  code: resetCodes['no-such-protocol'],
  reason: 'no handler is set for this protocol',
}

function bytesOutcome(lane: StreamLane, end: EpochEnd, pending: PendingFrames): OutcomeCounts {
  const held = end.heldBytes?.get(lane.id) ?? noBytes
  const pendingBytes = pending.streamBytes.get(lane.id) ?? 0
  return {
    acked: lane.encodedBytes - held.unknown - held.notSent - pendingBytes,
    unknown: held.unknown,
    notSent: held.notSent + pendingBytes + lane.waitingBytes,
  }
}

export function whenOf({ isAccepted }: StreamLane): string {
  return isAccepted ? 'after Fin' : 'before Accept'
}

export function outOfOrder(id: number, what: string, when: string): ProtocolError {
  return new ProtocolError('ERR_STREAM_ORDER', `${what} arrived on stream ${id} ${when}.`)
}

/**
 * The epoch has ended, and all its streams with it: each learns what became of its bytes.
 * @returns the outcomes of their frames
 */
export function loseAll(
  lanes: readonly StreamLane[],
  end: EpochEnd,
  pending: PendingFrames,
  leaving: Error | null,
  { peer, outbox }: { readonly peer: string; readonly outbox: NativeOutbox },
): OutcomeCounts {
  let sum = noBytes
  const notices: (() => void)[] = []
  for (const lane of lanes) {
    const pendingOfLane = pending.values.get(lane.id) ?? 0
    const waiting = pendingOfLane + lane.waiting.length
    sum = outcomeSum(sum, laneOutcome(end, lane.id, lane.encoded - pendingOfLane, waiting))
    const counts = bytesOutcome(lane, end, pending)
    const error = leaving ?? new StreamLostError(peer, end, counts)
    lane.isOver = true
    lane.end = error
    lane.memory.end()
    outbox.rejectWaiting(lane, error)
    notices.push(() => lane.events?.onLost(error, counts))
  }
  // An application that is told may open the next stream.
  for (const notify of notices) notify()
  return sum
}
