/**
 * Owns: how a session group ends in mode `fail` (docs/protocol.md): one lost connection ends all sessions of its group,
 * at every peer, at once; nothing else is affected.
 * Independent of: mode `reconnect` (reconnect.test.ts).
 */
import { describe, expect, test } from 'vitest'
import type { Network, Session } from '../../index.ts'
import { encodeFrame } from '../../codec/index.ts'
import {
  aliceWithRawBob,
  dialed,
  leaveNothingBehind,
  makeAll,
  parties,
  party,
  pipesOf,
  ring16,
  shutDown,
  validation,
} from '../support/ampc-parties.ts'
import { rejection, until, within } from '../support/bounded-wait.ts'

const large = { type: 'Bytes', value: Buffer.alloc(1024 * 1024) } as const

function pendingReceives(
  sessions: readonly Session[],
  peers: readonly string[],
): Promise<(Error & { code?: string })[]> {
  return Promise.all(
    sessions.flatMap((session) =>
      peers.map((peer) => rejection(session.receive(peer), `receive on session ${session.id} from ${peer}`)),
    ),
  )
}

const codes = (errors: readonly { code?: string }[]): string[] => [...new Set(errors.map(({ code }) => String(code)))]

describe('a lost connection', () => {
  leaveNothingBehind()

  test('a lost connection ends its whole session group at every peer, and nothing else', async () => {
    const made = (await parties(['alice', 'bob', 'charlie'], { connectionParallelism: 2 })) as [
      Network,
      Network,
      Network,
    ]
    const channels = await within(
      Promise.all(made.map((network) => network.openControlChannel())),
      'the control channels open',
    )
    const others = await makeAll(made, 2)
    const before = new Set(pipesOf(made[0]))
    const lost = await makeAll(made, 4)
    const pending = [
      pendingReceives(lost[0]!, ['bob', 'charlie']),
      pendingReceives(lost[1]!, ['alice', 'charlie']),
      pendingReceives(lost[2]!, ['alice', 'bob']),
    ]
    pipesOf(made[0])
      .find((pipe) => !before.has(pipe))!
      .reset()

    for (const errors of pending) expect(codes(await errors)).toEqual(['ERR_CONNECTION_LOST'])
    await others[1]![0]!.send('alice', ring16(1))
    await others[1]![1]!.send('charlie', ring16(2))
    expect(await within(others[0]![0]!.receive('bob'), 'a value on the other session group')).toEqual(ring16(1))
    expect(await within(others[2]![1]!.receive('bob'), 'a value on the other session group')).toEqual(ring16(2))
    await within(Promise.all(channels.map((channel) => channel.sync())), 'the control channels still sync')
  })

  test.each(['FIN', 'reset', 'half close'] as const)(
    'a lost connection ends its session group when the peer closes it by %s',
    async (how) => {
      const { alice, sessions, bob } = await aliceWithRawBob(2)
      const pending = pendingReceives(sessions, ['bob'])
      if (how === 'FIN') bob.close()
      else if (how === 'reset') bob.reset()
      else bob.halfClose()
      expect(codes(await pending)).toEqual(['ERR_CONNECTION_LOST'])
      if (how === 'half close') await bob.end()
      // ECONNRESET is normal at the end. The network keeps running and makes the next sessions.
      const made = alice.makeSessions({ count: 1 })
      ;(await dialed(alice)).write(validation([0], 2))
      expect(await within(made, 'the next session group is made')).toHaveLength(1)
    },
  )

  test("a lost connection also closes the group's connections to other peers, which are not redialed", async () => {
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }, { id: 'charlie' }] })
    const made = alice.makeSessions({ count: 1 })
    const [bob, charlie] = [await dialed(alice, 'bob'), await dialed(alice, 'charlie')]
    for (const socket of [bob, charlie]) socket.write(validation([0]))
    await within(made, 'the sessions are made')
    bob.reset()
    await charlie.end()
    await until(() => pipesOf(alice).length === 0, 'no socket is left')
  })

  test('a lost connection rejects a send that waits for room, with the cause of the loss', async () => {
    const {
      sessions: [session],
      bob,
    } = await aliceWithRawBob()
    bob.stopReading()
    while (session!.trySend('bob', large)) await new Promise((resolve) => setImmediate(resolve))
    const waiting = rejection(session!.send('bob', large), 'a send that waits')
    bob.reset()
    expect((await waiting).code).toBe('ERR_CONNECTION_LOST')
  })

  test('values that arrived before a lost connection can be read, and then receive rejects', async () => {
    const {
      sessions: [session],
      bob,
    } = await aliceWithRawBob()
    bob.write(Buffer.concat([encodeFrame(0, ring16(1)), encodeFrame(0, ring16(2))]))
    bob.halfClose()
    await bob.end()
    expect([await session!.receive('bob'), await session!.receive('bob')]).toEqual([ring16(1), ring16(2)])
    expect((await rejection(session!.receive('bob'), 'receive')).code).toBe('ERR_CONNECTION_LOST')
    expect((await rejection(session!.send('bob', ring16(1)), 'send')).code).toBe('ERR_CONNECTION_LOST')
  })

  test('makeSessions rejects when one of its connections is lost before all are open', async () => {
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }, { id: 'charlie' }] })
    const failing = rejection(alice.makeSessions({ count: 1 }), 'makeSessions')
    ;(await dialed(alice, 'bob')).close()
    expect((await failing).code).toBe('ERR_CONNECTION_LOST')
  })

  test('makeSessions rejects when a connection is lost during validation', async () => {
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }] })
    const failing = rejection(alice.makeSessions({ count: 2 }), 'makeSessions')
    const bob = await dialed(alice)
    bob.write(validation([0]))
    await bob.read(2 * 21)
    bob.close()
    expect((await failing).code).toBe('ERR_CONNECTION_LOST')
  })

  test('a lost connection ends every session of its group with the same code and cause', async () => {
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }], connectionParallelism: 2 })
    const made = alice.makeSessions({ count: 2 })
    const [zero, one] = [await dialed(alice, 'bob', 0), await dialed(alice, 'bob', 1)]
    zero.write(validation([0]))
    one.write(validation([1]))
    const sessions = await within(made, 'the sessions are made')
    const pending = pendingReceives(sessions, ['bob'])
    one.write(Buffer.from('01000000ff', 'hex'))
    const [onOther, onLost] = await pending
    expect(onOther!.code).toBe(onLost!.code)
    expect(onOther!.message).toBe(onLost!.message)
  })
})

describe('closing a session group locally', () => {
  leaveNothingBehind()

  test('a session group ends, also at the peer, when its last session is closed locally', async () => {
    const { sessions, bob } = await aliceWithRawBob(2)
    sessions[0]!.close()
    bob.write(encodeFrame(1, ring16(1)))
    expect(await within(sessions[1]!.receive('bob'), 'a value on the other session')).toEqual(ring16(1))
    expect(bob.isOver).toBe(false)
    sessions[1]!.close()
    expect(await bob.end()).toBeNull()
  })

  test.each(['close', 'shutdown'] as const)(
    'ending a session group by %s sends the values accepted before',
    async (how) => {
      const {
        alice,
        sessions: [session],
        bob,
      } = await aliceWithRawBob()
      const values = Array.from({ length: 100 }, (_, index) => ring16(index))
      for (const value of values) await session!.send('bob', value)
      if (how === 'close') session!.close()
      else await shutDown(alice)
      await bob.end()
      expect(bob.unread).toEqual(Buffer.concat(values.map((value) => encodeFrame(0, value))))
    },
  )
})
