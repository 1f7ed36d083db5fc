/**
 * Owns: that a TLS socket which has no other socket below it is closed by a reset, for tests of chaos.
 * Refuses to know: pipes, and what the other side makes of it (ECONNRESET).
 */
import type tls from 'node:tls'

interface TcpHandle {
  close(callback?: () => void): void
  reset?: (callback?: () => void) => number
}

/**
 * `resetAndDestroy` is refused on a TLS socket; the TCP handle below it, which is not documented, can do it. The socket is closed as
 * by `destroy`, and only the last step is another one. Where this Node has no such handle, it is closed in order.
 */
export function closeByReset(socket: tls.TLSSocket): void {
  // While its own end is under way libuv refuses to reset, and Node closes it neither way then.
  if (socket.writableEnded) return void socket.destroy()
  const tcp = (socket as unknown as { _handle?: { _parent?: TcpHandle } | null })._handle?._parent
  if (typeof tcp?.reset === 'function') {
    const close = tcp.close.bind(tcp)
    const reset = tcp.reset.bind(tcp)
    tcp.close = (callback) => {
      if (reset(callback) !== 0) close(callback)
    }
  }
  socket.destroy()
}
