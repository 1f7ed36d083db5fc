/**
 * Owns: S10: clients and servers of another protocol are closed within a second, and at most a kilobyte of them is
 * read, counted on the raw sockets of the attacked side.
 * Independent of: silent peers (S1).
 */
import diagnosticsChannel from 'node:diagnostics_channel'
import net from 'node:net'
import tls from 'node:tls'
import { createNetwork, Identity } from '../../../actors/index.ts'
import { issue } from '../../security/test-authority.ts'
import { eventually } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'

export interface WrongProtocolCounts {
  cases: number
  closed: number
  typed: number
  worstMs: number
  worstReadBytes: number
  /** What is read from an endless sender before it is closed: at most one read of a socket. */
  floodReadBytes: number
  readonly notes: string[]
}

const patienceMs = 1_000
const readBytesMax = 1024
const limits = { connectBurst: 1_000_000, backoffMinMs: 30_000, backoffMaxMs: 30_000 }

const openings: readonly (readonly [string, string])[] = [
  ['HTTP', 'GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n'],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['SSH', 'SSH-2.0-OpenSSH_9.6\r\n'],
  ['plain text', 'hello, who is there?\n'],
  ['a hello without TLS', 'SWIR\u0001\u0001\u0000\u0000'],
  ['the start of ampc', '\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0005'],
  ['noise', '\u0080\u00ff\u0013\u0037\u0000'],
]

const otherTls: readonly (readonly [string, tls.ConnectionOptions])[] = [
  ['TLS without ALPN', {}],
  ['HTTPS', { ALPNProtocols: ['h2', 'http/1.1'] }],
  ['TLS 1.2', { ALPNProtocols: ['statewire/1'], maxVersion: 'TLSv1.2' }],
]

/** Every raw socket that this process accepts or opens, as Node reports them. */
function watchSockets(channel: 'net.server.socket' | 'net.client.socket'): { sockets: net.Socket[]; stop: () => void } {
  const sockets: net.Socket[] = []
  const onSocket = (message: unknown): void => void sockets.push((message as { socket: net.Socket }).socket)
  diagnosticsChannel.subscribe(channel, onSocket)
  return { sockets, stop: () => void diagnosticsChannel.unsubscribe(channel, onSocket) }
}

function note(
  counts: WrongProtocolCounts,
  name: string,
  isClosed: boolean,
  tookMs: number,
  readBytes: number,
  code: string | undefined,
): void {
  counts.cases++
  if (isClosed && tookMs <= patienceMs) counts.closed++
  else counts.notes.push(`${name}: not closed within ${patienceMs} ms`)
  if (code !== undefined && code.startsWith('ERR_') && code !== 'ERR_INTERNAL') counts.typed++
  else counts.notes.push(`${name}: no typed reason, but ${String(code)}`)
  counts.worstMs = Math.max(counts.worstMs, tookMs)
  counts.worstReadBytes = Math.max(counts.worstReadBytes, readBytes)
  if (readBytes > readBytesMax) counts.notes.push(`${name}: ${readBytes} bytes were read`)
}

async function asClients(counts: WrongProtocolCounts): Promise<void> {
  const watch = watchSockets('net.server.socket')
  const network = createNetwork({
    identity: Identity.generate(),
    listen: 'tls://127.0.0.1:0',
    peers: [{ id: Identity.generate().id }],
    limits,
  })
  let code: string | undefined
  network.on('connection.rejected', ({ cause }) => (code = cause.code))
  await network.ready()
  const port = Number(new URL(network.url as string).port)
  const attempt = async (name: string, begin: () => net.Socket): Promise<number> => {
    code = undefined
    const before = watch.sockets.length
    const startedMs = performance.now()
    const client = begin()
    let isClosed = false
    client.on('error', () => client.destroy()).on('close', () => (isClosed = true))
    client.resume()
    await eventually(`${name} is closed and rejected`, () => isClosed && code !== undefined, 3 * patienceMs).catch(
      () => {},
    )
    const tookMs = performance.now() - startedMs
    client.destroy()
    const readBytes = watch.sockets[before]?.bytesRead ?? 0
    if (name !== 'a flood of HTTP') note(counts, `client of ${name}`, isClosed, tookMs, readBytes, code)
    return readBytes
  }
  try {
    for (const [name, text] of openings)
      await attempt(name, () =>
        net.connect({ host: '127.0.0.1', port }, function (this: net.Socket) {
          this.write(text, 'latin1')
        }),
      )
    for (const [name, options] of otherTls)
      await attempt(name, () => tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options }))
    counts.floodReadBytes = await attempt('a flood of HTTP', () =>
      net.connect({ host: '127.0.0.1', port }, function (this: net.Socket) {
        this.write('GET / HTTP/1.1\r\n'.padEnd(4 * 1024 * 1024, 'x'))
      }),
    )
  } finally {
    watch.stop()
    await network.shutdown()
  }
}

