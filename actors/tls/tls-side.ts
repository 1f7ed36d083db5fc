/**
 * Owns: what a TLS pipe needs from a dialect: how TLS begins on a connected socket, and what must hold for it to be
 * accepted.
 * Independent of: any dialect (tls-native.ts, tls-ampc.ts) and the pipe (tls-pipe.ts).
 */
import type net from 'node:net'
import type tls from 'node:tls'
import type { StatewireError } from '../../codec/errors.ts'

export type TlsDialect = 'native' | 'ampc'

/** What a handshake proved. */
export interface Proof {
  readonly dialect: TlsDialect
  /** The identity that the keys prove; undefined if the other side has yet to claim one. */
  readonly peerId: string | undefined
  /** Whether the proof covers a claim of this identity. */
  covers(identity: string): boolean
}

/** One role in one dialect, for one connection. */
export interface TlsSide {
  readonly role: 'dialer' | 'acceptor'
  /** Begins TLS on a connected socket. */
  begin(raw: net.Socket, highWaterMarkBytes: number): tls.TLSSocket
  /**
   * Verifies the connection after the handshake and before any byte.
   * @throws StatewireError if a requirement is not met
   */
  check(socket: tls.TLSSocket): Proof
  /** Converts the error of a failed handshake into one of this dialect. */
  failed(error: unknown): StatewireError
}

/**
 * Chooses a side by the first bytes of an accepted connection.
 * @throws StatewireError if they match no dialect
 */
export type TlsChooser = (first: Buffer) => TlsSide | 'need more'
