/**
 * Owns: mode `reconnect`: one set of connections serves all session groups, its dialer replaces a broken connection,
 * and every session gets one loss, in order between its values, with the number that may be missing.
 * Independent of: mode `fail`, the wire contract's own (batch-loss.test.ts).
 */
import { describe, expect, test } from 'vitest'
import { ConnectionLostError } from '../../index.ts'
import type { Limits, Network, NetworkValue, Session } from '../../index.ts'
import { encodeFrame } from '../../codec/index.ts'
import {
  dialed,
  keep,
  leaveNothingBehind,
  makeAll,
  parties,
  party,
  pipesOf,
  ring16,
  seat,
  validation,
} from '../support/ampc-parties.ts'
import { nextEvent, rejection, settle, until, within } from '../support/bounded-wait.ts'
import type { RawSocket } from '../support/raw-socket.ts'
import { claim, ok } from '../support/rust-seat.ts'
import type { RustSeat } from '../support/rust-seat.ts'

const onConnectionLost = 'reconnect'

async function aliceAndBob(
  count: number,
  connectionParallelism = 1,
): Promise<{ alice: Network; bob: Network; a: Session[]; b: Session[] }> {
  const [alice, bob] = (await parties(['alice', 'bob'], { onConnectionLost, connectionParallelism })) as [
    Network,
    Network,
  ]
  const [a, b] = (await makeAll([alice, bob], count)) as [Session[], Session[]]
  return { alice, bob, a, b }
}

/** alice is ours and listens; bob is a bare socket. */
async function aliceWithRawBob(
  limits: Partial<Limits> = {},
): Promise<{ alice: Network; session: Session; bob: RawSocket }> {
  const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }], onConnectionLost, limits })
  const made = alice.makeSessions({ count: 1 })
  const bob = await dialed(alice)
  bob.write(validation([0]))
  const [session] = await within(made, 'the session is made')
  await bob.read(21)
  return { alice, session: session!, bob }
}

/** bob is ours and dials; alice is a bare socket. */
async function bobWithRawAlice(): Promise<{ bob: Network; session: Session; alice: RustSeat; socket: RawSocket }> {
  const alice = await seat('alice')
  const bob = await party({ identity: 'bob', peers: [{ id: 'alice', urls: alice.url }], onConnectionLost })
  const made = bob.makeSessions({ count: 1 })
  const { socket } = await alice.acceptLink(validation([0]))
  const [session] = await within(made, 'the session is made')
  await socket.read(21)
  return { bob, session: session!, alice, socket }
}

/** The first `count` things that a session receives, in order: values as numbers, losses as their counts. */
async function receiveInOrder(session: Session, peer: string, count: number): Promise<(number | { lost: number })[]> {
  const received: (number | { lost: number })[] = []
  while (received.length < count) {
    try {
      received.push(((await within(session.receive(peer), `more from ${peer}`)) as { value: number }).value)
    } catch (error) {
      if (!(error instanceof ConnectionLostError)) throw error
      received.push({ lost: error.outboundAtMost })
    }
  }
  return received
}

