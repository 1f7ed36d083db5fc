/**
 * Owns: in the modes `reconnect` and `resume`, the permanent links to each peer, shared by all session groups, and
 * which of them are ready.
 * Independent of: the session groups that use them.
 */
import { StatewireError } from '../../codec/errors.ts'
import type { LinkCore } from '../../protocol/link-core.ts'
import { linksInUse } from '../../protocol/native/handshake/hello-checks.ts'
import type { ResolvedOptions } from '../config/options.ts'
import type { PeerTable } from '../config/peer-table.ts'

export interface BaseLink {
  readonly id: string
  readonly linkIndex: number
  readonly state: LinkCore
  isReady: boolean
}

export class BaseLinks {
  readonly #links = new Map<string, BaseLink[]>()
  readonly #watchers = new Set<() => void>()

  /** @param createState creates the state of one link, in the dialect of the network */
  constructor(options: ResolvedOptions, peers: PeerTable, createState: (peer: string, linkIndex: number) => LinkCore) {
    if (options.onConnectionLost === 'fail') return
    const open = (peer: string): void => {
      const links: BaseLink[] = []
      for (let linkIndex = 0; linkIndex < options.connectionParallelism; linkIndex++) {
        links.push({ id: `link:${linkIndex}`, linkIndex, state: createState(peer, linkIndex), isReady: false })
      }
      this.#links.set(peer, links)
    }
    for (const peer of peers.ids()) open(peer)
    peers.onChange({
      added: ({ id }) => open(id),
      removed: ({ id }) => {
        for (const { state } of this.of(id))
          state.close(new StatewireError('ERR_UNKNOWN_PEER', `${id} was removed from the peers of this network`))
        this.#links.delete(id)
        for (const watcher of this.#watchers) watcher()
      },
    })
  }

  of(peer: string): readonly BaseLink[] {
    return this.#links.get(peer) ?? []
  }

  /**
   * The links that both sides have. In the native dialect a peer announces its number of links in the hello on link 0.
   * Until then only link 0 is in use. In ampc all links are.
   */
  inUse(peer: string): readonly BaseLink[] {
    const links = this.of(peer)
    const state = links[0]?.state
    return state?.peerLinks === undefined ? links : links.slice(0, linksInUse(links.length, state.peerLinks))
  }

  isInUse(peer: string, linkIndex: number): boolean {
    return linkIndex >= this.of(peer).length || linkIndex < this.inUse(peer).length
  }

  /** The links that the peer does not have, or no longer has. */
  unused(peer: string): readonly BaseLink[] {
    const links = this.of(peer)
    const peerLinks = links[0]?.state.peerLinks ?? null
    return peerLinks === null ? [] : links.slice(peerLinks)
  }

  entries(): IterableIterator<[string, BaseLink[]]> {
    return this.#links.entries()
  }

  recordReady(peer: string, link: string, isReady: boolean): void {
    const found = this.#links.get(peer)?.find((candidate) => candidate.id === link)
    if (found === undefined) return
    found.isReady = isReady
    for (const watcher of this.#watchers) watcher()
  }

  /**
   * Calls back when a link becomes ready or stops being ready, a peer is removed, or the network ends.
   * @returns a function that removes the callback
   */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => void this.#watchers.delete(watcher)
  }

  areReady(peers: readonly string[]): boolean {
    return peers.every((peer) => this.inUse(peer).every((link) => link.isReady))
  }

  /** The network has ended, so the lanes of all links end with this error. */
  close(error: Error): void {
    for (const links of this.#links.values()) for (const { state } of links) state.close(error)
    for (const watcher of this.#watchers) watcher()
  }

  /**
   * Ids below `id` belong to sessions that exist or have ended. Frames for later ids are kept until their sessions
   * exist.
   */
  expectLanesFrom(id: number): void {
    for (const links of this.#links.values()) for (const { state } of links) state.expectLanesFrom?.(id)
  }
}
