/**
 * Owns: requests as an application asks and answers them: results, errors and their outcomes, limits, deadlines,
 * and cancellation.
 * Independent of: how a link carries them (test/native/exchange-requests.test.ts).
 */
import { describe, expect, it } from 'vitest'
import { RequestError } from '../../index.ts'
import { keys, play, rejectionOf } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'

const text = ({ bytes }: { readonly bytes: Buffer }): string => bytes.toString()
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

/** The request fails, and says how. */
async function fails(scene: NativeScene, asked: Promise<unknown>): Promise<RequestError> {
  const error = await scene.run(rejectionOf(asked))
  expect(error).toBeInstanceOf(RequestError)
  return error as RequestError
}

describe('a request', () => {
  it.each(['memory', 'tls'] as const)('it is answered by the handler of its name (over %s)', (on) =>
    play({ on }, async (scene) => {
      const [alice, bob] = await scene.pair()
      bob.network.onRequest('echo', async ({ peer, name, bytes, headers }) => {
        await Promise.resolve()
        return `${peer === alice.id} ${name} ${bytes.toString()} ${headers['lang']}`
      })
      const reply = await scene.run(alice.network.request(bob.id, 'hello', { name: 'echo', headers: { lang: 'en' } }))
      expect([reply.peer, text(reply)]).toEqual([bob.id, 'true echo hello en'])
    }),
  )

  it.each([0, 1, 65_536, 1 << 20])('a body and an answer of %i bytes arrive', (lengthBytes) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onRequest('', ({ bytes }) => bytes)
      const { bytes } = await scene.run(alice.network.request(bob.id, Buffer.alloc(lengthBytes, 5)))
      expect([bytes.length, bytes.every((byte) => byte === 5)]).toEqual([lengthBytes, true])
    }),
  )

  it('each handler runs exactly once while sockets break, and every answer arrives', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const ran = new Map<string, number>()
      bob.network.onRequest('n', ({ bytes }) => {
        const key = bytes.toString()
        ran.set(key, (ran.get(key) ?? 0) + 1)
        return key
      })
      const all: Promise<{ readonly bytes: Buffer }>[] = []
      for (let index = 0; index < 300; index++) {
        all.push(alice.network.request(bob.id, String(index), { name: 'n' }))
        if (index % 20 === 0) {
          await scene.clock.advance(5)
          bob.kill()
        }
      }
      const answers = await scene.run(Promise.all(all))
      expect(answers.map(text)).toEqual(all.map((_, index) => String(index)))
      expect([...ran.values()].every((times) => times === 1)).toBe(true)
    }))

  it('each handler runs exactly once while TLS sockets are destroyed with answers on their way', () =>
    play({ on: 'tls' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const ran: string[] = []
      bob.network.onRequest('n', async ({ bytes }) => {
        ran.push(bytes.toString())
        await Promise.resolve()
        return bytes
      })
      const expected: string[] = []
      const answers: string[] = []
      for (let round = 0; round < 10; round++) {
        const asked = Array.from({ length: 32 }, (_, index) => `${round}.${index}`)
        expected.push(...asked)
        const replies = Promise.all(asked.map((key) => alice.network.request(bob.id, key, { name: 'n' })))
        // The requests are on their way, or have just been handled.
        await scene.until('a handler', () => ran.length > 32 * round)
        alice.kill()
        answers.push(...(await replies).map(text))
      }
      expect(answers).toEqual(expected)
      expect(ran.toSorted()).toEqual(expected.toSorted())
      const { resumes, resets } = alice.link(bob).figures
      expect([resumes > 0, resets]).toEqual([true, 0])
    }))

  it('what a handler throws reaches the caller as data, and is reported where it was thrown', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onRequest('fail', () => {
        throw Object.assign(new Error('none left'), { code: 'E_STOCK', data: Buffer.from([7]) })
      })
      bob.network.onRequest('reject', async () => {
        throw await Promise.resolve(new TypeError('later'))
      })
      const error = await fails(scene, alice.network.request(bob.id, '', { name: 'fail' }))
      expect(failure(error)).toEqual({ code: 'ERR_REMOTE', outcome: 'remote' })
      expect(error.remote).toEqual({ code: 'E_STOCK', message: 'none left', data: Buffer.from([7]) })
      const later = await fails(scene, alice.network.request(bob.id, '', { name: 'reject' }))
      expect(later.remote).toMatchObject({ code: '', message: 'later' })
      expect(bob.eventsOf('handler.failed').map(({ name }) => name)).toEqual(['fail', 'reject'])
    }))

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'bad-result'],
    ['a number', 7, 'bad-result'],
    ['more than 1 MiB', Buffer.alloc((1 << 20) + 1), 'too-long'],
  ])('a handler that returns %s fails its request, and the next one is answered', (_, result, code) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onRequest('bad', () => result as string)
      bob.network.onRequest('good', () => 'fine')
      const bad = fails(scene, alice.network.request(bob.id, '', { name: 'bad' }))
      expect((await bad).remote?.code).toBe(code)
      expect(text(await scene.run(alice.network.request(bob.id, '', { name: 'good' })))).toBe('fine')
      expect(bob.eventsOf('handler.failed').length).toBe(1)
    }),
  )

  it('a name without a handler is answered at once, and no handler ran', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const remove = bob.network.onRequest('a', () => '')
      expect(() => bob.network.onRequest('a', () => '')).toThrow(
        expect.objectContaining({ code: 'ERR_HANDLER_EXISTS' }),
      )
      remove()
      const error = await fails(scene, alice.network.request(bob.id, '', { name: 'a' }))
      expect(failure(error)).toEqual({ code: 'ERR_NO_HANDLER', outcome: 'no-handler' })
    }))
})

