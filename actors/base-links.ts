/**
 * Owns: in the modes `reconnect` and `resume`, the one set of links per peer that serves all batches, and which of them are ready.
 * Refuses to know: who uses them.
 */
import { LinkState } from '../protocol/link-state.ts'
import type { LinkCore } from '../protocol/link-core.ts'
import type { ResolvedOptions } from './options.ts'

export interface BaseLink {
  readonly id: string
  readonly connectionId: number
  readonly state: LinkCore
  isReady: boolean
}

export class BaseLinks {
  readonly #links = new Map<string, BaseLink[]>()
  /** Told when a link becomes ready or ceases to be. */
  onChange: (() => void) | null = null

  /** @param createState makes the state of one link, in the dialect of the network */
  constructor(options: ResolvedOptions, createState: (peer: string, connectionId: number) => LinkCore) {
    if (options.onConnectionLost === 'fail') return
    for (const peer of options.peers.keys()) {
      const links: BaseLink[] = []
      for (let connectionId = 0; connectionId < options.connectionParallelism; connectionId++) {
        links.push({ id: `link:${connectionId}`, connectionId, state: createState(peer, connectionId), isReady: false })
      }
      this.#links.set(peer, links)
    }
  }

  of(peer: string): readonly BaseLink[] {
    return this.#links.get(peer) ?? []
  }

  entries(): IterableIterator<[string, BaseLink[]]> {
    return this.#links.entries()
  }

  note(peer: string, link: string, isReady: boolean): void {
    const found = this.#links.get(peer)?.find((candidate) => candidate.id === link)
    if (found === undefined) return
    found.isReady = isReady
    this.onChange?.()
  }

  areReady(peers: readonly string[]): boolean {
    return peers.every((peer) => this.of(peer).every((link) => link.isReady))
  }

  /** The network has ended: so have the lanes of all links. */
  close(error: Error): void {
    for (const links of this.#links.values()) for (const { state } of links) state.close(error)
  }

  /** Sessions below are made or over; frames for later ones are kept until their sessions are made. */
  expectLanesFrom(id: number): void {
    for (const links of this.#links.values()) for (const { state } of links) if (state instanceof LinkState) state.expectLanesFrom(id)
  }
}