function servers(): [string, net.Server][] {
  const { keyPem, pem } = issue({ name: 'www', kind: 'rsa' })
  const ed = issue({ name: 'www', kind: 'ed25519' })
  const secured = (options: tls.TlsOptions): tls.Server =>
    tls.createServer(options).on('tlsClientError', (_error, socket) => socket.destroy())
  return [
    ...openings.map(([name, text]): [string, net.Server] => [
      name === 'HTTP' ? 'HTTP answers' : name,
      net.createServer(
        (socket) =>
          void socket.write(name === 'HTTP' ? 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n' : text, 'latin1'),
      ),
    ]),
    ['hangs up', net.createServer((socket) => socket.end())],
    ['hangs up after the ClientHello', net.createServer((socket) => void socket.once('data', () => socket.destroy()))],
    ['HTTPS with RSA', secured({ key: keyPem, cert: pem, ALPNProtocols: ['h2'] })],
    ['TLS 1.2 alone', secured({ key: keyPem, cert: pem, maxVersion: 'TLSv1.2' })],
    ['TLS with Ed25519 and no ALPN', secured({ key: ed.keyPem, cert: ed.pem })],
  ]
}

async function asServers(counts: WrongProtocolCounts): Promise<void> {
  const watch = watchSockets('net.client.socket')
  try {
    for (const [name, server] of servers()) {
      const accepted = new Set<net.Socket>()
      server.on('connection', (socket: net.Socket) => {
        accepted.add(socket)
        socket.on('error', () => socket.destroy())
      })
      server.on('secureConnection', (socket: tls.TLSSocket) => socket.on('error', () => socket.destroy()))
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const before = watch.sockets.length
      const startedMs = performance.now()
      const url = `tls://127.0.0.1:${(server.address() as net.AddressInfo).port}`
      const network = createNetwork({
        identity: Identity.generate(),
        peers: [{ id: Identity.generate().id, urls: url }],
        limits,
      })
      let code: string | undefined
      network.on('connection.failed', ({ cause }) => (code ??= cause.code))
      await eventually(
        `the dial of ${name} has failed`,
        () => code !== undefined && network.resources.handles === 0,
        3 * patienceMs,
      ).catch(() => {})
      note(
        counts,
        `server that ${name}`,
        network.resources.handles === 0,
        performance.now() - startedMs,
        watch.sockets[before]?.bytesRead ?? 0,
        code,
      )
      await network.shutdown()
      for (const socket of accepted) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    }
  } finally {
    watch.stop()
  }
}

export async function tryWrongProtocols(): Promise<WrongProtocolCounts> {
  const counts: WrongProtocolCounts = {
    cases: 0,
    closed: 0,
    typed: 0,
    worstMs: 0,
    worstReadBytes: 0,
    floodReadBytes: 0,
    notes: [],
  }
  await asClients(counts)
  await asServers(counts)
  return counts
}

export async function wrongProtocolBar(_context: BarContext): Promise<readonly Bar[]> {
  const { cases, closed, typed, worstMs, worstReadBytes, floodReadBytes, notes } = await tryWrongProtocols()
  const passed = closed === cases && typed === cases && worstReadBytes <= readBytesMax && floodReadBytes <= 64 * 1024
  return [
    {
      id: 'S10',
      passed,
      figures: {
        cases,
        closed_within_1_s: closed,
        typed_reason: typed,
        worst_ms: worstMs,
        worst_read_bytes: worstReadBytes,
        flood_read_bytes: floodReadBytes,
      },
      notes,
    },
  ]
}
