/**
 * Owns: the control channel (docs/protocol.md): its own connection, its frames, the ring barrier, and what ends it.
 * Independent of: the order of calls that share connection id 0 (call-order.test.ts).
 */
import { describe, expect, test } from 'vitest'
import type { ControlChannel, Network, NetworkValue } from '../../index.ts'
import { encodeControlFrame, encodeFrame } from '../../codec/index.ts'
import { seededRandom } from '../../testing/index.ts'
import {
  aliceWithRawBob,
  dialed,
  leaveNothingBehind,
  parties,
  party,
  pipesOf,
  ring16,
  shutDown,
} from '../support/ampc-parties.ts'
import { nextEvent, rejection, settle, within } from '../support/bounded-wait.ts'
import type { RawSocket } from '../support/raw-socket.ts'

const bytes = (length: number): NetworkValue => ({ type: 'Bytes', value: Buffer.alloc(length, 7) })
const okFrame = encodeControlFrame({ type: 'Bytes', value: Buffer.from('ok') })
const maxBytes = 1_048_576 - 5

function u32le(value: number): Buffer {
  const four = Buffer.alloc(4)
  four.writeUInt32LE(value, 0)
  return four
}

/** Opens alice's control channel to bob and charlie, both bare sockets. */
async function rawChannel(): Promise<{ alice: Network; channel: ControlChannel; bob: RawSocket; charlie: RawSocket }> {
  const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }, { id: 'charlie' }] })
  const opened = alice.openControlChannel()
  const bob = await dialed(alice, 'bob')
  const charlie = await dialed(alice, 'charlie')
  return { alice, channel: await within(opened, 'the channel opens'), bob, charlie }
}

describe('a control channel', () => {
  leaveNothingBehind()

  test('a control channel is open once its connections are open, without validation', async () => {
    const { bob } = await rawChannel()
    await settle()
    expect(bob.unread).toHaveLength(0)
  })

  test('a control channel sends a u32 LE length and the value, without a session id', async () => {
    const { channel, bob } = await rawChannel()
    await channel.send('bob', ring16(0x0102))
    expect((await bob.read(7)).toString('hex')).toBe('03000000030201')
    bob.write(Buffer.from('03000000030403', 'hex'))
    expect(await within(channel.receive('bob'), 'a value')).toEqual(ring16(0x0304))
  })

  test('a control channel receives and sends a value of 1,048,576 bytes', async () => {
    const { channel, bob } = await rawChannel()
    const frame = encodeControlFrame(bytes(maxBytes))
    bob.write(frame)
    const value = await within(channel.receive('bob'), 'the value')
    expect(frame.equals(encodeControlFrame(value))).toBe(true)
    await within(Promise.all([channel.send('bob', value), bob.read(frame.length)]), 'it comes back')
  })

  test('a control channel refuses to send a value one byte over the limit', async () => {
    const { channel, bob } = await rawChannel()
    expect((await rejection(channel.send('bob', bytes(maxBytes + 1)), 'send')).code).toBe('ERR_INVALID_VALUE')
    await channel.send('bob', ring16(1))
    expect(await bob.read(7)).toEqual(encodeControlFrame(ring16(1)))
  })

  test.each([0, 1_048_577, 2 ** 32 - 1])(
    'a control channel ends as soon as it has read a declared length of %i',
    async (length) => {
      const { alice, channel, bob } = await rawChannel()
      const lost = nextEvent(alice, 'connection.lost')
      bob.write(u32le(length).subarray(0, 3))
      await settle()
      expect(bob.isOver).toBe(false)
      bob.write(u32le(length).subarray(3))
      await bob.end()
      expect((await lost).cause.code).toBe('ERR_CONTROL_FRAME_LENGTH')
      expect((await rejection(channel.receive('bob'), 'receive')).code).toBe('ERR_CONNECTION_LOST')
    },
  )

  test.each([
    [
      'is shorter than its frame',
      Buffer.concat([u32le(4), Buffer.from('03010200', 'hex')]),
      'ERR_CONTROL_FRAME_NOT_FILLED',
    ],
    ['is longer than its frame', Buffer.concat([u32le(2), Buffer.from('0301', 'hex')]), 'ERR_CONTROL_FRAME_NOT_FILLED'],
    ['has an unknown descriptor', Buffer.concat([u32le(1), Buffer.from('ff', 'hex')]), 'ERR_UNKNOWN_DESCRIPTOR'],
    [
      'is malformed inside',
      Buffer.concat([u32le(8), Buffer.from('0603000000010203', 'hex')]),
      'ERR_VECTOR_LENGTH_NOT_MULTIPLE',
    ],
  ])('a control channel ends when it receives a value that %s', async (_what, frame, code) => {
    const { alice, bob } = await rawChannel()
    const lost = nextEvent(alice, 'connection.lost')
    bob.write(frame)
    await bob.end()
    expect((await lost).cause.code).toBe(code)
  })

  test('a control channel resolves a send only when the kernel has taken the bytes', async () => {
    const { alice, channel, bob } = await rawChannel()
    bob.stopReading()
    const pipe = pipesOf(alice).find(({ remoteAddress }) => remoteAddress.endsWith(`:${bob.socket.localPort}`))!
    let resolved = 0
    let last: Promise<void> | undefined
    // 64 MiB do not fit into the buffers of two kernels, so one send has to wait.
    for (let sent = 1; sent <= 64 && resolved === sent - 1; sent++) {
      last = channel.send('bob', bytes(maxBytes)).then(() => {
        resolved++
        expect(pipe.bufferedBytes).toBe(0)
      })
      await Promise.race([last, settle()])
    }
    expect(resolved).toBeLessThan(64)
    expect(pipe.bufferedBytes).toBeGreaterThan(0)
    bob.socket.resume()
    await within(last!, 'the last is with the kernel once bob reads')
  })

  test('a receive on a control channel has no deadline unless one is given', async () => {
    const { alice, channel } = await rawChannel()
    const before = alice.resources.deadlines
    const pending = channel.receive('bob')
    pending.catch(() => {})
    expect(alice.resources.deadlines).toBe(before)
  })

  test('closing a control channel sends the accepted values first, and ends the channel at the peer', async () => {
    const { channel, bob, charlie } = await rawChannel()
    const sent = channel.send('bob', ring16(1))
    channel.close()
    await sent
    await bob.end()
    await charlie.end()
    expect(bob.unread).toEqual(encodeControlFrame(ring16(1)))
    expect((await rejection(channel.receive('bob'), 'receive')).code).toBe('ERR_SESSION_CLOSED')
  })

  test('a control channel keeps working with the other peers when one leaves after the barrier', async () => {
    const { channel, bob, charlie } = await rawChannel()
    bob.close()
    expect((await rejection(channel.receive('bob'), 'receive from who left')).code).toBe('ERR_CONNECTION_LOST')
    charlie.write(encodeControlFrame(ring16(1)))
    expect(await within(channel.receive('charlie'), 'a value of the other')).toEqual(ring16(1))
  })

  test('losing a control channel does not affect the sessions', async () => {
    const {
      alice,
      sessions: [session],
      bob,
    } = await aliceWithRawBob()
    const opened = alice.openControlChannel()
    const control = await dialed(alice)
    const channel = await within(opened, 'the channel opens')
    control.reset()
    expect((await rejection(channel.receive('bob'), 'receive')).code).toBe('ERR_CONNECTION_LOST')
    bob.write(encodeFrame(0, ring16(1)))
    expect(await within(session!.receive('bob'), 'a value on the session')).toEqual(ring16(1))
  })
})

