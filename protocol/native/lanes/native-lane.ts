/**
 * Owns: one session lane of the native dialect: its credit in both directions, what waits to be sent on it, its
 * outcomes.
 * Independent of: frames and sockets; other lanes.
 */
import { StatewireError } from '../../../codec/errors.ts'
import { Deque } from '../../deque.ts'
import { Lane } from '../../lane.ts'
import type { LaneOwner } from '../../lane.ts'
import { ReceiveWindow, SendCredit } from './credit.ts'
import type { LongFrame } from './long-frame.ts'
import type { ReceivingLane } from './receiving-lane.ts'
import type { PendingSend, SendingLane } from './sending-lane.ts'
import type { LaneMemory } from '../memory/lane-memory.ts'
import type { OutcomeCounts, ResetReason } from '../epoch/outcomes.ts'

/** Why an epoch ended, as a sentence for people. */
export const endings: Readonly<Record<ResetReason, string>> = {
  goodbye: 'one of the two sides shut down',
  'peer-restarted': 'the peer has restarted',
  expired: 'the connection could not be resumed in time',
  'protocol-error': 'one of the two sides broke the protocol',
  'internal-error': 'an internal error occurred, which is a bug',
}

/** The link could not be resumed: its lanes end, and every value sent on this one has an outcome. */
export class LinkResetError extends StatewireError {
  readonly reason: ResetReason
  /** In the order the values were sent: the acknowledged, then the unknown, then the not sent. */
  readonly outcomes: OutcomeCounts
  /** A Goodbye that lost nothing: each `send` that waits reports its own value as not sent. */
  readonly isOrderly: boolean
  /** @param waiting values that were not accepted yet, among `outcomes.notSent` */
  constructor(peer: string, reason: ResetReason, outcomes: OutcomeCounts, waiting = 0) {
    super(
      'ERR_LINK_RESET',
      `the session with ${peer} has ended: ${endings[reason]}. Of the values sent on it, ${outcomes.acked} were ` +
        `acknowledged, ${outcomes.unknown} may have arrived, and ${outcomes.notSent} were not sent`,
    )
    this.reason = reason
    this.outcomes = outcomes
    this.isOrderly = reason === 'goodbye' && outcomes.unknown + outcomes.notSent === waiting
  }
}

export class NativeLane extends Lane implements SendingLane, ReceivingLane {
  readonly isOwed = false
  readonly credit: SendCredit
  readonly window: ReceiveWindow
  readonly memory: LaneMemory
  longArriving: LongFrame | null = null
  longReserved: LongFrame | null = null
  readonly waiting = new Deque<PendingSend>()
  long: PendingSend | null = null
  /** Values accepted since the lane began: encoded, or in Pieces of which the first is encoded. */
  encoded = 0
  /** Which frame of the link its last value was; see NativeOutbox.ackedFrames. */
  lastFrame = 0
  /**
   * Why values of the lane may have been dropped although they were accepted: the peer had ended the session before it
   * acknowledged them, or the session ended between the Pieces of one.
   */
  cutOff: Error | null = null

  /** @param first what this side grants, and what the peer has granted so far */
  constructor(
    id: number,
    owner: LaneOwner,
    memory: LaneMemory,
    first: { readonly windowBytes: number; readonly creditBytes: number },
  ) {
    super(id, owner)
    this.memory = memory
    this.credit = new SendCredit(first.creditBytes)
    this.window = new ReceiveWindow({ windowBytes: first.windowBytes, mayGrow: memory.grow })
  }
}
