/**
 * Owns: what a link is created from: its number, its state, and what it needs from its network.
 * Independent of: what the link does with it.
 */
import type { LinkCore } from '../../protocol/link-core.ts'
import type { OnConnectionLost, ResolvedPeer } from '../config/options.ts'
import type { LinkContext } from './link-context.ts'

export interface LinkSpec {
  readonly id: string
  readonly linkIndex: number
  /** Outlives connections, and crashes of the link's actor. */
  readonly state: LinkCore
  readonly onConnectionLost: OnConnectionLost
}

export interface LinkInput {
  readonly context: LinkContext
  readonly peer: ResolvedPeer
  readonly spec: LinkSpec
}
