/**
 * Owns: the part of the facade for peers that change at run time.
 * Independent of: how it is done (peers.ts), messages and sessions.
 */
import type { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { bounded } from '../base/bounded.ts'
import type { CallOptions } from '../base/bounded.ts'
import { checkCall, invalid } from '../base/checks.ts'
import type { PeerRef } from '../base/peer-ref.ts'
import type { PeerOption } from '../config/options.ts'
import { NetworkStreams } from './network-streams.ts'
import type { Peer } from './peer-handle.ts'
import { Dials } from './dial.ts'
import { Peers } from './peers.ts'
import type { AllowedReport } from './peers.ts'
import type { Services } from './services.ts'

export interface ReadyOptions extends CallOptions {
  /** Also wait until so many peers are connected; `'all'`: every peer that this side wants connected. */
  readonly peers?: number | 'all' | undefined
}

export abstract class NetworkPeers extends NetworkStreams {
  readonly #peers: Peers
  readonly #dials: Dials

  protected constructor(
    services: Services,
    checkRunning: () => void,
    abortCalls: (error: StatewireError, peer: string) => void,
  ) {
    super(services)
    this.#peers = new Peers(services, checkRunning, abortCalls)
    this.#dials = new Dials(services, this.#peers, checkRunning)
    services.endDials = (error) => {
      this.#dials.end(error)
      this.#peers.end(error)
    }
    services.wantPeer = (peer) => this.#peers.want(peer)
    services.restPeer = (peer) => this.#peers.rest(peer)
  }

  /** The peers, as handles; each has an `id`. */
  get peers(): readonly Peer[] {
    return this.#peers.all
  }

  /** The handle of a peer; undefined if it is not a peer of this network. */
  peer(id: PeerRef): Peer | undefined {
    return this.#peers.get(id)
  }

  /**
   * Adds a peer and begins to connect to it. For a peer that exists, its new URLs are added to those it has.
   *
   * ```ts
   * const bob = network.add({ id: bobId, urls: ['tls://bob.example:15600', 'tls://[2001:db8::7]:15600'] })
   * ```
   * @throws StatewireError ERR_INVALID_OPTION, ERR_INVALID_URL, ERR_INVALID_PEER_ID, ERR_MEMORY_BUDGET,
   *   ERR_PEER_DRAINED while the peer is being removed, ERR_NETWORK_STOPPED, ERR_DIALECT_UNSUPPORTED
   */
  add(peer: PeerOption): Peer {
    return this.#peers.add(peer)
  }

  /**
   * Dials an address without knowing who is there. Whoever proves an allowed key that is not connected yet is the peer;
   * the address is added to its URLs. Needs TLS.
   *
   * ```ts
   * const peer = await network.dial('tls://192.0.2.7:15600', { timeoutMs: 5_000 })
   * ```
   * @throws StatewireError ERR_UNEXPECTED_PEER, which names the key that answered; ERR_TIMED_OUT, ERR_ABORTED,
   *   ERR_INVALID_URL, ERR_NETWORK_STOPPED, ERR_DIALECT_UNSUPPORTED, or why the address could not be reached
   */
  dial(url: string, options?: CallOptions): Promise<Peer> {
    return this.#dials.dial(url, options)
  }

  /**
   * Sets who may be connected, in one step: peers that are not in the list are cut off with a reason, and ids that are
   * new become peers without URLs, which may dial this side.
   * @throws StatewireError as {@link add}; then nothing has changed
   */
  setAllowed(ids: readonly string[]): AllowedReport {
    return this.#peers.setAllowed(ids)
  }

  /** Waits until enough peers are connected. */
  protected async peersReady(
    options: ReadyOptions,
    whenEnded: (fail: (error: Error) => void) => () => void,
  ): Promise<void> {
    checkCall(options, 'ready', ['peers', 'signal', 'timeoutMs'])
    const { peers } = options
    if (peers === undefined) return
    if (peers !== 'all' && (!Number.isSafeInteger(peers) || peers < 0))
      throw invalid(`peers of ready must be a whole number or 'all', got ${formatValue(peers)}`)
    const { baseLinks, peers: table } = this.internals
    const missing = (): string[] =>
      table.ids().filter((id) => table.get(id)?.desired === 'wanted' && !baseLinks.areReady([id]))
    const isEnough = (): boolean =>
      peers === 'all'
        ? missing().length === 0
        : table.ids().filter((id) => baseLinks.of(id).length > 0 && baseLinks.areReady([id])).length >= peers
    if (isEnough()) return
    let unwatch = (): void => {}
    let stop = (): void => {}
    try {
      await bounded<void>(
        this.internals,
        { signal: options.signal, timeoutMs: options.timeoutMs ?? this.internals.options.limits.makeSessionsTimeoutMs },
        'ERR_TIMED_OUT',
        `${peers === 'all' ? 'not all peers were' : `fewer than ${peers} peers were`} connected`,
        (resolve, reject) => {
          unwatch = baseLinks.watch(() => {
            if (isEnough()) resolve()
          })
          stop = whenEnded(reject)
          return () => {}
        },
        () =>
          missing()
            .map((id) => `; ${id}${this.internals.explainNotConnected(id)}`)
            .join(''),
      )
    } finally {
      unwatch()
      stop()
    }
  }
}