describe('the end of a request', () => {
  it('a handler that never returns is a time-out at the caller, and an aborted signal at the handler', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const contexts: { signal: AbortSignal; deadline: number | null }[] = []
      bob.network.onRequest('hang', ({ signal, deadline }) => {
        contexts.push({ signal, deadline })
        return never
      })
      const error = await fails(scene, alice.network.request(bob.id, '', { name: 'hang', timeoutMs: 500 }))
      expect(failure(error)).toEqual({ code: 'ERR_TIMED_OUT', outcome: 'unknown' })
      await scene.until('the abort', () => contexts[0]?.signal.aborted === true)
      expect(contexts[0]?.deadline).toBeGreaterThan(0)
      // Its place is free again at both sides.
      expect(alice.link(bob).exchange?.outstanding).toBe(0)
    }))

  it('a request without a time has limits.requestTimeoutMs', () =>
    play({ on: 'memory', limits: { requestTimeoutMs: 2_000 } }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onRequest('hang', () => never)
      const error = rejectionOf(alice.network.request(bob.id, '', { name: 'hang' }))
      await scene.clock.advance(2_010)
      expect(failure(await error)).toEqual({ code: 'ERR_TIMED_OUT', outcome: 'unknown' })
    }))

  it('its signal cancels it, also at the handler', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      let atHandler: AbortSignal | null = null
      bob.network.onRequest('hang', ({ signal }) => {
        atHandler = signal
        return never
      })
      const controller = new AbortController()
      const asked = fails(scene, alice.network.request(bob.id, '', { name: 'hang', signal: controller.signal }))
      await scene.until('the handler', () => atHandler !== null)
      controller.abort('enough')
      const error = await asked
      expect([failure(error), error.cause]).toEqual([{ code: 'ERR_CANCELLED', outcome: 'cancelled' }, 'enough'])
      await scene.until('the abort', () => atHandler?.aborted === true)
    }))

  it('a signal that has aborted already, and one that aborts while the request waits, mean that it was not sent', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const aborted = alice.network.request(keys[1]!.id, '', { signal: AbortSignal.abort() })
      expect(failure(await fails(scene, aborted))).toEqual({ code: 'ERR_CANCELLED', outcome: 'notSent' })
      const controller = new AbortController()
      const waits = rejectionOf(alice.network.request(keys[1]!.id, '', { signal: controller.signal }))
      controller.abort()
      expect(failure(await waits)).toEqual({ code: 'ERR_CANCELLED', outcome: 'notSent' })
    }))

  it('without a connection it times out as notSent and says why', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const asked = rejectionOf(alice.network.request(keys[1]!.id, '', { timeoutMs: 300 }))
      await scene.clock.advance(400)
      expect(failure(await asked)).toEqual({ code: 'ERR_TIMED_OUT', outcome: 'notSent' })
    }))

  it('a peer that dies leaves its requests unknown, and those that waited not sent', () =>
    play({ on: 'memory', limits: { resumeTimeoutMs: 1_000 } }, async (scene) => {
      const [alice, bob] = await connected(scene)
      let calls = 0
      bob.network.onRequest('hang', () => {
        calls++
        return never
      })
      const sent = rejectionOf(alice.network.request(bob.id, '', { name: 'hang', timeoutMs: 1e6 }))
      await scene.until('the call', () => calls === 1)
      await scene.crash(bob)
      const waits = rejectionOf(alice.network.request(bob.id, '', { name: 'hang', timeoutMs: 1e6 }))
      await scene.clock.advance(20_000)
      expect([failure(await sent), failure(await waits)]).toEqual([
        { code: 'ERR_LINK_RESET', outcome: 'unknown' },
        { code: 'ERR_LINK_RESET', outcome: 'notSent' },
      ])
    }))

  it('a network that shuts down ends its requests, and refuses those of its peers', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onRequest('hang', () => never)
      const asked = rejectionOf(alice.network.request(bob.id, '', { name: 'hang' }))
      await scene.clock.advance(50)
      await scene.run(alice.network.shutdown())
      expect(failure(await asked)).toEqual({ code: 'ERR_NETWORK_STOPPED', outcome: 'unknown' })
    }))
})

