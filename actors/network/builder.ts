/**
 * Owns: the builder API that follows the Rust ampc crate: a builder collects peers, `build` returns a Reconnector and
 * the connections, and a TcpNetworkHandle makes sessions over them.
 * Independent of: how any of it works; it is a thin layer over Network.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { onAbort } from '../base/abort-listeners.ts'
import { errorOf } from '../base/causes.ts'
import type { PeerRef } from '../base/peer-ref.ts'
import { checkCall, checkFunction, checkObject, invalid } from '../base/checks.ts'
import { checkRuntime } from '../config/runtime-options.ts'
import { createNetwork } from './create-network.ts'
import type { NetworkRuntimeOptions } from './create-network.ts'
import type { Network } from './network.ts'
import type { MakeSessionsOptions, OpenControlChannelOptions, Sessions } from './session-calls.ts'
import type { ControlChannel } from '../session/control-channel.ts'
import type { AmpcPlaintextConfig, AmpcTlsConfig, PeerOption } from '../config/options.ts'
import { supervisorServices } from './supervisor.ts'
import type { Services } from './services.ts'
import type { WaitingCall } from '../session/session-context.ts'

/** AmpcConfig without the peers, which are added with `includePeer`. */
export type BuilderConfig = Omit<AmpcTlsConfig, 'peers'> | Omit<AmpcPlaintextConfig, 'peers'>

export interface BuildOptions {
  readonly signal?: AbortSignal | undefined
  /** The time limit in milliseconds for binding the port and, in mode `reconnect`, for connecting to all peers. */
  readonly timeoutMs?: number | undefined
}

export interface BuiltPeers {
  readonly reconnector: Reconnector
  readonly connections: PeerConnections
}

export class PeerConnectionBuilder {
  readonly #config: BuilderConfig
  readonly #runtime: NetworkRuntimeOptions
  readonly #peers: PeerOption[] = []
  #isBuilt = false

  /** @throws StatewireError ERR_INVALID_OPTION; `build` checks the rest of the configuration */
  constructor(config: BuilderConfig, runtime: NetworkRuntimeOptions = {}) {
    checkObject(config, 'the configuration')
    if ('peers' in config) throw invalid('peers is not an option of the builder: add each peer with includePeer')
    checkRuntime(runtime)
    this.#config = config
    this.#runtime = runtime
  }

