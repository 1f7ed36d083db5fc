/**
 * Owns: S10, that a peer that speaks another protocol is closed within a second and costs a kilobyte, in both roles.
 * Independent of: peers that send nothing at all; those end with the deadline of the caller of `secure()`.
 */
import net from 'node:net'
import tls from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { Identity } from '../../actors/tls/identity.ts'
import { TlsTransport } from '../../actors/tls/tls-transport.ts'
import { captureClientHello } from '../support/first-flight.ts'
import { issue } from './test-authority.ts'
import { dial, Endpoint, outcomeOf, until } from './tls-bench.ts'

const own = Identity.generate()
const peer = Identity.generate()
const timeLimitMs = 1000
const keptBytesMax = 1024

const notTls = /it does not speak TLS; check the protocol and the port/
const texts: [string, string, RegExp][] = [
  ['HTTP', 'GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: test\r\n\r\n', /it speaks HTTP, not TLS/],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', notTls],
  ['SSH', 'SSH-2.0-OpenSSH_9.6\r\n', notTls],
  ['plain text', 'hello, who is there?\n', notTls],
  ['a statewire hello without TLS', 'SWIR\u0001\u0001', notTls],
  ['an ampc hello without TLS', '\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0005alice', notTls],
]

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function openEndpoint(): Promise<Endpoint> {
  const endpoint = await Endpoint.open({ identity: own })
  cleanups.push(() => endpoint.close())
  return endpoint
}

/** Refused in time, with this sentence, and with hardly any memory held. */
async function expectGone(
  endpoint: Endpoint,
  isClosed: () => boolean,
  sentence: RegExp,
  code = 'ERR_HANDSHAKE_FAILED',
): Promise<void> {
  const { outcome, pipe } = await endpoint.outcome(0)
  await until('the client sees it closed', isClosed, timeLimitMs)
  expect(outcome).toMatchObject({ code })
  expect(outcome?.message).toMatch(sentence)
  expect([pipe.closed, pipe.bufferedBytes]).toEqual([true, 0])
}

function rawClient(port: number, onConnect: (socket: net.Socket) => void): { isClosed: boolean; received: number } {
  const state = { isClosed: false, received: 0 }
  const socket = net.connect({ host: '127.0.0.1', port }, () => onConnect(socket))
  socket.on('data', (bytes) => (state.received += bytes.length))
  socket.on('error', () => socket.destroy())
  socket.on('close', () => (state.isClosed = true))
  return state
}

describe('an accepting side', () => {
  it.each(texts)('an accepting side closes on a client that speaks %s', async (_name, text, sentence) => {
    const endpoint = await openEndpoint()
    const client = rawClient(endpoint.address.port, (socket) => void socket.write(text, 'latin1'))
    await expectGone(endpoint, () => client.isClosed, sentence)
    expect(client.received).toBeLessThanOrEqual(keptBytesMax)
  })

  it('an accepting side closes on a client that keeps speaking another protocol, and reads no more of it', async () => {
    const endpoint = await openEndpoint()
    let sent = 0
    const client = rawClient(endpoint.address.port, (socket) => {
      const more = (): void => {
        if (socket.destroyed) return
        sent += 512
        socket.write('GET / HTTP/1.1\r\n'.padEnd(512, 'x'), more)
      }
      more()
    })
    await expectGone(endpoint, () => client.isClosed, /HTTP/)
    expect(sent).toBeGreaterThan(0)
  })

  it('an accepting side closes on a client that sends less than a record header and ends', async () => {
    const endpoint = await openEndpoint()
    const client = rawClient(endpoint.address.port, (socket) => socket.end('GET'))
    await expectGone(endpoint, () => client.isClosed, /it closed the connection/, 'ERR_HANDSHAKE_REFUSED')
  })

  it.each<[string, tls.ConnectionOptions, RegExp]>([
    ['TLS without ALPN', {}, /it did not agree on statewire\/1 by ALPN/],
    ['HTTPS', { ALPNProtocols: ['h2', 'http/1.1'] }, /it offers TLS, but not statewire \(ALPN\)/],
    [
      'TLS 1.2 with the right ALPN',
      { ALPNProtocols: ['statewire/1'], maxVersion: 'TLSv1.2' },
      /no TLS version that this side accepts/,
    ],
  ])('an accepting side closes on a client that speaks %s', async (_name, options, sentence) => {
    const endpoint = await openEndpoint()
    let isClosed = false
    const client = tls.connect({
      host: '127.0.0.1',
      port: endpoint.address.port,
      rejectUnauthorized: false,
      ...options,
    })
    client.on('error', () => client.destroy()).on('close', () => (isClosed = true))
    await expectGone(endpoint, () => isClosed, sentence)
  })

  it('an accepting side closes on a client that sends half a ClientHello and ends', async () => {
    const endpoint = await openEndpoint()
    const client = rawClient(endpoint.address.port, (socket) => socket.end(Buffer.from([22, 3, 1, 1, 0, 1])))
    await expectGone(endpoint, () => client.isClosed, /it closed the connection/, 'ERR_HANDSHAKE_REFUSED')
  })

  it('an accepting side closes on a client that sends a valid ClientHello and then noise', async () => {
    const endpoint = await openEndpoint()
    const hello = await captureClientHello({ ALPNProtocols: ['statewire/1'], minVersion: 'TLSv1.3' })
    const client = rawClient(
      endpoint.address.port,
      (socket) => void socket.write(Buffer.concat([hello, Buffer.from('noise')])),
    )
    await expectGone(endpoint, () => client.isClosed, /the TLS handshake .* failed/)
  })
})

