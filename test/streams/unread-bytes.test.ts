/**
 * Owns: what a stream or channel gives its reader when its link is reset: first what had arrived, then the error.
 * Independent of: what becomes of writes (failed-writes.test.ts).
 */
import { describe, expect, it } from 'vitest'
import type { Channel, Stream } from '../../actors/index.ts'
import { play } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'

const lost = 'ERR_LINK_RESET'
/** More than the buffer of a stream, and less than a window with its frames. */
const text = 'x'.repeat(65_000)

interface Unread {
  readonly alice: NativeMember
  readonly bob: NativeMember
  /** Bytes have arrived for it, and were not read. */
  readonly stream: Stream
  readonly writer: Stream
  readonly errors: (string | undefined)[]
}

/** @param write what the peer does with its end */
async function unread(scene: NativeScene, write: (far: Stream) => void): Promise<Unread> {
  const [alice, bob] = await scene.pair()
  const accepted: Stream[] = []
  bob.network.onStream('p', (far) => {
    far.on('error', () => {})
    accepted.push(far)
    write(far)
  })
  const stream = await scene.run(alice.network.getStream(bob.id, 'p'))
  const errors: (string | undefined)[] = []
  stream.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code))
  await scene.clock.advance(1_000)
  return { alice, bob, stream, writer: accepted[0]!, errors }
}

/** What an iteration gave, and the code of the error that ended it. */
async function iterated(values: AsyncIterable<unknown>): Promise<[unknown[], string]> {
  const seen: unknown[] = []
  try {
    for await (const value of values) seen.push(value)
  } catch (error) {
    return [seen, (error as NodeJS.ErrnoException).code!]
  }
  return [seen, 'end']
}

const joined = ([parts, end]: [unknown[], string]): [string, string] => [
  Buffer.concat(parts as Buffer[]).toString(),
  end,
]

