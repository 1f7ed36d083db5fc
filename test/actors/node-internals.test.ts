/**
 * Owns: a canary for each private name of Node that actors/transport/node-internals.ts uses: it fails when Node changes
 * one.
 * Independent of: what the names are used for (borrowed-reads.test.ts, test/security).
 */
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import net from 'node:net'
import { PassThrough } from 'node:stream'
import tls from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { Identity } from '../../actors/tls/identity.ts'
import { onAcceptedSecure, onTlsError, readIntoMemory, verifyErrorOf } from '../../actors/transport/node-internals.ts'

const { secureContext } = Identity.generate()
const open: net.Socket[] = []

/** The TLS sockets before the raw ones below them, and each until it is gone. */
afterEach(async () => {
  for (const socket of open.splice(0).reverse()) {
    const closed = socket.closed ? null : once(socket, 'close')
    socket.destroy()
    await closed
  }
})

async function pair(): Promise<{ dialled: net.Socket; accepted: net.Socket }> {
  const server = net.createServer({ pauseOnConnect: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const dialled = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
  const [accepted] = (await once(server, 'connection')) as [net.Socket]
  if (dialled.connecting) await once(dialled, 'connect')
  server.close()
  open.push(dialled, accepted)
  dialled.on('error', () => {})
  accepted.on('error', () => {})
  return { dialled, accepted }
}

/** An accepted socket on which TLS has begun, without a `tls.Server`. */
function acceptTls(raw: net.Socket): tls.TLSSocket {
  const socket = new tls.TLSSocket(raw, { isServer: true, secureContext, requestCert: true, rejectUnauthorized: false })
  open.push(socket)
  return socket.on('error', () => {})
}

describe('the private names of Node', () => {
  it('on this version of Node, an accepted socket can be read into given memory', async () => {
    const { dialled, accepted } = await pair()
    const memory = Buffer.alloc(1024)
    const read = new Promise<number>((resolve) => {
      expect(readIntoMemory(accepted, memory, (lengthBytes) => (resolve(lengthBytes), true))).toBe(true)
    })
    accepted.resume()
    dialled.write('hello')
    expect(memory.subarray(0, await read).toString()).toBe('hello')
  })

  it('on this version of Node, a dialled TLS socket on top of a raw one can be read into given memory', async () => {
    const { dialled, accepted } = await pair()
    const server = acceptTls(accepted)
    const client = tls.connect({ socket: dialled, secureContext, rejectUnauthorized: false })
    open.push(client)
    await once(client, 'secureConnect')
    const memory = Buffer.alloc(1024)
    const read = new Promise<number>((resolve) => {
      expect(readIntoMemory(client, memory, (lengthBytes) => (resolve(lengthBytes), true))).toBe(true)
    })
    client.resume()
    server.write('hello')
    expect(memory.subarray(0, await read).toString()).toBe('hello')
  })

  it("on this version of Node, an accepted TLS socket reports its handshake and OpenSSL's verdict", async () => {
    const { dialled, accepted } = await pair()
    const server = acceptTls(accepted)
    const secure = new Promise<void>((resolve) => onAcceptedSecure(server, resolve))
    const client = tls.connect({ socket: dialled, secureContext, rejectUnauthorized: false })
    open.push(client)
    await secure
    expect(server.getProtocol()).toBe('TLSv1.3')
    expect((verifyErrorOf(server) as NodeJS.ErrnoException).code).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
  })

  it('on this version of Node, an accepted TLS socket reports an error of TLS', async () => {
    const { dialled, accepted } = await pair()
    const failed = new Promise<Error>((resolve) => onTlsError(acceptTls(accepted), resolve))
    dialled.write('GET / HTTP/1.1\r\n\r\n')
    expect((await failed) as NodeJS.ErrnoException).toMatchObject({ code: 'ERR_SSL_HTTP_REQUEST' })
  })
})

describe('Node without a private name', () => {
  it('without the private names of Node, nothing is read into given memory, and the caller is informed', () => {
    expect(readIntoMemory(new PassThrough() as unknown as net.Socket, Buffer.alloc(1), () => true)).toBe(false)
  })

  it('without the private names of Node, no client counts as verified', () => {
    expect(verifyErrorOf({ ssl: {} } as unknown as tls.TLSSocket)).toBeInstanceOf(Error)
    expect(verifyErrorOf({ ssl: null } as unknown as tls.TLSSocket)).toBeInstanceOf(Error)
  })
})

it('no other file of actors uses a private name of a Node socket', () => {
  const folder = new URL('../../actors/', import.meta.url)
  const names = /\b_handle\b|\b_tlsError\b|kBuffer|useUserBuffer|'secure'|\.ssl\b|\bverifyError\b|socket\._\w+/
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  const users = files.filter((file) => names.test(readFileSync(new URL(file, folder), 'utf8')))
  expect(users).toEqual(['transport/node-internals.ts'])
})