describe('a dialling side', () => {
  const serve = async (server: net.Server): Promise<number> => {
    const sockets = new Set<net.Socket>()
    server.on('connection', (socket: net.Socket) => {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    cleanups.push(async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    })
    return (server.address() as net.AddressInfo).port
  }

  async function expectRefused(port: number, sentence: RegExp, code = 'ERR_HANDSHAKE_FAILED'): Promise<void> {
    const transport = new TlsTransport({ identity: own })
    const { pipe, received } = dial(transport, { host: '127.0.0.1', port }, { expectedPeerId: peer.id })
    pipe.write([Buffer.from('a secret')])
    const outcome = await outcomeOf(pipe)
    expect(outcome).toMatchObject({ code })
    expect(outcome?.message).toMatch(sentence)
    await until('the dialling side holds nothing', () => transport.openHandles === 0, timeLimitMs)
    expect([received.closedWith, received.chunks, pipe.bufferedBytes]).toEqual([[outcome], [], 0])
  }

  it.each([
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'],
    ['SSH', 'SSH-2.0-OpenSSH_9.6\r\n'],
    ['plain text', 'welcome, please log in: '],
    ['an ampc connection id and more', '\u0000\u0000\u0000\u0000\u0000\u0000'],
  ])('a dialling side closes on a server that speaks %s', async (_name, banner) => {
    await expectRefused(
      await serve(net.createServer((socket) => void socket.write(banner, 'latin1'))),
      /does not speak TLS/,
      'ERR_TLS_PROTOCOL',
    )
  })

  it('a dialling side fails when a server hangs up without a word', async () => {
    await expectRefused(
      await serve(net.createServer((socket) => socket.end())),
      /TLS handshake .* failed/,
      'ERR_HANDSHAKE_REFUSED',
    )
  })

  it('a dialling side fails when a server hangs up after the ClientHello', async () => {
    await expectRefused(
      await serve(net.createServer((socket) => socket.once('data', () => socket.destroy()))),
      /TLS handshake .* failed/,
      'ERR_HANDSHAKE_REFUSED',
    )
  })

  it('a dialling side refuses an HTTPS server with an RSA certificate', async () => {
    const { keyPem, pem } = issue({ name: 'www', kind: 'rsa' })
    const server = tls.createServer({ key: keyPem, cert: pem, ALPNProtocols: ['h2'] })
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    await expectRefused(await serve(server), /ALPN|share no TLS parameters/, 'ERR_TLS_PROTOCOL')
  })

  it('a dialling side refuses a server that only speaks TLS 1.2', async () => {
    const { keyPem, pem } = issue({ name: 'www', kind: 'rsa' })
    const server = tls.createServer({ key: keyPem, cert: pem, maxVersion: 'TLSv1.2' })
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    await expectRefused(await serve(server), /TLS version/, 'ERR_TLS_PROTOCOL')
  })
})