  /**
   * Adds a peer.
   * @param urls needed for peers that this side dials; connections from peers that are not included are closed
   */
  includePeer(id: string, urls?: string | readonly string[]): this {
    if (this.#isBuilt) throw invalid(`${formatValue(id)} cannot be included after build was called`)
    this.#peers.push(urls === undefined ? { id } : { id, urls })
    return this
  }

  /**
   * Starts the network. In mode `reconnect` it resolves when all connections are up. In mode `fail` it resolves when
   * the port is bound, because each `makeSessions` call opens its own connections.
   * @throws StatewireError like createNetwork and Network.ready, ERR_TIMED_OUT, ERR_ABORTED; everything is closed again
   *   then
   */
  async build(options: BuildOptions = {}): Promise<BuiltPeers> {
    checkCall(options, 'build')
    if (this.#isBuilt) throw invalid('build was already called on this builder; create another one')
    this.#isBuilt = true
    const network = createNetwork({ ...this.#config, peers: this.#peers }, this.#runtime)
    const services = supervisorServices(network.ref) as Services
    try {
      await network.ready()
      await waitForConnections(network, services, options)
    } catch (error) {
      await network.shutdown()
      throw error
    }
    return { reconnector: new Reconnector(network), connections: new PeerConnections(network) }
  }
}

/** Keeps the connections alive. Stopping it shuts the network down. */
export class Reconnector {
  readonly #network: Network
  constructor(network: Network) {
    this.#network = network
  }

  /**
   * Calls `listener` whenever a lost connection is re-established.
   * @returns a function that removes the listener
   */
  onReconnected(listener: (peer: string) => void): () => void {
    checkFunction(listener, 'the listener of onReconnected')
    const lost = new Set<string>()
    const offLost = this.#network.on('connection.lost', ({ peer, link }) => void lost.add(`${peer} ${link}`))
    const offOpened = this.#network.on('connection.opened', ({ peer, link }) => {
      if (lost.delete(`${peer} ${link}`)) listener(peer)
    })
    return () => {
      offLost()
      offOpened()
    }
  }

  /**
   * Re-establishes the connections to a peer: what waits for the back-off dials now. Resolves when all of them are up.
   * Other peers are not affected.
   * @throws StatewireError ERR_UNKNOWN_PEER, ERR_TIMED_OUT, ERR_ABORTED, ERR_NETWORK_STOPPED, or the cause that
   *   prevents a connection; ERR_DIALECT_UNSUPPORTED in mode `fail`, where each `makeSessions` has its own connections
   */
  async reconnect(peer: PeerRef, options: BuildOptions = {}): Promise<void> {
    const handle = this.#network.peer(peer)
    if (handle === undefined)
      throw new StatewireError('ERR_UNKNOWN_PEER', `${formatValue(peer)} is not a peer of this network`)
    handle.reconnectNow()
    await handle.connect(options)
  }

  stop(): Promise<void> {
    return this.#network.shutdown()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

/** The result of `build`, for a TcpNetworkHandle. */
export class PeerConnections {
  readonly network: Network
  constructor(network: Network) {
    this.network = network
  }

  get peers(): readonly string[] {
    return this.network.peers.map(({ id }) => id)
  }
}

export class TcpNetworkHandle {
  readonly #network: Network

  constructor(built: BuiltPeers) {
    const connections = (built as Partial<BuiltPeers> | null | undefined)?.connections
    if (!(connections instanceof PeerConnections))
      throw invalid(`a TcpNetworkHandle takes the result of build, got ${formatValue(built)}`)
    this.#network = connections.network
  }

  get network(): Network {
    return this.#network
  }

  makeSessions(options: MakeSessionsOptions): Promise<Sessions> {
    return this.#network.makeSessions(options)
  }

  controlChannel(options?: OpenControlChannelOptions): Promise<ControlChannel> {
    return this.#network.openControlChannel(options)
  }

  shutdown(): Promise<void> {
    return this.#network.shutdown()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown()
  }
}

function waitForConnections(network: Network, services: Services, options: BuildOptions): Promise<void> {
  const timeoutMs = options.timeoutMs ?? services.options.limits.makeSessionsTimeoutMs
  const { signal } = options
  const ids = services.peers.ids()
  const areAllReady = (): boolean => services.options.onConnectionLost === 'fail' || services.baseLinks.areReady(ids)
  if (signal?.aborted === true)
    return Promise.reject(new StatewireError('ERR_ABORTED', 'build was aborted', { cause: signal.reason }))
  if (areAllReady()) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const finish = (error?: Error): void => {
      deadline.cancel()
      unwatch()
      services.waitingCalls.delete(call)
      offStopped()
      offFailed()
      removeAbort?.()
      if (error === undefined) resolve()
      else reject(error)
    }
    const abort = (): void => finish(new StatewireError('ERR_ABORTED', 'build was aborted', { cause: signal?.reason }))
    const removeAbort = signal === undefined ? undefined : onAbort(signal, abort)
    const deadline = services.wheel.schedule(timeoutMs, () => {
      const missing = ids.filter((peer) => !services.baseLinks.areReady([peer]))
      const reasons = missing.map((peer) => `${peer}${services.explainNotConnected(peer)}`).join(', ')
      finish(
        new StatewireError(
          'ERR_TIMED_OUT',
          `no connection with ${missing.join(', ')} within ${timeoutMs} ms: ${reasons}`,
        ),
      )
    })
    const offFailed = network.on('network.failed', ({ cause }) => finish(errorOf(cause)))
    const offStopped = network.on('network.stopped', () =>
      finish(new StatewireError('ERR_NETWORK_STOPPED', 'the network was stopped')),
    )
    const unwatch = services.baseLinks.watch(() => {
      if (areAllReady()) finish()
    })
    const call: WaitingCall = {
      peers: ids,
      connectFailed: (peer, { code, message }) =>
        finish(new StatewireError(code, `no connection with ${peer}: ${message}`)),
    }
    services.waitingCalls.add(call)
    for (const peer of ids) {
      const failed = services.fatalCauseOf(peer)
      if (failed !== null) return call.connectFailed(peer, failed)
    }
    if (areAllReady()) finish()
  })
}
