/**
 * Owns: request handlers that misbehave, and handlers whose network or peer ends: the caller gets an answer or an
 * outcome, other requests go on, and nothing is left.
 * Independent of: how a link carries requests (test/native/exchange-requests.test.ts).
 */
import { describe, expect, it } from 'vitest'
import type { Message, RequestContext, RequestError } from '../../index.ts'
import { keys, play, rejectionOf } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'

const never = new Promise<string>(() => {})
const failure = (error: Error): { code: unknown; outcome: unknown } => {
  const { code, outcome } = error as RequestError
  return { code, outcome }
}

async function connected(scene: NativeScene): Promise<[NativeMember, NativeMember]> {
  const [alice, bob] = await scene.pair()
  await scene.run(alice.network.send(bob.id, 'first'))
  return [alice, bob]
}

/** An object each of whose properties throws when it is read. */
const hostile = new Proxy(
  {},
  {
    get: () => {
      throw new Error('no property')
    },
    has: () => {
      throw new Error('no property')
    },
  },
)

const withGetters = Object.defineProperties(new Error('has getters'), {
  code: {
    get: () => {
      throw new Error('no code')
    },
  },
  data: {
    get: () => {
      throw new Error('no data')
    },
  },
})

describe('what a request handler may throw', () => {
  it.each<[string, unknown, { code: string; message: unknown }]>([
    ['undefined', undefined, { code: '', message: 'undefined' }],
    ['null', null, { code: '', message: 'null' }],
    ['a text', 'sold out', { code: '', message: 'sold out' }],
    ['an error whose message is a number', Object.assign(new Error(), { message: 7 }), { code: '', message: '7' }],
    ['an error whose code is a number', Object.assign(new Error('x'), { code: 7 }), { code: '', message: 'x' }],
    ['an error whose getters throw', withGetters, { code: '', message: 'has getters' }],
    ['an object without properties', hostile, { code: '', message: expect.any(String) }],
    ['a code of 65 characters', Object.assign(new Error('x'), { code: 'C'.repeat(65) }), { code: '', message: 'x' }],
    [
      'data over 1 MiB',
      Object.assign(new Error('x'), { code: 'E', data: Buffer.alloc((1 << 20) + 1) }),
      { code: 'too-long', message: expect.stringContaining('the data of an error') },
    ],
  ])('%s fails its request, whether thrown or rejected, and the next one is answered', (_, thrown, remote) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onRequest('throws', () => {
        throw thrown
      })
      bob.network.onRequest('rejects', async () => {
        await Promise.resolve()
        throw thrown
      })
      bob.network.onRequest('good', () => 'fine')
      for (const name of ['throws', 'rejects']) {
        const error = await scene.run(rejectionOf(alice.network.request(bob.id, '', { name })))
        expect(failure(error)).toEqual({ code: 'ERR_REMOTE', outcome: 'remote' })
        expect((error as RequestError).remote).toMatchObject(remote)
      }
      expect(bob.eventsOf('handler.failed').map(({ name }) => name)).toEqual(['throws', 'rejects'])
      const { bytes } = await scene.run(alice.network.request(bob.id, '', { name: 'good' }))
      expect(bytes.toString()).toBe('fine')
      expect(bob.eventsOf('link.reset')).toEqual([])
    }),
  )

  it('a result whose properties cannot be read fails its request', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onRequest('', () => hostile as string)
      const error = await scene.run(rejectionOf(alice.network.request(bob.id, '')))
      expect(failure(error)).toEqual({ code: 'ERR_REMOTE', outcome: 'remote' })
    }))
})

describe('the signal of a request handler', () => {
  it('a signal that is read after the answer leaves no deadline behind', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const contexts: RequestContext[] = []
      bob.network.onRequest('', (context) => {
        contexts.push(context)
        return ''
      })
      await scene.run(alice.network.request(bob.id, ''))
      const { deadlines } = bob.network.resources
      expect(contexts[0]?.signal.aborted).toBe(false)
      expect(bob.network.resources.deadlines).toBe(deadlines)
    }))

  it('a signal that is read after the caller gave up has aborted, with the reason', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const contexts: RequestContext[] = []
      bob.network.onRequest('', (context) => {
        contexts.push(context)
        return never
      })
      const controller = new AbortController()
      const asked = rejectionOf(alice.network.request(bob.id, '', { signal: controller.signal }))
      await scene.until('the handler', () => contexts.length === 1)
      controller.abort()
      await asked
      await scene.clock.advance(1_000)
      expect(contexts[0]?.signal.reason).toMatchObject({ code: 'ERR_CANCELLED' })
    }))
})

