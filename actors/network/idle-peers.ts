/**
 * Owns: when peers that are connected on demand are disconnected again: after a while without use, unless the peer asks
 * for the connection to stay.
 * Independent of: how a peer is connected and disconnected (peers.ts).
 *
 * A transfer costs nothing: at each deadline the counts of the links are compared with those of the last one.
 */
import type { BaseLinks } from '../link/base-links.ts'
import type { NetworkEvent } from '../base/events.ts'
import type { Deadline, TimerWheel } from '../base/timer-wheel.ts'
import type { PeerTable } from '../config/peer-table.ts'

export interface IdlePeersOptions {
  readonly peers: PeerTable
  readonly baseLinks: BaseLinks
  readonly wheel: TimerWheel
  readonly idleTimeoutMs: number
  /** The peer has not been used. */
  readonly rest: (peer: string) => void
}

/** Looks in one idle time-out: a peer is disconnected at most a quarter late. */
const looksPerTimeout = 4

interface Watched {
  readonly deadline: Deadline
  readonly carriedFrames: number
  /** Looks in a row without any use. */
  readonly idleLooks: number
}

export class IdlePeers {
  readonly #options: IdlePeersOptions
  readonly #watched = new Map<string, Watched>()

  constructor(options: IdlePeersOptions) {
    this.#options = options
  }

  /** Called before an event is passed on. */
  follow(event: NetworkEvent): void {
    if (event.type === 'connection.opened') this.#watch(event.peer)
    else if (event.type === 'link.reset' && event.reason === 'goodbye' && event.linkIndex === 0) this.#left(event.peer)
    else if (event.type === 'peer.removed') this.#forget(event.peer)
  }

  #isOnDemand(peer: string): boolean {
    return this.#options.peers.get(peer)?.connect === 'on-demand'
  }

  #watch(peer: string): void {
    if (!this.#watched.has(peer) && this.#isOnDemand(peer)) this.#arm(peer, this.#carriedFrames(peer), 0)
  }

  #arm(peer: string, carriedFrames: number, idleLooks: number): void {
    const { wheel, idleTimeoutMs } = this.#options
    const deadline = wheel.schedule(idleTimeoutMs / looksPerTimeout, () => this.#look(peer))
    this.#watched.set(peer, { deadline, carriedFrames, idleLooks })
  }

  #look(peer: string): void {
    const { baseLinks, rest } = this.#options
    const before = this.#watched.get(peer)
    this.#watched.delete(peer)
    const links = baseLinks.of(peer)
    if (!links.some(({ state }) => state.isConnected)) return
    const carriedFrames = this.#carriedFrames(peer)
    const isKept = links.some(({ state }) => state.isConnected && state.use?.isKeptByPeer !== false)
    const isUnused = before?.carriedFrames === carriedFrames && !isKept && this.#isIdle(peer)
    const idleLooks = isUnused ? before.idleLooks + 1 : 0
    if (idleLooks === looksPerTimeout) rest(peer)
    else this.#arm(peer, carriedFrames, idleLooks)
  }

  /** The peer has left, for lack of use on its side: this side does not dial it before it has something to send. */
  #left(peer: string): void {
    this.#forget(peer)
    const resolved = this.#options.peers.get(peer)
    if (resolved?.desired === 'wanted' && this.#isOnDemand(peer) && this.#isIdle(peer)) resolved.desired = 'idle'
  }

  #isIdle(peer: string): boolean {
    return this.#options.baseLinks.of(peer).every(({ state }) => state.use?.isIdle !== false)
  }

  #carriedFrames(peer: string): number {
    return this.#options.baseLinks.of(peer).reduce((sum, { state }) => sum + (state.use?.carriedFrames ?? 0), 0)
  }

  #forget(peer: string): void {
    this.#watched.get(peer)?.deadline.cancel()
    this.#watched.delete(peer)
  }
}
