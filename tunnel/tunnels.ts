/**
 * Owns: the tunnels of one network: targets that peers may connect to, addresses that lead to targets of peers, and
 * their connections.
 * Independent of: how bytes get from one end to the other (join.ts), and of command lines.
 */
import net from 'node:net'
import { StreamError } from '../actors/index.ts'
import type { Network, PeerRef, Stream, StreamRequest } from '../actors/index.ts'
import { checkCall, checkFunction, checkBoolean, checkTimeoutMs } from '../actors/base/checks.ts'
import { peerIdOf } from '../actors/base/peer-ref.ts'
import { StatewireError } from '../codec/errors.ts'
import type { ErrorCode } from '../codec/errors.ts'
import { formatValue, messageOf } from '../codec/format-value.ts'
import { Join, tunnelCodes } from './join.ts'
import type { LocalEnd, TunnelEnd } from './join.ts'
import {
  checkTunnelName,
  connectLocally,
  formatLocalAddress,
  listenLocally,
  parseLocalAddress,
  prepare,
  resetLocally,
} from './local-address.ts'
import { allowedOf, checkConnectionsMax } from './tunnel-options.ts'
import type {
  ExposedTunnel,
  ExposeOptions,
  OpenedTunnel,
  OpenOptions,
  PipeOptions,
  TunnelsOptions,
} from './tunnel-options.ts'
import { decodeClient, encodeClient, proxyHeader } from './proxy-protocol.ts'
import type { ClientAddress } from './proxy-protocol.ts'
import { TunnelConnection } from './tunnel-connection.ts'
import type { TunnelDescription, TunnelEvent, TunnelSide } from './tunnel-connection.ts'

/** A target is near: one that takes longer to accept is not well. */
const defaultConnectTimeoutMs = 10_000
/** Before the name of the tunnel, in the protocol of its streams. */
const protocolPrefix = 'tunnel/'
const closeTimeoutMs = 10_000

interface Tunnel {
  readonly side: TunnelSide
  readonly name: string
  readonly peer: string | null
  readonly address: string
  readonly stop: () => void
  served: number
  refused: number
}

/**
 * ```ts
 * // where the database is
 * new Tunnels(network).expose({ name: 'db', target: '127.0.0.1:5432', allow: [alice] })
 * // where its clients are
 * const { address } = await new Tunnels(network).open({ peer: bob, name: 'db', listen: '127.0.0.1:15432' })
 * ```
 */
export class Tunnels {
  readonly #network: Network
  readonly #onEvent: (event: TunnelEvent) => void
  readonly #tunnels = new Set<Tunnel>()
  readonly #connections = new Map<number, { readonly connection: TunnelConnection; readonly join: Join }>()
  #nextId = 1
  #whenEmpty: (() => void) | null = null
  #isClosed = false

  constructor(network: Network, options: TunnelsOptions = {}) {
    checkCall(options, 'new Tunnels', ['onEvent'])
    if (options.onEvent !== undefined) checkFunction(options.onEvent, 'onEvent')
    this.#network = network
    this.#onEvent = guarded(options.onEvent ?? ((): void => {}))
  }

  get tunnels(): readonly TunnelDescription[] {
    const open = [...this.#connections.values()].map(({ connection }) => connection)
    return [...this.#tunnels].map(({ side, name, peer, address, served, refused }) => {
      const own = open.filter((each) => each.side === side && each.name === name && (peer ?? each.peer) === each.peer)
      return { side, name, peer, address, served, refused, connections: own.length }
    })
  }

