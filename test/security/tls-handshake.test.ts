/** Owns: the TLS handshake of the native dialect seen from its pipes: order, errors, traps. Refuses to know: attacks on identity. */
import net from 'node:net'
import tls from 'node:tls'
import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { Identity } from '../../actors/tls/identity.ts'
import type { Pipe } from '../../actors/base/pipe.ts'
import { TlsTransport } from '../../actors/tls/tls-transport.ts'
import { dial, Door, Heard, loopback, options, outcomeOf, putAway, turn, until } from './tls-bench.ts'
import type { Dialled } from './tls-bench.ts'

const [alice, bob, carol] = [Identity.generate(), Identity.generate(), Identity.generate()]
const doors: Door[] = []
const transports: TlsTransport[] = []

afterEach(() => putAway(doors, transports))

async function openDoor(authorize?: (peerId: string) => boolean): Promise<Door> {
  const door = await Door.open({ identity: bob, ...(authorize === undefined ? {} : { authorize }) })
  doors.push(door)
  return door
}

function dialAs(identity: Identity, address: { host: string; port: number }, expectedPeerId = bob.id): Dialled {
  const transport = new TlsTransport({ identity })
  transports.push(transport)
  return dial(transport, address, { expectedPeerId })
}

describe('two sides that expect each other', () => {
  it('two sides that expect each other prove their ids, and bytes flow both ways', async () => {
    const door = await openDoor((id) => id === alice.id)
    const { pipe, heard } = dialAs(alice, door.address)
    expect([pipe.peerId, pipe.dialect, pipe.isAnchoredIn(bob.id)]).toEqual([undefined, undefined, false])
    pipe.resume()
    await pipe.secure()
    const accepted = await door.outcome(0)
    accepted.pipe.write([Buffer.from('from '), Buffer.from('bob')])
    pipe.write([Buffer.from('from '), Buffer.from('alice')])
    await until('both have heard', () => heard.text === 'from bob' && accepted.heard.text === 'from alice')
    expect([heard.isOpen, pipe.peerId, accepted.pipe.peerId, pipe.dialect]).toEqual([true, bob.id, alice.id, 'native'])
    expect([pipe.isAnchoredIn(bob.id), pipe.isAnchoredIn(carol.id), accepted.pipe.isAnchoredIn(alice.id)]).toEqual([
      true,
      false,
      true,
    ])
  })

  it('two sides that expect each other may be asked twice to secure, before and after', async () => {
    const door = await openDoor()
    const { pipe } = dialAs(alice, door.address)
    const first = pipe.secure()
    expect(pipe.secure()).toBe(first)
    await first
    await expect(pipe.secure()).resolves.toBeUndefined()
  })

  it('two sides that expect each other hear nothing before they resume, and then all that came meanwhile', async () => {
    const transport = new TlsTransport({ identity: bob })
    transports.push(transport)
    const accepted: { pipe: Pipe; heard: Heard }[] = []
    const listener = await transport.listen(loopback, options, {
      onPipe(pipe) {
        const heard = new Heard()
        pipe.handle(heard)
        pipe.secure().catch(() => {})
        accepted.push({ pipe, heard })
      },
      onError(error) {
        throw error
      },
    })
    const { pipe } = dialAs(alice, listener.address)
    pipe.write([Buffer.from('hello')])
    await pipe.secure()
    await until('it is proved here as well', () => accepted[0]?.pipe.peerId === alice.id)
    for (let i = 0; i < 100; i++) await turn()
    expect(accepted[0]?.heard.text).toBe('')
    accepted[0]?.pipe.resume()
    await until('it is heard', () => accepted[0]?.heard.text === 'hello')
    await listener.close()
  })

  it('two sides that expect each other are told apart by whom they expect, also at one address and from one transport', async () => {
    const door = await openDoor()
    const transport = new TlsTransport({ identity: alice })
    transports.push(transport)
    const ends: unknown[] = []
    for (const expectedPeerId of [bob.id, carol.id, bob.id, carol.id])
      ends.push(
        ((await outcomeOf(dial(transport, door.address, { expectedPeerId }).pipe)) as { code?: string } | null)?.code ??
          null,
      )
    expect(ends).toEqual([null, 'ERR_UNEXPECTED_PEER', null, 'ERR_UNEXPECTED_PEER'])
  })

  it('two sides that expect each other are looked for where they were dialled last: another address is another place, and is the one that an error names', async () => {
    const [ofBob, ofCarol] = [await openDoor(), await Door.open({ identity: carol })]
    doors.push(ofCarol)
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

  it('two sides that expect each other may secure from within onOpen, as well as before it', async () => {
    const door = await openDoor()
    for (const [index, isEarly] of [true, false].entries()) {
      const { pipe, heard } = dialAs(alice, door.address)
      const outcome = isEarly
        ? outcomeOf(pipe)
        : new Promise<Error | null>((resolve) => (heard.onOpen = () => resolve(outcomeOf(pipe))))
      expect(await outcome).toBeNull()
      pipe.write([Buffer.from('hello')])
      const accepted = await door.outcome(index)
      await until('it has arrived', () => accepted.heard.text === 'hello')
    }
  })

  it('two sides that expect each other agree on TLS 1.3 with X25519 and AES-128-GCM', async () => {
    const door = await openDoor()
    const seen = await new Promise<unknown[]>((resolve) => {
      const socket = tls.connect(
        {
          ...door.address,
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

describe('the dialling side', () => {
  it('the dialling side rejects another id with both ids, before one byte has left', async () => {
    const door = await openDoor()
    const { pipe, heard } = dialAs(alice, door.address, carol.id)
    const flushed: unknown[] = []
    pipe.write([Buffer.from('a secret for Carol')], (error) => flushed.push(error))
    const securing: { outcome?: Error | null } = {}
    void outcomeOf(pipe).then((error) => (securing.outcome = error))
    let waitingBytes = pipe.bufferedBytes
    while (securing.outcome === undefined) {
      // In every state of the handshake.
      if (pipe.write([Buffer.from('and more')])) expect(pipe.bufferedBytes).toBe((waitingBytes += 8))
      await turn()
    }
    const { outcome } = securing
    expect(outcome).toMatchObject({ code: 'ERR_UNEXPECTED_PEER', expected: carol.id, got: bob.id })
    expect(outcome?.message).toContain(`proved to be ${bob.id}, not ${carol.id}`)
    expect(heard.closedWith).toEqual([outcome])
    expect(flushed).toEqual([outcome])
    const accepted = door.accepted[0]
    await until('the other side has seen the end', () => accepted?.pipe.closed === true)
    expect([accepted?.heard.text, pipe.peerId]).toEqual(['', undefined])
  })

  it('the dialling side names an address of IPv6 with its port so that the two can be told apart', () => {
    const transport = new TlsTransport({ identity: alice })
    expect(() => transport.dial({ host: '::1', port: 15600 }, options)).toThrow('nobody is expected at [::1]:15600')
    expect(() => transport.dial({ host: '::1', port: 15600 }, { ...options, expectedPeerId: alice.id })).toThrow(
      "the id expected at [::1]:15600 is this side's own",
    )
  })

  it('the dialling side keeps what is written early until the other side is proved, in order, and then sends it', async () => {
    const door = await openDoor()
    const { pipe } = dialAs(alice, door.address)
    const flushed: unknown[] = []
    expect(pipe.write([Buffer.from('one '), Buffer.from('two ')], (error) => flushed.push(error))).toBe(true)
    expect(pipe.write([Buffer.alloc(options.highWaterMarkBytes)])).toBe(false)
    expect(pipe.bufferedBytes).toBe(options.highWaterMarkBytes + 8)
    pipe.end()
    expect(pipe.write([Buffer.from('late')])).toBe(false)
    await pipe.secure()
    const accepted = await door.outcome(0)
    await until('all has arrived', () => accepted.heard.ends === 1)
    expect(accepted.heard.text.replaceAll('\0', '')).toBe('one two ')
    expect(flushed).toEqual([null])
  })

  it.each<[string, string | undefined, string]>([
    ['nobody', undefined, 'ERR_INVALID_OPTION'],
    ['a text that is no id', 'bob', 'ERR_INVALID_PEER_ID'],
    ['itself', alice.id, 'ERR_INVALID_PEER_ID'],
  ])('the dialling side does not dial %s', (_name, expectedPeerId, code) => {
    const transport = new TlsTransport({ identity: alice })
    expect(() =>
      transport.dial(
        { host: '127.0.0.1', port: 1 },
        { ...options, ...(expectedPeerId === undefined ? {} : { expectedPeerId }) },
      ),
    ).toThrow(expect.objectContaining({ code }))
    expect(transport.openHandles).toBe(0)
  })

  it('the dialling side takes "secure" for no verdict of the other side: that comes after it', async () => {
    const door = await openDoor(() => false)
    const { pipe, heard } = dialAs(alice, door.address)
    pipe.resume()
    await pipe.secure()
    const accepted = await door.outcome(0)
    expect(accepted.outcome).toMatchObject({ code: 'ERR_UNKNOWN_PEER' })
    await until('the dialling side has seen the end', () => heard.closedWith.length === 1)
    expect(heard.chunks).toEqual([])
  })
})

describe('the accepting side', () => {
  it('the accepting side does nothing before it is told to: admission comes before cost', async () => {
    const transport = new TlsTransport({ identity: bob })
    transports.push(transport)
    const pipes: Dialled['pipe'][] = []
    const listener = await transport.listen({ host: '127.0.0.1', port: 0 }, options, {
      onPipe: (pipe) => pipes.push(pipe as Dialled['pipe']),
      onError() {},
    })
    let heard = 0
    const client = tls.connect({ ...listener.address, rejectUnauthorized: false, ALPNProtocols: ['statewire/1'] })
    client.on('error', () => {})
    const raw = net.connect(listener.address, () => raw.write('x'))
    raw.on('data', () => heard++).on('error', () => {})
    await until('both are accepted', () => pipes.length === 2)
    for (let i = 0; i < 100; i++) await turn()
    expect([heard, client.getPeerX509Certificate(), pipes.map(({ bufferedBytes }) => bufferedBytes)]).toEqual([
      0,
      undefined,
      [0, 0],
    ])
    client.destroy()
    raw.destroy()
    await listener.close()
  })

  it('the accepting side asks its list once, with the proved id', async () => {
    const asked: string[] = []
    const door = await openDoor((id) => asked.push(id) > 0)
    await dialAs(alice, door.address).pipe.secure()
    await door.outcome(0)
    expect(asked).toEqual([alice.id])
  })

  it('the accepting side reads a ClientHello that comes byte by byte', async () => {
    const door = await openDoor()
    const relay = net.createServer((near) => {
      const far = net.connect(door.address)
      far.setNoDelay(true)
      near.on('data', (bytes) => {
        // Each byte by itself, and the reading side gets its turn between them.
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
    expect((await door.outcome(0)).pipe.peerId).toBe(alice.id)
    pipe.destroy()
    relay.close()
  })

  it('the accepting side lets go of fifty silent clients when its owner gives them up, and says so', async () => {
    const door = await openDoor()
    const clients = Array.from({ length: 50 }, () => net.connect(door.address).on('error', () => {}))
    for (const client of clients.slice(25)) client.write(Buffer.from([22, 3, 1]))
    await until('all are accepted', () => door.accepted.length === 50)
    for (const { pipe } of door.accepted) pipe.destroy()
    await until('all have failed', () => door.accepted.every(({ outcome }) => outcome !== undefined))
    await until(
      'all are closed',
      () =>
        clients.every((client) => client.destroyed || client.readableEnded || client.closed) ||
        door.transport.openHandles === 1,
    )
    expect(
      door.accepted.every(
        ({ outcome, heard }) => /given up/.test(outcome?.message ?? '') && heard.closedWith.length === 1,
      ),
    ).toBe(true)
    for (const client of clients) client.destroy()
  })
})

describe('a pipe that ends in the middle', () => {
  it('a pipe that ends in the middle of a dial rejects with the cause it was destroyed with', async () => {
    const door = await openDoor()
    const { pipe, heard } = dialAs(alice, door.address)
    const securing = outcomeOf(pipe)
    const cause = new Error('no time left')
    pipe.destroy(cause)
    expect(await securing).toBe(cause)
    expect([heard.isOpen, heard.closedWith]).toEqual([false, [cause]])
    await expect(pipe.secure()).rejects.toBe(cause)
  })

  it('a pipe that ends in the middle of nothing rejects with what the kernel said', async () => {
    const door = await openDoor()
    const { address } = door
    await door.listener.close()
    const { pipe, heard } = dialAs(alice, address)
    expect(await outcomeOf(pipe)).toMatchObject({ code: 'ECONNREFUSED' })
    expect(heard.closedWith).toHaveLength(1)
  })

  it('a pipe that ends in the middle of a destroyed pipe that was never secured rejects later as well', async () => {
    const door = await openDoor()
    const { pipe } = dialAs(alice, door.address)
    pipe.destroy()
    expect(await outcomeOf(pipe)).toMatchObject({ code: 'ERR_HANDSHAKE_FAILED' })
  })
})

describe('a record that is spoilt after the handshake', () => {
  it('a record that is spoilt after the handshake closes both ends at once, with an error', async () => {
    const door = await openDoor()
    let spoil = (_bytes: Buffer): Buffer => _bytes
    const relay = net.createServer((near) => {
      const far = net.connect(door.address)
      near.on('data', (bytes) => far.write(spoil(bytes)))
      far.on('data', (bytes) => near.write(bytes))
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const)
        one.on('error', () => {}).on('close', () => other.destroy())
    })
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
    const { pipe, heard } = dialAs(alice, { host: '127.0.0.1', port: (relay.address() as net.AddressInfo).port })
    pipe.resume()
    await pipe.secure()
    const accepted = await door.outcome(0)
    expect(accepted.outcome).toBeNull()
    spoil = (bytes) => {
      const changed = Buffer.from(bytes)
      changed[changed.length - 1] = (changed.at(-1) as number) ^ 1
      return changed
    }
    pipe.write([Buffer.from('hello')])
    await until(
      'both ends are closed',
      () => accepted.heard.closedWith.length === 1 && heard.closedWith.length === 1,
      1000,
    )
    expect(accepted.heard.closedWith[0]).toMatchObject({ code: 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC' })
    expect(accepted.heard.chunks).toEqual([])
    relay.close()
  })
})

describe('a reset', () => {
  it('a reset reaches the other side as one once TLS stands, and is an end before that', async () => {
    const door = await openDoor()
    const first = dialAs(alice, door.address)
    await first.pipe.secure()
    const accepted = await door.outcome(0)
    // What lies unread turns any close into a reset.
    first.pipe.resume()
    accepted.pipe.write([Buffer.from('read')])
    await until('it is read', () => first.heard.text === 'read')
    first.pipe.reset()
    // Done to the TLS socket of Node in the same turn, these end the process.
    first.pipe.resume()
    first.pipe.destroy()
    first.pipe.reset()
    await until(
      'both sides have seen it',
      () => accepted.heard.closedWith.length === 1 && first.heard.closedWith.length === 1,
    )
    expect(accepted.heard.closedWith[0]).toMatchObject({ code: 'ECONNRESET' })
    expect(first.heard.closedWith).toEqual([null])
    const second = dialAs(alice, door.address)
    second.pipe.reset()
    await until('it is closed', () => second.heard.closedWith.length === 1)
  })

  it.each(['dialler', 'acceptor'])('a reset of the %s closes it also where its end is under way', async (role) => {
    const door = await openDoor()
    const { pipe, heard } = dialAs(alice, door.address)
    pipe.resume()
    await pipe.secure()
    const accepted = await door.outcome(0)
    const [near, nearHeard] = role === 'dialler' ? [pipe, heard] : [accepted.pipe, accepted.heard]
    near.end()
    near.reset()
    await until('it is closed', () => nearHeard.closedWith.length === 1)
  })
})

describe('what an inspector sees of a live connection', () => {
  it('what an inspector sees of a live connection is no key, on either side, however deep it looks', async () => {
    const door = await openDoor()
    const { pipe } = dialAs(alice, door.address)
    await pipe.secure()
    const accepted = await door.outcome(0)
    const secrets = [alice, bob].map((identity) => identity.toPem().split('\n')[1] as string)
    const handles = (process as unknown as { _getActiveHandles(): unknown[] })._getActiveHandles()
    for (const thing of [pipe, accepted.pipe, door.transport, ...handles]) {
      const text = inspect(thing, { depth: 12, showHidden: true, maxArrayLength: null, maxStringLength: null })
      for (const secret of secrets) expect(text.includes(secret)).toBe(false)
    }
    expect(JSON.stringify([pipe, door.transport])).toMatch(/^\["tls 127\.0\.0\.1:\d+","<tls transport>"\]$/)
  })
})
