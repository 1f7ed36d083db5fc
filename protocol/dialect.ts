/**
 * Owns: what a dialect is: a strategy that a link and its connections are given, so that no pump asks which one it speaks.
 * Refuses to know: any particular dialect (ampc.ts is one).
 */
import type { FrameSink } from '../codec/frame-reader.ts'
import type { NetworkValue } from '../codec/values.ts'
import type { FrameWriter } from '../codec/frame-writer.ts'

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
}

/** @throws ProtocolError from `feed` when the other side does not keep to the handshake */
export interface DialerHandshake {
  begin(): Buffer
  feed(bytes: Buffer): HandshakeStep
}

export interface AcceptorHandshake {
  feed(bytes: Buffer): HandshakeStep
  /** What agrees, in one write, and the bytes that arrived behind the claim. */
  confirm(): { write: Buffer; rest: Buffer }
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
  write(writer: FrameWriter, lane: number, value: NetworkValue): number
}

export interface Dialect {
  readonly name: 'ampc'
  createDialerHandshake(options: { identity: string; connectionId: number }): DialerHandshake
  createAcceptorHandshake(): AcceptorHandshake
  sessions(maxMessageLengthBytes: number): Framing
  control(): Framing
}
