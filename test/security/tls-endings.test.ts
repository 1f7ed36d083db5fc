/**
 * Owns: how a TLS pipe of the native dialect ends: during its handshake, by a corrupted record, by a reset; and that
 * inspecting a live one shows no key.
 * Independent of: a handshake that succeeds (tls-handshake.test.ts).
 */
import net from 'node:net'
import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { Identity } from '../../actors/tls/identity.ts'
import { TlsTransport } from '../../actors/tls/tls-transport.ts'
import { closeAll, dial, Endpoint, outcomeOf, until } from './tls-bench.ts'
import type { Dialled } from './tls-bench.ts'

const [alice, bob] = [Identity.generate(), Identity.generate()]
const endpoints: Endpoint[] = []
const transports: TlsTransport[] = []

afterEach(() => closeAll(endpoints, transports))

async function openEndpoint(authorize?: (peerId: string) => boolean): Promise<Endpoint> {
  const endpoint = await Endpoint.open({ identity: bob, ...(authorize === undefined ? {} : { authorize }) })
  endpoints.push(endpoint)
  return endpoint
}

function dialAs(identity: Identity, address: { host: string; port: number }, expectedPeerId = bob.id): Dialled {
  const transport = new TlsTransport({ identity })
  transports.push(transport)
  return dial(transport, address, { expectedPeerId })
}

describe('a pipe that ends during its handshake', () => {
  it('destroying a pipe during its dial rejects secure() with the given cause', async () => {
    const endpoint = await openEndpoint()
    const { pipe, received } = dialAs(alice, endpoint.address)
    const securing = outcomeOf(pipe)
    const cause = new Error('no time left')
    pipe.destroy(cause)
    expect(await securing).toBe(cause)
    expect([received.isOpen, received.closedWith]).toEqual([false, [cause]])
    await expect(pipe.secure()).rejects.toBe(cause)
  })

  it('a refused dial rejects secure() with the error of the kernel', async () => {
    const endpoint = await openEndpoint()
    const { address } = endpoint
    await endpoint.listener.close()
    const { pipe, received } = dialAs(alice, address)
    expect(await outcomeOf(pipe)).toMatchObject({ code: 'ECONNREFUSED' })
    expect(received.closedWith).toHaveLength(1)
  })

  it('secure() of a destroyed pipe rejects', async () => {
    const endpoint = await openEndpoint()
    const { pipe } = dialAs(alice, endpoint.address)
    pipe.destroy()
    expect(await outcomeOf(pipe)).toMatchObject({ code: 'ERR_HANDSHAKE_FAILED' })
  })
})

describe('a corrupted record', () => {
  it('a record that is corrupted after the handshake closes both ends at once with an error', async () => {
    const endpoint = await openEndpoint()
    let tamper = (_bytes: Buffer): Buffer => _bytes
    const relay = net.createServer((near) => {
      const far = net.connect(endpoint.address)
      near.on('data', (bytes) => far.write(tamper(bytes)))
      far.on('data', (bytes) => near.write(bytes))
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const)
        one.on('error', () => {}).on('close', () => other.destroy())
    })
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
    const { pipe, received } = dialAs(alice, { host: '127.0.0.1', port: (relay.address() as net.AddressInfo).port })
    pipe.resume()
    await pipe.secure()
    const accepted = await endpoint.outcome(0)
    expect(accepted.outcome).toBeNull()
    tamper = (bytes) => {
      const changed = Buffer.from(bytes)
      changed[changed.length - 1] = (changed.at(-1) as number) ^ 1
      return changed
    }
    pipe.write([Buffer.from('hello')])
    await until(
      'both ends are closed',
      () => accepted.received.closedWith.length === 1 && received.closedWith.length === 1,
      1000,
    )
    expect(accepted.received.closedWith[0]).toMatchObject({ code: 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC' })
    expect(accepted.received.chunks).toEqual([])
    relay.close()
  })
})

describe('a reset over TLS', () => {
  it('a reset reaches the other side as a reset after the handshake, and as an end before it', async () => {
    const endpoint = await openEndpoint()
    const first = dialAs(alice, endpoint.address)
    await first.pipe.secure()
    const accepted = await endpoint.outcome(0)
    // Unread bytes turn any close into a reset.
    first.pipe.resume()
    accepted.pipe.write([Buffer.from('read')])
    await until('it is read', () => first.received.text === 'read')
    first.pipe.reset()
    // Called on Node's TLS socket in the same tick, these end the process.
    first.pipe.resume()
    first.pipe.destroy()
    first.pipe.reset()
    await until(
      'both sides have seen it',
      () => accepted.received.closedWith.length === 1 && first.received.closedWith.length === 1,
    )
    expect(accepted.received.closedWith[0]).toMatchObject({ code: 'ECONNRESET' })
    expect(first.received.closedWith).toEqual([null])
    const second = dialAs(alice, endpoint.address)
    second.pipe.reset()
    await until('it is closed', () => second.received.closedWith.length === 1)
  })

  it.each(['dialler', 'acceptor'])('a reset of the %s closes a pipe whose end is under way', async (role) => {
    const endpoint = await openEndpoint()
    const { pipe, received } = dialAs(alice, endpoint.address)
    pipe.resume()
    await pipe.secure()
    const accepted = await endpoint.outcome(0)
    const [near, nearReceived] = role === 'dialler' ? [pipe, received] : [accepted.pipe, accepted.received]
    near.end()
    near.reset()
    await until('it is closed', () => nearReceived.closedWith.length === 1)
  })
})

describe('inspection of a live connection', () => {
  it('inspecting a live connection at any depth shows no private key on either side', async () => {
    const endpoint = await openEndpoint()
    const { pipe } = dialAs(alice, endpoint.address)
    await pipe.secure()
    const accepted = await endpoint.outcome(0)
    const secrets = [alice, bob].map((identity) => identity.toPem().split('\n')[1] as string)
    const handles = (process as unknown as { _getActiveHandles(): unknown[] })._getActiveHandles()
    for (const thing of [pipe, accepted.pipe, endpoint.transport, ...handles]) {
      const text = inspect(thing, { depth: 12, showHidden: true, maxArrayLength: null, maxStringLength: null })
      for (const secret of secrets) expect(text.includes(secret)).toBe(false)
    }
    expect(JSON.stringify([pipe, endpoint.transport])).toMatch(/^\["tls 127\.0\.0\.1:\d+","<tls transport>"\]$/)
  })
})
