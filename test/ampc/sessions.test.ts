/**
 * Owns: how sessions are made (docs/protocol.md): their numbers, the connection that carries each, their validation,
 * the keys they may agree on, and the one deadline of the call.
 * Independent of: how a session group ends (batch-loss.test.ts) and what the frames contain (frames.test.ts).
 */
import { describe, expect, test } from 'vitest'
import { supervisorServices } from '../../actors/network/supervisor.ts'
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

/** A group of one session, validated by bob as a bare socket. */
async function oneSession(alice: Network, firstId: number): Promise<Session> {
  const made = alice.makeSessions({ count: 1 })
  const bob = await dialed(alice)
  bob.write(validation([0], firstId))
  const [session] = await within(made, 'the session is made')
  return session as Session
}

describe('session ids', () => {
  leaveNothingBehind()

  test('session ids continue over the session groups, and every party counts them alike', async () => {
    const made = await parties(['alice', 'bob', 'charlie'])
    const ids = []
    for (const count of [2, 3, 1])
      ids.push((await makeAll(made, count)).map((sessions) => sessions.map(({ id }) => id)))
    expect(ids).toEqual([
      [
        ['0', '1'],
        ['0', '1'],
        ['0', '1'],
      ],
      [
        ['2', '3', '4'],
        ['2', '3', '4'],
        ['2', '3', '4'],
      ],
      [['5'], ['5'], ['5']],
    ])
  })

  test('session ids of a group that fails are used again by the next group', async () => {
    const alice = await aliceFor()
    expect((await oneSession(alice, 0)).id).toBe('0')
    const failing = rejection(alice.makeSessions({ count: 5 }), 'a session group whose connection is lost')
    ;(await dialed(alice)).reset()
    await failing
    expect((await oneSession(alice, 1)).id).toBe('1')
  })

  test('session ids of a group whose validation fails are used again by the next group', async () => {
    const alice = await aliceFor()
    const failing = rejection(alice.makeSessions({ count: 1 }), 'a session group that is not validated')
    ;(await dialed(alice)).write(encodeFrame(0, ring16(1)))
    await failing
    expect((await oneSession(alice, 0)).id).toBe('0')
  })

  test('session ids start at 0 again once they have reached 2^32 - 1 - count', async () => {
    const alice = await aliceFor()
    const { numbering } = supervisorServices(alice.ref)!
    const last = 2 ** 32 - 1 - 1
    numbering.succeeded(last - 1, 0)
    expect((await oneSession(alice, last - 1)).id).toBe(String(last - 1))
    expect((await oneSession(alice, 0)).id).toBe('0')
  })
})

describe('the connections of a session group', () => {
  leaveNothingBehind()

  test('a session group carries session i on connection i mod n', async () => {
    const alice = await aliceFor({ connectionParallelism: 2 })
    alice.makeSessions({ count: 5 }).catch(() => {})
    const [zero, one] = [await dialed(alice, 'bob', 0), await dialed(alice, 'bob', 1)]
    expect(await zero.read(3 * 21)).toEqual(validation([0, 2, 4]))
    expect(await one.read(2 * 21)).toEqual(validation([1, 3]))
  })

  test('a session group opens no more connections than it has sessions', async () => {
    const alice = await aliceFor({ connectionParallelism: 4 })
    alice.makeSessions({ count: 2 }).catch(() => {})
    await dialed(alice, 'bob', 0)
    const rejected = nextEvent(alice, 'connection.rejected')
    await keep(await claim(alice.url as string, 'bob', 2)).end()
    expect((await rejected).cause.code).toBe('ERR_NOT_REQUESTED')
    await dialed(alice, 'bob', 1)
  })

  test('a session group opens connections with ids from 0 while earlier groups are still open', async () => {
    const {
      alice,
      sessions: [first],
      bob,
    } = await aliceWithRawBob()
    const second = await oneSession(alice, 1)
    bob.write(encodeFrame(0, ring16(1)))
    expect(await within(first!.receive('bob'), 'a value on the first session group')).toEqual(ring16(1))
    expect(second.id).toBe('1')
    expect(bob.isOver).toBe(false)
  })
})