describe('sync()', () => {
  leaveNothingBehind()

  test('sync() sends Bytes("ok") to both neighbours, and returns when both have sent it', async () => {
    const { channel, bob, charlie } = await rawChannel()
    let isDone = false
    const synced = channel.sync().then(() => (isDone = true))
    expect([await bob.read(okFrame.length), await charlie.read(okFrame.length)]).toEqual([okFrame, okFrame])
    charlie.write(okFrame)
    await settle()
    expect(isDone).toBe(false)
    bob.write(okFrame)
    await within(synced, 'the barrier opens')
  })

  test('sync() sends "ok" to the next party first, then to the previous one', async () => {
    const { channel, bob, charlie } = await rawChannel()
    expect(channel.ring).toEqual({ next: 'bob', previous: 'charlie' })
    bob.stopReading()
    // The next party stops reading, so its "ok" is not flushed: the previous party must not have received one yet.
    for (let i = 0; i < 64; i++) channel.send('bob', bytes(maxBytes)).catch(() => {})
    const synced = rejection(channel.sync({ timeoutMs: 300 }), 'sync')
    expect((await synced).code).toBe('ERR_SEND_TIMED_OUT')
    expect(charlie.unread).toHaveLength(0)
    bob.reset()
  })

  test.each([
    ['other bytes', encodeControlFrame({ type: 'Bytes', value: Buffer.from('ko') })],
    ['another type', encodeControlFrame(ring16(1))],
  ])('sync() rejects when a neighbour sends %s', async (_what, frame) => {
    const { channel, bob, charlie } = await rawChannel()
    const failing = rejection(channel.sync(), 'sync')
    bob.write(okFrame)
    charlie.write(frame)
    expect((await failing).code).toBe('ERR_SYNC_MISMATCH')
  })

  test('sync() is a barrier: no party returns from round n before all three have called it', async () => {
    const seed = Math.floor(Math.random() * 2 ** 32)
    const random = seededRandom(seed)
    const made = await parties(['alice', 'bob', 'charlie'])
    const channels = await within(Promise.all(made.map((network) => network.openControlChannel())), 'the channels open')
    const rounds = 30
    const called = [0, 0, 0]
    await within(
      Promise.all(
        channels.map(async (channel, place) => {
          for (let round = 1; round <= rounds; round++) {
            await settle(Math.floor(random.fraction() * 4))
            called[place] = round
            await channel.sync()
            expect({ seed, least: Math.min(...called) >= round }).toEqual({ seed, least: true })
          }
        }),
      ),
      `all rounds pass (seed ${seed})`,
    )
    for (const network of made) await shutDown(network)
  })
})
