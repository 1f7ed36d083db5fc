/**
 * Owns: what frames do once sessions are open (docs/protocol.md, 2 and 3): routing by session id, splits at any byte,
 * dropped frames of unknown sessions, and the end of the session group on a contract violation.
 * Independent of: how each value is encoded (the codec's tests).
 */
import { describe, expect, test } from 'vitest'
import type { NetworkValue } from '../../index.ts'
import { encodeFrame } from '../../codec/index.ts'
import { ampcDialect, AmpcLink } from '../../protocol/index.ts'
import { defaultLimits } from '../../index.ts'
import { aliceWithRawBob, dialed, leaveNothingBehind, ring16, validation } from '../support/ampc-parties.ts'
import { nextEvent, rejection, settle, nextTick, until, within } from '../support/bounded-wait.ts'

/** A VecRing16 of 3 bytes: the length is valid, the content is not. */
const oddVector = (session: number): Buffer => Buffer.from([session, 0, 0, 0, 0x06, 3, 0, 0, 0, 1, 2, 3])
const bytes = (length: number): NetworkValue => ({ type: 'Bytes', value: Buffer.alloc(length, 7) })

describe('frames of sessions', () => {
  leaveNothingBehind()

  test('frames are decoded wherever a segment splits them', async () => {
    const {
      sessions: [session],
      bob,
    } = await aliceWithRawBob()
    const values: NetworkValue[] = [
      ring16(513),
      { type: 'RingElementBit', value: true },
      { type: 'RingElement64', value: 2n ** 63n },
    ]
    for (const byte of Buffer.concat(values.map((value) => encodeFrame(0, value)))) {
      bob.write(Uint8Array.of(byte))
      await nextTick()
    }
    for (const value of values) expect(await within(session!.receive('bob'), value.type)).toEqual(value)
  })

  test('a single frame is sent at once, without waiting for another', async () => {
    const {
      sessions: [session],
      bob,
    } = await aliceWithRawBob()
    await session!.send('bob', ring16(1))
    expect(await bob.read(7)).toEqual(encodeFrame(0, ring16(1)))
  })

  test('frames reach their session by id, each in its own order', async () => {
    const { sessions, bob } = await aliceWithRawBob(3)
    bob.write(Buffer.concat([2, 0, 1, 0, 2].map((session, index) => encodeFrame(session, ring16(index)))))
    const received = []
    for (const [session, count] of [
      [0, 2],
      [1, 1],
      [2, 2],
    ] as const)
      for (let i = 0; i < count; i++)
        received.push([session, await within(sessions[session]!.receive('bob'), 'a value')])
    expect(received).toEqual([
      [0, ring16(1)],
      [0, ring16(3)],
      [1, ring16(2)],
      [2, ring16(0)],
      [2, ring16(4)],
    ])
  })

  test('frames for an unknown session are dropped, and their value is not parsed', async () => {
    const {
      sessions: [session],
      bob,
    } = await aliceWithRawBob()
    bob.write(Buffer.concat([oddVector(99), encodeFrame(1, ring16(1)), encodeFrame(0, ring16(2))]))
    expect(await within(session!.receive('bob'), 'the value after them')).toEqual(ring16(2))
    expect(session!.unread('bob')).toBe(0)
  })

  test('frames for a session closed here are dropped, and their value is not parsed', async () => {
    const {
      sessions: [closed, open],
      bob,
    } = await aliceWithRawBob(2)
    closed!.close()
    bob.write(Buffer.concat([oddVector(0), encodeFrame(1, ring16(2))]))
    expect(await within(open!.receive('bob'), 'the value after it')).toEqual(ring16(2))
    expect((await rejection(closed!.receive('bob'), 'receive on the closed one')).code).toBe('ERR_SESSION_CLOSED')
  })

  test('dropped frames are counted', () => {
    const state = new AmpcLink(ampcDialect.sessions(defaultLimits.maxMessageLengthBytes), defaultLimits)
    const reader = state.framing.createReader(state)
    const lane = state.openLane(5)
    reader.push(Buffer.concat([oddVector(99), oddVector(4), encodeFrame(5, ring16(1))]))
    expect(state.counters).toMatchObject({ framesDropped: 2, valuesReceived: 1 })
    state.closeLane(lane, new Error('closed'), true)
    reader.push(oddVector(5))
    expect(state.counters).toMatchObject({ framesDropped: 3, valuesReceived: 1 })
  })
})

