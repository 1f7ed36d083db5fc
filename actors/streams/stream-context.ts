/**
 * Owns: what streams need from their network.
 * Independent of: who provides it (network/services.ts).
 */
import type { AnyEventObject } from '../../machines/xstate.ts'
import type { PeerTable } from '../config/peer-table.ts'
import type { SessionContext } from '../session/session-context.ts'

export interface StreamContext extends SessionContext {
  readonly peers: PeerTable
  /** Something is to be sent to the peer: it is connected if it is connected on demand. */
  wantPeer(peer: string): void
  /** An event for the actor of a peer. */
  notifyPeer(peer: string, event: AnyEventObject): void
}
