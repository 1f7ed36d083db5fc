/**
 * Owns: what the parent and its peers say to each other over the channel of `fork`, and the figures of a peer.
 * Refuses to know: who acts on it.
 *
 * A run, in words: booted (with the key of the process), start, listening, ready, (all) go, report, report, …, drain, drained,
 * (all) stop, stopped. A process that was crashed on purpose begins again with booted, and gets its go when it is ready.
 */
import type { Dialect, Security } from './options.ts'

export interface PeerAddress {
  readonly id: string
  readonly number: number
  /** Of the peers with a lesser number, which this one dials. */
  readonly url?: string
}

export interface StartMessage {
  readonly type: 'start'
  /** 1, 2, …, N. */
  readonly number: number
  /** How often this peer's process has crashed before. */
  readonly run: number
  /** Where to listen again after a crash; null for any port. */
  readonly listenAt: string | null
  /** The key that the process told of when it had booted; a name in the dialect ampc. */
  readonly id: string
  readonly dialect: Dialect
  readonly security: Security
  readonly resumeWithinMs: number | null
  readonly others: readonly PeerAddress[]
  readonly sessions: number
  readonly connections: number
  readonly file: { readonly name: string; readonly bytes: Uint8Array; readonly sha256: Uint8Array }
  readonly corrupt: boolean
}

export type ParentMessage = StartMessage | { readonly type: 'go' | 'kill' | 'drain' | 'stop' }

export type PeerMessage =
  /** A key was made on the fly; it never leaves the process, and this is its public half. */
  | { readonly type: 'booted'; readonly keyId: string }
  | { readonly type: 'listening'; readonly url: string }
  | { readonly type: 'ready' }
  | { readonly type: 'report'; readonly report: PeerReport }
  /** Every round that was begun has ended: the last report before the shutdown. */
  | { readonly type: 'drained'; readonly report: PeerReport }
  /** The network is down; the process ends now. */
  | { readonly type: 'stopped'; readonly report: PeerReport; readonly left: Left }
  | { readonly type: 'failed'; readonly message: string }

/** What a network holds after its shutdown: zeroes. */
export interface Left {
  readonly actors: number
  readonly deadlines: number
  readonly handles: number
}

export type ConnectionState = 'opening' | 'open' | 'lost' | 'failed'

/** One other peer, as this one sees it. Figures count from the start. */
export interface PairReport {
  readonly peer: number
  readonly connections: readonly ConnectionState[]
  /** Connections that this peer saw break, and those that took their place. */
  readonly connectionsLost: number
  readonly reconnects: number
  readonly roundsBegun: number
  /** Rounds of this peer that the other has called whole and right. */
  readonly roundsDelivered: number
  /** Rounds of the other that this peer has verified, and those with a wrong digest. */
  readonly roundsVerified: number
  readonly roundsWrong: number
  /** Hex SHA-256 of the last file that came from the other. */
  readonly lastDigest: string | null
  readonly piecesSentAgain: number
  readonly piecesAskedAgain: number
  /** Native: links that could not be resumed, and values of this side that may have arrived or not because of that. */
  readonly linkResets: number
  readonly unknown: number
}

export interface PeerReport {
  readonly number: number
  readonly id: string
  /** With each other peer. */
  readonly sessions: number
  readonly pairs: readonly PairReport[]
  readonly valuesSent: number
  readonly valuesReceived: number
  /** Of the values, without frame headers. */
  readonly bytesSent: number
  readonly bytesReceived: number
  /** Sockets that this peer destroyed because it was told to. */
  readonly kills: number
  readonly piecesSent: number
  readonly duplicates: number
  readonly questionsRepeated: number
  readonly lastError: string | null
  /** What must not happen in a verified run. */
  readonly problems: readonly string[]
}
