/**
 * Owns: channels, and the protocols that the runtime serves by itself.
 * Independent of: how streams are opened (get-stream.test.ts).
 */
import { describe, expect, it } from 'vitest'
import type { Stream } from '../../actors/index.ts'
import { play, rejectionOf } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'

async function connected(scene: NativeScene): Promise<[NativeMember, NativeMember]> {
  const [alice, bob] = await scene.pair()
  await scene.run(bob.network.ready({ peers: 'all' }))
  await scene.until('the other end', () => alice.network.peer(bob.id)?.state === 'connected')
  return [alice, bob]
}

/** What happens to it at the end of the scene is not of interest. */
function quiet<S extends { on(event: 'error', listener: () => void): unknown }>(stream: S): S {
  stream.on('error', () => {})
  return stream
}

async function open(
  scene: NativeScene,
  member: NativeMember,
  ...args: Parameters<NativeMember['network']['getStream']>
): Promise<Stream> {
  return scene.run(member.network.getStream(...args).then(quiet))
}

describe('built-in protocols', () => {
  it('ping, echo, discard and time are off until they are enabled', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      expect(await scene.run(rejectionOf(alice.network.ping(bob.id)))).toMatchObject({ code: 'ERR_NO_PROTOCOL' })
      const disable = bob.network.enable('ping')
      const result = await scene.run(alice.network.ping(bob.id, { count: 3 }))
      expect([result.count, result.minMs <= result.meanMs, result.meanMs <= result.maxMs]).toEqual([3, true, true])
      disable()
      expect(await scene.run(rejectionOf(alice.network.ping(bob.id)))).toMatchObject({ code: 'ERR_NO_PROTOCOL' })
      expect(() => bob.network.enable('pong' as never)).toThrow(/ping, echo, discard, time/)
    }))
})

