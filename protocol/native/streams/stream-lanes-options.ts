/**
 * Owns: what the streams of a link need from it.
 * Independent of: what they do with it.
 */
import type { KeptViews } from '../../kept-views.ts'
import type { LinkCounters } from '../../link-core.ts'
import type { FloodGuard } from '../lanes/flood-guard.ts'
import type { NativeOutbox } from '../lanes/native-outbox.ts'
import type { CreditSource } from '../lanes/receiving-lane.ts'
import type { LinkMemory } from '../memory/node-memory.ts'
import type { StreamLane } from './stream-lane.ts'

export interface StreamLanesOptions {
  readonly peer: string
  readonly outbox: NativeOutbox
  readonly memory: LinkMemory
  readonly credit: CreditSource
  readonly guard: FloodGuard
  readonly counters: LinkCounters
  readonly kept: KeptViews
  readonly isPeerGreater: boolean
  /** The first window of a stream. */
  readonly windowBytes: number
  /** How many streams the peer may have open at once on this link. */
  readonly streamsMax: number
  readonly opensPerSecond: number
  /** How many this side may have open there; null before a hello said so. */
  readonly peerStreamsMax: () => number | null
  readonly isUp: () => boolean
  readonly acks: StreamAcks
}

/** What streams need of their link's acknowledgements. */
interface StreamAcks {
  whenAcked(lane: StreamLane, nowMs: number, resolve: () => void, reject: (error: Error) => void): () => void
  /** Calls of `whenAcked` for this stream fail unless everything was acknowledged. */
  laneEnded(lane: StreamLane, error: Error): void
}
