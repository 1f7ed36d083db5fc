/**
 * Owns: what a native link is made of, what it tells besides its hooks, and the figures that it shows.
 * Refuses to know: how a link keeps its promises (native-link-state.ts).
 */
import type { SpareMemory } from '../../../codec/spare-memory.ts'
import type { KeepAliveOptions } from '../epoch/keep-alive.ts'
import type { LinkEpoch } from '../epoch/link-epoch.ts'
import type { ReceivingLane } from './receiving-lane.ts'
import type { SendingLane } from './sending-lane.ts'
import type { OutboxOptions } from './native-outbox.ts'
import type { LinkFigures } from '../../link-figures.ts'
import type { OutcomeCounts, ResetReason } from '../epoch/outcomes.ts'

/** Told at once, also where no actor has the link at the moment. */
export interface LinkWitness {
  /** All lanes of the link ended; the counts are those of all their values. `said`: by the peer, with its Goodbye. */
  onReset(reason: ResetReason, outcomes: OutcomeCounts, said: string): void
  /** A new connection goes on where the last one ended. @param replayedFrames sent again */
  onResumed(replayedFrames: number): void
}

export interface NativeLinkOptions extends OutboxOptions {
  readonly connectionId: number
  readonly epoch: LinkEpoch
  readonly laneWindowBytes: number
  readonly maxMessageLengthBytes: number
  readonly keepAlive: KeepAliveOptions
  /** Memory for values that come in several pieces, used again; one for all links of a node; without it each link has a little. */
  readonly spares?: SpareMemory
  readonly witness?: LinkWitness
}

export function creditOf(
  lanes: Iterable<Pick<SendingLane, 'credit'> & Pick<ReceivingLane, 'window'>>,
): LinkFigures['credit'] {
  let sendableBytes = 0
  let receivableBytes = 0
  let windowBytes = 0
  let unreadBytes = 0
  for (const { credit, window } of lanes) {
    sendableBytes += credit.balanceBytes
    receivableBytes += window.ownCountBytes
    windowBytes += window.windowBytes
    unreadBytes += window.unreadBytes
  }
  return { sendableBytes, receivableBytes, windowBytes, unreadBytes }
}
