/**
 * Owns: what sessions and the calls that make them need of their network, beyond what links need.
 * Independent of: who provides it (services.ts), and of the facade.
 */
import type { SessionNumbering } from '../../protocol/ampc/session-numbering.ts'
import type { Cause } from '../base/causes.ts'
import type { LinkContext } from '../link/link-context.ts'
import type { KeyedQueue } from './keyed-queue.ts'

/** A call that waits for connections with peers. */
export interface WaitingCall {
  readonly peers: readonly string[]
  /** The peer will not be connected until something is changed. */
  connectFailed(peer: string, cause: Cause): void
}

export interface SessionContext extends LinkContext {
  readonly callQueue: KeyedQueue
  readonly numbering: SessionNumbering
  /** Calls that are not complete yet; only they need to know which links are ready. */
  readonly waitingCalls: Set<WaitingCall>
  /** Why the network failed; null as long as it has not. */
  readonly failure: Cause | null
  /** Why a peer is not connected, in parentheses, for the end of an error message; or ''. @param links the connection ids that are missing; all if not given */
  explainNotConnected(peer: string, links?: ReadonlySet<number>): string
  /** The cause that keeps a peer from connecting until something is changed; null if there is none. */
  fatalCauseOf(peer: string): Cause | null
  /** What a send to the peer waits for, for the end of an error message. */
  explainNotSent(peer: string, isConnected: boolean): string
}