describe('a broken connection', () => {
  leaveNothingBehind()

  test('a broken connection is redialed, and its sessions continue with their peers and numbers', async () => {
    const { alice, bob, a, b } = await aliceAndBob(2)
    const reopened = [nextEvent(alice, 'connection.opened'), nextEvent(bob, 'connection.opened')]
    pipesOf(alice)[0]!.reset()
    await Promise.all(reopened)
    for (const [index, session] of b.entries()) await session.send('alice', ring16(10 + index))
    expect([await receiveInOrder(a[0]!, 'bob', 2), await receiveInOrder(a[1]!, 'bob', 2)]).toEqual([
      [{ lost: 0 }, 10],
      [{ lost: 0 }, 11],
    ])
  })

  test('a broken connection is reported once by receive(), in order between the values', async () => {
    const { alice, a, b } = await aliceAndBob(1)
    for (const value of [1, 2, 3]) await b[0]!.send('alice', ring16(value))
    await until(() => a[0]!.unread('bob') === 3, 'three values are unread')
    const reopened = nextEvent(alice, 'connection.opened')
    pipesOf(alice)[0]!.reset()
    await reopened
    for (const value of [4, 5]) await b[0]!.send('alice', ring16(value))
    expect(await receiveInOrder(a[0]!, 'bob', 6)).toEqual([1, 2, 3, { lost: 0 }, 4, 5])
  })

  test('a broken connection is reported to one waiting receive, and the others get the values after it', async () => {
    const { alice, a, b } = await aliceAndBob(1)
    const waiting = [
      rejection(a[0]!.receive('bob'), 'the first receive'),
      a[0]!.receive('bob'),
      a[0]!.receive('bob'),
    ] as const
    const reopened = nextEvent(alice, 'connection.opened')
    pipesOf(alice)[0]!.reset()
    expect(await waiting[0]).toBeInstanceOf(ConnectionLostError)
    await reopened
    for (const value of [1, 2, 3]) await b[0]!.send('alice', ring16(value))
    expect([await within(waiting[1], 'the second'), await within(waiting[2], 'the third')]).toEqual([
      ring16(1),
      ring16(2),
    ])
    expect(await receiveInOrder(a[0]!, 'bob', 1)).toEqual([3])
  })

  test('a broken connection reports how many application values may be missing at most', async () => {
    const { alice, bob, a } = await aliceAndBob(2)
    for (const break_ of [3, 5]) {
      for (let i = 0; i < break_; i++) await a[0]!.send('bob', ring16(i))
      const reopened = [nextEvent(bob, 'connection.opened'), nextEvent(alice, 'connection.opened')]
      pipesOf(bob)[0]!.reset()
      await Promise.all(reopened)
      expect([await receiveInOrder(a[0]!, 'bob', 1), await receiveInOrder(a[1]!, 'bob', 1)]).toEqual([
        [{ lost: break_ }],
        [{ lost: 0 }],
      ])
    }
  })

  test('a broken connection is reported to a handler between its values, and at once to onConnectionLost', async () => {
    const { alice, a, b } = await aliceAndBob(1)
    const received: string[] = []
    a[0]!.onConnectionLost((peer) => received.push(`onConnectionLost for ${peer}`))
    a[0]!.handle('bob', (value) => received.push(String((value as { value: number }).value)), {
      onLost: () => received.push('lost'),
    })
    await b[0]!.send('alice', ring16(1))
    await until(() => received.length === 1, 'the first value')
    const reopened = nextEvent(alice, 'connection.opened')
    pipesOf(alice)[0]!.reset()
    await reopened
    await b[0]!.send('alice', ring16(2))
    await until(() => received.length === 4, 'the value after the break')
    expect(received).toEqual(['1', 'onConnectionLost for bob', 'lost', '2'])
  })

  test('a replaced connection is not read while too many values are unread', async () => {
    const { alice, session, bob } = await aliceWithRawBob({ receiveQueueBytesMax: 256 * 1024 })
    const frame = encodeFrame(0, { type: 'Bytes', value: Buffer.alloc(16 * 1024) })
    const flood = (socket: RawSocket): void => {
      for (let i = 0; i < 2_048; i++) socket.write(frame)
    }
    flood(bob)
    await until(() => session.unread('bob') >= 15, 'as much as the limit is unread')
    await settle(50)
    const unread = session.unread('bob')
    // The loss counts as one more. A break is not detected while nothing is read: alice learns of it from the next
    // connection.
    bob.reset()
    const again = await dialed(alice)
    flood(again)
    await settle(50)
    expect(session.unread('bob')).toBe(unread + 1)
    expect(again.socket.writableLength).toBeGreaterThan(0)
  })

  test('a replaced connection that no session needs yet is not read, however much arrives', async () => {
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }], onConnectionLost })
    const bob = await dialed(alice)
    for (let i = 0; i < 512; i++) bob.write(Buffer.alloc(64 * 1024))
    await settle(50)
    // 32 MiB do not fit into the buffers of two kernels.
    expect(bob.socket.writableLength).toBeGreaterThan(16 * 1024 * 1024)
  })

  test('a broken connection affects only the sessions it carries', async () => {
    const { alice, a, b } = await aliceAndBob(4, 2)
    const lost = nextEvent(alice, 'connection.lost')
    const reopened = nextEvent(alice, 'connection.opened')
    pipesOf(alice)[0]!.reset()
    const broken = Number((await lost).link.split(':')[1])
    await reopened
    for (const [index, session] of b.entries()) await session.send('alice', ring16(index))
    for (const [index, session] of a.entries())
      expect(await receiveInOrder(session, 'bob', index % 2 === broken ? 2 : 1)).toEqual(
        index % 2 === broken ? [{ lost: 0 }, index] : [index],
      )
  })

  test('values not yet handed to a broken connection are sent in order on the next one', async () => {
    const { bob, session, alice, socket } = await bobWithRawAlice()
    const lost = nextEvent(bob, 'connection.lost')
    socket.reset()
    await lost
    const sends = [1, 2, 3].map((value) => session.send('alice', ring16(value)))
    const next = await alice.acceptLink()
    expect(await next.socket.read(21)).toEqual(Buffer.concat([1, 2, 3].map((value) => encodeFrame(0, ring16(value)))))
    await within(Promise.all(sends), 'the sends resolve')
  })

  test('a connection breaks on a contract violation, and the next one starts with a clean reader', async () => {
    const { session, alice, socket } = await bobWithRawAlice()
    socket.write(Buffer.concat([encodeFrame(0, ring16(1)), Buffer.from('00000000ff', 'hex')]))
    await socket.end()
    const next = await alice.acceptLink(encodeFrame(0, ring16(2)))
    expect(await receiveInOrder(session, 'alice', 3)).toEqual([1, { lost: 0 }, 2])
    expect(next.connectionId).toBe(0)
  })

  test('a broken connection discards a partial frame', async () => {
    const { session, alice, socket } = await bobWithRawAlice()
    socket.write(encodeFrame(0, ring16(1)).subarray(0, 6))
    await settle()
    socket.reset()
    await alice.acceptLink(encodeFrame(0, ring16(2)))
    expect(await receiveInOrder(session, 'alice', 2)).toEqual([{ lost: 0 }, 2])
  })

  test('a connection that breaks during validation rejects the call, and the next call succeeds', async () => {
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }], onConnectionLost })
    const failing = rejection(alice.makeSessions({ count: 2 }), 'makeSessions')
    const bob = await dialed(alice)
    bob.write(validation([0]))
    await bob.read(42)
    bob.reset()
    expect((await failing).code).toBe('ERR_CONNECTION_LOST')
    const made = alice.makeSessions({ count: 2 })
    ;(await dialed(alice)).write(validation([0, 1]))
    expect((await within(made, 'the second call')).map(({ id }) => id)).toEqual(['0', '1'])
  })

  test('a failed validation closes its connection, and the next call starts on a new one', async () => {
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }], onConnectionLost })
    const failing = rejection(alice.makeSessions({ count: 2 }), 'makeSessions')
    const bob = await dialed(alice)
    bob.write(Buffer.concat([validation([0]), encodeFrame(1, ring16(1))]))
    expect((await failing).code).toBe('ERR_SESSION_VALIDATION')
    await bob.end()
    const made = alice.makeSessions({ count: 2 })
    ;(await dialed(alice)).write(validation([0, 1]))
    expect((await within(made, 'the second call')).map(({ id }) => id)).toEqual(['0', '1'])
  })

  test('a connection that breaks while unused is replaced before the first call needs it', async () => {
    const alice = await seat('alice')
    const bob = await party({ identity: 'bob', peers: [{ id: 'alice', urls: alice.url }], onConnectionLost })
    const first = await alice.acceptLink()
    await settle()
    first.socket.halfClose()
    const second = await alice.acceptLink(validation([0]))
    expect(await within(bob.makeSessions({ count: 1 }), 'the first call')).toHaveLength(1)
    expect(second.socket.isOver).toBe(false)
  })
})

