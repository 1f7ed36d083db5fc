/**
 * Owns: dialling an address without an id, over real TLS.
 * Independent of: how a peer is dialled that is known.
 */
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createNetwork, Identity } from '../../index.ts'
import type { Network } from '../../index.ts'
import { rejectionOf } from '../support/native-scene.ts'

const [aliceKey, bobKey, carolKey] = [Identity.generate(), Identity.generate(), Identity.generate()]
const networks: Network[] = []

async function start(identity: Identity, peers: readonly Identity[], listen = true): Promise<Network> {
  const network = createNetwork({
    identity,
    peers: peers.map(({ id }) => ({ id })),
    ...(listen ? { listen: 'tls://127.0.0.1:0' } : {}),
  })
  networks.push(network)
  await network.ready()
  return network
}

afterEach(async () => {
  const all = networks.splice(0)
  await Promise.all(all.map((network) => network.shutdown()))
  expect(all.map(({ resources }) => resources)).toEqual(all.map(() => ({ actors: 0, deadlines: 0, handles: 0 })))
})

describe('network.dial', () => {
  it('connects whichever allowed peer answers, and adds the address to its URLs', async () => {
    const alice = await start(aliceKey, [bobKey, carolKey])
    const bob = await start(bobKey, [aliceKey])
    const peer = await alice.dial(bob.url as string)
    expect([peer.id, peer.state, peer.urls]).toEqual([bobKey.id, 'connected', [bob.url]])
    expect(alice.peer(bobKey.id)).toBe(peer)
    bob.onRequest('', ({ peer: from }) => from)
    expect((await alice.request(peer, '')).bytes.toString()).toBe(aliceKey.id)
  })

  it('gives two calls for one address the same peer', async () => {
    const alice = await start(aliceKey, [bobKey])
    const bob = await start(bobKey, [aliceKey])
    const [one, other] = await Promise.all([alice.dial(bob.url as string), alice.dial(bob.url as string)])
    expect(one).toBe(other)
  })

  it('resolves host names', async () => {
    const alice = await start(aliceKey, [bobKey])
    const bob = await start(bobKey, [aliceKey])
    const peer = await alice.dial((bob.url as string).replace('127.0.0.1', 'localhost'))
    expect(peer.id).toBe(bobKey.id)
  })

  it('refuses a key that is not allowed, this side itself, and a peer that is connected, and names it', async () => {
    const alice = await start(aliceKey, [bobKey])
    const bob = await start(bobKey, [aliceKey])
    const carol = await start(carolKey, [aliceKey])
    await alice.dial(bob.url as string)
    for (const [url, says] of [
      [carol.url, carolKey.id],
      [alice.url, 'this side itself'],
      [bob.url, 'connected already'],
    ]) {
      const error = await rejectionOf(alice.dial(url as string))
      expect(error).toMatchObject({ code: 'ERR_UNEXPECTED_PEER' })
      expect(error.message).toContain(says)
    }
    expect(alice.peers.map(({ id }) => id)).toEqual([bobKey.id])
  })

  it('fails with what is wrong with the address', async () => {
    const alice = await start(aliceKey, [bobKey])
    const silent = createServer((socket) => socket.on('error', () => {}).resume())
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as AddressInfo
    expect(await rejectionOf(alice.dial(`tls://127.0.0.1:${port}`, { timeoutMs: 100 }))).toMatchObject({
      code: 'ERR_TIMED_OUT',
    })
    const aborted = new AbortController()
    const waiting = rejectionOf(alice.dial(`tls://127.0.0.1:${port}`, { signal: aborted.signal, timeoutMs: 200 }))
    aborted.abort()
    expect(await waiting).toMatchObject({ code: 'ERR_ABORTED' })
    await new Promise((resolve) => silent.close(resolve))
    expect(await rejectionOf(alice.dial(`tls://127.0.0.1:${port}`))).toMatchObject({ code: 'ERR_TRANSPORT' })
    expect(await rejectionOf(alice.dial('http://127.0.0.1'))).toMatchObject({ code: 'ERR_INVALID_URL' })
    expect(await rejectionOf(alice.dial(5 as never))).toMatchObject({ code: 'ERR_INVALID_URL' })
  })

  it('a shutdown ends a dial, and leaves no socket', async () => {
    const alice = await start(aliceKey, [bobKey])
    const silent = createServer((socket) => socket.on('error', () => {}).resume())
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as AddressInfo
    const waiting = rejectionOf(alice.dial(`tls://127.0.0.1:${port}`))
    await new Promise((resolve) => silent.once('connection', resolve))
    await alice.shutdown()
    expect(await waiting).toMatchObject({ code: 'ERR_NETWORK_STOPPED' })
    expect(alice.resources.handles).toBe(0)
    await new Promise((resolve) => silent.close(resolve))
  })

  it('needs TLS and the native dialect', async () => {
    const plain = createNetwork({
      identity: aliceKey,
      peers: [{ id: bobKey.id }],
      security: 'plaintext',
      listen: 'tcp://127.0.0.1:0',
    })
    networks.push(plain)
    const bob = createNetwork({
      identity: bobKey,
      peers: [{ id: aliceKey.id }],
      security: 'plaintext',
      listen: 'tcp://127.0.0.1:0',
    })
    networks.push(bob)
    await Promise.all([plain.ready(), bob.ready()])
    expect(await rejectionOf(plain.dial(bob.url as string))).toMatchObject({ code: 'ERR_DIALECT_UNSUPPORTED' })
    const ampc = createNetwork({ identity: 'a', security: 'plaintext', peers: [], listen: 'tcp://127.0.0.1:0' })
    networks.push(ampc)
    expect(await rejectionOf(ampc.dial('tcp://127.0.0.1:1'))).toMatchObject({ code: 'ERR_DIALECT_UNSUPPORTED' })
  })
})
