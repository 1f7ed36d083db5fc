/**
 * Owns: the handshake rules of docs/protocol.md for the side that dials, each against a bare listening socket; and who dials.
 * Refuses to know: what a silent acceptor leads to (handshake-silence.test.ts) and everything behind "2ok".
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
  const bob = await party({ identity: 'bob', peers: [{ id: 'alice', url: alice.url }] })
  const made = bob.makeSessions({ count: 1 })
  made.catch(() => {})
  return { alice, bob, made }
}

/** alice plays her part to the end, and the session is there. */
async function completes(alice: RustSeat, made: Promise<Session[]>): Promise<Session> {
  await alice.acceptLink(validation([0]))
  const [session] = await within(made, 'the session is made after all')
  return session as Session
}

describe('who dials', () => {
  leaveNothingBehind()

  // As UTF-16 units '\u{10000}' sorts below '\uffff'; as bytes, which is what counts, above.
  test.each([
    ['alice', 'bob'],
    ['z', 'é'],
    ['\uffff', '\u{10000}'],
    ['bo', 'bob'],
  ])('who dials of %j and %j the second, greater as bytes', async (lesser, greater) => {
    const listener = await seat(lesser)
    const network = await party({ identity: greater, peers: [{ id: lesser, url: listener.url }] })
    network.makeSessions({ count: 1 }).catch(() => {})
    const { identity, connectionId } = await listener.acceptClaim()
    expect({ identity, connectionId }).toEqual({ identity: greater, connectionId: 0 })
  })

  test('who dials is agreed by two of ours without a word, wherever their identities sort', async () => {
    const [lesser, greater] = await parties(['\uffff', '\u{10000}'])
    const [[left], [right]] = (await makeAll([lesser!, greater!], 1)) as [Session[], Session[]]
    await left!.send('\u{10000}', ring16(1))
    expect(await within(right!.receive('\uffff'), 'a value')).toEqual(ring16(1))
  })

  test('who dials is never the lesser: it needs no address, and the greater is refused without one', async () => {
    await party({ identity: 'z', peers: [{ id: 'é' }] })
    const error = await rejection(party({ identity: 'é', peers: [{ id: 'z' }] }), 'a dialer without an address')
    expect(error).toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('peers[0].url is missing'),
    })
  })
})

describe('the dialer', () => {
  leaveNothingBehind()

  test('the dialer sends its identity only after the whole right echo', async () => {
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

  test('the dialer numbers its connections from 0, one echo each', async () => {
    const alice = await seat('alice')
    const bob = await party({ identity: 'bob', peers: [{ id: 'alice', url: alice.url }], connectionParallelism: 3 })
    bob.makeSessions({ count: 3 }).catch(() => {})
    const ids = [await alice.acceptClaim(), await alice.acceptClaim(), await alice.acceptClaim()].map(
      ({ connectionId }) => connectionId,
    )
    expect(new Set(ids)).toEqual(new Set([0, 1, 2]))
  })

  test('the dialer closes on a wrong echo without a word more, and tries again', async () => {
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

  test('the dialer closes on an answer that is not "2ok", and tries again', async () => {
    const { alice, bob, made } = await bobDialsAlice()
    const failed = nextEvent(bob, 'connection.failed')
    const { socket } = await alice.acceptClaim()
    socket.write('2no')
    await socket.end()
    expect((await failed).cause.code).toBe('ERR_HANDSHAKE_FAILED')
    await completes(alice, made)
  })

  test('the dialer takes "2ok" in three pieces', async () => {
    const { alice, made } = await bobDialsAlice()
    const { socket } = await alice.acceptClaim()
    for (const letter of '2ok') {
      socket.write(letter)
      await settle(5)
    }
    socket.write(validation([0]))
    expect(await within(made, 'the session is made')).toHaveLength(1)
  })

  test('the dialer tries again as often as it is closed instead of getting "2ok": the other side has not asked yet', async () => {
    const { alice, made } = await bobDialsAlice()
    for (let refusals = 0; refusals < 5; refusals++) (await alice.acceptClaim()).socket.close()
    await completes(alice, made)
  })

  test('the dialer takes a reset in the handshake for a refusal, and tries again', async () => {
    const { alice, bob, made } = await bobDialsAlice()
    const failed = nextEvent(bob, 'connection.failed')
    ;(await alice.acceptClaim()).socket.reset()
    expect((await failed).peer).toBe('alice')
    await completes(alice, made)
  })

  test('the dialer gets there through any order of refusals, resets, wrong echoes and wrong answers', async () => {
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

  test('the dialer tries again while nobody listens', async () => {
    const gone = await seat('alice')
    gone.close()
    const bob = await party({ identity: 'bob', peers: [{ id: 'alice', url: gone.url }] })
    const failed = nextEvent(bob, 'connection.failed')
    const made = bob.makeSessions({ count: 1 })
    expect((await failed).cause).toMatchObject({ code: 'ERR_CONNECTION_REFUSED' })
    await completes(await seat('alice', Number(new URL(gone.url).port)), made)
  })

  test('the dialer delivers frames that came in the same segment as "2ok"', async () => {
    const { alice, made } = await bobDialsAlice()
    await alice.acceptLink(Buffer.concat([validation([0]), encodeFrame(0, ring16(1)), encodeFrame(0, ring16(2))]))
    const [session] = await within(made, 'the session is made')
    expect([await session!.receive('alice'), await session!.receive('alice')]).toEqual([ring16(1), ring16(2)])
  })

  test('the dialer delivers frames of the first connection that came before the second was up', async () => {
    const alice = await seat('alice')
    const bob = await party({ identity: 'bob', peers: [{ id: 'alice', url: alice.url }], connectionParallelism: 2 })
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
