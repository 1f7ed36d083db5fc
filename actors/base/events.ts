/**
 * Owns: the types of the events that an application can listen to.
 * Independent of: who emits them. Events carry facts and lengths, never payload or key material.
 */
import type { OutcomeCounts, ResetReason } from '../../protocol/native/epoch/outcomes.ts'
import type { ConnectionLostError } from '../../protocol/lane.ts'
import type { Cause } from './causes.ts'

export type NetworkEvent =
  /** The network is running. `url` is where it listens, with the real port; null if it does not listen. */
  | { readonly type: 'network.ready'; readonly url: string | null }
  | { readonly type: 'network.stopped' }
  | { readonly type: 'network.failed'; readonly cause: Cause }
  /** Something an operator should know, for example that identities are not verified on plain TCP. */
  | { readonly type: 'warning'; readonly message: string }
  | {
      readonly type: 'connection.opened'
      readonly peer: string
      readonly link: string
      readonly linkIndex: number
      readonly connection: string
      readonly remoteAddress: string
      /** Native: it continues where the last connection ended. No value was lost. */
      readonly resumed: boolean
      /** How long the link had no connection, in milliseconds; null for its first. */
      readonly downMs: number | null
      /** Frames that are sent again on it. */
      readonly replayedFrames: number
    }
  | {
      readonly type: 'connection.lost'
      readonly peer: string
      readonly link: string
      readonly linkIndex: number
      readonly connection: string
      readonly cause: Cause
    }
  /** Nothing was received from the peer for a while. The connection stays open for now. */
  | {
      readonly type: 'peer.suspect'
      readonly peer: string
      readonly link: string
      readonly linkIndex: number
      readonly connection: string
    }
  /** A dial will begin: at once, or after a wait that grows with each failure. */
  | {
      readonly type: 'dial.scheduled'
      readonly peer: string
      readonly link: string
      readonly host: string
      readonly delayMs: number
      /** Dials since the last working connection, this one included. */
      readonly attempt: number
    }
  /** A dial or a handshake failed. It is retried while the peer is needed. */
  | {
      readonly type: 'connection.failed'
      readonly peer: string
      readonly link: string
      readonly linkIndex: number
      readonly connection: string
      readonly cause: Cause
    }
  /** An inbound connection was refused. `peer` is the identity that it claimed; null if it did not get that far. */
  | {
      readonly type: 'connection.rejected'
      readonly remoteAddress: string
      readonly peer: string | null
      readonly linkIndex?: number
      readonly cause: Cause
    }
  /**
   * Native: the link could not be resumed and its sessions have ended. `outcomes` counts the outcomes of all values
   * sent on them.
   */
  | {
      readonly type: 'link.reset'
      readonly peer: string
      readonly link: string
      readonly linkIndex: number
      readonly reason: ResetReason
      readonly outcomes: OutcomeCounts
      /** The reason in the peer's Goodbye, or ''. */ readonly said: string
    }
  /** A command that has no `replyTo` failed. */
  | {
      readonly type: 'command.failed'
      readonly command: string
      /** The `id` of the command; null if it has none. */
      readonly id: string | number | null
      readonly cause: Cause
    }
  /** The application has added the peer, or its id to the allow-list. */
  | { readonly type: 'peer.added'; readonly peer: string }
  /**
   * The peer was removed. The counts cover the values that were accepted for it and not acknowledged when the removal
   * began.
   */
  | {
      readonly type: 'peer.removed'
      readonly peer: string
      readonly reason: string
      readonly acked: number
      readonly unknown: number
      readonly notSent: number
    }
  /** The first connection since the peer was last disconnected. A new socket of the same links is no new connect. */
  | { readonly type: 'peer.connected'; readonly peer: string; readonly address: string }
  /**
   * Native: the links to the peer were reset, or one side said Goodbye. In ampc: the last connection ended. A socket
   * that breaks and is resumed is no disconnect.
   */
  | {
      readonly type: 'peer.disconnected'
      readonly peer: string
      readonly reason: ResetReason | 'connection-lost'
      /** Whose doing it was, as far as this side can tell. */
      readonly by: 'self' | 'peer' | 'network'
      /** Whether this side wants the peer to be connected again. */
      readonly willRetry: boolean
    }
  /** Links wait for memory to send: `memoryBudgetBytes` is used up. At most once a second. */
  | {
      readonly type: 'pressure'
      readonly usedBytes: number
      readonly budgetBytes: number
      readonly waitingLinks: number
    }
  /** Native: another process with this side's key is connected to the peer, so the peer refuses this one. */
  | { readonly type: 'peer.duplicate'; readonly peer: string }
  /**
   * Native: this process seems to have started before an earlier one with its key: the clock was set back. It connects
   * all the same.
   */
  | { readonly type: 'clock.behind'; readonly peer: string }
  /**
   * Actors of this peer crashed more often than their restart intensity allows. Other peers are not affected. The peer
   * is tried again after `limits.backoffMaxMs`.
   */
  | { readonly type: 'peer.errored'; readonly peer: string; readonly cause: Cause }
  /** An actor crashed and was replaced. */
  | { readonly type: 'child.restarted'; readonly parent: string; readonly child: string; readonly cause: Cause }
  /**
   * A handler of the application threw. Its session with this peer has ended; a message is taken all the same, and a
   * request is answered with the error. Other sessions, names and peers are not affected.
   */
  | {
      readonly type: 'handler.failed'
      readonly peer: string
      readonly link: string
      /** Null for a handler of messages or requests. */
      readonly session: string | null
      /** The name of the message or request; null for a session. */
      readonly name: string | null
      readonly cause: Cause
    }
  /** A message has no handler. Once for each name; `metrics().messages.unhandled` counts them all. */
  | {
      readonly type: 'message.unhandled'
      readonly peer: string
      readonly name: string
      readonly lengthBytes: number
    }
  /** A message was dropped: its name or headers are malformed, or it is longer than `limits.messageBytesMax`. */
  | { readonly type: 'message.dropped'; readonly peer: string; readonly cause: Cause }
  | {
      readonly type: 'sessions.made'
      readonly group: string
      readonly count: number
      readonly peers: readonly string[]
    }
  | { readonly type: 'sessions.failed'; readonly group: string; readonly cause: Cause }
  | { readonly type: 'sessions.closed'; readonly group: string; readonly cause: Cause }

export type NetworkEventType = NetworkEvent['type']

/** All event types, for code that listens to every event. */
export const networkEventTypes = [
  'network.ready',
  'network.stopped',
  'network.failed',
  'warning',
  'connection.opened',
  'connection.lost',
  'peer.suspect',
  'dial.scheduled',
  'connection.failed',
  'connection.rejected',
  'link.reset',
  'command.failed',
  'peer.added',
  'peer.removed',
  'peer.connected',
  'peer.disconnected',
  'pressure',
  'peer.duplicate',
  'clock.behind',
  'peer.errored',
  'child.restarted',
  'handler.failed',
  'message.unhandled',
  'message.dropped',
  'sessions.made',
  'sessions.failed',
  'sessions.closed',
] as const satisfies readonly NetworkEventType[]

export type NetworkEventOf<T extends NetworkEventType> = Extract<NetworkEvent, { type: T }>

/** Emitted by a session when a connection to a peer is lost. */
export interface SessionLoss {
  readonly peer: string
  readonly error: ConnectionLostError
}
