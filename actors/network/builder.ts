/**
 * Owns: the API of the first design, in its words: a builder collects peers, `build` gives a Reconnector and the
 * connections, and a TcpNetworkHandle makes sessions over them.
 * Refuses to know: how any of it happens; it is a thin dress over Network.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { onAbort } from '../base/abort-listeners.ts'
import { errorOf } from '../base/causes.ts'
import { checkCall, checkFunction, checkObject, invalid } from '../base/checks.ts'
import { checkRuntime } from '../config/runtime-options.ts'
import { createNetwork } from './network.ts'
import type {
  MakeSessionsOptions,
  Network,
  NetworkRuntimeOptions,
  OpenControlChannelOptions,
  Sessions,
} from './network.ts'
import type { ControlChannel } from '../session/control-channel.ts'
import type { AmpcPlaintextConfig, AmpcTlsConfig, PeerOption } from '../config/options.ts'
import { supervisorServices } from './supervisor.ts'
import type { Services } from './services.ts'
import type { WaitingCall } from '../session/session-context.ts'

/** As AmpcConfig, without the peers: those are included one by one. */
export type BuilderConfig = Omit<AmpcTlsConfig, 'peers'> | Omit<AmpcPlaintextConfig, 'peers'>

export interface BuildOptions {
  readonly signal?: AbortSignal | undefined
  /** Until the port is bound and, in mode `reconnect`, all connections are up. */
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

  /** @throws StatewireError ERR_INVALID_OPTION; the rest of what is wrong comes from `build` */
  constructor(config: BuilderConfig, runtime: NetworkRuntimeOptions = {}) {
    checkObject(config, 'the configuration')
    if ('peers' in config)
      throw invalid('peers is not an option of the builder: they are included one by one, with includePeer')
    checkRuntime(runtime)
    this.#config = config
    this.#runtime = runtime
  }

  /** A peer to be connected with; the url is needed for those that this side dials. Everyone else is closed at the door. */
  includePeer(id: string, url?: string): this {
    if (this.#isBuilt) throw invalid(`${formatValue(id)} was included after build was called`)
    this.#peers.push(url === undefined ? { id } : { id, url })
    return this
  }

  /**
   * Mode `reconnect`: resolves when the one set of connections that serves all batches is up. Mode `fail`: when the port
   * is bound, because there each `makeSessions` opens its own set.
   * @throws StatewireError as createNetwork and Network.ready do, ERR_TIMED_OUT, ERR_ABORTED; nothing is left open then
   */
  async build(options: BuildOptions = {}): Promise<BuiltPeers> {
    checkCall(options, 'build')
    if (this.#isBuilt) throw invalid('build was called on this builder before; make another one')
    this.#isBuilt = true
    const network = createNetwork({ ...this.#config, peers: this.#peers }, this.#runtime)
    const services = supervisorServices(network.ref) as Services
    try {
      await network.ready()
      await connected(network, services, options)
    } catch (error) {
      await network.shutdown()
      throw error
    }
    return { reconnector: new Reconnector(network), connections: new PeerConnections(network) }
  }
}

/** Keeps alive what was once asked for. Stopping it ends everything it keeps. */
export class Reconnector {
  readonly #network: Network
  constructor(network: Network) {
    this.#network = network
  }

  /** Hears when a connection is re-established after a break. */
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

  stop(): Promise<void> {
    return this.#network.shutdown()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

/** What `build` made; a TcpNetworkHandle takes it over. */
export class PeerConnections {
  readonly network: Network
  constructor(network: Network) {
    this.network = network
  }

  get peers(): readonly string[] {
    return this.network.peers
  }
}

export class TcpNetworkHandle {
  readonly #network: Network

  constructor(built: BuiltPeers) {
    const connections = (built as Partial<BuiltPeers> | null | undefined)?.connections
    if (!(connections instanceof PeerConnections))
      throw invalid(`a TcpNetworkHandle takes what build gave, got ${formatValue(built)}`)
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

function connected(network: Network, services: Services, options: BuildOptions): Promise<void> {
  const timeoutMs = options.timeoutMs ?? services.options.limits.makeSessionsTimeoutMs
  const { signal } = options
  const isWhole = (): boolean =>
    services.options.onConnectionLost === 'fail' || services.baseLinks.areReady(network.peers)
  if (signal?.aborted === true)
    return Promise.reject(new StatewireError('ERR_ABORTED', 'build was aborted', { cause: signal.reason }))
  if (isWhole()) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const finish = (error?: Error): void => {
      deadline.cancel()
      services.baseLinks.onChange = null
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
      const missing = network.peers.filter((peer) => !services.baseLinks.areReady([peer]))
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
    const call: WaitingCall = {
      peers: network.peers,
      connectFailed: (peer, { code, message }) =>
        finish(new StatewireError(code, `no connection with ${peer}: ${message}`)),
    }
    services.waitingCalls.add(call)
    for (const peer of network.peers) {
      const failed = services.fatalCauseOf(peer)
      if (failed !== null) return call.connectFailed(peer, failed)
    }
    services.baseLinks.onChange = () => {
      if (isWhole()) finish()
    }
  })
}
