/**
 * Owns: what a dialect is: a strategy that a link and its connections are given, so that no pump asks which dialect it
 * uses.
 * Independent of: any particular dialect.
 */
import { StatewireError } from '../codec/errors.ts'
import type { ErrorCode } from '../codec/errors.ts'
import type { FrameSink } from '../codec/frame-reader.ts'
import type { NetworkValue } from '../codec/values.ts'
import type { LinkCore } from './link-core.ts'
import type { EncodedFrame, FrameWriter } from '../codec/frame-writer.ts'

/** The identity that a dialer claims, and the link that it asks for. */
export interface Claim {
  readonly identity: string
  readonly linkIndex: number
}

/** The result of one chunk of a handshake. Every field is optional, because most chunks have no result yet. */
export interface HandshakeStep {
  /** Written in one write. */
  readonly write?: Buffer
  /** Acceptor: the dialer has sent its identity. */
  readonly claim?: Claim
  /** Dialer: the acceptor agreed. */
  readonly verified?: true
  /** With `verified`: bytes after the handshake. They are frames. */
  readonly rest?: Buffer
  /** With `verified`: what both sides agreed on, for the link. */
  readonly agreed?: unknown
  /** The handshake is refused: the other side is told the reason, and the connection ends. */
  readonly refuse?: HandshakeFault
}

/**
 * How the next dial differs. `now`: no wait, once. `free`: the back-off does not grow. `cap`, `stale`: it waits for the
 * cap of the back-off; for `cap`, another address of the host is tried before.
 */
export type DialRetry = 'now' | 'free' | 'cap' | 'stale'

/** The other side refused the handshake. `retry` tells how the next dial differs from one after any other failure. */
export class HandshakeRefusedError extends StatewireError {
  readonly retry: DialRetry | null
  constructor(code: ErrorCode, message: string, retry: DialRetry | null) {
    super(code, message)
    this.retry = retry
  }
}

/** Refusals that need no look at the link. */
export type HandshakeRefusal = 'stopping' | 'busy' | 'not-allowed' | 'no-such-link' | 'self' | 'identity'

/** Why a handshake is refused: the bytes for the other side, in one write, and a sentence for this side. */
export interface HandshakeFault {
  readonly write: Buffer
  readonly reason: string
  /** Part of normal operation: both sides dialled, or a dropped dial arrives late. Not reported. */
  readonly isExpected: boolean
}

/** @throws ProtocolError from `feed` if the other side breaks the handshake */
export interface DialerHandshake {
  begin(): Buffer
  feed(bytes: Buffer): HandshakeStep
}

export interface AcceptorHandshake {
  feed(bytes: Buffer): HandshakeStep
  /**
   * Called for the link of the claim, before anything changes. @param hasSentHello whether this side's own dial has
   * sent its hello for the same link. @returns null if the dialer is welcome. A dialect without this accepts every
   * dialer that is waited for.
   */
  judge?(state: LinkCore, hasSentHello: boolean): HandshakeFault | null
  /** The refusal for another reason, if the dialect has refusals. */
  refusal?(name: HandshakeRefusal, message: string): HandshakeFault
  /** The answer that agrees, in one write; the bytes that followed the claim; and what was agreed on. */
  confirm(state: LinkCore): { write: Buffer; rest: Buffer; agreed?: unknown }
}

/** Cuts bytes into frames: codec's FrameReader, or the reader of the control channel. */
export interface FrameSource {
  push(chunk: Buffer): void
  reset(): void
}

/** The form of a link's frames: by session id, or bare values with a length. */
export interface Framing {
  readonly name: 'sessions' | 'control'
  createReader(sink: FrameSink): FrameSource
  /** Adds a frame to the batch and returns its length. @param transfer the value's memory is taken over */
  write(writer: FrameWriter, lane: number, value: NetworkValue, transfer: boolean): number
  /** A frame that has to wait: `writer.writeEncoded` adds it. */
  encode(writer: FrameWriter, lane: number, value: NetworkValue, transfer: boolean): EncodedFrame
}

export interface Dialect {
  readonly name: 'ampc' | 'native'
  /**
   * Every peer with an address dials, and dials may cross. Otherwise the greater identity dials and the other listens.
   */
  readonly bothMayDial: boolean
  createDialerHandshake(options: { identity: string; linkIndex: number; state: LinkCore }): DialerHandshake
  createAcceptorHandshake(): AcceptorHandshake
  sessions(maxMessageLengthBytes: number): Framing
  control(): Framing
}