describe('the end of a network or a peer', () => {
  it('after shutdown has begun, nothing new is sent and no handler is added', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const stopped = alice.network.shutdown()
      const { network } = alice
      for (const add of [() => network.onMessage('n', () => {}), () => network.onRequest('n', () => '')])
        expect(add).toThrow(expect.objectContaining({ code: 'ERR_NETWORK_STOPPED' }))
      const calls = [network.request(bob.id, ''), network.send(bob.id, ''), network.requestAny([bob.id], '')]
      // Each has rejected before anything else happens.
      for (const call of calls.map(rejectionOf)) expect(await call).toMatchObject({ code: 'ERR_NETWORK_STOPPED' })
      await scene.run(stopped)
    }))

  it('a network that shuts down first delivers what it has accepted, and rejects the rest', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      let arrived = 0
      bob.network.onMessage('n', () => void arrived++)
      bob.network.onRequest('', () => 'answer')
      const sent = await scene.clock.run(
        (async () => {
          const body = Buffer.alloc(20_000)
          const all = Array.from({ length: 30 }, () => alice.network.send(bob.id, body, { name: 'n' }))
          const asked = alice.network.request(bob.id, '')
          await alice.network.shutdown()
          expect((await asked).bytes.toString()).toBe('answer')
          return Promise.allSettled(all)
        })(),
      )
      const rejected = sent.filter((one) => one.status === 'rejected')
      expect(rejected.length).toBeGreaterThan(0)
      for (const { reason } of rejected) expect(reason).toMatchObject({ code: 'ERR_NETWORK_STOPPED' })
      expect(arrived).toBe(sent.length - rejected.length)
    }))

  it('a network that shuts down aborts the signals of its handlers', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const signals: AbortSignal[] = []
      bob.network.onRequest('', ({ signal }) => {
        signals.push(signal)
        return never
      })
      const asked = rejectionOf(alice.network.request(bob.id, ''))
      await scene.until('the handler', () => signals.length === 1)
      await scene.run(bob.network.shutdown())
      expect(signals[0]?.aborted).toBe(true)
      expect(failure(await scene.run(asked))).toEqual({ code: 'ERR_LINK_RESET', outcome: 'unknown' })
    }))

  it('removing a peer ends its requests and messages: those that waited were not sent', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const bob = keys[1]!.id
      const ends = [rejectionOf(alice.network.request(bob, '')), rejectionOf(alice.network.send(bob, ''))]
      alice.services.peers.remove(bob)
      const [request, message] = await scene.run(Promise.all(ends))
      expect(failure(request!).outcome).toBe('notSent')
      expect(message?.message).toContain(bob)
      expect(failure(await scene.run(rejectionOf(alice.network.request(bob, '')))).code).toBe('ERR_UNKNOWN_PEER')
    }))

  it.each(['the peer is removed', 'the link begins again', 'nothing happens'])(
    'unread messages can be read after %s, and their memory is given back',
    (event) =>
      play({ on: 'memory' }, async (scene) => {
        const [alice, bob] = await connected(scene)
        const messages = bob.network.messages('n')
        const sizes = [40_000, 300_000]
        for (const size of sizes) await scene.run(alice.network.send(bob.id, Buffer.alloc(size), { name: 'n' }))
        await scene.clock.advance(1_000)
        if (event === 'the peer is removed') bob.services.peers.remove(alice.id)
        if (event === 'the link begins again') {
          await scene.crash(alice)
          const again = await scene.start({ key: 0, peers: [1], dials: [] })
          await scene.run(again.network.send(bob.id, 'last', { name: 'n' }))
          await scene.clock.advance(1_000)
        }
        for (const size of sizes) {
          const { value } = await scene.run(messages.next())
          expect([(value as Message).peer, (value as Message).bytes.length]).toEqual([alice.id, size])
        }
        await scene.clock.advance(1_000)
        expect(bob.services.memory.held.largeFramesBytes).toBe(0)
      }),
  )

  it('a network that shuts down with unread messages leaves nothing behind', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const messages = bob.network.messages('n')
      for (const size of [40_000, 300_000])
        await scene.run(alice.network.send(bob.id, Buffer.alloc(size), { name: 'n' }))
      await scene.clock.advance(1_000)
      await scene.run(bob.network.shutdown())
      expect(await messages.next()).toEqual({ done: true, value: undefined })
      expect(bob.usedBytes).toBe(0)
    }))
})
