/**
 * Owns: the TLS handshake of the native dialect seen from its pipes: order and errors.
 * Independent of: attacks on identity, and the end of a pipe (tls-endings.test.ts).
 */
import net from 'node:net'
import tls from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { Identity } from '../../actors/tls/identity.ts'
import type { Pipe } from '../../actors/base/pipe.ts'
import { TlsTransport } from '../../actors/tls/tls-transport.ts'
import { dial, Endpoint, Received, loopback, options, outcomeOf, closeAll, nextTick, until } from './tls-bench.ts'
import type { Dialled } from './tls-bench.ts'

const [alice, bob, carol] = [Identity.generate(), Identity.generate(), Identity.generate()]
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

describe('two native sides', () => {
  it('two native sides prove their ids, and bytes flow both ways', async () => {
    const endpoint = await openEndpoint((id) => id === alice.id)
    const { pipe, received } = dialAs(alice, endpoint.address)
    expect([pipe.peerId, pipe.dialect, pipe.isAnchoredIn(bob.id)]).toEqual([undefined, undefined, false])
    pipe.resume()
    await pipe.secure()
    const accepted = await endpoint.outcome(0)
    accepted.pipe.write([Buffer.from('from '), Buffer.from('bob')])
    pipe.write([Buffer.from('from '), Buffer.from('alice')])
    await until('both have received', () => received.text === 'from bob' && accepted.received.text === 'from alice')
    expect([received.isOpen, pipe.peerId, accepted.pipe.peerId, pipe.dialect]).toEqual([
      true,
      bob.id,
      alice.id,
      'native',
    ])
    expect([pipe.isAnchoredIn(bob.id), pipe.isAnchoredIn(carol.id), accepted.pipe.isAnchoredIn(alice.id)]).toEqual([
      true,
      false,
      true,
    ])
  })

  it('secure() may be called again before and after it completes', async () => {
    const endpoint = await openEndpoint()
    const { pipe } = dialAs(alice, endpoint.address)
    const first = pipe.secure()
    expect(pipe.secure()).toBe(first)
    await first
    await expect(pipe.secure()).resolves.toBeUndefined()
  })

  it('a pipe delivers no bytes before it is resumed, and then all that arrived meanwhile', async () => {
    const transport = new TlsTransport({ identity: bob })
    transports.push(transport)
    const accepted: { pipe: Pipe; received: Received }[] = []
    const listener = await transport.listen(loopback, options, {
      onPipe(pipe) {
        const received = new Received()
        pipe.handle(received)
        pipe.secure().catch(() => {})
        accepted.push({ pipe, received })
      },
      onError(error) {
        throw error
      },
    })
    const { pipe } = dialAs(alice, listener.address)
    pipe.write([Buffer.from('hello')])
    await pipe.secure()
    await until('it is proved here as well', () => accepted[0]?.pipe.peerId === alice.id)
    for (let i = 0; i < 100; i++) await nextTick()
    expect(accepted[0]?.received.text).toBe('')
    accepted[0]?.pipe.resume()
    await until('it is received', () => accepted[0]?.received.text === 'hello')
    await listener.close()
  })

  it('dials from one transport to one address are separate for each expected id', async () => {
    const endpoint = await openEndpoint()
    const transport = new TlsTransport({ identity: alice })
    transports.push(transport)
    const ends: unknown[] = []
    for (const expectedPeerId of [bob.id, carol.id, bob.id, carol.id])
      ends.push(
        ((await outcomeOf(dial(transport, endpoint.address, { expectedPeerId }).pipe)) as { code?: string } | null)
          ?.code ?? null,
      )
    expect(ends).toEqual([null, 'ERR_UNEXPECTED_PEER', null, 'ERR_UNEXPECTED_PEER'])
  })

  it('the error about an unexpected id names the address that was dialled', async () => {
    const [ofBob, ofCarol] = [await openEndpoint(), await Endpoint.open({ identity: carol })]
    endpoints.push(ofCarol)
    const transport = new TlsTransport({ identity: alice })
    transports.push(transport)
    const ends: unknown[] = []
    for (const { address } of [ofBob, ofCarol, ofBob, ofCarol]) {
      const outcome = await outcomeOf(dial(transport, address, { expectedPeerId: bob.id }).pipe)
      ends.push(
        outcome === null ? null : outcome.message.startsWith(`127.0.0.1:${address.port} proved to be ${carol.id}`),
      )
    }
    expect(ends).toEqual([null, true, null, true])
  })

  it('secure() may be called from within onOpen or before it', async () => {
    const endpoint = await openEndpoint()
    for (const [index, isEarly] of [true, false].entries()) {
      const { pipe, received } = dialAs(alice, endpoint.address)
      const outcome = isEarly
        ? outcomeOf(pipe)
        : new Promise<Error | null>((resolve) => (received.onOpen = () => resolve(outcomeOf(pipe))))
      expect(await outcome).toBeNull()
      pipe.write([Buffer.from('hello')])
      const accepted = await endpoint.outcome(index)
      await until('it has arrived', () => accepted.received.text === 'hello')
    }
  })

  it('two native sides agree on TLS 1.3 with X25519', async () => {
    const endpoint = await openEndpoint()
    const seen = await new Promise<unknown[]>((resolve) => {
      const socket = tls.connect(
        {
          ...endpoint.address,
          key: alice.toPem(),
          cert: alice.certificate,
          ALPNProtocols: ['statewire/1'],
          rejectUnauthorized: false,
        },
        () => {
          resolve([
            socket.getProtocol(),
            (socket.getEphemeralKeyInfo() as { name: string }).name,
            socket.getCipher().name,
            socket.alpnProtocol,
          ])
          socket.destroy()
        },
      )
    })
    // Node's client puts AES-256 first, and the server follows it.
    expect(seen).toEqual(['TLSv1.3', 'X25519', 'TLS_AES_256_GCM_SHA384', 'statewire/1'])
  })
})

