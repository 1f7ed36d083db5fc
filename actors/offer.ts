/**
 * Owns: the shapes in which a socket changes hands: from the connection that shook hands to the link that was asked for, and from a
 * connection to the pumps of its link.
 * Refuses to know: how any of them come about.
 */
import type { AcceptorHandshake, Claim, HandshakeFault } from '../protocol/dialect.ts'
import type { LinkCore } from '../protocol/link-core.ts'
import type { Pipe } from './pipe.ts'

/** What an authenticated connection hands to its link. */
export interface OpenPipe {
  readonly pipe: Pipe
  /** What the handshake agreed on, for the link's state. */
  readonly agreed: unknown
  /** The answer to the hello, if it has not left yet: it goes first, and in one write with what the link has to say at once. */
  readonly greeting: Buffer | null
  /** Bytes that came behind the handshake: they are frames. */
  readonly rest: Buffer
}

/** A socket that has claimed a place and looks for its link; the link takes it, or nobody does and it is closed. */
export interface Offer {
  readonly claim: Claim
  readonly remoteAddress: string
  /** Null: welcome. Asked before anything of the link changes. */
  judge(state: LinkCore, hasOwnDialGreeted: boolean): HandshakeFault | null
  /** The words for a refusal, where the dialect has any. */
  refusal(name: 'stopping' | 'busy' | 'not-allowed' | 'no-such-link' | 'self', message: string): HandshakeFault | null
  /** Tells the other side no, and why. */
  refuse(fault: HandshakeFault): void
  /** Tells the other side yes, before anything else of the hand-over. Once, before it is taken; by whoever takes it. */
  answer(state: LinkCore): void
  /** Once. @returns undefined if it is gone */
  take(): ClaimedPipe | undefined
}

export interface ClaimedPipe {
  readonly pipe: Pipe
  readonly claim: Claim
  readonly handshake: AcceptorHandshake
  /** What was agreed, if the answer has left already. */
  readonly answered: Answered | null
  readonly deadlineAtMs: number
}

/** What was agreed on a connection whose answer has left. */
export interface Answered {
  readonly agreed: unknown
  readonly rest: Buffer
}
