/**
 * One of the four processes of P16: the source or the sink of the bytes, or one end of the thinnest possible TLS proxy
 * pair. Owns the process. Independent of: tunnels.
 */
import net from 'node:net'
import tls from 'node:tls'
import { once } from 'node:events'

export type BulkPlan =
  | { readonly role: 'sink' }
  | { readonly role: 'source'; readonly port: number; readonly bytes: number }
  | { readonly role: 'near'; readonly port: number; readonly cert: string; readonly key: string }
  | { readonly role: 'far'; readonly port: number; readonly cert: string; readonly key: string }

const plan = JSON.parse(process.argv[2] ?? '') as BulkPlan

async function listen(server: net.Server): Promise<void> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.send?.((server.address() as net.AddressInfo).port)
}

const local = { host: '127.0.0.1', allowHalfOpen: true, noDelay: true } as const

if (plan.role === 'sink') {
  // It answers with the number of bytes when it has all.
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    let bytes = 0
    socket.on('data', (part) => (bytes += part.length))
    socket.on('end', () => socket.end(String(bytes)))
  })
  await listen(server)
} else if (plan.role === 'source') {
  const { port, bytes } = plan
  process.on('message', () => {
    const socket = net.connect({ ...local, port })
    const block = Buffer.alloc(64 * 1024, 7)
    let left = bytes
    let answer = ''
    const startedAtMs = performance.now()
    const more = (): void => {
      while (left > 0) {
        const part = left < block.length ? block.subarray(0, left) : block
        left -= part.length
        if (!socket.write(part)) return void socket.once('drain', more)
      }
      socket.end()
    }
    socket.once('connect', more)
    socket.on('data', (part) => (answer += part.toString()))
    socket.on('end', () => process.send?.({ ms: performance.now() - startedAtMs, bytes: Number(answer) }))
  })
  process.send?.(0)
} else if (plan.role === 'near') {
  const { port, cert, key } = plan
  const options = { ...local, port, cert, key, minVersion: 'TLSv1.3', rejectUnauthorized: false } as const
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const other = tls.connect({ ...options, checkServerIdentity: () => undefined })
    socket.pipe(other).pipe(socket)
  })
  await listen(server)
} else {
  const { port, cert, key } = plan
  const options = { cert, key, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3' } as const
  const server = tls.createServer({ ...options, allowHalfOpen: true, noDelay: true }, (socket) => {
    const other = net.connect({ ...local, port })
    socket.pipe(other).pipe(socket)
  })
  await listen(server as unknown as net.Server)
}
