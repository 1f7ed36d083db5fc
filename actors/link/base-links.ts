/**
 * Owns: in the modes `reconnect` and `resume`, the one set of links per peer that serves all batches, and which of them are ready.
 * Refuses to know: who uses them.
 */
import { StatewireError } from '../../codec/errors.ts'
import type { LinkCore } from '../../protocol/link-core.ts'
import { linksInUse } from '../../protocol/native/handshake/hello-checks.ts'
import type { ResolvedOptions } from '../config/options.ts'
import type { PeerTable } from '../config/peer-table.ts'

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
  constructor(
    options: ResolvedOptions,
    peers: PeerTable,
    createState: (peer: string, connectionId: number) => LinkCore,
  ) {
    if (options.onConnectionLost === 'fail') return
    const open = (peer: string): void => {
      const links: BaseLink[] = []
      for (let connectionId = 0; connectionId < options.connectionParallelism; connectionId++) {
        links.push({ id: `link:${connectionId}`, connectionId, state: createState(peer, connectionId), isReady: false })
      }
      this.#links.set(peer, links)
    }
    for (const peer of peers.ids()) open(peer)
    peers.onChange({
      added: ({ id }) => open(id),
      removed: ({ id }) => {
        for (const { state } of this.of(id))
          state.close(new StatewireError('ERR_UNKNOWN_PEER', `${id} is not a peer of this network any more`))
        this.#links.delete(id)
      },
    })
  }

  of(peer: string): readonly BaseLink[] {
    return this.#links.get(peer) ?? []
  }

  /**
   * Those that both sides have. In the native dialect a peer tells how many it has in its hello on link 0: until then only that
   * one, then the first of them. Elsewhere all.
   */
  inUse(peer: string): readonly BaseLink[] {
    const links = this.of(peer)
    const state = links[0]?.state
    return state?.peerLinks === undefined ? links : links.slice(0, linksInUse(links.length, state.peerLinks))
  }

  isInUse(peer: string, connectionId: number): boolean {
    return connectionId >= this.of(peer).length || connectionId < this.inUse(peer).length
  }

  /** Those that the peer has not, or not any more. */
  unused(peer: string): readonly BaseLink[] {
    const links = this.of(peer)
    const peerLinks = links[0]?.state.peerLinks ?? null
    return peerLinks === null ? [] : links.slice(peerLinks)
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
    return peers.every((peer) => this.inUse(peer).every((link) => link.isReady))
  }

  /** The network has ended: so have the lanes of all links. */
  close(error: Error): void {
    for (const links of this.#links.values()) for (const { state } of links) state.close(error)
  }

  /** Sessions below are made or over; frames for later ones are kept until their sessions are made. */
  expectLanesFrom(id: number): void {
    for (const links of this.#links.values()) for (const { state } of links) state.expectLanesFrom?.(id)
  }
}