describe('a dialling native side', () => {
  it('a dialling side refuses an unexpected id before it has sent one byte, and names both ids', async () => {
    const endpoint = await openEndpoint()
    const { pipe, received } = dialAs(alice, endpoint.address, carol.id)
    const flushed: unknown[] = []
    pipe.write([Buffer.from('a secret for Carol')], (error) => flushed.push(error))
    const securing: { outcome?: Error | null } = {}
    void outcomeOf(pipe).then((error) => (securing.outcome = error))
    let waitingBytes = pipe.bufferedBytes
    while (securing.outcome === undefined) {
      // In every state of the handshake.
      if (pipe.write([Buffer.from('and more')])) expect(pipe.bufferedBytes).toBe((waitingBytes += 8))
      await nextTick()
    }
    const { outcome } = securing
    expect(outcome).toMatchObject({ code: 'ERR_UNEXPECTED_PEER', expected: carol.id, got: bob.id })
    expect(outcome?.message).toContain(`proved to be ${bob.id}, not ${carol.id}`)
    expect(received.closedWith).toEqual([outcome])
    expect(flushed).toEqual([outcome])
    const accepted = endpoint.accepted[0]
    await until('the other side has seen the end', () => accepted?.pipe.closed === true)
    expect([accepted?.received.text, pipe.peerId]).toEqual(['', undefined])
  })

  it('an error about an IPv6 address separates the address from the port', () => {
    const transport = new TlsTransport({ identity: alice })
    expect(() => transport.dial({ host: '::1', port: 15600 }, options)).toThrow(
      'the dial of [::1]:15600 needs expectedPeerId',
    )
    expect(() => transport.dial({ host: '::1', port: 15600 }, { ...options, expectedPeerId: alice.id })).toThrow(
      "the id expected at [::1]:15600 is this side's own",
    )
  })

  it('early writes are kept in order until the other side is proved, and then sent', async () => {
    const endpoint = await openEndpoint()
    const { pipe } = dialAs(alice, endpoint.address)
    const flushed: unknown[] = []
    expect(pipe.write([Buffer.from('one '), Buffer.from('two ')], (error) => flushed.push(error))).toBe(true)
    expect(pipe.write([Buffer.alloc(options.highWaterMarkBytes)])).toBe(false)
    expect(pipe.bufferedBytes).toBe(options.highWaterMarkBytes + 8)
    pipe.end()
    expect(pipe.write([Buffer.from('late')])).toBe(false)
    await pipe.secure()
    const accepted = await endpoint.outcome(0)
    await until('all has arrived', () => accepted.received.ends === 1)
    expect(accepted.received.text.replaceAll('\0', '')).toBe('one two ')
    expect(flushed).toEqual([null])
  })

  it.each<[string, string | undefined, string]>([
    ['without an expected id', undefined, 'ERR_INVALID_OPTION'],
    ['for a string that is not an id', 'bob', 'ERR_INVALID_PEER_ID'],
    ['for its own id', alice.id, 'ERR_INVALID_PEER_ID'],
  ])('a dialling side refuses to dial %s', (_name, expectedPeerId, code) => {
    const transport = new TlsTransport({ identity: alice })
    expect(() =>
      transport.dial(
        { host: '127.0.0.1', port: 1 },
        { ...options, ...(expectedPeerId === undefined ? {} : { expectedPeerId }) },
      ),
    ).toThrow(expect.objectContaining({ code }))
    expect(transport.openHandles).toBe(0)
  })

  it('secure() of a dialling side resolves before the accepting side has decided', async () => {
    const endpoint = await openEndpoint(() => false)
    const { pipe, received } = dialAs(alice, endpoint.address)
    pipe.resume()
    await pipe.secure()
    const accepted = await endpoint.outcome(0)
    expect(accepted.outcome).toMatchObject({ code: 'ERR_UNKNOWN_PEER' })
    await until('the dialling side has seen the end', () => received.closedWith.length === 1)
    expect(received.chunks).toEqual([])
  })
})

