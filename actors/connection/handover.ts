/**
 * Owns: the two forms in which a socket changes owners: a handover, from the listener's connection to the claimed link,
 * and the authenticated pipe that the link receives.
 * Independent of: how either is created.
 */
import type { Claim, HandshakeFault, HandshakeRefusal } from '../../protocol/dialect.ts'
import type { LinkCore } from '../../protocol/link-core.ts'
import type { Pipe } from '../base/pipe.ts'

/** A pipe after its handshake. It is paused, and only frames follow. Inspectors see its address only. */
export class AuthenticatedPipe {
  readonly pipe: Pipe
  readonly #agreed: unknown
  readonly #rest: Buffer

  constructor(pipe: Pipe, agreed: unknown, rest: Buffer) {
    this.pipe = pipe
    this.#agreed = agreed
    this.#rest = rest
  }

  /** What the handshake agreed on, for the state of the link. */
  get agreed(): unknown {
    return this.#agreed
  }

  /** Bytes received after the handshake; they are frames. */
  get rest(): Buffer {
    return this.#rest
  }

  toJSON(): string {
    return `<authenticated pipe to ${this.pipe.remoteAddress}>`
  }
}

/** A socket that has claimed a link. The link takes it, or it is closed. */
export interface Handover {
  readonly claim: Claim
  readonly remoteAddress: string
  /**
   * Decides whether the link accepts the connection, before the link is changed. Null means yes.
   * @param hasSentHello whether a dial of this side has sent its hello
   */
  judge(state: LinkCore, hasSentHello: boolean): HandshakeFault | null
  /** The refusal to write; null if the dialect cannot express it. */
  refusal(name: HandshakeRefusal, message: string): HandshakeFault | null
  /** Refuses the connection and sends the reason. */
  refuse(fault: HandshakeFault): void
  /**
   * Accepts the connection and gives up the pipe. Call it once.
   * @returns undefined if the pipe is closed
   */
  take(state: LinkCore): AuthenticatedPipe | undefined
}
