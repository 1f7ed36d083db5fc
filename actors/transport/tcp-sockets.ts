/**
 * Owns: how sockets of the kernel are set up, for every carrier that stands on TCP: dialled, and accepted by a
 * listener.
 * Independent of: pipes, and of what is said on the sockets.
 */
import net from 'node:net'
import type { Address, DialOptions, ListenerHandlers, PipeListener } from '../base/pipe.ts'

/** After 30 s of silence the kernel probes the other side: what the Rust stack sets as well. */
const keepAliveAfterMs = 30_000

/** A socket that does not connect yet. */
export function createSocket(options: DialOptions): net.Socket {
  const socket = new net.Socket(streamOptions(options))
  socket.setNoDelay(true)
  socket.setKeepAlive(true, keepAliveAfterMs)
  return socket
}

export interface SocketListenerOptions extends DialOptions {
  readonly address: Address
  /** Accepted and paused. */
  readonly onSocket: (socket: net.Socket, remote: Address) => void
  readonly onError: ListenerHandlers['onError']
  /** Called once, when the port could not be bound or is held no longer. Until then the listener is an open handle. */
  readonly onReleased: () => void
}

export async function listenForSockets(options: SocketListenerOptions): Promise<PipeListener> {
  const { address, onSocket, onError, onReleased } = options
  const keepAlive = { keepAlive: true, keepAliveInitialDelay: keepAliveAfterMs }
  const server = net.createServer({ pauseOnConnect: true, noDelay: true, ...keepAlive, ...streamOptions(options) })
  server.on('connection', (socket) => {
    onSocket(socket, { host: socket.remoteAddress ?? 'unknown', port: socket.remotePort ?? 0 })
  })
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: address.host, port: address.port }, () => {
        server.off('error', reject)
        resolve()
      })
    })
  } catch (error) {
    onReleased()
    throw error
  }
  server.on('error', onError)
  server.once('close', onReleased)
  const bound = server.address() as net.AddressInfo
  return {
    address: { host: bound.address, port: bound.port },
    close: () => {
      // `net.Server.close` waits for accepted sockets; those belong to others here, so the promise does not.
      if (server.listening) server.close()
      return Promise.resolve()
    },
  }
}

/** `net.Socket` takes the options of a Duplex; its own type does not say so. */
function streamOptions(options: DialOptions): net.SocketConstructorOpts {
  return { highWaterMark: options.highWaterMarkBytes } as net.SocketConstructorOpts
}