describe('bytes that had arrived when the link of their stream was reset', () => {
  it('are read by an iteration before it throws the error', () =>
    play({ on: 'memory' }, async (scene) => {
      const { bob, stream, writer, errors } = await unread(scene, (far) => far.write(text))
      expect([stream.readableLength, writer.bytesWritten]).toEqual([text.length, text.length])
      await scene.crash(bob)
      await scene.start({ key: 1, peers: [0], dials: [0] })
      await scene.clock.advance(100)
      expect(errors).toEqual([])
      expect(joined(await scene.run(iterated(stream)))).toEqual([text, lost])
      expect(await scene.run(stream.closed)).toMatchObject({ how: 'lost', by: 'network' })
    }))

  it('are emitted as data before the error, and no end is', () =>
    play({ on: 'memory' }, async (scene) => {
      const { bob, stream } = await unread(scene, (far) => far.write(text))
      await scene.run(bob.network.shutdown())
      const seen: unknown[] = []
      for (const event of ['end', 'error', 'close']) stream.on(event, () => seen.push(event))
      stream.on('data', (bytes: Buffer) => seen.push(bytes.length))
      await scene.run(stream.closed)
      await scene.clock.advance(1)
      expect(seen).toEqual([text.length, 'error', 'close'])
    }))

  it('are read in parts, and a read of more than is left fails the stream at once', () =>
    play({ on: 'memory' }, async (scene) => {
      const { bob, stream, errors } = await unread(scene, (far) => far.write('abcde'))
      await scene.run(bob.network.shutdown())
      expect([String(stream.read(2)), String(stream.read(2)), stream.destroyed]).toEqual(['ab', 'cd', false])
      expect([stream.read(2), stream.destroyed]).toEqual([null, true])
      await scene.run(stream.closed)
      expect(errors).toEqual([lost])
    }))

  it('are read to their end if the peer had finished, and then writing fails', () =>
    play({ on: 'memory' }, async (scene) => {
      const { bob, stream, errors } = await unread(scene, (far) => far.end(text))
      await scene.crash(bob)
      await scene.start({ key: 1, peers: [0], dials: [0] })
      await scene.clock.advance(100)
      const seen: unknown[] = []
      for (const event of ['end', 'error', 'close']) stream.on(event, () => seen.push(event))
      stream.on('data', (bytes: Buffer) => seen.push(bytes.length))
      await scene.run(stream.closed)
      await scene.clock.advance(1)
      expect(seen).toEqual([text.length, 'end', 'error', 'close'])
      expect(errors).toEqual([lost])
    }))

  it.each<[string, (far: Stream) => void]>([
    ['has not finished', (far) => far.write(text)],
    ['has finished', (far) => far.end(text)],
  ])('are given up after closeTimeoutMs without a read, and a write fails then, if the peer %s', (_, write) =>
    play({ on: 'memory', limits: { closeTimeoutMs: 500 } }, async (scene) => {
      const { alice, bob, stream, errors } = await unread(scene, write)
      await scene.crash(bob)
      await scene.start({ key: 1, peers: [0], dials: [0] })
      await scene.until('the link is up again', () => alice.network.peer(bob.id)?.state === 'connected')
      const written = new Promise<Error | null | undefined>((resolve) => stream.write('late', resolve))
      await scene.clock.advance(300)
      expect([errors, stream.destroyed]).toEqual([[], false])
      expect(await scene.run(written)).toMatchObject({ code: lost })
      await scene.clock.advance(1)
      expect(errors).toEqual([lost])
    }),
  )

  it('are not given up while a slow reader takes some of them within each closeTimeoutMs', () =>
    play({ on: 'memory', limits: { closeTimeoutMs: 500 } }, async (scene) => {
      const { bob, stream, errors } = await unread(scene, (far) => far.write('abcdefgh'))
      await scene.run(bob.network.shutdown())
      let seen = ''
      while (stream.readableLength > 0) {
        await scene.clock.advance(400)
        if (stream.destroyed) seen += 'given up: '
        seen += String(stream.read(1))
      }
      await scene.run(stream.closed)
      expect([seen, errors]).toEqual(['abcdefgh', [lost]])
    }))

  it('leave nothing when their own network shuts down meanwhile', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, stream } = await unread(scene, (far) => far.write(text))
      await scene.run(bob.network.shutdown())
      await scene.run(alice.network.shutdown())
      expect(alice.network.resources).toEqual({ actors: 0, deadlines: 0, handles: 0 })
      expect(joined(await iterated(stream))).toEqual([text, lost])
    }))

  it('are read through toWeb before its reader fails', () =>
    play({ on: 'memory' }, async (scene) => {
      const { bob, stream } = await unread(scene, (far) => far.write(text))
      await scene.run(bob.network.shutdown())
      expect(joined(await scene.run(iterated(stream.toWeb().readable)))).toEqual([text, lost])
    }))
})

describe('values that had arrived when the link of their channel was reset', () => {
  const values = Array.from({ length: 100 }, (_, index) => ({ index }))

  async function unreadValues(scene: NativeScene, last?: Buffer): Promise<Channel> {
    const [alice, bob] = await scene.pair()
    bob.network.onChannel('c', (far) => {
      far.on('error', () => {})
      const rest = (): void => void (last !== undefined && far.stream.write(last))
      for (const value of values) far.write(value, value === values.at(-1) ? rest : undefined)
    })
    const channel = await scene.run(alice.network.getChannel(bob.id, 'c'))
    channel.on('error', () => {})
    await scene.clock.advance(1_000)
    await scene.run(bob.network.shutdown())
    return channel
  }

  it.each<[string, Buffer | undefined]>([
    ['nothing', undefined],
    ['a part of a value', Buffer.from([9, 0, 0, 0, 1])],
    ['a part of a length', Buffer.from([9])],
  ])('are read before the error when %s follows them', (_, last) =>
    play({ on: 'memory' }, async (scene) => {
      const channel = await unreadValues(scene, last)
      const [seen, end] = await scene.run(iterated(channel))
      expect([seen.length, end]).toEqual([values.length, lost])
      expect(seen).toEqual(values)
    }),
  )

  it('are given up when they are not read, and a send that waits fails', () =>
    play({ on: 'memory' }, async (scene) => {
      const channel = await unreadValues(scene)
      const sent = channel.send('late').catch((error: NodeJS.ErrnoException) => error.code)
      await scene.run(channel.closed)
      expect(await scene.run(sent)).toBe(lost)
    }))
})
