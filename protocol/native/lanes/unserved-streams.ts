/**
 * Owns: the answers to streams, which this release does not serve, as the protocol has them.
 * Independent of: links and sessions.
 */
import { encodeReset, nativeDescriptors, resetCodes } from '../../../codec/native-frames.ts'
import type { LinkCounters } from '../../link-core.ts'
import type { EpochEnd, OutcomeCounts } from '../epoch/outcomes.ts'
import { decodeAccept, decodeCredit, decodeOpen } from '../frame-bodies.ts'
import type { FloodGuard } from './flood-guard.ts'
import { LaneKindWithoutState } from './lane-kind.ts'
import { PeerStreamIds } from './peer-stream-ids.ts'

export interface UnservedStreamsOptions {
  readonly guard: FloodGuard
  readonly counters: LinkCounters
  /** The peer has the greater id. */
  readonly isPeerGreater: boolean
}

/** Every stream is over as soon as it is opened. */
export class UnservedStreams extends LaneKindWithoutState {
  readonly #write: (frame: Buffer) => void
  readonly #options: UnservedStreamsOptions
  #streamIds: PeerStreamIds

  constructor(write: (frame: Buffer) => void, options: UnservedStreamsOptions) {
    super()
    this.#write = write
    this.#options = options
    this.#streamIds = new PeerStreamIds(options.isPeerGreater)
  }

  override epochEnded(end: EpochEnd, pending: ReadonlyMap<number, number>, leaving: Error | null): OutcomeCounts {
    this.#streamIds = new PeerStreamIds(this.#options.isPeerGreater)
    return super.epochEnded(end, pending, leaving)
  }

  /** Throws ProtocolError ERR_FLOOD, ERR_STREAM_ID, and for a body that breaks a rule. */
  onFrame(
    laneId: number,
    descriptor: number,
    buffer: Buffer,
    bodyStart: number,
    bodyEnd: number,
    nowMs: number,
  ): boolean {
    const { guard, counters } = this.#options
    guard.unwanted(bodyEnd - bodyStart, nowMs)
    counters.framesDropped++
    if (descriptor !== nativeDescriptors.Open) {
      this.#streamIds.checkOver(laneId)
      if (descriptor === nativeDescriptors.Credit) decodeCredit(buffer, bodyStart)
      else if (descriptor === nativeDescriptors.Accept) decodeAccept(buffer, bodyStart)
      return false
    }
    this.#streamIds.opened(laneId, false)
    decodeOpen(buffer, bodyStart, bodyEnd)
    guard.answer(nowMs)
    this.#write(encodeReset(laneId, { code: resetCodes['no-such-protocol'], reason: 'this side serves no streams' }))
    return false
  }
}