describe('a peer that dials again', () => {
  leaveNothingBehind()

  test('a peer that dials again replaces the old connection that the acceptor still holds', async () => {
    const { alice, session, bob } = await aliceWithRawBob()
    bob.write(encodeFrame(0, ring16(1)))
    await until(() => session.unread('bob') === 1, 'a value came on the old one')
    const again = keep(await claim(alice.url as string, 'bob', 0))
    expect(await again.read(3)).toEqual(ok)
    await bob.end()
    again.write(encodeFrame(0, ring16(2)))
    expect(await receiveInOrder(session, 'bob', 3)).toEqual([1, { lost: 0 }, 2])
  })

  test('a peer that dials again before any session exists replaces its old connection', async () => {
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }], onConnectionLost })
    const old = await dialed(alice)
    const again = await dialed(alice)
    await old.end()
    const made = alice.makeSessions({ count: 1 })
    again.write(validation([0]))
    expect(await within(made, 'the session is made on the new one')).toHaveLength(1)
  })

  test('a peer that dials again many times in a row keeps only its last connection', async () => {
    const { alice, session } = await aliceWithRawBob()
    const sockets = []
    for (let i = 0; i < 5; i++) sockets.push(await dialed(alice))
    const last = sockets.pop()!
    for (const socket of sockets) await socket.end()
    last.write(encodeFrame(0, ring16(9)))
    expect(await receiveInOrder(session, 'bob', 6)).toEqual([...Array.from({ length: 5 }, () => ({ lost: 0 })), 9])
  })
})

