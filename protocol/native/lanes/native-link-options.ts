/**
 * Owns: what a native link is made of, what it tells besides its hooks, and the figures that it shows.
 * Refuses to know: how a link keeps its promises (native-link-state.ts).
 */
import type { SpareMemory } from '../../../codec/spare-memory.ts'
import type { KeepAliveOptions, RoundTrip } from '../epoch/keep-alive.ts'
import type { LinkEpoch } from '../epoch/link-epoch.ts'
import type { NativeLane } from './native-lane.ts'
import type { OutboxOptions } from './native-outbox.ts'
import type { HeldMemory } from '../memory/node-memory.ts'
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

/** Of one link, since it was made; in bytes and milliseconds as the names say. */
export interface LinkFigures {
  /** Of the connection that is up; null before its first Pong, and while there is none. */
  readonly roundTrip: RoundTrip | null
  /** Handed to a connection, and not acknowledged. */
  readonly replay: { readonly frames: number; readonly bytes: number }
  readonly sendQueue: {
    readonly values: number
    readonly bytes: number
    /** Encoded, and not handed to a connection yet. */
    readonly pendingBytes: number
  }
  /** Over all lanes. `receivableBytes`: what the peer may still send; `sendableBytes`: what it lets this side send; below 0 a large value is being paid off. */
  readonly credit: { readonly sendableBytes: number; readonly receivableBytes: number; readonly windowBytes: number; readonly unreadBytes: number }
  readonly memory: HeldMemory
  readonly lanes: number
  /** Connections adopted; of those, how many went on where the last one ended. */
  readonly connections: number
  readonly resumes: number
  /** Epochs that ended, each with outcomes for all its values. */
  readonly resets: number
}

export function creditOf(lanes: Iterable<NativeLane>): LinkFigures['credit'] {
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