  /** The open ones, in the order of their opening. */
  get connections(): readonly TunnelConnection[] {
    return [...this.#connections.values()].map(({ connection }) => connection)
  }

  /**
   * Lets peers connect to a target. The target is connected before a stream is accepted, so that the opener learns
   * when it refuses.
   * @throws StatewireError ERR_INVALID_OPTION, ERR_HANDLER_EXISTS, ERR_NETWORK_STOPPED, ERR_DIALECT_UNSUPPORTED
   */
  expose(options: ExposeOptions): ExposedTunnel {
    this.#check()
    checkCall(options, 'expose', ['name', 'target', 'allow', 'proxyProtocol', 'connectTimeoutMs', 'connectionsMax'])
    const name = checkTunnelName(options.name)
    const target = parseLocalAddress(options.target, 'target', true)
    const allowed = allowedOf(options.allow)
    checkBoolean(options.proxyProtocol, 'proxyProtocol')
    checkTimeoutMs(options.connectTimeoutMs, 'connectTimeoutMs', false)
    const concurrency = checkConnectionsMax(options.connectionsMax)
    const { proxyProtocol = false, connectTimeoutMs = defaultConnectTimeoutMs } = options
    const address = formatLocalAddress(target)
    const permit = async ({ peer, signal, extra }: StreamRequest): Promise<boolean | { context: net.Socket }> => {
      if (allowed !== null && !allowed.has(peer)) {
        this.#refused(tunnel, peer, 'ERR_STREAM_REFUSED', 'the peer is not in `allow`')
        return false
      }
      let socket: net.Socket
      try {
        socket = await connectLocally(target, connectTimeoutMs, signal)
      } catch (error) {
        this.#refused(tunnel, peer, 'ERR_STREAM_REFUSED', messageOf(error))
        throw error
      }
      // Until the handler has it, the socket ends with the stream.
      socket.on('error', () => {})
      const onAbort = (): void => void socket.destroy()
      signal.addEventListener('abort', onAbort)
      forget.set(socket, () => signal.removeEventListener('abort', onAbort))
      if (proxyProtocol) socket.write(proxyHeader(decodeClient(extra)))
      return { context: socket }
    }
    const forget = new WeakMap<net.Socket, () => void>()
    const remove = this.#network.onStream<net.Socket>(
      protocolPrefix + name,
      (stream, socket) => {
        forget.get(socket)?.()
        this.#join(tunnel, address, localEndOf(socket), stream)
      },
      { permit, concurrency },
    )
    const tunnel: Tunnel = { side: 'expose', name, peer: null, address, served: 0, refused: 0, stop: remove }
    this.#tunnels.add(tunnel)
    return { name, target: address, close: () => this.#stop(tunnel) }
  }

  /**
   * Listens; each client gets a stream of its own to the target that the peer exposes. A client whose stream is refused
   * is reset.
   * @throws StatewireError ERR_LISTEN_FAILED, ERR_INVALID_OPTION, ERR_UNKNOWN_PEER, ERR_PEER_REMOVED
   */
  async open(options: OpenOptions): Promise<OpenedTunnel> {
    this.#check()
    checkCall(options, 'open', ['peer', 'name', 'listen', 'timeoutMs', 'connectionsMax'])
    const name = checkTunnelName(options.name)
    const peer = this.#peerOf(options.peer)
    const where = parseLocalAddress(options.listen ?? ':0', 'listen', false)
    checkTimeoutMs(options.timeoutMs, 'timeoutMs', false)
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
    server.maxConnections = checkConnectionsMax(options.connectionsMax)
    const waiting = new AbortController()
    const stop = (): void => {
      waiting.abort()
      server.close()
    }
    const address = formatLocalAddress(await listenLocally(server, where))
    const tunnel: Tunnel = { side: 'open', name, peer, address, served: 0, refused: 0, stop }
    if (this.#isClosed) {
      stop()
      throw closedError()
    }
    this.#tunnels.add(tunnel)
    server.on('drop', () =>
      this.#refused(tunnel, peer, 'ERR_STREAM_OVERLOADED', `${server.maxConnections} clients are connected already`),
    )
    // After it listens, its accepting fails for lack of file descriptors, for example, and goes on.
    server.on('error', (error) => this.#refused(tunnel, peer, 'ERR_LISTEN_FAILED', error.message))
    server.on('connection', (socket) => {
      prepare(socket)
      void this.#serve(tunnel, peer, socket, { timeoutMs: options.timeoutMs, signal: waiting.signal })
    })
    return { peer, name, address, close: () => this.#stop(tunnel) }
  }

  async #serve(
    tunnel: Tunnel,
    peer: string,
    socket: net.Socket,
    options: { readonly timeoutMs: number | undefined; readonly signal: AbortSignal },
  ): Promise<void> {
    socket.on('error', () => {})
    try {
      const client = clientOf(socket)
      const stream = await this.#stream(peer, tunnel.name, encodeClient(client), options)
      const address =
        client === null ? tunnel.address : formatLocalAddress({ host: client.from[0], port: client.from[1] })
      this.#join(tunnel, address, localEndOf(socket), stream)
    } catch (error) {
      const { code, message } = error as StatewireError
      this.#refused(tunnel, peer, code, message)
      resetLocally(socket)
    }
  }

  /**
   * One connection between a pair of local streams and the target: for standard input and output, for example.
   * @returns how it ended
   * @throws StatewireError ERR_NO_PROTOCOL (the peer exposes no such tunnel), ERR_STREAM_REFUSED (not allowed, or the
   *   target refuses), or what `getStream` throws
   */
  async pipe(options: PipeOptions): Promise<TunnelEnd> {
    this.#check()
    checkCall(options, 'pipe', ['peer', 'name', 'input', 'output', 'timeoutMs', 'signal'])
    const name = checkTunnelName(options.name)
    const peer = this.#peerOf(options.peer)
    const { input, output, timeoutMs, signal } = options
    checkTimeoutMs(timeoutMs, 'timeoutMs', false)
    const stream = await this.#stream(peer, name, encodeClient(null), { timeoutMs, signal })
    const abort = (): void => {
      input.destroy()
      output.destroy()
    }
    const tunnel: Tunnel = { side: 'open', name, peer, address: 'stdio', served: 0, refused: 0, stop: () => {} }
    const join = this.#join(tunnel, 'stdio', { readable: input, writable: output, abort }, stream)
    const onAbort = (): void => join.kill(tunnelCodes.killed, 'killed', messageOf(signal?.reason))
    signal?.addEventListener('abort', onAbort, { once: true })
    const end = await join.ended
    signal?.removeEventListener('abort', onAbort)
    return end
  }

  /**
   * Resets one connection, at both ends. @param reason is logged at both
   * @returns whether it was open
   */
  kill(id: number, reason = 'it was killed by hand'): boolean {
    const found = this.#connections.get(id)
    found?.join.kill(tunnelCodes.killed, 'killed', reason)
    return found !== undefined
  }

  /** Refuses new connections, gives the open ones that long (10 s by default) to end, and resets the rest. */
  async close(options: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
    checkCall(options, 'close', ['timeoutMs'])
    checkTimeoutMs(options.timeoutMs, 'timeoutMs')
    this.#isClosed = true
    for (const tunnel of this.#tunnels) this.#stop(tunnel)
    if (this.#connections.size > 0) {
      const timeoutMs = options.timeoutMs ?? closeTimeoutMs
      const deadline = setTimeout(() => {
        for (const { join } of this.#connections.values())
          join.kill(tunnelCodes.closing, 'killed', `the tunnel was closed, and it did not end within ${timeoutMs} ms`)
      }, timeoutMs)
      await new Promise<void>((resolve) => (this.#whenEmpty = resolve))
      clearTimeout(deadline)
    }
  }

  #check(): void {
    if (this.#isClosed) throw closedError()
  }

  #peerOf(ref: PeerRef): string {
    const id = peerIdOf(ref)
    if (this.#network.peer(id) === undefined)
      throw new StatewireError('ERR_UNKNOWN_PEER', `${formatValue(id)} is not a peer of this network: add it first`)
    return id
  }

  async #stream(
    peer: string,
    name: string,
    extra: Buffer,
    options: { readonly timeoutMs: number | undefined; readonly signal: AbortSignal | undefined },
  ): Promise<Stream> {
    try {
      return await this.#network.getStream(peer, protocolPrefix + name, { extra, ...options })
    } catch (error) {
      throw explained(error, peer, name)
    }
  }

  #join(tunnel: Tunnel, address: string, local: LocalEnd, stream: Stream): Join {
    const { side, name } = tunnel
    const join = new Join(local, stream)
    const connection = new TunnelConnection(
      { id: this.#nextId++, side, name, peer: stream.peer, address },
      stream,
      join,
    )
    tunnel.served++
    this.#connections.set(connection.id, { connection, join })
    this.#onEvent({ type: 'tunnel.opened', connection })
    void join.ended.then((end) => {
      this.#connections.delete(connection.id)
      this.#onEvent({ type: 'tunnel.closed', connection, end })
      if (this.#connections.size === 0) this.#whenEmpty?.()
    })
    return join
  }

  #refused(tunnel: Tunnel, peer: string, code: ErrorCode, message: string): void {
    tunnel.refused++
    const { side, name } = tunnel
    this.#onEvent({ type: 'tunnel.refused', side, name, peer, code, message })
  }

  #stop(tunnel: Tunnel): void {
    if (this.#tunnels.delete(tunnel)) tunnel.stop()
  }
}

/** A listener that throws disturbs no connection. */
function guarded(onEvent: (event: TunnelEvent) => void): (event: TunnelEvent) => void {
  return (event) => {
    try {
      onEvent(event)
    } catch (error) {
      process.emitWarning(`onEvent of the tunnels threw at ${event.type}: ${messageOf(error)}`, 'StatewireWarning')
    }
  }
}

function closedError(): StatewireError {
  return new StatewireError('ERR_ABORTED', 'the tunnels were closed: make new ones')
}

function localEndOf(socket: net.Socket): LocalEnd {
  return { readable: socket, writable: socket, abort: () => resetLocally(socket) }
}

/** Null for a client at a unix socket. */
function clientOf({ remoteAddress, remotePort, localAddress, localPort }: net.Socket): ClientAddress | null {
  if (remoteAddress === undefined || remotePort === undefined) return null
  return { from: [remoteAddress, remotePort], to: [localAddress ?? '', localPort ?? 0] }
}

/** In the words of a tunnel, where it was the peer that refused. */
function explained(error: unknown, peer: string, name: string): unknown {
  if (!(error instanceof StreamError) || error.by !== 'peer') return error
  const tunnel = JSON.stringify(name)
  const says =
    error.code === 'ERR_NO_PROTOCOL'
      ? `${peer} exposes no tunnel ${tunnel}`
      : error.reason === 'not permitted'
        ? `${peer} does not allow this side to use its tunnel ${tunnel}`
        : `${peer} refused a connection of its tunnel ${tunnel}: ${error.reason === '' ? error.message : error.reason}`
  return new StatewireError(error.code, says, { cause: error })
}
