/**
 * Owns: the handshake of the ampc dialect (docs/protocol.md), both roles, as bytes in and bytes out.
 * Independent of: sockets, deadlines, and who is asked for now; its owner confirms or hangs up.
 *
 *    dialer                                   acceptor
 *      connection id      u32 BE  ──────────▶
 *                         ◀──────────  the same u32 BE echoed
 *      identity length    u32 BE  ──────────▶
 *      identity bytes             ──────────▶
 *                         ◀──────────  "2ok"
 *
 * Big-endian, unlike everything else on the wire: tokio's `write_u32`.
 */
import { ProtocolError } from '../../codec/errors.ts'
import { maxIdentityLengthBytes } from '../../codec/limits.ts'
import { decodeIdentity } from './peer-id.ts'
import type { AcceptorHandshake, Claim, DialerHandshake, HandshakeStep } from '../dialect.ts'

const ok = Buffer.from('2ok', 'latin1')

/** Longest input before the peer is known: connection id, length, identity, and the first few frames. */
const maxPreAuthenticationBytes = 512
/** A TLS handshake record, with the version that a ClientHello carries for old servers. */
const clientHelloBeginning = 0x16_03_01

class Inbox {
  #bytes: Buffer = Buffer.alloc(0)
  get length(): number {
    return this.#bytes.length
  }
  push(bytes: Buffer): void {
    // A copy in any case: the memory of what arrives is borrowed.
    this.#bytes = Buffer.concat([this.#bytes, bytes])
  }
  take(lengthBytes: number): Buffer {
    const taken = this.#bytes.subarray(0, lengthBytes)
    this.#bytes = this.#bytes.subarray(lengthBytes)
    return taken
  }
  peekU32(): number {
    return this.#bytes.readUInt32BE(0)
  }
  rest(): Buffer {
    return this.take(this.#bytes.length)
  }
}

export class AmpcDialerHandshake implements DialerHandshake {
  readonly #identity: Buffer
  readonly #connectionId: number
  readonly #inbox = new Inbox()
  #step: 'echo' | 'ok' | 'done' = 'echo'

  constructor(options: { identity: string; linkIndex: number }) {
    this.#identity = Buffer.from(options.identity, 'utf8')
    this.#connectionId = options.linkIndex
  }

  begin(): Buffer {
    return u32be(this.#connectionId)
  }

  feed(bytes: Buffer): HandshakeStep {
    this.#inbox.push(bytes)
    if (this.#step === 'echo') {
      if (this.#inbox.length < 4) return {}
      const echo = this.#inbox.take(4).readUInt32BE(0)
      if (echo !== this.#connectionId)
        throw new ProtocolError(
          'ERR_HANDSHAKE_FAILED',
          `the acceptor echoed connection id ${echo} instead of ${this.#connectionId}`,
        )
      this.#step = 'ok'
      return { ...this.#readOk(), write: Buffer.concat([u32be(this.#identity.length), this.#identity]) }
    }
    return this.#readOk()
  }

  #readOk(): HandshakeStep {
    if (this.#inbox.length < ok.length) return {}
    const answer = this.#inbox.take(ok.length)
    if (!answer.equals(ok))
      throw new ProtocolError(
        'ERR_HANDSHAKE_FAILED',
        `the acceptor answered ${answer.toString('hex')} instead of "2ok"`,
      )
    this.#step = 'done'
    return { verified: true, rest: this.#inbox.rest() }
  }
}

export class AmpcAcceptorHandshake implements AcceptorHandshake {
  readonly #inbox = new Inbox()
  #connectionId = -1
  #identityLengthBytes = -1
  #claim: Claim | null = null

  feed(bytes: Buffer): HandshakeStep {
    this.#inbox.push(bytes)
    if (this.#inbox.length > maxPreAuthenticationBytes)
      throw new ProtocolError(
        'ERR_HANDSHAKE_FAILED',
        `more than ${maxPreAuthenticationBytes} bytes arrived before the handshake was complete${this.#perhapsTls()}`,
      )
    if (this.#claim !== null) return {}
    let write: Buffer | undefined
    if (this.#connectionId < 0) {
      if (this.#inbox.length < 4) return {}
      this.#connectionId = this.#inbox.take(4).readUInt32BE(0)
      write = u32be(this.#connectionId)
    }
    if (this.#identityLengthBytes < 0 && this.#inbox.length >= 4) {
      this.#identityLengthBytes = this.#inbox.take(4).readUInt32BE(0)
      if (this.#identityLengthBytes === 0 || this.#identityLengthBytes > maxIdentityLengthBytes) {
        throw new ProtocolError(
          'ERR_HANDSHAKE_FAILED',
          `the dialer declared an identity of ${this.#identityLengthBytes} bytes; allowed are 1 to ${maxIdentityLengthBytes}${this.#perhapsTls()}`,
        )
      }
    }
    const step: HandshakeStep = write === undefined ? {} : { write }
    if (this.#identityLengthBytes < 0 || this.#inbox.length < this.#identityLengthBytes) return step
    const identity = decodeIdentity(this.#inbox.take(this.#identityLengthBytes))
    if (identity === undefined)
      throw new ProtocolError('ERR_HANDSHAKE_FAILED', 'the dialer sent an identity that is not UTF-8')
    this.#claim = { identity, linkIndex: this.#connectionId }
    return { ...step, claim: this.#claim }
  }

  /** Read as this handshake, a ClientHello is an odd connection id without an identity. */
  #perhapsTls(): string {
    const first = this.#connectionId < 0 ? this.#inbox.peekU32() : this.#connectionId
    return first >>> 8 === clientHelloBeginning
      ? '; it began as TLS does: the dialer speaks TLS, and this side does not'
      : ''
  }

  /** One buffer: a Rust dialer reads the answer with a single read, and three separate bytes fail it. */
  confirm(): { write: Buffer; rest: Buffer } {
    return { write: ok, rest: this.#inbox.rest() }
  }
}

function u32be(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value, 0)
  return bytes
}
