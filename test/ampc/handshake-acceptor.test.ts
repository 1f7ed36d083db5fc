/**
 * Owns: the handshake rules of docs/protocol.md for the listening side, each tested against a bare socket that dials.
 * Independent of: what a silent socket causes (handshake-silence.test.ts) and everything after "2ok".
 */
import { describe, expect, test } from 'vitest'
import { TcpTransport } from '../../actors/index.ts'
import type { Address, DialOptions, ListenerHandlers, PipeListener } from '../../actors/index.ts'
import type { Network } from '../../index.ts'
import {
  aliceWithRawBob,
  dialed,
  keep,
  leaveNothingBehind,
  party,
  ring16,
  validation,
} from '../support/ampc-parties.ts'
import { nextEvent, rejection, settle, within } from '../support/bounded-wait.ts'
import { RawSocket } from '../support/raw-socket.ts'
import { claim, identityBytes, ok, u32be } from '../support/rust-seat.ts'
import { encodeFrame } from '../../codec/index.ts'

/** alice, who waits for bob on connection 0. */
async function aliceWaitsForBob(
  identity = 'bob',
): Promise<{ alice: Network; url: string; made: ReturnType<Network['makeSessions']> }> {
  const alice = await party({ identity: 'alice', peers: [{ id: identity }] })
  const made = alice.makeSessions({ count: 1 })
  made.catch(() => {})
  return { alice, url: alice.url as string, made }
}

/** Records what is written to each accepted socket, one entry per write. */
class WritesOfAccepted extends TcpTransport {
  readonly writes: string[] = []
  override listen(address: Address, options: DialOptions, handlers: ListenerHandlers): Promise<PipeListener> {
    return super.listen(address, options, {
      ...handlers,
      onPipe: (pipe) => {
        const write = pipe.write.bind(pipe)
        pipe.write = (bytes, onFlushed) => {
          this.writes.push(bytes.map((part) => part.toString('hex')).join('|'))
          return write(bytes, onFlushed)
        }
        handlers.onPipe(pipe)
      },
    })
  }
}

