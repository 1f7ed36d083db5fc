/**
 * Owns: writes that wait while their stream or channel ends: which error they get, and that they are settled. The
 * simulation found these cases.
 * Independent of: how a stream is opened (get-stream.test.ts), and streams without writes that wait.
 */
import { describe, expect, it } from 'vitest'
import type { Channel, Stream } from '../../actors/index.ts'
import { StreamError } from '../../actors/index.ts'
import { play } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'

/** Much more than a window, for a peer that reads nothing. */
const lengthBytes = 1_000_000

interface Waiting {
  readonly alice: NativeMember
  readonly bob: NativeMember
  readonly stream: Stream
  readonly far: Stream
  readonly errors: Error[]
  /** Settles when the callback of the write is called. */
  readonly written: Promise<Error | null | undefined>
}

/** A stream of alice with a write that waits for credit. */
async function waiting(scene: NativeScene): Promise<Waiting> {
  const [alice, bob] = await scene.pair()
  let far: Stream | null = null
  bob.network.onStream('unread', (stream) => {
    far = stream
    stream.on('error', () => {})
  })
  const stream = await scene.run(alice.network.getStream(bob.id, 'unread'))
  const errors: Error[] = []
  stream.on('error', (error) => errors.push(error))
  const written = new Promise<Error | null | undefined>((resolve) => stream.write(Buffer.alloc(lengthBytes), resolve))
  await scene.clock.advance(1_000)
  return { alice, bob, stream, far: far!, errors, written }
}

describe('a write that waits for credit', () => {
  it('fails with the code and reason of the peer that resets the stream', () =>
    play({ on: 'memory' }, async (scene) => {
      const { stream, far, errors, written } = await waiting(scene)
      far.reset(4711, 'enough')
      const error = await scene.run(written)
      expect(error).toMatchObject({
        code: 'ERR_STREAM_RESET',
        by: 'peer',
        streamErrorCode: 4711,
        reason: 'enough',
      })
      expect(await scene.run(stream.closed)).toMatchObject({ how: 'reset', by: 'peer', code: 4711 })
      expect(errors).toEqual([error])
    }))

  it('fails with the counts of bytes when the link is reset', () =>
    play({ on: 'memory' }, async (scene) => {
      const { bob, stream, far, errors, written } = await waiting(scene)
      await scene.run(bob.network.shutdown())
      const error = await scene.run(written)
      expect(error).toMatchObject({
        code: 'ERR_LINK_RESET',
        by: 'network',
        bytes: { acked: far.bytesRead, unknown: 0 },
      })
      expect((error as StreamError).bytes!.notSent).toBeGreaterThan(0)
      expect(await scene.run(stream.closed)).toMatchObject({ how: 'lost', by: 'network' })
      expect(errors).toEqual([error])
    }))

  it('ends without an error event when its own application resets the stream', () =>
    play({ on: 'memory' }, async (scene) => {
      const { stream, errors, written } = await waiting(scene)
      stream.reset(4711)
      await scene.run(written)
      expect(await scene.run(stream.closed)).toMatchObject({ how: 'reset', by: 'self', code: 4711 })
      expect(errors).toEqual([])
    }))

  it('ends when its own application destroys the stream', () =>
    play({ on: 'memory' }, async (scene) => {
      const { stream, errors, written } = await waiting(scene)
      stream.destroy()
      await scene.run(written)
      expect(errors).toEqual([])
    }))

  it('fails with a StreamError of this side when the network shuts down, and the peer gets the reason', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, far, errors, written } = await waiting(scene)
      const stopped = alice.network.shutdown()
      const error = await scene.run(written)
      expect(error).toBeInstanceOf(StreamError)
      expect(error).toMatchObject({ code: 'ERR_NETWORK_STOPPED', by: 'self', reason: 'the network is shutting down' })
      await scene.run(stopped)
      expect(await scene.run(far.closed)).toMatchObject({ by: 'peer', reason: 'the network is shutting down' })
      expect(errors).toEqual([error])
    }))
})

describe('values that wait on a channel', () => {
  async function channelOf(
    scene: NativeScene,
  ): Promise<{ channel: Channel; errors: Error[]; sends: Promise<string>[] }> {
    const [alice, bob] = await scene.pair()
    bob.network.onChannel('unread', (channel) => void channel.on('error', () => {}))
    const channel = await scene.run(alice.network.getChannel(bob.id, 'unread'))
    const errors: Error[] = []
    channel.on('error', (error) => errors.push(error))
    const outcome = (value: Uint8Array): Promise<string> =>
      channel.send(value).then(
        () => 'accepted',
        (error: Error & { code: string }) => error.code,
      )
    const sends = Array.from({ length: 5 }, () => outcome(new Uint8Array(400_000)))
    await scene.clock.advance(1_000)
    return { channel, errors, sends }
  }

  it.each<[string, (channel: Channel) => void]>([
    ['its stream is reset here', (channel) => channel.stream.reset(4711)],
    ['it is destroyed', (channel) => channel.destroy()],
  ])('are all settled, without an error event, when %s', (_, end) =>
    play({ on: 'memory' }, async (scene) => {
      const { channel, errors, sends } = await channelOf(scene)
      end(channel)
      const outcomes = await scene.run(Promise.all(sends))
      expect(outcomes).not.toContain('accepted')
      await scene.run(channel.closed)
      expect(errors).toEqual([])
    }),
  )
})
