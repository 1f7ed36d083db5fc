/**
 * Owns: dialling an address without an id: whoever answers there must be an allowed peer that is not connected.
 * Independent of: how a peer is added and connected (peers.ts), and of TLS.
 */
import { StatewireError } from '../../codec/errors.ts'
import { bounded } from '../base/bounded.ts'
import type { CallOptions } from '../base/bounded.ts'
import { checkCall } from '../base/checks.ts'
import { parseUrl } from '../config/urls.ts'
import { Identification } from './identify.ts'
import type { Peer } from './peer-handle.ts'
import type { Peers } from './peers.ts'
import type { Services } from './services.ts'

export class Dials {
  readonly #services: Services
  readonly #peers: Peers
  readonly #checkRunning: () => void
  /** Calls for the same URL share what is found out. */
  readonly #running = new Map<string, Promise<Peer>>()
  readonly #identifications = new Set<Identification>()

  constructor(services: Services, peers: Peers, checkRunning: () => void) {
    this.#services = services
    this.#peers = peers
    this.#checkRunning = checkRunning
  }

  async dial(url: string, options: CallOptions | undefined): Promise<Peer> {
    checkCall(options, 'dial')
    this.#checkRunning()
    const { options: own } = this.#services
    if (own.dialect !== 'native')
      throw new StatewireError('ERR_DIALECT_UNSUPPORTED', 'dial needs keys: in the ampc dialect peers are configured')
    parseUrl(url, 'the url of dial', own.security)
    const { dialTimeoutMs, handshakeTimeoutMs } = own.limits
    const timeoutMs = options?.timeoutMs ?? 2 * (dialTimeoutMs + handshakeTimeoutMs)
    return bounded<Peer>(
      this.#services,
      { signal: options?.signal, timeoutMs },
      'ERR_TIMED_OUT',
      `${url} was not connected`,
      (resolve, reject) => {
        this.#shared(url, timeoutMs).then(resolve, reject)
        return () => {}
      },
    )
  }

  #shared(url: string, timeoutMs: number): Promise<Peer> {
    const known = this.#running.get(url)
    if (known !== undefined) return known
    const dialling = this.#dial(url, timeoutMs).finally(() => this.#running.delete(url))
    this.#running.set(url, dialling)
    return dialling
  }

  async #dial(url: string, timeoutMs: number): Promise<Peer> {
    const id = await this.#identify(url, timeoutMs)
    this.#checkRunning()
    this.#checkFound(url, id)
    const peer = this.#peers.add({ id, urls: url })
    await peer.connect({ timeoutMs })
    return peer
  }

  async #identify(url: string, timeoutMs: number): Promise<string> {
    const { environment, lookups, options, wheel } = this.#services
    const { highWaterMarkBytes } = options.limits
    const identification = new Identification({ environment, lookups, highWaterMarkBytes })
    this.#identifications.add(identification)
    const deadline = wheel.schedule(timeoutMs, () =>
      identification.cancel(new StatewireError('ERR_TIMED_OUT', `${url} proved no key within ${timeoutMs} ms`)),
    )
    try {
      return await identification.run(parseUrl(url, 'the url of dial', options.security))
    } finally {
      deadline.cancel()
      this.#identifications.delete(identification)
    }
  }

  /** @throws StatewireError ERR_UNEXPECTED_PEER */
  #checkFound(url: string, id: string): void {
    const { options, peers } = this.#services
    const why =
      id === options.identity
        ? 'this side itself'
        : !peers.isAllowed(id)
          ? `${id}, which is not an allowed peer of this network: add it, or list it in setAllowed`
          : this.#peers.stateOf(id) === 'connected'
            ? `${id}, which is connected already`
            : null
    if (why !== null) throw new StatewireError('ERR_UNEXPECTED_PEER', `${url} proved to be ${why}`)
  }

  /** The network is shutting down: no socket of a dial stays open. */
  end(error: Error): void {
    for (const identification of this.#identifications) identification.cancel(error)
  }
}
