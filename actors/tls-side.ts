/**
 * Owns: what a TLS pipe asks of a dialect: how a socket is dialled or TLS begun on an accepted one, and what must hold before it counts.
 * Refuses to know: any dialect (tls-native.ts, tls-ampc.ts) and the pipe (tls-pipe.ts).
 */
import type net from 'node:net'
import type tls from 'node:tls'
import type { StatewireError } from '../codec/errors.ts'
import type { Address } from './pipe.ts'

export type TlsDialect = 'native' | 'ampc'

/** What a handshake proved. */
export interface Proof {
  readonly dialect: TlsDialect
  /** The identity that the keys prove; undefined where the other side has still to claim one. */
  readonly peerId: string | undefined
  /** Whether a claim of this identity is covered by what was proved. */
  covers(identity: string): boolean
}

interface TlsChecks {
  /** After the handshake and before any byte. @throws StatewireError if anything is not as it must be */
  check(socket: tls.TLSSocket): Proof
  /** What a handshake that broke off means in this dialect. */
  failed(error: unknown): StatewireError
}

/** One role in one dialect, for one connection. */
export interface TlsDialer extends TlsChecks {
  readonly role: 'dialer'
  /** The event of its socket behind which `check` can be asked. */
  readonly secured: 'secure' | 'secureConnect'
  /** Begins to connect; the ClientHello leaves with the TCP connection. One socket and not one upon another: half the events of a connect's end. */
  dial(address: Address, highWaterMarkBytes: number): tls.TLSSocket
}

export interface TlsAcceptor extends TlsChecks {
  readonly role: 'acceptor'
  begin(raw: net.Socket, highWaterMarkBytes: number): tls.TLSSocket
}

/** Chooses by the first bytes of an accepted connection. @throws StatewireError if they suit nobody */
export type TlsChooser = (first: Buffer) => TlsAcceptor | 'need more'
