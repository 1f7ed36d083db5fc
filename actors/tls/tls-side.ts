/**
 * Owns: what a TLS pipe asks of a dialect: how TLS begins on a connected socket, and what must hold before it counts.
 * Independent of: any dialect (tls-native.ts, tls-ampc.ts) and the pipe (tls-pipe.ts).
 */
import type net from 'node:net'
import type tls from 'node:tls'
import type { StatewireError } from '../../codec/errors.ts'

export type TlsDialect = 'native' | 'ampc'

/** What a handshake proved. */
export interface Proof {
  readonly dialect: TlsDialect
  /** The identity that the keys prove; undefined where the other side has still to claim one. */
  readonly peerId: string | undefined
  /** Whether a claim of this identity is covered by what was proved. */
  covers(identity: string): boolean
}

/** One role in one dialect, for one connection. */
export interface TlsSide {
  readonly role: 'dialer' | 'acceptor'
  /** Begins TLS on a socket that is connected. */
  begin(raw: net.Socket, highWaterMarkBytes: number): tls.TLSSocket
  /** After the handshake and before any byte. @throws StatewireError if anything is not as it must be */
  check(socket: tls.TLSSocket): Proof
  /** What a handshake that broke off means in this dialect. */
  failed(error: unknown): StatewireError
}

/** Chooses by the first bytes of an accepted connection. @throws StatewireError if they suit nobody */
export type TlsChooser = (first: Buffer) => TlsSide | 'need more'
