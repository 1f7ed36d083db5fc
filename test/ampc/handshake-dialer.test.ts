/**
 * Owns: the handshake rules of docs/protocol.md for the dialing side, each tested against a bare listening socket; and
 * which side dials.
 * Independent of: what a silent acceptor causes (handshake-silence.test.ts) and everything after "2ok".
 */
import { describe, expect, test } from 'vitest'
import type { Network, Session } from '../../index.ts'
import { encodeFrame } from '../../codec/index.ts'
import { seededRandom } from '../../testing/index.ts'
import { leaveNothingBehind, makeAll, parties, party, ring16, seat, validation } from '../support/ampc-parties.ts'
import { nextEvent, rejection, settle, within } from '../support/bounded-wait.ts'
import { identityBytes, u32be } from '../support/rust-seat.ts'
import type { RustSeat } from '../support/rust-seat.ts'

/** bob, who dials alice; alice is a bare socket. */
async function bobDialsAlice(): Promise<{ alice: RustSeat; bob: Network; made: Promise<Session[]> }> {
  const alice = await seat('alice')
  const bob = await party({ identity: 'bob', peers: [{ id: 'alice', urls: alice.url }] })
  const made = bob.makeSessions({ count: 1 })
  made.catch(() => {})
  return { alice, bob, made }
}

/** alice completes the handshake, and the session exists. */
async function completes(alice: RustSeat, made: Promise<Session[]>): Promise<Session> {
  await alice.acceptLink(validation([0]))
  const [session] = await within(made, 'the session is made after all')
  return session as Session
}

describe('the choice of the dialer', () => {
  leaveNothingBehind()

  // '\u{10000}' sorts below '\uffff' as UTF-16 units, but above it as bytes. The byte order counts.
  test.each([
    ['alice', 'bob'],
    ['z', 'é'],
    ['\uffff', '\u{10000}'],
    ['bo', 'bob'],
  ])('of the parties %j and %j, the second dials, because it is greater as bytes', async (lesser, greater) => {
    const listener = await seat(lesser)
    const network = await party({ identity: greater, peers: [{ id: lesser, urls: listener.url }] })
    network.makeSessions({ count: 1 }).catch(() => {})
    const { identity, connectionId } = await listener.acceptClaim()
    expect({ identity, connectionId }).toEqual({ identity: greater, connectionId: 0 })
  })

  test('two parties agree on the dialer without exchanging a message, however their identities sort', async () => {
    const [lesser, greater] = await parties(['\uffff', '\u{10000}'])
    const [[left], [right]] = (await makeAll([lesser!, greater!], 1)) as [Session[], Session[]]
    await left!.send('\u{10000}', ring16(1))
    expect(await within(right!.receive('\uffff'), 'a value')).toEqual(ring16(1))
  })

  test('the lesser identity needs no address, and a greater identity without one is rejected', async () => {
    await party({ identity: 'z', peers: [{ id: 'é' }] })
    const error = await rejection(party({ identity: 'é', peers: [{ id: 'z' }] }), 'a dialer without an address')
    expect(error).toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('peers[0].urls is missing'),
    })
  })
})