describe('a frame that breaks the contract', () => {
  leaveNothingBehind()

  test.each([
    ['an unknown descriptor', Buffer.from('00000000ff', 'hex'), 'ERR_UNKNOWN_DESCRIPTOR'],
    ['a descriptor of the native dialect', Buffer.from('0000000030', 'hex'), 'ERR_UNKNOWN_DESCRIPTOR'],
    ['an unknown descriptor for an unknown session', Buffer.from('63000000ff', 'hex'), 'ERR_UNKNOWN_DESCRIPTOR'],
    ['a vector whose length is not a multiple', oddVector(0), 'ERR_VECTOR_LENGTH_NOT_MULTIPLE'],
    [
      'a list that contains a key',
      Buffer.from(`000000000a1100000001${'00'.repeat(16)}`, 'hex'),
      'ERR_NETWORK_VEC_ELEMENT_NOT_ALLOWED',
    ],
    [
      'a list that its values do not fill',
      Buffer.from('000000000a0200000003ff', 'hex'),
      'ERR_NETWORK_VEC_LENGTH_MISMATCH',
    ],
  ])('a frame with %s ends its whole session group, and no other', async (_what, broken, code) => {
    const { alice, sessions, bob } = await aliceWithRawBob(2)
    const made = alice.makeSessions({ count: 1 })
    const other = await dialed(alice)
    other.write(validation([0], 2))
    const [survivor] = await within(made, 'another session group')

    const lost = nextEvent(alice, 'connection.lost')
    const pending = sessions.map((session) => rejection(session.receive('bob'), 'receive'))
    bob.write(broken)
    await bob.end()
    expect((await lost).cause.code).toBe(code)
    for (const error of pending) expect((await error).code).toBe('ERR_CONNECTION_LOST')
    other.write(encodeFrame(2, ring16(1)))
    expect(await within(survivor!.receive('bob'), 'a value on the other session group')).toEqual(ring16(1))
  })

  test('a frame that breaks the contract leaves earlier values readable', async () => {
    const {
      sessions: [session],
      bob,
    } = await aliceWithRawBob()
    bob.write(Buffer.concat([encodeFrame(0, ring16(1)), oddVector(0), encodeFrame(0, ring16(2))]))
    await bob.end()
    expect(await session!.receive('bob')).toEqual(ring16(1))
    expect((await rejection(session!.receive('bob'), 'receive')).code).toBe('ERR_CONNECTION_LOST')
  })

  test.each([0, 99])('a length above maxMessageLength is detected after 9 bytes (session %i)', async (session) => {
    const { alice, bob } = await aliceWithRawBob(1, { maxMessageLengthBytes: 1000 })
    const lost = nextEvent(alice, 'connection.lost')
    const header = encodeFrame(session, bytes(1001)).subarray(0, 9)
    bob.write(header.subarray(0, 8))
    await settle()
    expect(bob.isOver).toBe(false)
    bob.write(header.subarray(8))
    await bob.end()
    expect((await lost).cause.code).toBe('ERR_MESSAGE_TOO_LONG')
  })

  test('a value of exactly maxMessageLength is received', async () => {
    const {
      sessions: [session],
      bob,
    } = await aliceWithRawBob(1, { maxMessageLengthBytes: 1000 })
    bob.write(encodeFrame(0, bytes(1000)))
    expect(await within(session!.receive('bob'), 'the value')).toEqual(bytes(1000))
  })
})

describe('unread values', () => {
  leaveNothingBehind()

  test('unread values stop reading at the limit and not before, and reading resumes when they are read', async () => {
    const limit = 256 * 1024
    const {
      sessions: [session, other],
      bob,
    } = await aliceWithRawBob(2, { receiveQueueBytesMax: limit })
    const frame = encodeFrame(0, bytes(16 * 1024))
    const frames = 2048
    for (let i = 0; i < frames; i++) bob.write(frame)
    await until(() => session!.unread('bob') >= limit / (16 * 1024 + 64) - 1, 'as much as the limit is unread')
    await settle(50)
    // One chunk may exceed the limit. 32 MiB do not fit into the buffers of two kernels, so the rest is still at bob.
    expect(session!.unread('bob')).toBeLessThan(64)
    expect(bob.socket.writableLength).toBeGreaterThan(0)

    bob.write(encodeFrame(1, ring16(9)))
    let taken = 0
    session!.handle('bob', () => void taken++)
    await until(() => taken === frames, 'all of it arrives')
    expect(await within(other!.receive('bob'), 'the other session, which waited for it')).toEqual(ring16(9))
  })
})
