/**
 * Owns: what links, their forwarders and the reconnector need of their network, in addition to what connections need.
 * Independent of: who provides it (services.ts), sessions and peers.
 */
import type { AnyActorRef } from '../../machines/xstate.ts'
import type { Cause } from '../base/causes.ts'
import type { BaseLinks } from './base-links.ts'
import type { ConnectionContext } from '../connection/connection-context.ts'
import type { NameLookups } from '../base/name-lookups.ts'
import type { WriteScheduler } from './write-scheduler.ts'

export interface LinkContext extends ConnectionContext {
  readonly writes: WriteScheduler
  readonly baseLinks: BaseLinks
  readonly lookups: NameLookups
  /** The current reconnector actor; null until the supervisor has started it. */
  readonly reconnector: AnyActorRef | null
  /** A dial failed, and the link has no other address to dial immediately. */
  connectFailed(peer: string, cause: Cause): void
}
