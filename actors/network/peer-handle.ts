/**
 * Owns: the handle of one peer, which applications keep: what is known of the peer, and its desired state.
 * Independent of: how any of it is done (peers.ts).
 */
import type { CallOptions } from '../base/bounded.ts'
import type { PeerHandle } from '../base/peer-ref.ts'
import type { LinkMetrics } from './metrics.ts'
import type { DrainOptions, DrainReport } from './drain.ts'
import type { PeerFailure } from './peer-records.ts'

/**
 * - `connected`: at least one link has a connection. `suspect`: it has, and nothing was received for a while
 * - `connecting`: wanted, and not connected
 * - `idle`: connected on demand, and there is no demand
 * - `disconnected`: after `disconnect()`, until `connect()`
 * - `errored`: its actors failed too often; tried again after `limits.backoffMaxMs`
 * - `removed`: the handle is not valid any more
 */
export type PeerState = 'connected' | 'suspect' | 'connecting' | 'idle' | 'disconnected' | 'errored' | 'removed'

/** What a handle asks of its network. */
export interface PeerControl {
  stateOf(peer: string): PeerState
  urlsOf(peer: string): readonly string[]
  addressOf(peer: string): string | null
  rttMsOf(peer: string): number | null
  lastFailureOf(peer: string): PeerFailure | null
  linksOf(peer: string): readonly LinkMetrics[]
  connect(handle: Peer, options: CallOptions | undefined): Promise<void>
  disconnect(handle: Peer, options: DrainOptions | undefined): Promise<DrainReport>
  remove(handle: Peer, options: DrainOptions | undefined): Promise<DrainReport>
  reconnectNow(handle: Peer): void
}

/** A peer of this network. Equal ids give the same object, until the peer is removed. */
export class Peer implements PeerHandle {
  readonly id: string
  readonly #control: PeerControl
  #isRemoved = false

  /** @internal */
  constructor(id: string, control: PeerControl) {
    this.id = id
    this.#control = control
  }

  get isRemoved(): boolean {
    return this.#isRemoved
  }

  get state(): PeerState {
    return this.#isRemoved ? 'removed' : this.#control.stateOf(this.id)
  }

  /** Where this side dials it, in the order in which they are tried at first. */
  get urls(): readonly string[] {
    return this.#isRemoved ? [] : this.#control.urlsOf(this.id)
  }

  /** Where it is connected from or to: "192.0.2.7:15600"; null while it is not connected. */
  get address(): string | null {
    return this.#isRemoved ? null : this.#control.addressOf(this.id)
  }

  /** The last measured round trip in milliseconds; null before the first. */
  get rttMs(): number | null {
    return this.#isRemoved ? null : this.#control.rttMsOf(this.id)
  }

  /** How the last failed attempt to connect failed; null if none did. */
  get lastFailure(): PeerFailure | null {
    return this.#isRemoved ? null : this.#control.lastFailureOf(this.id)
  }

  get links(): readonly LinkMetrics[] {
    return this.#isRemoved ? [] : this.#control.linksOf(this.id)
  }

  /**
   * Wants the peer connected from now on, and resolves when it is. If the call ends earlier, the peer stays wanted.
   * @throws StatewireError ERR_ABORTED, ERR_TIMED_OUT with the last failure in its message, ERR_PEER_REMOVED, or the
   *   cause that prevents a connection
   */
  connect(options?: CallOptions): Promise<void> {
    return this.#control.connect(this, options)
  }

  /**
   * Wants the peer disconnected from now on: what was accepted is given `timeoutMs` to be acknowledged, then the peer
   * gets a Goodbye. Its dials are answered with `busy` until {@link connect}. What is sent meanwhile waits.
   * @throws StatewireError ERR_PEER_REMOVED, ERR_INVALID_OPTION, ERR_DIALECT_UNSUPPORTED, ERR_NETWORK_STOPPED
   */
  disconnect(options?: DrainOptions): Promise<DrainReport> {
    return this.#control.disconnect(this, options)
  }

  /** Dials now instead of after the back-off. Does nothing if the peer is connected, or not wanted. */
  reconnectNow(): void {
    this.#control.reconnectNow(this)
  }

  /**
   * Ends the relation: new calls for the peer are refused, what was accepted is given `timeoutMs` to be acknowledged,
   * then the peer gets a Goodbye, its sessions end, and it is forgotten. Later its dials are closed like those of a
   * stranger. A second call returns the same promise.
   * @throws StatewireError as {@link disconnect}
   */
  remove(options?: DrainOptions): Promise<DrainReport> {
    return this.#control.remove(this, options)
  }

  /** @internal */
  removed(): void {
    this.#isRemoved = true
  }

  /** Its id. */
  toString(): string {
    return this.id
  }

  toJSON(): object {
    const { id, state, urls, address, rttMs, lastFailure } = this
    return { id, state, urls, address, rttMs, lastFailure }
  }
}