describe('channels', () => {
  it('carry values in both directions in order, of any size', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onChannel<number>('double', async (channel) => {
        quiet(channel)
        for await (const value of channel) await channel.send((value as number) * 2)
        channel.end()
      })
      const channel = quiet(await scene.run(alice.network.getChannel<number>(bob.id, 'double')))
      for (let value = 1; value <= 100; value++) channel.write(value)
      channel.end()
      const values = (async () => {
        const all: number[] = []
        for await (const value of channel) all.push(value as number)
        return all
      })()
      expect(await scene.run(values)).toEqual(Array.from({ length: 100 }, (_, index) => 2 * (index + 1)))
    }))

  it('a value that is not MessagePack resets the stream of its channel', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onChannel('c', (channel) => void channel.on('error', () => {}).resume())
      const stream = await open(scene, alice, bob.id, 'c')
      stream.on('error', () => {})
      stream.write(Buffer.from([1, 0, 0, 0, 0xc1]))
      expect(await scene.run(stream.closed)).toMatchObject({ how: 'reset', by: 'peer', code: 5 })
      const channel = quiet(await scene.run(alice.network.getChannel(bob.id, 'c')))
      expect(await scene.run(rejectionOf(channel.send((() => {}) as never)))).toMatchObject({
        code: 'ERR_INVALID_VALUE',
      })
    }))

  it.each([null, undefined])('sending %s fails, and the channel stays open', (nil) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onChannel('c', async (channel) => {
        quiet(channel)
        for await (const value of channel) await channel.send(value)
      })
      const channel = quiet(await scene.run(alice.network.getChannel(bob.id, 'c')))
      expect(await scene.run(rejectionOf(channel.send(nil)))).toMatchObject({ code: 'ERR_INVALID_VALUE' })
      await scene.run(channel.send('next'))
      expect((await scene.run(channel[Symbol.asyncIterator]().next())).value).toBe('next')
    }),
  )

  const maxMessageLengthBytes = 65_536
  /** The longest MessagePack value that the receiver takes: a head of 3 bytes, and so much text. */
  const longest = 'x'.repeat(maxMessageLengthBytes - 3)

  it('a value of the limit of the receiver arrives, and one above it resets the channel with the reason', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const bob = await scene.start({ key: 1, peers: [0], dials: [0], limits: { maxMessageLengthBytes } })
      await scene.run(bob.network.ready({ peers: 'all' }))
      const seen = receive(scene, bob, 'c')
      const channel = quiet(await scene.run(alice.network.getChannel(bob.id, 'c')))
      channel.write(longest)
      channel.write(`${longest}y`)
      const error = {
        code: 'ERR_MESSAGE_TOO_LONG',
        message: 'a value of 65537 bytes arrived on the channel "c"; 65536 are allowed',
      }
      expect(await scene.run(seen)).toMatchObject({ values: [longest], error })
      expect(await scene.run(channel.closed)).toMatchObject({
        how: 'reset',
        by: 'peer',
        code: 5,
        reason: error.message,
      })
    }))

  it.each<[what: string, bytes: number[], isEnd: boolean, code: string]>([
    ['a value that is not MessagePack', [1, 0, 0, 0, 0xc1], false, 'ERR_MSGPACK_RESERVED'],
    ['nil', [1, 0, 0, 0, 0xc0], false, 'ERR_MSGPACK_RESERVED'],
    ['an empty value', [0, 0, 0, 0], false, 'ERR_MSGPACK_TRUNCATED'],
    ['bytes behind a value', [2, 0, 0, 0, 1, 2], false, 'ERR_MSGPACK_TRAILING_BYTES'],
    ['a length above the limit', [0xff, 0xff, 0xff, 0xff], false, 'ERR_MESSAGE_TOO_LONG'],
    ['an end in the middle of a length', [1, 0], true, 'ERR_VALUE_TRUNCATED'],
    ['an end before a value', [1, 0, 0, 0], true, 'ERR_VALUE_TRUNCATED'],
    ['an end in the middle of a value', [3, 0, 0, 0, 0xa2, 0x61], true, 'ERR_VALUE_TRUNCATED'],
  ])('values that came before %s are read, then the channel fails, and its writer learns why', (_, bad, isEnd, code) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const seen = receive(scene, bob, 'c')
      const stream = await open(scene, alice, bob.id, 'c')
      const failed = new Promise((resolve) => stream.once('error', resolve))
      const good = Array.from({ length: 40 }, (_value, index) => index)
      stream.write(Buffer.from([...good.flatMap((value) => [1, 0, 0, 0, value]), ...bad]))
      if (isEnd) stream.end()
      else stream.write(Buffer.from([1, 0, 0, 0, 99]))
      expect(await scene.run(seen)).toMatchObject({ values: good, error: { code } })
      expect(await scene.run(failed)).toMatchObject({ code: 'ERR_STREAM_RESET', by: 'peer', streamErrorCode: 5 })
      expect(await scene.run(stream.closed)).toMatchObject({ how: 'reset', by: 'peer', code: 5 })
    }),
  )

  it('a listener of data gets the values that came before a bad one', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const seen: unknown[] = []
      bob.network.onChannel('c', (channel) => {
        quiet(channel)
        channel.on('data', (value) => seen.push(value))
        channel.on('error', ({ code }: Error & { code?: string }) => seen.push(code))
      })
      const stream = await open(scene, alice, bob.id, 'c')
      stream.write(Buffer.from([1, 0, 0, 0, 7, 1, 0, 0, 0, 8, 1, 0, 0, 0, 0xc1]))
      await scene.run(stream.closed)
      expect(seen).toEqual([7, 8, 'ERR_MSGPACK_RESERVED'])
    }))
})

/** Serves one channel. @returns the values that it read, and the error that ended it */
function receive(
  scene: NativeScene,
  member: NativeMember,
  protocol: string,
): Promise<{ values: unknown[]; error: unknown }> {
  const values: unknown[] = []
  return new Promise((resolve) => {
    member.network.onChannel(protocol, async (channel) => {
      quiet(channel)
      try {
        for await (const value of channel) {
          values.push(value)
          // A reader that is slower than what arrives.
          await new Promise<void>((next) => scene.clock.setImmediate(next))
        }
        resolve({ values, error: null })
      } catch (error) {
        resolve({ values, error })
      }
    })
  })
}
