/**
 * Owns: what sessions, and the calls that create them, need from their network in addition to what links need.
 * Independent of: who provides it (services.ts), and of the facade.
 */
import type { SessionNumbering } from '../../protocol/ampc/session-numbering.ts'
import type { Cause } from '../base/causes.ts'
import type { LinkContext } from '../link/link-context.ts'
import type { NativeSetup } from './native-setup.ts'
import type { KeyedQueue } from './keyed-queue.ts'

/** A call that waits for connections to peers. */
export interface WaitingCall {
  readonly peers: readonly string[]
  /** The peer cannot be connected without a change of configuration. */
  connectFailed(peer: string, cause: Cause): void
}

export interface SessionContext extends LinkContext {
  /** In ampc: the order of calls, and the ids of their sessions. */
  readonly callQueue: KeyedQueue
  readonly numbering: SessionNumbering
  /** In native: how calls find those of the peers. Null in ampc. */
  readonly setup: NativeSetup | null
  /** Calls in progress. Only these are notified when links become ready. */
  readonly waitingCalls: Set<WaitingCall>
  /** Why the network failed; null if it has not. */
  readonly failure: Cause | null
  /**
   * Explains why a peer is not connected, in parentheses, for the end of an error message; '' if there is no
   * explanation.
   * @param links the connection ids that are missing; all by default
   */
  explainNotConnected(peer: string, links?: ReadonlySet<number>): string
  /** The cause that prevents a connection to the peer until the configuration changes; null if there is none. */
  fatalCauseOf(peer: string): Cause | null
  /** Explains why a send to the peer waits, for the end of an error message. */
  explainNotSent(peer: string, isConnected: boolean): string
}
