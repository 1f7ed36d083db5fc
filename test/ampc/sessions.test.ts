/**
 * Owns: how sessions come to be (docs/protocol.md): their numbers, which connection carries which, their
 * validation, the keys they may agree, and the one deadline of the call.
 * Refuses to know: how a batch ends (batch-loss.test.ts) and what the frames say (frames.test.ts).
 */
import { describe, expect, test } from 'vitest'
import { supervisorServices } from '../../actors/supervisor.ts'
import type { Network, NetworkValue, Session } from '../../index.ts'
import { encodeFrame } from '../../codec/index.ts'
import { toNotation } from '../codec/vectors.ts'
import {
  aliceWithRawBob,
  dialed,
  keep,
  leaveNothingBehind,
  makeAll,
  parties,
  party,
  ring16,
  validation,
} from '../support/ampc-parties.ts'
import { nextEvent, rejection, settle, within } from '../support/bounded-wait.ts'
import { claim } from '../support/rust-seat.ts'

const key = (byte: number): NetworkValue => ({ type: 'PrfKey', value: new Uint8Array(16).fill(byte) })

function aliceFor(config: Partial<Parameters<typeof party>[0]> = {}): Promise<Network> {
  return party({ identity: 'alice', peers: [{ id: 'bob' }], ...config })
}

/** One batch of one session, validated by bob as a bare socket. */
async function oneSession(alice: Network, firstId: number): Promise<Session> {
  const made = alice.makeSessions({ count: 1 })
  const bob = await dialed(alice)
  bob.write(validation([0], firstId))
  const [session] = await within(made, 'the session is made')
  return session as Session
}

describe('session ids', () => {
  leaveNothingBehind()

  test('session ids go on over the batches, and every party counts alike', async () => {
    const made = await parties(['alice', 'bob', 'charlie'])
    const ids = []
    for (const count of [2, 3, 1])
      ids.push((await makeAll(made, count)).map((sessions) => sessions.map(({ id }) => id)))
    expect(ids).toEqual([
      [
        [0, 1],
        [0, 1],
        [0, 1],
      ],
      [
        [2, 3, 4],
        [2, 3, 4],
        [2, 3, 4],
      ],
      [[5], [5], [5]],
    ])
  })

  test('session ids of a batch that fails are given again to the next', async () => {
    const alice = await aliceFor()
    expect((await oneSession(alice, 0)).id).toBe(0)
    const failing = rejection(alice.makeSessions({ count: 5 }), 'a batch whose connection is lost')
    ;(await dialed(alice)).reset()
    await failing
    expect((await oneSession(alice, 1)).id).toBe(1)
  })

  test('session ids of a batch whose validation fails are given again to the next', async () => {
    const alice = await aliceFor()
    const failing = rejection(alice.makeSessions({ count: 1 }), 'a batch that is not validated')
    ;(await dialed(alice)).write(encodeFrame(0, ring16(1)))
    await failing
    expect((await oneSession(alice, 0)).id).toBe(0)
  })

  test('session ids begin at 0 again once they have reached 2^32 - 1 - count', async () => {
    const alice = await aliceFor()
    const { numbering } = supervisorServices(alice.ref)!
    const last = 2 ** 32 - 1 - 1
    numbering.succeeded(last - 1, 0)
    expect((await oneSession(alice, last - 1)).id).toBe(last - 1)
    expect((await oneSession(alice, 0)).id).toBe(0)
  })
})

