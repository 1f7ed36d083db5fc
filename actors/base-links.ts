/**
 * Owns: in mode `reconnect`, the one set of links per peer that serves all batches, and which of them are ready.
 * Refuses to know: who uses them.
 */
import { LinkState } from '../protocol/link-state.ts'
import type { Dialect } from '../protocol/dialect.ts'
import type { ResolvedOptions } from './options.ts'

export interface BaseLink {
  readonly id: string
  readonly connectionId: number
  readonly state: LinkState
  isReady: boolean
}

export class BaseLinks {
  readonly #links = new Map<string, BaseLink[]>()
  /** Told when a link becomes ready or ceases to be. */
  onChange: (() => void) | null = null

  constructor(options: ResolvedOptions, dialect: Dialect) {
    if (options.onConnectionLost !== 'reconnect') return
    for (const peer of options.peers.keys()) {
      const links: BaseLink[] = []
      for (let connectionId = 0; connectionId < options.connectionParallelism; connectionId++) {
        const state = new LinkState(dialect.sessions(options.limits.maxMessageLengthBytes), options.limits)
        state.expectLanesFrom(0)
        links.push({ id: `link:${connectionId}`, connectionId, state, isReady: false })
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
    for (const links of this.#links.values()) for (const link of links) link.state.expectLanesFrom(id)
  }
}