describe('the acceptor', () => {
  leaveNothingBehind()

  test('the acceptor sends nothing but the echo before it has the whole identity', async () => {
    const { url } = await aliceWaitsForBob()
    const bob = keep(await RawSocket.dial(url))
    await settle()
    expect(bob.received).toHaveLength(0)
    bob.write(u32be(0))
    expect(await bob.read(4)).toEqual(u32be(0))
    const identity = identityBytes('bob')
    for (const part of [identity.subarray(0, 2), identity.subarray(2, 4), identity.subarray(4, 6)]) {
      bob.write(part)
      await settle()
      expect(bob.unread).toHaveLength(0)
    }
    bob.write(identity.subarray(6))
    expect(await bob.read(3)).toEqual(ok)
  })

  test('the acceptor sends "2ok" in one write', async () => {
    const transport = new WritesOfAccepted()
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }] }, {}, transport)
    const made = alice.makeSessions({ count: 1 })
    const bob = await dialed(alice)
    bob.write(validation([0]))
    await within(made, 'the session is made')
    expect(transport.writes.slice(0, 2)).toEqual(['00000000', '326f6b'])
  })

  test('the acceptor accepts id, length and identity in one segment, without waiting for its echo', async () => {
    const { url } = await aliceWaitsForBob()
    const bob = keep(await RawSocket.dial(url))
    bob.write(Buffer.concat([u32be(0), identityBytes('bob')]))
    expect(await bob.read(7)).toEqual(Buffer.concat([u32be(0), ok]))
  })

  test.each([0, 129, 2 ** 32 - 1])(
    'the acceptor closes the socket as soon as a dialer declares an identity of %i bytes',
    async (length) => {
      const { alice, url } = await aliceWaitsForBob()
      const rejected = nextEvent(alice, 'connection.rejected')
      const socket = keep(await RawSocket.dial(url))
      socket.write(u32be(0))
      await socket.read(4)
      socket.write(u32be(length))
      await socket.end()
      expect(socket.received).toEqual(u32be(0))
      expect((await rejected).cause).toMatchObject({
        code: 'ERR_HANDSHAKE_FAILED',
        message: expect.stringContaining(String(length)),
      })
    },
  )

  test.each([1, 128])('the acceptor accepts an identity of %i bytes', async (length) => {
    const identity = 'z'.repeat(length)
    const { url } = await aliceWaitsForBob(identity)
    const socket = keep(await claim(url, identity, 0))
    expect(await socket.read(3)).toEqual(ok)
  })

  test.each(['ff', '626fc3', 'eda080', 'c080'])(
    'the acceptor closes the socket when the identity is not UTF-8: %s',
    async (hex) => {
      const { alice, url } = await aliceWaitsForBob()
      const rejected = nextEvent(alice, 'connection.rejected')
      const socket = keep(await claim(url, Buffer.from(hex, 'hex'), 0))
      await socket.end()
      expect(socket.unread).toHaveLength(0)
      expect((await rejected).cause.code).toBe('ERR_HANDSHAKE_FAILED')
    },
  )

  test('the acceptor distinguishes an identity with a byte order mark from the one without', async () => {
    const { alice, url } = await aliceWaitsForBob()
    const rejected = nextEvent(alice, 'connection.rejected')
    const socket = keep(await claim(url, Buffer.concat([Buffer.from('efbbbf', 'hex'), Buffer.from('bob')]), 0))
    await socket.end()
    expect((await rejected).cause.code).toBe('ERR_UNKNOWN_PEER')
  })

  test('the acceptor rejects a peer that is not configured, and reports it', async () => {
    const { alice, url } = await aliceWaitsForBob()
    const rejected = nextEvent(alice, 'connection.rejected')
    const mallory = keep(await claim(url, 'mallory', 0))
    await mallory.end()
    expect(mallory.received).toEqual(u32be(0))
    expect(await rejected).toMatchObject({ peer: 'mallory', cause: { code: 'ERR_UNKNOWN_PEER' } })
  })

  test('the acceptor closes a known peer that is not expected yet, and accepts it later', async () => {
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }] })
    const rejected = nextEvent(alice, 'connection.rejected')
    const early = keep(await claim(alice.url as string, 'bob', 0))
    await early.end()
    expect(early.received).toEqual(u32be(0))
    expect(await rejected).toMatchObject({ peer: 'bob', cause: { code: 'ERR_NOT_REQUESTED' } })

    const made = alice.makeSessions({ count: 1 })
    made.catch(() => {})
    const later = keep(await claim(alice.url as string, 'bob', 0))
    expect(await later.read(3)).toEqual(ok)
  })

  test('the acceptor rejects a connection id that is not expected', async () => {
    const { alice, url } = await aliceWaitsForBob()
    const rejected = nextEvent(alice, 'connection.rejected')
    const socket = keep(await claim(url, 'bob', 1))
    await socket.end()
    expect((await rejected).cause.code).toBe('ERR_NOT_REQUESTED')
  })

  test('the acceptor keeps the first claim of a connection id while other connections are missing', async () => {
    const { alice, url, made } = await aliceWaitsForBob()
    const first = await dialed(alice)
    const rejected = nextEvent(alice, 'connection.rejected')
    const second = keep(await claim(url, 'bob', 0))
    await second.end()
    expect((await rejected).cause.code).toBe('ERR_NOT_REQUESTED')
    first.write(validation([0]))
    expect(await within(made, 'the first one makes the session')).toHaveLength(1)
  })

  test('the acceptor keeps the first claim of a connection id while the session group is open', async () => {
    const { alice, sessions, bob } = await aliceWithRawBob()
    const second = keep(await claim(alice.url as string, 'bob', 0))
    await second.end()
    bob.write(encodeFrame(0, ring16(7)))
    expect(await within(sessions[0]!.receive('bob'), 'a value on the first')).toEqual(ring16(7))
  })

  test('the acceptor waits again for a connection whose claimed socket closed before "2ok" was used', async () => {
    const { alice, url, made } = await aliceWaitsForBob()
    const vanished = keep(await claim(url, 'bob', 0))
    vanished.reset()
    const lost = await Promise.race([rejection(made, 'the session group'), dialed(alice).then((bob) => bob)])
    // Either the reset came first and the request was still open, or "2ok" was sent and the group lost its connection.
    // One of the two must have happened.
    if (lost instanceof RawSocket) lost.write(validation([0]))
    else expect(lost.code).toBe('ERR_CONNECTION_LOST')
  })

  test('the acceptor closes the oldest pending handshake when an address exceeds its limit', async () => {
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }], limits: { pendingInboundPerAddressMax: 2 } })
    const held = [keep(await RawSocket.dial(alice.url as string)), keep(await RawSocket.dial(alice.url as string))]
    for (const socket of held) socket.write(u32be(0))
    for (const socket of held) await socket.read(4)
    const rejected = nextEvent(alice, 'connection.rejected')
    const third = keep(await RawSocket.dial(alice.url as string))
    await held[0]!.end()
    expect((await rejected).cause.code).toBe('ERR_ADMISSION_LIMIT')
    expect([held[1]!.isOver, third.isOver]).toEqual([false, false])
  })
})