describe('an accepting native side', () => {
  it('an accepting side does nothing before secure() is called, so admission comes before cost', async () => {
    const transport = new TlsTransport({ identity: bob })
    transports.push(transport)
    const pipes: Dialled['pipe'][] = []
    const listener = await transport.listen({ host: '127.0.0.1', port: 0 }, options, {
      onPipe: (pipe) => pipes.push(pipe as Dialled['pipe']),
      onError() {},
    })
    let received = 0
    const client = tls.connect({ ...listener.address, rejectUnauthorized: false, ALPNProtocols: ['statewire/1'] })
    client.on('error', () => {})
    const raw = net.connect(listener.address, () => raw.write('x'))
    raw.on('data', () => received++).on('error', () => {})
    await until('both are accepted', () => pipes.length === 2)
    for (let i = 0; i < 100; i++) await nextTick()
    expect([received, client.getPeerX509Certificate(), pipes.map(({ bufferedBytes }) => bufferedBytes)]).toEqual([
      0,
      undefined,
      [0, 0],
    ])
    client.destroy()
    raw.destroy()
    await listener.close()
  })

  it('an accepting side calls authorize once, with the proved id', async () => {
    const asked: string[] = []
    const endpoint = await openEndpoint((id) => asked.push(id) > 0)
    await dialAs(alice, endpoint.address).pipe.secure()
    await endpoint.outcome(0)
    expect(asked).toEqual([alice.id])
  })

  it('an accepting side reads a ClientHello that arrives byte by byte', async () => {
    const endpoint = await openEndpoint()
    const relay = net.createServer((near) => {
      const far = net.connect(endpoint.address)
      far.setNoDelay(true)
      near.on('data', (bytes) => {
        // Each byte by itself, with a tick between them for the reading side.
        near.pause()
        const next = (at: number): void => {
          if (at === bytes.length) return void near.resume()
          far.write(bytes.subarray(at, at + 1), () => setImmediate(() => next(at + 1)))
        }
        next(0)
      })
      far.on('data', (bytes) => near.write(bytes))
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const)
        one.on('error', () => {}).on('close', () => other.destroy())
    })
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
    const { pipe } = dialAs(alice, { host: '127.0.0.1', port: (relay.address() as net.AddressInfo).port })
    await pipe.secure()
    expect((await endpoint.outcome(0)).pipe.peerId).toBe(alice.id)
    pipe.destroy()
    relay.close()
  })

  it('destroying fifty silent clients releases them and reports each', async () => {
    const endpoint = await openEndpoint()
    const clients = Array.from({ length: 50 }, () => net.connect(endpoint.address).on('error', () => {}))
    for (const client of clients.slice(25)) client.write(Buffer.from([22, 3, 1]))
    await until('all are accepted', () => endpoint.accepted.length === 50)
    for (const { pipe } of endpoint.accepted) pipe.destroy()
    await until('all have failed', () => endpoint.accepted.every(({ outcome }) => outcome !== undefined))
    await until(
      'all are closed',
      () =>
        clients.every((client) => client.destroyed || client.readableEnded || client.closed) ||
        endpoint.transport.openHandles === 1,
    )
    expect(
      endpoint.accepted.every(
        ({ outcome, received }) => /this side closed/.test(outcome?.message ?? '') && received.closedWith.length === 1,
      ),
    ).toBe(true)
    for (const client of clients) client.destroy()
  })
})
