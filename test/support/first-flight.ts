/**
 * Owns: the first bytes of Node's own TLS client, as a server gets them.
 * Independent of: what is done with them.
 */
import net from 'node:net'
import tls from 'node:tls'

/** The ClientHello of a client with these options; its connection is destroyed afterwards. */
export function captureClientHello(options: tls.ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', (bytes) => {
        socket.destroy()
        server.close(() => resolve(bytes))
      })
    })
    server.listen(0, '127.0.0.1', () => {
      tls
        .connect({
          host: '127.0.0.1',
          port: (server.address() as net.AddressInfo).port,
          rejectUnauthorized: false,
          ...options,
        })
        .on('error', () => {})
    })
  })
}
