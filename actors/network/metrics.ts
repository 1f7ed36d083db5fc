/**
 * Owns: the snapshot of figures that `network.metrics()` gives: plain, computed when asked for, units in the names.
 * Refuses to know: who collects it, and how the figures come about.
 */
import type { LinkCounters } from '../../protocol/link-core.ts'
import type { HeldMemory, LinkFigures } from '../../protocol/link-figures.ts'
import type { BaseLink } from '../link/base-links.ts'
import type { Services } from './services.ts'

/** Counters grow from the start of the network on; everything else is of this moment. All of it is plain JSON. */
export interface NetworkMetrics {
  readonly identity: string
  readonly actors: number
  readonly deadlines: number
  /** Of the transport: sockets and listeners. */
  readonly handles: number
  /** What the native links hold together of `memoryBudgetBytes`. */
  readonly memory: HeldMemory & {
    readonly budgetBytes: number
    /** The sum of what is held. */
    readonly usedBytes: number
    /** Links that wait for room, to send or to read on. */
    readonly waitingLinks: number
  }
  readonly peers: readonly PeerMetrics[]
}

export interface PeerMetrics {
  readonly peer: string
  /** Any of its links has a connection. */
  readonly isUp: boolean
  /** Those that outlive connections; none in mode `fail`, where each batch has its own. */
  readonly links: readonly LinkMetrics[]
}

export interface LinkMetrics extends LinkCounters {
  /** Its number: 0 to `connectionParallelism` - 1. */
  readonly connectionId: number
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
    peers: services.peers.ids().map((peer) => {
      const links = services.baseLinks.of(peer).map(linkMetrics)
      return { peer, isUp: links.some(({ isUp }) => isUp), links }
    }),
  }
}

function linkMetrics({ connectionId, isReady, state }: BaseLink): LinkMetrics {
  return {
    connectionId,
    isUp: isReady,
    ...state.counters,
    native: state.figures,
  }
}
