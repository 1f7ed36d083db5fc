/**
 * Owns: the events that an application can listen to, typed.
 * Independent of: who emits them. They carry facts and lengths, never payload and never key material.
 */
import type { OutcomeCounts, ResetReason } from '../../protocol/native/epoch/outcomes.ts'
import type { ConnectionLostError } from '../../protocol/lane.ts'
import type { Cause } from './causes.ts'

export type NetworkEvent =
  /** The network runs; `address` is what was bound, null where nothing listens. */
  | { readonly type: 'network.ready'; readonly url: string | null }
  | { readonly type: 'network.stopped' }
  | { readonly type: 'network.failed'; readonly cause: Cause }
  /** Something an operator should know, such as that identities are only claimed on plain TCP. */
  | { readonly type: 'warning'; readonly message: string }
  | {
      readonly type: 'connection.opened'
      readonly peer: string
      readonly link: string
      readonly connectionId: number
      readonly connection: string
      readonly remoteAddress: string
    }
  | {
      readonly type: 'connection.lost'
      readonly peer: string
      readonly link: string
      readonly connectionId: number
      readonly connection: string
      readonly cause: Cause
    }
  /** Nothing was heard for a while. Nothing closes yet. */
  | {
      readonly type: 'connection.suspect'
      readonly peer: string
      readonly link: string
      readonly connectionId: number
      readonly connection: string
    }
  /** A dial or a handshake that came to nothing; it is tried again while the peer is wanted. */
  | {
      readonly type: 'connection.failed'
      readonly peer: string
      readonly link: string
      readonly connectionId: number
      readonly connection: string
      readonly cause: Cause
    }
  /** An inbound connection that was not let in. `peer` is what it claimed to be, where it got so far. */
  | {
      readonly type: 'connection.rejected'
      readonly remoteAddress: string
      readonly peer: string | null
      readonly connectionId?: number
      readonly cause: Cause
    }
  /** Native: a new connection goes on where the last one ended; nothing was lost. */
  | {
      readonly type: 'link.resumed'
      readonly peer: string
      readonly link: string
      readonly connectionId: number
      readonly replayedFrames: number
    }
  /** Native: the link could not be resumed. Its sessions have ended; the outcomes are those of all values sent on them. */
  | {
      readonly type: 'link.reset'
      readonly peer: string
      readonly link: string
      readonly connectionId: number
      readonly reason: ResetReason
      readonly outcomes: OutcomeCounts
      /** What the peer said with its Goodbye, or ''. */ readonly said: string
    }
  | { readonly type: 'peer.up'; readonly peer: string }
  | { readonly type: 'peer.down'; readonly peer: string; readonly cause: Cause }
  /** `network.drain` has let go of it; the counts are those of the values that were accepted and not acknowledged when it began. */
  | {
      readonly type: 'peer.drained'
      readonly peer: string
      readonly acked: number
      readonly unknown: number
      readonly notSent: number
    }
  /** Another process uses this side's key towards the peer, or the clock went back. */
  | { readonly type: 'peer.duplicate'; readonly peer: string }
  /** Actors of this peer failed beyond their intensity. Other peers go on; it is tried again at the cap of the back-off. */
  | { readonly type: 'peer.errored'; readonly peer: string; readonly cause: Cause }
  /** An actor failed; a new one has taken its place. */
  | { readonly type: 'child.restarted'; readonly parent: string; readonly child: string; readonly cause: Cause }
  /** A handler of the application threw. Its session with this peer has ended; other sessions and peers are not affected. */
  | {
      readonly type: 'handler.failed'
      readonly peer: string
      readonly link: string
      readonly session: number
      readonly cause: Cause
    }
  | {
      readonly type: 'sessions.made'
      readonly group: string
      readonly count: number
      readonly peers: readonly string[]
    }
  | { readonly type: 'sessions.failed'; readonly group: string; readonly cause: Cause }
  | { readonly type: 'sessions.closed'; readonly group: string; readonly cause: Cause }

export type NetworkEventType = NetworkEvent['type']

/** The types of all events, for code that listens to each of them. */
export const networkEventTypes = [
  'network.ready',
  'network.stopped',
  'network.failed',
  'warning',
  'connection.opened',
  'connection.lost',
  'connection.suspect',
  'connection.failed',
  'connection.rejected',
  'link.resumed',
  'link.reset',
  'peer.up',
  'peer.down',
  'peer.duplicate',
  'peer.drained',
  'peer.errored',
  'child.restarted',
  'handler.failed',
  'sessions.made',
  'sessions.failed',
  'sessions.closed',
] as const satisfies readonly NetworkEventType[]

export type NetworkEventOf<T extends NetworkEventType> = Extract<NetworkEvent, { type: T }>

/** What a session emits of one of its peers. */
export interface SessionLoss {
  readonly peer: string
  readonly error: ConnectionLostError
}