describe('the shared set of connections', () => {
  leaveNothingBehind()

  test('one set of connections serves all session groups, and a control channel adds one of its own', async () => {
    const [alice, bob] = (await parties(['alice', 'bob'], { onConnectionLost, connectionParallelism: 2 })) as [
      Network,
      Network,
    ]
    const ids = []
    for (const count of [3, 1, 2]) ids.push((await makeAll([alice, bob], count))[0]!.map(({ id }) => id))
    expect(ids).toEqual([['0', '1', '2'], ['3'], ['4', '5']])
    expect(pipesOf(alice)).toHaveLength(2)
    const channels = await within(
      Promise.all([alice.openControlChannel(), bob.openControlChannel()]),
      'the channel opens',
    )
    expect(pipesOf(alice)).toHaveLength(3)
    await within(Promise.all(channels.map((channel) => channel.sync())), 'it syncs')
  })

  test('one set of connections keeps frames for sessions that this side has not made yet', async () => {
    const { alice, bob } = await aliceWithRawBob()
    bob.write(Buffer.concat([validation([0, 1], 1), encodeFrame(2, ring16(7))]))
    await settle()
    const sessions = await within(alice.makeSessions({ count: 2 }), 'the call finds its validation here')
    expect(await within(sessions[1]!.receive('bob'), 'the early value')).toEqual(ring16(7))
  })

  test('one set of connections drops frames for sessions that have ended', async () => {
    const { alice, session, bob } = await aliceWithRawBob()
    session.close()
    bob.write(Buffer.concat([encodeFrame(0, ring16(1)), validation([0], 1)]))
    const [next] = await within(alice.makeSessions({ count: 1 }), 'the next session group')
    expect(next!.id).toBe('1')
  })

  test('one set of connections stops reading when early frames reach their limit, and loses none', async () => {
    const { alice, bob } = await aliceWithRawBob({ earlyBytesMax: 64 * 1024 })
    const value: NetworkValue = { type: 'Bytes', value: Buffer.alloc(16 * 1024) }
    bob.write(validation([0], 1))
    for (let i = 0; i < 2048; i++) bob.write(encodeFrame(1, value))
    await settle(100)
    expect(bob.socket.writableLength).toBeGreaterThan(0)
    const [session] = await within(alice.makeSessions({ count: 1 }), 'the session is made')
    let count = 0
    session!.handle('bob', () => void count++)
    await until(() => count === 2048, 'all of them arrive')
  })
})
