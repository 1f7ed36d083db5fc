/**
 * Owns: the two shapes in which a socket changes hands: an handover, from the connection that has heard a claim to the
 * link that the claim is for, and an authenticated pipe, which is what the link gets.
 * Independent of: how either comes about.
 */
import type { Claim, HandshakeFault } from '../../protocol/dialect.ts'
import type { LinkCore } from '../../protocol/link-core.ts'
import type { Pipe } from '../base/pipe.ts'

/** A pipe whose two sides have agreed. Paused; what comes next on it are frames. An inspector sees a word of it. */
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

  /** Bytes that came behind the handshake: they are frames already. */
  get rest(): Buffer {
    return this.#rest
  }

  toJSON(): string {
    return `<authenticated pipe to ${this.pipe.remoteAddress}>`
  }
}

/** A socket that has claimed a place and looks for its link: the link takes it, or nobody does and it is closed. */
export interface Handover {
  readonly claim: Claim
  readonly remoteAddress: string
  /**
   * Null: welcome. Asked before anything of the link changes.
   * @param hasSentHello whether a dial of this side's own has sent its hello
   */
  judge(state: LinkCore, hasSentHello: boolean): HandshakeFault | null
  /** The words for a refusal, where the dialect has any. */
  refusal(name: 'stopping' | 'busy' | 'not-allowed' | 'no-such-link' | 'self', message: string): HandshakeFault | null
  /** Tells the other side no, and why. */
  refuse(fault: HandshakeFault): void
  /** Tells the other side yes and gives the pipe up. Once. @returns undefined if the pipe is gone */
  take(state: LinkCore): AuthenticatedPipe | undefined
}
