/**
 * Owns: how kernel sockets are set up, dialled or accepted, for every transport based on TCP.
 * Independent of: pipes, and what is sent on the sockets.
 */
import net from 'node:net'
import { isUnixPath } from '../base/pipe.ts'
import type { Address, DialOptions, ListenerHandlers, PipeListener } from '../base/pipe.ts'
import { listenAt, listenAtPath } from './unix-path.ts'

/** The kernel probes the other side after 30 s of silence, as in the Rust stack. */
const keepAliveAfterMs = 30_000

/** A socket that is not connecting yet. */
export function createSocket(options: DialOptions): net.Socket {
  const socket = new net.Socket(streamOptions(options))
  socket.setNoDelay(true)
  socket.setKeepAlive(true, keepAliveAfterMs)
  return socket
}

export interface SocketListenerOptions extends DialOptions {
  readonly address: Address
  /** An accepted socket, paused. */
  readonly onSocket: (socket: net.Socket, remote: Address) => void
  readonly onError: ListenerHandlers['onError']
  /** Called once, when binding failed or the port is released. Until then the listener is an open handle. */
  readonly onReleased: () => void
}

export async function listenForSockets(options: SocketListenerOptions): Promise<PipeListener> {
  const { address, onSocket, onError, onReleased } = options
  const keepAlive = { keepAlive: true, keepAliveInitialDelay: keepAliveAfterMs }
  const server = net.createServer({ pauseOnConnect: true, noDelay: true, ...keepAlive, ...streamOptions(options) })
  server.on('connection', (socket) => {
    const host = socket.remoteAddress ?? (isUnixPath(address.host) ? address.host : 'unknown')
    onSocket(socket, { host, port: socket.remotePort ?? 0 })
  })
  try {
    if (isUnixPath(address.host)) await listenAtPath(server, address.host)
    else await listenAt(server, { host: address.host, port: address.port })
  } catch (error) {
    onReleased()
    throw error
  }
  server.on('error', onError)
  server.once('close', onReleased)
  const bound = server.address() as net.AddressInfo | string
  return {
    address: typeof bound === 'string' ? { host: bound, port: 0 } : { host: bound.address, port: bound.port },
    close: () => {
      // `net.Server.close` waits for accepted sockets. Those belong to others, so this promise does not wait for them.
      if (server.listening) server.close()
      return Promise.resolve()
    },
  }
}

/** Where a socket connects to. */
export function targetOf({ host, port }: Address): net.NetConnectOpts {
  return isUnixPath(host) ? { path: host } : { host, port }
}

/** `net.Socket` takes the options of a Duplex; its own type does not say so. */
function streamOptions(options: DialOptions): net.SocketConstructorOpts {
  return { highWaterMark: options.highWaterMarkBytes } as net.SocketConstructorOpts
}
