/**
 * Owns: opening streams to a peer and accepting them: who gets what, every refusal, time-outs, and the manager.
 * Independent of: what a Duplex does (duplex-conformance.test.ts), and how frames travel (test/native/streams.test.ts).
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

const echo = (stream: Stream): void => {
  stream.on('error', () => {})
  stream.on('data', (bytes: Buffer) => stream.write(bytes))
  stream.on('end', () => stream.end())
}

async function textOf(stream: Stream): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}

describe('getStream', () => {
  it('hands out a stream once the peer has accepted it, and bytes go both ways', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const seen: string[] = []
      bob.network.onStream('echo/1', (stream) => {
        seen.push(stream.peer, stream.protocol, stream.extra.toString())
        echo(stream)
      })
      const stream = await open(scene, alice, bob.id, 'echo/1', { extra: 'hello' })
      expect([stream.peer, stream.protocol, stream.extra.toString()]).toEqual([bob.id, 'echo/1', 'hello'])
      stream.end('question')
      expect(await scene.run(textOf(stream))).toBe('question')
      expect(seen).toEqual([alice.id, 'echo/1', 'hello'])
      expect(await scene.run(stream.closed)).toMatchObject({
        how: 'finished',
        by: 'both',
        bytesRead: 8,
        bytesWritten: 8,
      })
    }))

  it.each<[string, (bob: NativeMember) => void, object]>([
    ['of a protocol that is not served', () => {}, { code: 'ERR_NO_PROTOCOL', by: 'peer' }],
    [
      'that is not permitted',
      (bob) => void bob.network.onStream('p', () => {}, { permit: () => false }),
      { code: 'ERR_STREAM_REFUSED', reason: 'not permitted' },
    ],
    [
      'whose permit throws',
      (bob) =>
        void bob.network.onStream('p', () => {}, {
          permit: () => {
            throw new Error('the target refuses')
          },
        }),
      { code: 'ERR_STREAM_REFUSED', reason: 'the target refuses' },
    ],
    [
      'whose permit rejects with a code of its own',
      (bob) =>
        void bob.network.onStream('p', () => {}, {
          permit: () => Promise.reject(Object.assign(new Error('gone'), { streamErrorCode: 0x1234 })),
        }),
      { code: 'ERR_STREAM_REFUSED', streamErrorCode: 0x1234, reason: 'gone' },
    ],
    [
      'whose permit returns nothing',
      (bob) => void bob.network.onStream('p', () => {}, { permit: (() => undefined) as never }),
      { code: 'ERR_STREAM_REFUSED' },
    ],
  ])('a stream %s is refused with the reason', (_, serve, error) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      serve(bob)
      expect(await scene.run(rejectionOf(alice.network.getStream(bob.id, 'p')))).toMatchObject(error)
    }),
  )

  it('streams over the concurrency of a protocol are refused as overloaded, until one ends', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onStream('p', echo, { concurrency: 1 })
      const first = await open(scene, alice, bob.id, 'p')
      expect(await scene.run(rejectionOf(alice.network.getStream(bob.id, 'p')))).toMatchObject({
        code: 'ERR_STREAM_OVERLOADED',
      })
      first.end()
      first.resume()
      await scene.run(first.closed)
      await open(scene, alice, bob.id, 'p')
    }))

  it('the handler gets the context that permit returned, and permit sees peer, protocol and extra', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const contexts: unknown[] = []
      bob.network.onStream<{ target: string }>(
        'p',
        (stream, context) => {
          quiet(stream)
          contexts.push(context)
        },
        {
          permit: ({ peer, protocol, extra }) =>
            Promise.resolve({ context: { target: `${peer} ${protocol} ${extra.toString()}` } }),
        },
      )
      await open(scene, alice, bob.id, 'p', { extra: 'x' })
      expect(contexts).toEqual([{ target: `${alice.id} p x` }])
    }))

  it('a slow permit fails its own opener at its own time-out and no other, and its signal is aborted', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const aborted: string[] = []
      bob.network.onStream('slow', () => {}, {
        permit: ({ signal, extra }) => {
          signal.addEventListener('abort', () => aborted.push(extra.toString()))
          return new Promise(() => {})
        },
      })
      bob.network.onStream('fast', echo)
      const slow = rejectionOf(alice.network.getStream(bob.id, 'slow', { timeoutMs: 1_000, extra: 'a' }))
      await open(scene, alice, bob.id, 'fast')
      expect(await scene.run(slow)).toMatchObject({ code: 'ERR_TIMED_OUT', by: 'self' })
      await scene.until('the abort', () => aborted.length === 1)
      expect(alice.network.peer(bob.id)?.state).toBe('connected')
    }))

  it('a permit that never decides is ended by the acceptor, too', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onStream('slow', () => {}, { permit: () => new Promise(() => {}) })
      const refused = rejectionOf(alice.network.getStream(bob.id, 'slow', { timeoutMs: 600_000 }))
      expect(await scene.run(refused)).toMatchObject({ code: 'ERR_TIMED_OUT', by: 'peer' })
    }))

  it('an abort ends the call before and after its Open has left', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onStream('slow', () => {}, { permit: () => new Promise(() => {}) })
      const aborted = AbortSignal.abort()
      expect(await rejectionOf(alice.network.getStream(bob.id, 'slow', { signal: aborted }))).toMatchObject({
        code: 'ERR_ABORTED',
      })
      const controller = new AbortController()
      const waiting = rejectionOf(alice.network.getStream(bob.id, 'slow', { signal: controller.signal }))
      await scene.clock.advance(100)
      controller.abort(new Error('enough'))
      expect(await scene.run(waiting)).toMatchObject({ code: 'ERR_ABORTED', cause: { message: 'enough' } })
    }))

  it('if no connection can be made every call that waits gets the cause, and the next call begins anew', () =>
    play({ on: 'memory' }, async (scene) => {
      const bob = await scene.start({ key: 1, peers: [0], dials: [0] })
      const [peer] = bob.network.peers
      const first = rejectionOf(bob.network.getStream(peer!, 'p', { timeoutMs: 100_000 }))
      const second = rejectionOf(bob.network.getStream(peer!, 'q', { timeoutMs: 90_000 }))
      const [one, two] = await scene.run(Promise.all([first, second]))
      for (const error of [one, two]) {
        expect(error).toMatchObject({ code: 'ERR_TIMED_OUT' })
        expect((error as Error).message).toMatch(/was not connected within 30000 ms/)
      }
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      alice.network.onStream('p', echo)
      await open(scene, bob, peer!, 'p', { timeoutMs: 100_000 })
    }))

  it('streams over the limit of the peer wait in order for a place', () =>
    play({ on: 'memory', limits: { streamsMax: 1 } }, async (scene) => {
      const [alice, bob] = await scene.pair()
      await scene.run(bob.network.ready({ peers: 'all' }))
      const order: string[] = []
      bob.network.onStream('p', (stream) => {
        order.push(stream.extra.toString())
        echo(stream)
      })
      const calls = ['a', 'b', 'c'].map((extra) => alice.network.getStream(bob.id, 'p', { extra }))
      for (const call of calls) {
        const stream = quiet(await scene.run(call))
        stream.resume()
        stream.end()
        await scene.run(stream.closed)
      }
      expect(order).toEqual(['a', 'b', 'c'])
    }))

  it('serial calls are opened one at a time, and one that fails makes all that wait fail', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const asked: string[] = []
      bob.network.onStream('p', echo, {
        permit: async ({ extra }) => {
          asked.push(extra.toString())
          await new Promise<void>((resolve) => void scene.clock.setTimeout(resolve, 100))
          return extra.toString() !== 'bad'
        },
      })
      const ask = (extra: string): Promise<Stream> => alice.network.getStream(bob.id, 'p', { extra, serial: true })
      const first = ask('a')
      const bad = rejectionOf(ask('bad'))
      const last = rejectionOf(ask('c'))
      quiet(await scene.run(first))
      expect(await scene.run(bad)).toMatchObject({ code: 'ERR_STREAM_REFUSED' })
      expect(await scene.run(last)).toMatchObject({ code: 'ERR_STREAM_REFUSED' })
      expect(asked).toEqual(['a', 'bad'])
      quiet(await scene.run(ask('again')))
      expect((await scene.run(first)).destroyed).toBe(false)
    }))

  it('a handler that throws resets its stream, is reported, and others go on', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onStream('bad', (stream) => {
        quiet(stream)
        throw new Error('oops')
      })
      bob.network.onStream('good', echo)
      const bad = await open(scene, alice, bob.id, 'bad')
      bad.on('error', () => {})
      expect(await scene.run(bad.closed)).toMatchObject({ how: 'reset', by: 'peer', reason: 'oops' })
      expect(bob.eventsOf('handler.failed')).toMatchObject([{ name: 'bad', cause: { code: 'ERR_HANDLER_FAILED' } }])
      await open(scene, alice, bob.id, 'good')
    }))

  it('a listener of data that throws ends its own stream only', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onStream('p', (stream) => {
        stream.on('error', () => {})
        stream.on('data', () => {
          throw new Error('oops')
        })
      })
      bob.network.onStream('echo', echo)
      const [bad, good] = await scene.run(
        Promise.all([alice.network.getStream(bob.id, 'p'), alice.network.getStream(bob.id, 'echo')]),
      )
      quiet(bad)
      quiet(good)
      bad.write('x')
      expect(await scene.run(bad.closed)).toMatchObject({ how: 'reset', by: 'peer' })
      good.end('fine')
      expect(await scene.run(textOf(good))).toBe('fine')
    }))

  it('a stream survives lost sockets', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onStream('echo', echo)
      const stream = await open(scene, alice, bob.id, 'echo')
      const answer = textOf(stream)
      for (let round = 0; round < 5; round++) {
        stream.write(`${round} `)
        alice.kill()
        await scene.clock.advance(500)
      }
      stream.end()
      expect(await scene.run(answer)).toBe('0 1 2 3 4 ')
    }))

  it('after a restart of the peer the error says how many bytes arrived', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onStream('sink', (stream) => {
        stream.on('error', () => {})
        stream.resume()
      })
      const stream = await open(scene, alice, bob.id, 'sink')
      const failed = new Promise<Error>((resolve) => stream.once('error', resolve))
      stream.write(Buffer.alloc(100))
      await scene.clock.advance(1_000)
      await scene.run(bob.network.shutdown())
      expect(await scene.run(failed)).toMatchObject({
        code: 'ERR_LINK_RESET',
        by: 'network',
        bytes: { acked: 100, unknown: 0, notSent: 0 },
        message:
          `the stream "sink" to ${bob.id} has ended: one of the two sides shut down ("the network is shutting down"). ` +
          'Of the bytes written on it, 100 were delivered, 0 may have arrived, and 0 were not sent',
      })
      expect(await scene.run(stream.closed)).toMatchObject({ how: 'lost', by: 'network' })
    }))

  it('wrong arguments are refused with what is wrong', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const { network } = alice
      const all: [() => unknown, string, RegExp][] = [
        [() => network.getStream('nobody', 'p'), 'ERR_UNKNOWN_PEER', /not a peer/],
        [() => network.getStream(alice.id, 'p'), 'ERR_UNKNOWN_PEER', /itself/],
        [() => network.getStream(bob.id, ''), 'ERR_INVALID_OPTION', /1 to 255 bytes/],
        [() => network.getStream(bob.id, 'x'.repeat(256)), 'ERR_INVALID_OPTION', /256/],
        [() => network.getStream(bob.id, '\ud800'), 'ERR_INVALID_OPTION', /surrogate/],
        [() => network.getStream(bob.id, 'statewire/x'), 'ERR_INVALID_OPTION', /reserved/],
        [() => network.getStream(bob.id, 'p', { extra: Buffer.alloc(65_537) }), 'ERR_INVALID_OPTION', /65537/],
        [() => network.getStream(bob.id, 'p', { extra: 5 as never }), 'ERR_INVALID_OPTION', /extra/],
        [() => network.getStream(bob.id, 'p', { serial: 1 as never }), 'ERR_INVALID_OPTION', /serial/],
        [() => network.getStream(bob.id, 'p', { timeout: 1 } as never), 'ERR_INVALID_OPTION', /timeoutMs/],
        [() => network.onStream('p', 5 as never), 'ERR_INVALID_OPTION', /handler/],
        [() => network.onStream('p', echo, { concurrency: 0 }), 'ERR_INVALID_OPTION', /concurrency/],
        [() => network.onStream('p', echo, { permit: 1 as never }), 'ERR_INVALID_OPTION', /permit/],
      ]
      for (const [call, code, says] of all) {
        const error = await rejectionOf((async () => call())())
        expect(error).toMatchObject({ code })
        expect((error as Error).message).toMatch(says)
      }
      network.onStream('p', echo)
      expect(() => network.onStream('p', echo)).toThrow(expect.objectContaining({ code: 'ERR_HANDLER_EXISTS' }))
      bob.network.onStream('x'.repeat(255), echo)
      await open(scene, alice, bob.id, 'x'.repeat(255), { extra: Buffer.alloc(65_536) })
    }))

  it('opening is refused during a shutdown, and calls that wait fail', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onStream('slow', () => {}, { permit: () => new Promise(() => {}) })
      const waiting = rejectionOf(alice.network.getStream(bob.id, 'slow'))
      await scene.clock.advance(100)
      const stopped = alice.network.shutdown()
      expect(await scene.run(waiting)).toMatchObject({ code: 'ERR_NETWORK_STOPPED' })
      expect(await rejectionOf(alice.network.getStream(bob.id, 'slow'))).toMatchObject({ code: 'ERR_NETWORK_STOPPED' })
      await scene.run(stopped)
      expect(alice.network.resources).toEqual({ actors: 0, deadlines: 0, handles: 0 })
    }))

  it('removing a peer fails the calls that wait for it, and ends its streams', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onStream('echo', echo)
      bob.network.onStream('slow', () => {}, { permit: () => new Promise(() => {}) })
      const stream = await open(scene, alice, bob.id, 'echo')
      stream.on('error', () => {})
      const waiting = rejectionOf(alice.network.getStream(bob.id, 'slow'))
      await scene.run(alice.network.peer(bob.id)!.remove({ timeoutMs: 1_000 }))
      expect((await scene.run(stream.closed)).how).toBe('lost')
      expect(await scene.run(waiting)).toBeInstanceOf(Error)
    }))
})