describe('limits of requests', () => {
  it('requests over the concurrency of a name are refused at once, and no handler ran', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const release: (() => void)[] = []
      bob.network.onRequest('slow', () => new Promise<string>((resolve) => release.push(() => resolve('done'))), {
        concurrency: 2,
      })
      const all = [0, 1, 2].map(() => alice.network.request(bob.id, '', { name: 'slow' }))
      const refused = await fails(scene, all[2]!)
      expect(failure(refused)).toEqual({ code: 'ERR_REFUSED', outcome: 'refused' })
      expect(refused.remote?.code).toBe('busy')
      for (const done of release) done()
      expect((await scene.run(Promise.all(all.slice(0, 2)))).map(text)).toEqual(['done', 'done'])
    }))

  it.each([2, 3, 4])('of %i requests at once, a peer with requestsMax 3 refuses those over 3', (count) =>
    play({ on: 'memory' }, async (scene) => {
      const bob = await scene.start({ key: 0, peers: [1], dials: [], limits: { requestsMax: 3 } })
      const alice = await scene.start({ key: 1, peers: [0], dials: [0] })
      bob.network.onRequest('slow', () => never)
      const errors: unknown[] = []
      for (let index = 0; index < count; index++)
        alice.network
          .request(bob.id, '', { name: 'slow', timeoutMs: 1e6 })
          .catch((error) => errors.push(failure(error)))
      await scene.clock.advance(1_000)
      expect(errors).toEqual(count > 3 ? [{ code: 'ERR_REFUSED', outcome: 'refused' }] : [])
    }),
  )

  it('more requests than may wait fail at once as notSent', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [], limits: { requestsMax: 2 } })
      const all = Array.from({ length: 5 }, () =>
        rejectionOf(alice.network.request(keys[1]!.id, '', { timeoutMs: 100 })),
      )
      await scene.clock.advance(200)
      const codes = await Promise.all(all.map(async (error) => failure(await error).code))
      expect(codes).toEqual([...Array.from({ length: 4 }, () => 'ERR_TIMED_OUT'), 'ERR_SEND_QUEUE_FULL'])
    }))

  it('a request whose time was over before a handler was called is too late', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      let calls = 0
      bob.network.onRequest('n', () => String(calls++))
      // A request with 1 ms left that is read 10 ms after its arrival.
      const { exchange } = bob.link(alice)
      const late = { status: '' }
      const request = {
        name: 'n',
        headers: new Map(),
        bytes: Buffer.alloc(0),
        arrivedAtMs: scene.clock.nowMs() - 10,
        timeLeftMs: 1,
        onCancel: null,
        answer: () => {},
        fail: (status: string) => void (late.status = status),
      }
      expect(exchange).not.toBeNull()
      const { messaging } = bob.services
      messaging.requests.run(alice.id, request)
      expect([late.status, calls]).toEqual(['too-late', 0])
    }))
})

describe('bad input of requests', () => {
  it.each<[string, string, (network: NativeMember['network'], bob: string) => Promise<unknown>]>([
    ['an unknown peer', 'ERR_UNKNOWN_PEER', (network) => network.request(keys[2]!.id, '')],
    ['a reserved name', 'ERR_INVALID_OPTION', (network, bob) => network.request(bob, '', { name: 'statewire/x' })],
    ['a body over 1 MiB', 'ERR_INVALID_VALUE', (network, bob) => network.request(bob, Buffer.alloc((1 << 20) + 1))],
    ['bytes that are an object', 'ERR_INVALID_VALUE', (network, bob) => network.request(bob, {} as never)],
    ['a time below 0', 'ERR_INVALID_OPTION', (network, bob) => network.request(bob, '', { timeoutMs: -1 })],
    [
      'a signal that is none',
      'ERR_INVALID_OPTION',
      (network, bob) => network.request(bob, '', { signal: {} as never }),
    ],
    ['no peers', 'ERR_INVALID_OPTION', (network) => network.requestAny([], '')],
    [
      'null as the options of requestAny',
      'ERR_INVALID_OPTION',
      (network, bob) => network.requestAny([bob], '', null as never),
    ],
    [
      'null as the options of requestMany',
      'ERR_INVALID_OPTION',
      async (network, bob) => network.requestMany([bob], '', (await Promise.resolve(null)) as never),
    ],
    ['an unknown option', 'ERR_INVALID_OPTION', (network, bob) => network.requestAny([bob], '', { need: 1 } as never)],
    [
      'a concurrency of 0',
      'ERR_INVALID_OPTION',
      async (network) => network.onRequest('x', () => '', { concurrency: await Promise.resolve(0) }),
    ],
    [
      'a need of 2 of one peer',
      'ERR_INVALID_OPTION',
      async (network, bob) => network.requestMany([bob], '', { need: await Promise.resolve(2) }),
    ],
  ])('%s gives %s, and the next request is answered', (_, code, act) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onRequest('good', () => 'fine')
      expect(await scene.run(rejectionOf(act(alice.network, bob.id)))).toMatchObject({ code })
      expect(text(await scene.run(alice.network.request(bob.id, '', { name: 'good' })))).toBe('fine')
    }),
  )
})
