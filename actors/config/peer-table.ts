/**
 * Owns: the current peers of one network, in one table that is read wherever peers matter.
 * Independent of: actors, connections and memory. Code that must follow a change registers with `onChange`.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import type { ResolvedPeer } from './options.ts'

/**
 * Called after each change with the current table. For `added` it may throw to refuse the peer, which is then not
 * added.
 */
export interface PeerTableListener {
  added?(peer: ResolvedPeer): void
  removed?(peer: ResolvedPeer): void
}

export class PeerTable {
  readonly #peers = new Map<string, ResolvedPeer>()
  readonly #leaving = new Map<string, 'drains' | 'cut'>()
  readonly #listeners = new Set<PeerTableListener>()

  constructor(peers: Iterable<ResolvedPeer>) {
    for (const peer of peers) this.#peers.set(peer.id, peer)
  }

  get size(): number {
    return this.#peers.size
  }

  /** Calls may name it. */
  has(id: string): boolean {
    return this.#peers.has(id) && !this.#leaving.has(id)
  }

  /** It may connect: also while it is removed, to get what was accepted for it, unless it was cut off. */
  isAllowed(id: string): boolean {
    return this.#peers.has(id) && this.#leaving.get(id) !== 'cut'
  }

  /** It is being removed: no call may name it any more. */
  leave(id: string, how: 'drains' | 'cut'): void {
    if (this.#peers.has(id)) this.#leaving.set(id, how)
  }

  isLeaving(id: string): boolean {
    return this.#leaving.has(id)
  }

  get(id: string): ResolvedPeer | undefined {
    return this.#peers.get(id)
  }

  /** Those that calls may name. */
  ids(): string[] {
    return this.#leaving.size === 0 ? [...this.#peers.keys()] : [...this.#peers.keys()].filter((id) => this.has(id))
  }

  values(): IterableIterator<ResolvedPeer> {
    return this.#peers.values()
  }

  /**
   * Registers a listener. Listeners are called in order of registration.
   * @returns a function that removes this listener
   */
  onChange(listener: PeerTableListener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /**
   * Adds a peer. If a listener refuses it, the listeners called before are notified of its removal.
   * @throws StatewireError what the listener threw, such as ERR_MEMORY_BUDGET, or ERR_INVALID_OPTION for a peer that is
   *   in the table
   */
  add(peer: ResolvedPeer): void {
    if (this.#peers.has(peer.id))
      throw new StatewireError('ERR_INVALID_OPTION', `${formatValue(peer.id)} is a peer of this network already`)
    this.#peers.set(peer.id, peer)
    const called: PeerTableListener[] = []
    try {
      for (const listener of this.#listeners) {
        listener.added?.(peer)
        called.push(listener)
      }
    } catch (error) {
      this.#peers.delete(peer.id)
      for (const listener of called.toReversed()) listener.removed?.(peer)
      throw error
    }
  }

  /**
   * Removes a peer.
   * @returns whether it was in the table
   */
  remove(id: string): boolean {
    const peer = this.#peers.get(id)
    if (peer === undefined) return false
    this.#peers.delete(id)
    this.#leaving.delete(id)
    for (const listener of [...this.#listeners].toReversed()) listener.removed?.(peer)
    return true
  }
}
