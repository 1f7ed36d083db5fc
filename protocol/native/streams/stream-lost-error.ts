/**
 * Owns: the error of a stream that ended with its link: why, and what became of the bytes that were written.
 * Independent of: frames and streams.
 */
import { StatewireError } from '../../../codec/errors.ts'
import type { ByteCounts } from '../../streams.ts'
import type { EpochEnd, ResetReason } from '../epoch/outcomes.ts'
import { endings, LinkResetError } from '../lanes/native-lane.ts'

/** The link could not be resumed, and a stream on it has ended. */
export class StreamLostError extends StatewireError {
  readonly reason: ResetReason
  /** The message without the name of the stream. */
  readonly why: string
  /** Bytes in the order in which they were written: those that arrived, those that may have, those that did not. */
  readonly bytes: ByteCounts
  constructor(peer: string, { reason, peerReason = '' }: Pick<EpochEnd, 'reason' | 'peerReason'>, bytes: ByteCounts) {
    const why =
      `${endings[reason]}${peerReason === '' ? '' : ` ("${peerReason}")`}. Of the bytes written on it, ${bytes.acked} were delivered, ${bytes.unknown} may have ` +
      `arrived, and ${bytes.notSent} were not sent`
    super('ERR_LINK_RESET', `the stream with ${peer} has ended: ${why}`)
    this.why = why
    this.reason = reason
    this.bytes = bytes
  }
}

/** Why a lane ended with its link; null if it ended in another way, or not yet. */
export function lostEndOf(lane: { readonly end: Error | null } | null): Error | null {
  const end = lane?.end
  return end instanceof LinkResetError || end instanceof StreamLostError ? end : null
}
