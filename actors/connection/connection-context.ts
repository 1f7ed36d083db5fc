/**
 * Owns: what connections and the listener need from their network.
 * Independent of: who provides it (services.ts) and of every layer above connections.
 */
import type { Dialect } from '../../protocol/dialect.ts'
import type { PeerAddresses } from '../../protocol/peer-addresses.ts'
import type { ActorHost } from '../statechart/chart-actor.ts'
import type { AcceptRegistry } from './accept-registry.ts'
import type { Environment } from '../base/environment.ts'
import type { NetworkEvent } from '../base/events.ts'
import type { ResolvedOptions } from '../config/options.ts'
import type { PeerTable } from '../config/peer-table.ts'

export interface ConnectionContext extends ActorHost {
  readonly environment: Environment
  readonly options: ResolvedOptions
  readonly dialect: Dialect
  /** The current peers. */
  readonly peers: PeerTable
  /** The inbound connections that links of this network are waiting for. */
  readonly acceptRegistry: AcceptRegistry
  /** The addresses from which peers have connected. */
  readonly peerAddresses: PeerAddresses
  emit(event: NetworkEvent): void
}