describe('validation', () => {
  leaveNothingBehind()

  test.each(['', 'work'])(
    'makeSessions refuses the name "%s" in ampc, whose calls are paired by their order',
    async (name) => {
      const alice = await aliceFor()
      const error = await rejection(alice.makeSessions({ count: 1, name }), 'a session')
      expect([error.code, error.message]).toEqual([
        'ERR_DIALECT_UNSUPPORTED',
        expect.stringContaining('in the same order'),
      ])
    },
  )

  test('validation sends the numbers of all sessions before it receives one', async () => {
    const alice = await aliceFor()
    alice.makeSessions({ count: 3 }).catch(() => {})
    const bob = await dialed(alice)
    expect(await bob.read(3 * 21)).toEqual(validation([0, 1, 2]))
  })

  test('validation sends the index within the group, not the session id', async () => {
    const { alice } = await aliceWithRawBob(2)
    const made = alice.makeSessions({ count: 1 })
    const bob = await dialed(alice)
    expect(await bob.read(21)).toEqual(validation([0], 2))
    bob.write(validation([0], 2))
    await within(made, 'the second session group is made')
  })

  test('validation starts only when all connections are open', async () => {
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
  ])('validation rejects %s, and closes the session group', async (_what, bytes) => {
    const alice = await aliceFor()
    const failing = rejection(alice.makeSessions({ count: 1 }), 'makeSessions')
    const bob = await dialed(alice)
    bob.write(bytes)
    expect((await failing).code).toBe('ERR_SESSION_VALIDATION')
    expect((await failing).message).not.toContain('abab')
    await bob.end()
  })

  test('makeSessions rejects at its deadline when a validation is missing, and names it', async () => {
    const alice = await aliceFor()
    const failing = rejection(alice.makeSessions({ count: 1, timeoutMs: 200 }), 'makeSessions')
    const bob = await dialed(alice)
    expect(await failing).toMatchObject({ code: 'ERR_TIMED_OUT', message: expect.stringContaining('validation') })
    await bob.end()
  })
})

describe('the deadline of makeSessions', () => {
  leaveNothingBehind()

  test('the deadline of makeSessions covers connecting, and its error names the missing peers', async () => {
    const alice = await aliceFor({ peers: [{ id: 'bob' }, { id: 'charlie' }] })
    const failing = rejection(alice.makeSessions({ count: 1, timeoutMs: 200 }), 'makeSessions')
    await dialed(alice, 'bob')
    expect(await failing).toMatchObject({
      code: 'ERR_TIMED_OUT',
      message: expect.stringMatching(
        /no connection with charlie \(it has the greater identity, so it must dial \S+, but has not connected: it needs that url\)$/,
      ),
    })
  })

  test('the deadline of makeSessions covers the wait for earlier calls', async () => {
    const alice = await aliceFor()
    alice.makeSessions({ count: 1 }).catch(() => {})
    const second = rejection(alice.makeSessions({ count: 1, timeoutMs: 100 }), 'makeSessions')
    expect(await second).toMatchObject({ code: 'ERR_TIMED_OUT', message: expect.stringContaining('earlier calls') })
  })

  test('the deadline of makeSessions covers all phases and is not restarted when the next phase begins', async () => {
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

  test('makeSessions clears its deadline and what it had started when a signal aborts the call', async () => {
    const alice = await aliceFor()
    const controller = new AbortController()
    const failing = rejection(alice.makeSessions({ count: 1, signal: controller.signal }), 'makeSessions')
    const bob = await dialed(alice)
    controller.abort()
    expect((await failing).code).toBe('ERR_ABORTED')
    await bob.end()
    expect((await oneSession(alice, 0)).id).toBe('0')
  })
})

describe('key agreement', () => {
  leaveNothingBehind()

  test('key agreement gives each session a key shared with the next party and one with the previous', async () => {
    const made = await parties(['alice', 'bob', 'charlie'])
    const [alice, bob, charlie] = (await makeAll(made, 2, { agreePrfKeys: true })) as [Session[], Session[], Session[]]
    for (const index of [0, 1]) {
      const keys = [alice, bob, charlie].map((sessions) => sessions[index]!.prf!)
      for (const place of [0, 1, 2]) expect(keys[(place + 1) % 3]!.previous).toEqual(keys[place]!.mine)
      expect(new Set(keys.map(({ mine }) => Buffer.from(mine).toString('hex'))).size).toBe(3)
    }
    expect(alice[0]!.prf!.mine).not.toEqual(alice[1]!.prf!.mine)
  })

  test('keys are sent after all validation, and the first value from the previous party must be a key', async () => {
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

  test("sessions have no keys unless requested, and then the first value is the application's", async () => {
    const {
      sessions: [session],
      bob,
    } = await aliceWithRawBob()
    bob.write(encodeFrame(0, key(1)))
    expect(session!.prf).toBeNull()
    expect(toNotation(await within(session!.receive('bob'), 'a key as a value'))).toEqual(toNotation(key(1)))
  })
})
