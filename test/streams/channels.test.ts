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
})
