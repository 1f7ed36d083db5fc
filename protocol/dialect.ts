/**
 * Owns: what a dialect is: a strategy that a link and its connections are given, so that no pump asks which one it speaks.
 * Refuses to know: any particular dialect (ampc.ts is one).
 */
import { StatewireError } from '../codec/errors.ts'
import type { ErrorCode } from '../codec/errors.ts'
import type { FrameSink } from '../codec/frame-reader.ts'
import type { NetworkValue } from '../codec/values.ts'
import type { LinkCore } from './link-core.ts'
import type { EncodedFrame, FrameWriter } from '../codec/frame-writer.ts'

/** Who a dialer says it is, and for which link it comes. */
export interface Claim {
  readonly identity: string
  readonly connectionId: number
}

/** What one piece of a handshake led to; every field is optional because most pieces lead to nothing yet. */
export interface HandshakeStep {
  /** Goes out in one write. */
  readonly write?: Buffer
  /** Acceptor: the dialer has said who it is. */
  readonly claim?: Claim
  /** Dialer: the acceptor agreed. */
  readonly verified?: true
  /** With `verified`: bytes behind the handshake, which are frames already. */
  readonly rest?: Buffer
  /** With `verified`: what both sides agreed on, for the link's state. */
  readonly agreed?: unknown
  /** The other side is to be told no, and why, and then it is over. */
  readonly refuse?: HandshakeFault
}

/** The other side refused the handshake. `retry` is what that means for the next dial, if it differs from any other failure. */
export class HandshakeRefusedError extends StatewireError {
  readonly retry: 'free' | 'cap' | 'stale' | null
  constructor(code: ErrorCode, message: string, retry: 'free' | 'cap' | 'stale' | null) {
    super(code, message)
    this.retry = retry
  }
}

/** Why a handshake is refused: the bytes that tell the other side, in one write, and a sentence for this side. */
export interface HandshakeFault {
  readonly write: Buffer
  readonly reason: string
  /** Part of normal operation: both sides dialled, or a dial that was dropped arrives late. Nobody needs to hear of it. */
  readonly isExpected: boolean
}

/** @throws ProtocolError from `feed` when the other side does not keep to the handshake */
export interface DialerHandshake {
  begin(): Buffer
  feed(bytes: Buffer): HandshakeStep
}

export interface AcceptorHandshake {
  feed(bytes: Buffer): HandshakeStep
  /**
   * Asked by the link that the claim is for, before anything changes. @param hasSentHello whether a dial of
   * this side's own has sent its hello for the same link. Null: welcome. Dialects without this take whoever is asked for.
   */
  judge?(state: LinkCore, hasSentHello: boolean): HandshakeFault | null
  /** The words for a refusal of another reason, where the dialect has any. */
  refusal?(name: 'stopping' | 'busy' | 'not-allowed' | 'no-such-link' | 'self', message: string): HandshakeFault
  /** What agrees, in one write; the bytes that arrived behind the claim; and what was agreed on. */
  confirm(state: LinkCore): { write: Buffer; rest: Buffer; agreed?: unknown }
}

/** Cuts bytes into frames: codec's FrameReader, or its sister for the control channel. */
export interface FrameSource {
  push(chunk: Buffer): void
  reset(): void
}

/** How a link's frames look: by session id, or bare values with a length. */
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
  /** Whoever has an address dials, and dials may cross; else the greater identity dials and the other listens. */
  readonly bothMayDial: boolean
  createDialerHandshake(options: { identity: string; connectionId: number; state: LinkCore }): DialerHandshake
  createAcceptorHandshake(): AcceptorHandshake
  sessions(maxMessageLengthBytes: number): Framing
  control(): Framing
}