describe('the dialer', () => {
  leaveNothingBehind()

  test('the dialer sends its identity only after the whole echo', async () => {
    const { alice } = await bobDialsAlice()
    const socket = await alice.accept()
    expect(await socket.read(4)).toEqual(u32be(0))
    await settle()
    expect(socket.unread).toHaveLength(0)
    socket.write(u32be(0).subarray(0, 3))
    await settle()
    expect(socket.unread).toHaveLength(0)
    socket.write(u32be(0).subarray(3))
    expect(await socket.read(7)).toEqual(identityBytes('bob'))
  })

  test('the dialer numbers its connections from 0 and reads one echo on each', async () => {
    const alice = await seat('alice')
    const bob = await party({ identity: 'bob', peers: [{ id: 'alice', urls: alice.url }], connectionParallelism: 3 })
    bob.makeSessions({ count: 3 }).catch(() => {})
    const ids = [await alice.acceptClaim(), await alice.acceptClaim(), await alice.acceptClaim()].map(
      ({ connectionId }) => connectionId,
    )
    expect(new Set(ids)).toEqual(new Set([0, 1, 2]))
  })

  test('the dialer closes the socket on a wrong echo without sending more, and dials again', async () => {
    const { alice, bob, made } = await bobDialsAlice()
    const failed = nextEvent(bob, 'connection.failed')
    const socket = await alice.accept()
    await socket.read(4)
    socket.write(u32be(1))
    await socket.end()
    expect(socket.received).toEqual(u32be(0))
    expect(await failed).toMatchObject({ peer: 'alice', cause: { code: 'ERR_HANDSHAKE_FAILED' } })
    await completes(alice, made)
  })

  test('the dialer closes the socket on an answer other than "2ok", and dials again', async () => {
    const { alice, bob, made } = await bobDialsAlice()
    const failed = nextEvent(bob, 'connection.failed')
    const { socket } = await alice.acceptClaim()
    socket.write('2no')
    await socket.end()
    expect((await failed).cause.code).toBe('ERR_HANDSHAKE_FAILED')
    await completes(alice, made)
  })

  test('the dialer accepts "2ok" in three segments', async () => {
    const { alice, made } = await bobDialsAlice()
    const { socket } = await alice.acceptClaim()
    for (const letter of '2ok') {
      socket.write(letter)
      await settle(5)
    }
    socket.write(validation([0]))
    expect(await within(made, 'the session is made')).toHaveLength(1)
  })

  test('the dialer dials again each time its socket is closed before "2ok"', async () => {
    const { alice, made } = await bobDialsAlice()
    for (let refusals = 0; refusals < 5; refusals++) (await alice.acceptClaim()).socket.close()
    await completes(alice, made)
  })

  test('the dialer treats a reset during the handshake as a refusal, and dials again', async () => {
    const { alice, bob, made } = await bobDialsAlice()
    const failed = nextEvent(bob, 'connection.failed')
    ;(await alice.acceptClaim()).socket.reset()
    expect((await failed).peer).toBe('alice')
    await completes(alice, made)
  })

  test('the dialer connects after any order of refusals, resets, wrong echoes and wrong answers', async () => {
    const seed = Math.floor(Math.random() * 2 ** 32)
    console.log(`refusals in the order of seed ${seed}`)
    const random = seededRandom(seed)
    const { alice, bob, made } = await bobDialsAlice()
    const failures: string[] = []
    bob.on('connection.failed', ({ cause }) => failures.push(cause.code))
    const refusals = 20
    for (let i = 0; i < refusals; i++) {
      const socket = await alice.accept()
      const ways = [
        () => socket.close(),
        () => socket.reset(),
        () => socket.halfClose(),
        () => socket.write(u32be(7)),
        () => socket.write(Buffer.concat([u32be(0), Buffer.from('no!')])),
        () => socket.write(u32be(0).subarray(0, 2)) ?? socket.close(),
      ]
      ways[Math.floor(random.fraction() * ways.length)]!()
      await socket.end()
    }
    await completes(alice, made)
    expect(failures).toHaveLength(refusals)
  })

  test('the dialer dials again while the port is closed', async () => {
    const closedSeat = await seat('alice')
    closedSeat.close()
    const bob = await party({ identity: 'bob', peers: [{ id: 'alice', urls: closedSeat.url }] })
    const failed = nextEvent(bob, 'connection.failed')
    const made = bob.makeSessions({ count: 1 })
    expect((await failed).cause).toMatchObject({ code: 'ERR_CONNECTION_REFUSED' })
    await completes(await seat('alice', Number(new URL(closedSeat.url).port)), made)
  })

  test('the dialer delivers frames that came in the same segment as "2ok"', async () => {
    const { alice, made } = await bobDialsAlice()
    await alice.acceptLink(Buffer.concat([validation([0]), encodeFrame(0, ring16(1)), encodeFrame(0, ring16(2))]))
    const [session] = await within(made, 'the session is made')
    expect([await session!.receive('alice'), await session!.receive('alice')]).toEqual([ring16(1), ring16(2)])
  })

  test('the dialer delivers frames of the first connection that came before the second was open', async () => {
    const alice = await seat('alice')
    const bob = await party({ identity: 'bob', peers: [{ id: 'alice', urls: alice.url }], connectionParallelism: 2 })
    const made = bob.makeSessions({ count: 2 })
    const claims = [await alice.acceptClaim(), await alice.acceptClaim()]
    const [zero, one] = claims.sort((a, b) => a.connectionId - b.connectionId)
    zero!.socket.write(Buffer.concat([Buffer.from('2ok'), validation([0]), encodeFrame(0, ring16(5))]))
    await settle()
    one!.socket.write(Buffer.concat([Buffer.from('2ok'), validation([1])]))
    const [session] = await within(made, 'both sessions are made')
    expect(await within(session!.receive('alice'), 'the early value')).toEqual(ring16(5))
  })
})
