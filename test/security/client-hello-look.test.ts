/**
 * Owns: that a port of both dialects chooses by the ClientHello, names other protocols, and changes nothing for TLS.
 * Independent of: the bytes of a ClientHello (client-hello.test.ts), and ports of one dialect (wrong-protocol.test.ts).
 */
import net from 'node:net'
import tls from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { Identity } from '../../actors/tls/identity.ts'
import { TlsTransport } from '../../actors/tls/tls-transport.ts'
import { issue } from './test-authority.ts'
import { dial, Endpoint, closeAll, until } from './tls-bench.ts'

const [alice, bob] = [Identity.generate(), Identity.generate()]
const root = issue({ name: 'root', isAuthority: true })
const leaf = issue({ name: 'bob', issuer: root, hosts: ['127.0.0.1'], purposes: ['client', 'server'] })
const ampc = { key: leaf.keyPem, certificate: leaf.pem, roots: { alice: root.pem } }
const endpoints: Endpoint[] = []
const transports: TlsTransport[] = []
const servers: net.Server[] = []
const clients: net.Socket[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await closeAll(endpoints, transports)
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve))
})

async function openEndpoint(): Promise<Endpoint> {
  const endpoint = await Endpoint.open({ identity: bob, ampc })
  endpoints.push(endpoint)
  return endpoint
}

/** A megabyte in the native dialect arrives complete from a dial to this port. */
async function sendMegabyte(endpoint: Endpoint, port = endpoint.address.port): Promise<void> {
  const transport = new TlsTransport({ identity: alice })
  transports.push(transport)
  const { pipe } = dial(transport, { host: '127.0.0.1', port }, { expectedPeerId: bob.id })
  pipe.write([sent])
  await pipe.secure()
  const { outcome, received, pipe: inbound } = await endpoint.outcome(0)
  expect([outcome, inbound.peerId, inbound.dialect]).toEqual([null, alice.id, 'native'])
  await until('all of it is there', () => received.chunks.reduce((sum, { length }) => sum + length, 0) >= sent.length)
  expect(Buffer.concat(received.chunks).equals(sent)).toBe(true)
}

const sent = Buffer.from(Array.from({ length: 1024 * 1024 }, (_, at) => (at * 7 + (at >>> 8)) & 0xff))

describe('a port of both dialects', () => {
  it('a port of both dialects passes on to TLS what it has read, and a megabyte arrives complete', async () => {
    await sendMegabyte(await openEndpoint())
  })

  it('a port of both dialects waits for a ClientHello that arrives byte by byte', async () => {
    const endpoint = await openEndpoint()
    const relay = net.createServer((client) => {
      const onward = net.connect(endpoint.address.port, '127.0.0.1')
      onward.setNoDelay(true)
      client.on('error', () => onward.destroy()).on('close', () => onward.destroy())
      onward.on('error', () => client.destroy()).on('close', () => client.destroy())
      onward.pipe(client)
      client.once('data', (hello: Buffer) => {
        client.pause()
        const next = (at: number): void => {
          if (at < hello.length) onward.write(hello.subarray(at, at + 1), () => setImmediate(next, at + 1))
          else client.pipe(onward)
        }
        next(0)
      })
    })
    servers.push(relay)
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
    await sendMegabyte(endpoint, (relay.address() as net.AddressInfo).port)
  })

  it('a port of both dialects reads a ClientHello of many kilobytes to its end', async () => {
    const names = Array.from({ length: 30 }, (_, at) => String(at).padEnd(200, '-'))
    const keys = {
      key: alice.toPem(),
      cert: alice.certificate,
      minVersion: 'TLSv1.3',
      rejectUnauthorized: false,
    } as const
    const endpoint = await openEndpoint()
    clients.push(
      tls.connect({
        ...keys,
        ALPNProtocols: [...names, 'statewire/1'],
        host: '127.0.0.1',
        port: endpoint.address.port,
      }),
    )
    const { outcome, pipe } = await endpoint.outcome(0)
    expect([outcome, pipe.peerId]).toEqual([null, alice.id])
  })

  it.each([
    ['HTTP', 'GET / HTTP/1.1\r\nHost: example.org\r\n\r\n', /does not speak TLS but HTTP/],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /HTTP\/2/],
    ['SSH', 'SSH-2.0-OpenSSH_9.6\r\n', /SSH/],
    ['plain text', 'hello, who is there?\n', /plain text/],
    ['one letter', 'x', /plain text/],
    ['a statewire hello without TLS', 'SWIR\u0001\u0001', /statewire without TLS/],
    ['an ampc connection id', '\u0000\u0000\u0000\u0000', /an unknown protocol/],
  ])('a port of both dialects names %s in its error and closes', async (_name, text, sentence) => {
    const endpoint = await openEndpoint()
    const client = net.connect(endpoint.address.port, '127.0.0.1', () => void client.write(text, 'latin1'))
    client.on('error', () => {})
    clients.push(client)
    const { outcome, pipe } = await endpoint.outcome(0)
    expect(outcome?.message).toMatch(sentence)
    await until('it is closed', () => pipe.closed)
  })

  it('a port of both dialects names the unsupported protocols that a client offers by ALPN', async () => {
    const endpoint = await openEndpoint()
    const client = tls.connect({
      host: '127.0.0.1',
      port: endpoint.address.port,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2', 'http/1.1'],
    })
    client.on('error', () => {})
    clients.push(client)
    expect((await endpoint.outcome(0)).outcome?.message).toMatch(/other protocols by ALPN \("h2, http\/1.1"\)/)
  })

  it('a port of both dialects closes when a client ends within its ClientHello', async () => {
    const endpoint = await openEndpoint()
    const client = net.connect(endpoint.address.port, '127.0.0.1', () => client.end(Buffer.from([22, 3, 1, 1, 0, 1])))
    client.on('error', () => {})
    clients.push(client)
    expect((await endpoint.outcome(0)).outcome?.message).toMatch(
      /closed the connection before its ClientHello was complete/,
    )
  })
})