describe('connections of a batch', () => {
  leaveNothingBehind()

  test('connections of a batch carry session i on connection i mod n, and say so in their first bytes', async () => {
    const alice = await aliceFor({ connectionParallelism: 2 })
    alice.makeSessions({ count: 5 }).catch(() => {})
    const [zero, one] = [await dialed(alice, 'bob', 0), await dialed(alice, 'bob', 1)]
    expect(await zero.read(3 * 21)).toEqual(validation([0, 2, 4]))
    expect(await one.read(2 * 21)).toEqual(validation([1, 3]))
  })

  test('connections of a batch are no more than its sessions', async () => {
    const alice = await aliceFor({ connectionParallelism: 4 })
    alice.makeSessions({ count: 2 }).catch(() => {})
    await dialed(alice, 'bob', 0)
    const rejected = nextEvent(alice, 'connection.rejected')
    await keep(await claim(alice.url as string, 'bob', 2)).end()
    expect((await rejected).cause.code).toBe('ERR_NOT_REQUESTED')
    await dialed(alice, 'bob', 1)
  })

  test('connections of a batch are fresh ones with ids from 0, while those of the batch before are still up', async () => {
    const {
      alice,
      sessions: [first],
      bob,
    } = await aliceWithRawBob()
    const second = await oneSession(alice, 1)
    bob.write(encodeFrame(0, ring16(1)))
    expect(await within(first!.receive('bob'), 'a value on the first batch')).toEqual(ring16(1))
    expect(second.id).toBe(1)
    expect(bob.isOver).toBe(false)
  })
})

describe('validation', () => {
  leaveNothingBehind()

  test('validation sends the numbers of all sessions before it hears one', async () => {
    const alice = await aliceFor()
    alice.makeSessions({ count: 3 }).catch(() => {})
    const bob = await dialed(alice)
    expect(await bob.read(3 * 21)).toEqual(validation([0, 1, 2]))
  })

  test('validation says the index in the batch, not the session id', async () => {
    const { alice } = await aliceWithRawBob(2)
    const made = alice.makeSessions({ count: 1 })
    const bob = await dialed(alice)
    expect(await bob.read(21)).toEqual(validation([0], 2))
    bob.write(validation([0], 2))
    await within(made, 'the second batch is made')
  })

  test('validation begins on no connection before all of them are up', async () => {
    const alice = await aliceFor({ connectionParallelism: 2 })
    alice.makeSessions({ count: 2 }).catch(() => {})
    const zero = await dialed(alice, 'bob', 0)
    await settle()
    expect(zero.unread).toHaveLength(0)
    await dialed(alice, 'bob', 1)
    expect(await zero.read(21)).toEqual(validation([0]))
  })

  test.each([
    ['another index', encodeFrame(0, { type: 'PrfKey', value: Uint8Array.of(1, ...new Uint8Array(15)) })],
    ['a key that is no index', encodeFrame(0, key(0xab))],
    [
      'an index with a bit above the u64',
      encodeFrame(0, { type: 'PrfKey', value: Uint8Array.of(...new Uint8Array(15), 1) }),
    ],
    ['a value of another type', encodeFrame(0, ring16(0))],
  ])('validation rejects %s, and closes the batch', async (_what, bytes) => {
    const alice = await aliceFor()
    const failing = rejection(alice.makeSessions({ count: 1 }), 'makeSessions')
    const bob = await dialed(alice)
    bob.write(bytes)
    expect((await failing).code).toBe('ERR_SESSION_VALIDATION')
    expect((await failing).message).not.toContain('abab')
    await bob.end()
  })

  test('validation that does not come ends the call at its deadline, which says what is missing', async () => {
    const alice = await aliceFor()
    const failing = rejection(alice.makeSessions({ count: 1, timeoutMs: 200 }), 'makeSessions')
    const bob = await dialed(alice)
    expect(await failing).toMatchObject({ code: 'ERR_TIMED_OUT', message: expect.stringContaining('validation') })
    await bob.end()
  })
})

