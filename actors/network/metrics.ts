/**
 * Owns: the figures returned by `network.metrics()`: plain data, computed on each call, with units in the names.
 * Independent of: who collects them, and how they are counted.
 */
import type { LinkCounters } from '../../protocol/link-core.ts'
import type { HeldMemory, LinkFigures } from '../../protocol/link-figures.ts'
import type { BaseLink } from '../link/base-links.ts'
import type { Services } from './services.ts'

/** Figures of a network, as plain JSON. Counters start with the network; all other figures are current. */
export interface NetworkMetrics {
  readonly identity: string
  readonly actors: number
  readonly deadlines: number
  /** Handles of the transport: sockets and listeners. */
  readonly handles: number
  /** The memory that the native links hold, out of `memoryBudgetBytes`. */
  readonly memory: HeldMemory & {
    readonly budgetBytes: number
    /** The total that is held. */
    readonly usedBytes: number
    /** Links that wait for memory to send or to read. */
    readonly waitingLinks: number
  }
  /** Messages that had no handler. */
  readonly messages: { readonly unhandled: number }
  readonly peers: readonly PeerMetrics[]
}

export interface PeerMetrics {
  readonly peer: string
  /** At least one link has a connection. */
  readonly isUp: boolean
  /** Requests to the peer that are not answered. */
  readonly requests: number
  /** The permanent links; none in mode `fail`, where each `makeSessions` call has its own. */
  readonly links: readonly LinkMetrics[]
}

export interface LinkMetrics extends LinkCounters {
  /** The number of the link: 0 to `connectionParallelism` - 1. */
  readonly linkIndex: number
  readonly isUp: boolean
  /** Null in the ampc dialect. */
  readonly native: LinkFigures | null
}

export function metricsOf(
  services: Services,
  resources: { readonly actors: number; readonly deadlines: number; readonly handles: number },
): NetworkMetrics {
  const { memory } = services
  return {
    identity: services.options.identity,
    ...resources,
    memory: {
      ...memory.held,
      budgetBytes: memory.budgetBytes,
      usedBytes: memory.usedBytes,
      waitingLinks: memory.waiting,
    },
    messages: { unhandled: services.messaging.messages.unhandled },
    peers: services.peers.ids().map((peer) => {
      const links = services.baseLinks.of(peer).map(linkMetrics)
      const requests = services.baseLinks.of(peer)[0]?.state.exchange?.outstanding ?? 0
      return { peer, isUp: links.some(({ isUp }) => isUp), requests, links }
    }),
  }
}

export function linkMetrics({ linkIndex, isReady, state }: BaseLink): LinkMetrics {
  return {
    linkIndex,
    isUp: isReady,
    ...state.counters,
    native: state.figures,
  }
}