describe('the deadline of makeSessions', () => {
  leaveNothingBehind()

  test('the deadline of makeSessions covers connecting, and its error names who did not come', async () => {
    const alice = await aliceFor({ peers: [{ id: 'bob' }, { id: 'charlie' }] })
    const failing = rejection(alice.makeSessions({ count: 1, timeoutMs: 200 }), 'makeSessions')
    await dialed(alice, 'bob')
    expect(await failing).toMatchObject({
      code: 'ERR_TIMED_OUT',
      message: expect.stringMatching(
        /no connection with charlie \(it has the greater identity, so it has to dial \S+, and did not come: it needs that url\)$/,
      ),
    })
  })

  test('the deadline of makeSessions covers the wait for its turn', async () => {
    const alice = await aliceFor()
    alice.makeSessions({ count: 1 }).catch(() => {})
    const second = rejection(alice.makeSessions({ count: 1, timeoutMs: 100 }), 'makeSessions')
    expect(await second).toMatchObject({ code: 'ERR_TIMED_OUT', message: expect.stringContaining('earlier calls') })
  })

  test('the deadline of makeSessions is one for all its phases: it goes on and is not set again when the next phase begins', async () => {
    const alice = await aliceFor()
    const { wheel } = supervisorServices(alice.ref)!
    const delays: number[] = []
    const schedule = wheel.schedule.bind(wheel)
    wheel.schedule = (delayMs, callback) => {
      delays.push(delayMs)
      return schedule(delayMs, callback)
    }
    const made = alice.makeSessions({ count: 1, timeoutMs: 7_777 })
    const bob = await dialed(alice)
    await bob.read(21)
    bob.write(validation([0]))
    await within(made, 'the session is made')
    expect(delays.filter((delayMs) => delayMs === 7_777)).toHaveLength(1)
  })

  test('the deadline of makeSessions is gone when a signal aborts the call first, and so is what it had begun', async () => {
    const alice = await aliceFor()
    const controller = new AbortController()
    const failing = rejection(alice.makeSessions({ count: 1, signal: controller.signal }), 'makeSessions')
    const bob = await dialed(alice)
    controller.abort()
    expect((await failing).code).toBe('ERR_ABORTED')
    await bob.end()
    expect((await oneSession(alice, 0)).id).toBe(0)
  })
})

describe('keys agreed on the way', () => {
  leaveNothingBehind()

  test('keys agreed on the way are one of mine, which next has as that of its previous, for each session another', async () => {
    const made = await parties(['alice', 'bob', 'charlie'])
    const [alice, bob, charlie] = (await makeAll(made, 2, { agreePrfKeys: true })) as [Session[], Session[], Session[]]
    for (const index of [0, 1]) {
      const keys = [alice, bob, charlie].map((sessions) => sessions[index]!.prf!)
      for (const place of [0, 1, 2]) expect(keys[(place + 1) % 3]!.previous).toEqual(keys[place]!.mine)
      expect(new Set(keys.map(({ mine }) => Buffer.from(mine).toString('hex'))).size).toBe(3)
    }
    expect(alice[0]!.prf!.mine).not.toEqual(alice[1]!.prf!.mine)
  })

  test('keys agreed on the way go out behind all validation, and what previous sends must be a key', async () => {
    const alice = await aliceFor()
    const failing = rejection(alice.makeSessions({ count: 2, agreePrfKeys: true }), 'makeSessions')
    const bob = await dialed(alice)
    bob.write(validation([0, 1]))
    const bytes = await bob.read(4 * 21)
    expect(bytes.subarray(0, 42)).toEqual(validation([0, 1]))
    expect([...bytes.subarray(42, 47), ...bytes.subarray(63, 68)]).toEqual([0, 0, 0, 0, 1, 1, 0, 0, 0, 1])
    bob.write(encodeFrame(0, ring16(1)))
    expect((await failing).code).toBe('ERR_SESSION_VALIDATION')
  })

  test("keys agreed on the way are not there unless asked for, and the first value is the application's", async () => {
    const {
      sessions: [session],
      bob,
    } = await aliceWithRawBob()
    bob.write(encodeFrame(0, key(1)))
    expect(session!.prf).toBeNull()
    expect(toNotation(await within(session!.receive('bob'), 'a key as a value'))).toEqual(toNotation(key(1)))
  })
})
