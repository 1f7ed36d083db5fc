/**
 * Owns: what typed services do with values: conversions of schemas, undefined, bytes that are not MessagePack; where
 * the methods of an implementation are found; what a peer may answer to `services`; permission and p99.
 * Independent of: how requests travel.
 */
import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { createNetwork, defineService, RequestError, ServiceValidationError } from '../../index.ts'
import { CallFigures } from '../../actors/services/call-figures.ts'
import type { StandardSchema } from '../../actors/services/standard-schema.ts'
import { encodeMsgPack } from '../../codec/msgpack-encode.ts'
import type { MsgPackData } from '../../codec/values.ts'
import { keys, play, rejectionOf } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'

async function connected(scene: NativeScene): Promise<[NativeMember, NativeMember]> {
  const [alice, bob] = await scene.pair()
  await scene.run(alice.network.send(bob.id, 'first'))
  return [alice, bob]
}

const echoOf = <S extends z.ZodType>(schema: S) =>
  defineService({ name: 'echo', version: '1.0.0', methods: { back: { input: schema, output: schema } } })

/** Not MessagePack: the byte c1 is reserved. */
const noMsgPack = Buffer.from([0xc1])

describe('a schema that converts', () => {
  it.each([
    ['zod', z.string().transform(Number)],
    ['valibot', v.pipe(v.string(), v.transform(Number))],
    ['arktype', type('string.numeric.parse')],
  ] as const)('each side applies it once to what the other passed (%s)', (_, number) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const service = defineService({
        name: 'n',
        version: '1.0.0',
        methods: { next: { input: number, output: number } },
      })
      const seen: unknown[] = []
      bob.network.serve(service, {
        next: (n) => {
          seen.push(n)
          return String(n + 1)
        },
      })
      expect(await scene.run(alice.network.client(service, bob.id).next('41'))).toBe(42)
      expect(seen).toEqual([41])
    }),
  )

  it('a schema that waits, and one that makes what MessagePack does not have, work as well', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const pairs = z.array(z.tuple([z.string(), z.number()])).transform(async (list) => new Map(list))
      const service = echoOf(pairs)
      bob.network.serve(service, { back: (map) => [...map] })
      const map = await scene.run(alice.network.client(service, bob.id).back([['a', 1]]))
      expect(map).toEqual(new Map([['a', 1]]))
    }))

  it('what is sent is the value as it was at the call, whatever its schema does to it', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const counting = z.custom<{ n: number }>((value) => {
        ;(value as { n: number }).n++
        return true
      })
      const service = echoOf(counting)
      bob.network.serve(service, { back: ({ n }) => ({ n: n * 10 }) })
      // 1 is sent; the server makes 2 of it and sends 20; the caller makes 21 of it.
      expect(await scene.run(alice.network.client(service, bob.id).back({ n: 1 }))).toEqual({ n: 21 })
    }))

  it('an output that MessagePack does not have is an invalid output', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const service = echoOf(z.any())
      bob.network.serve(service, { back: () => new Map() })
      const error = (await scene.run(rejectionOf(alice.network.client(service, bob.id).back(1)))) as RequestError
      expect(error.remote).toMatchObject({ code: 'invalid-output', message: expect.stringContaining('echo.back') })
      expect(bob.eventsOf('handler.failed')).toHaveLength(1)
    }))
})

describe('undefined', () => {
  it.each([
    ['z.undefined()', z.undefined(), undefined],
    ['z.void()', z.void(), undefined],
    ['z.string().optional()', z.string().optional(), undefined],
    ['z.string().optional() with a text', z.string().optional(), ''],
    ['z.null()', z.null(), null],
    ['v.undefined()', v.undefined(), undefined],
    ['v.optional()', v.optional(v.number()), undefined],
    ['arktype undefined', type('undefined'), undefined],
  ])('%s is the same at the method and at the caller', (_, schema, value) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const service = defineService({
        name: 'echo',
        version: '1.0.0',
        methods: { back: { input: schema as StandardSchema, output: schema as StandardSchema } },
      })
      const seen: unknown[] = []
      bob.network.serve(service, { back: (input) => (seen.push(input), input) })
      expect(await scene.run(alice.network.client(service, bob.id).back(value))).toBe(value)
      expect(seen).toEqual([value])
    }),
  )

  it('an input that the schema fills in may be left out', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const service = defineService({
        name: 'page',
        version: '1.0.0',
        methods: { get: { input: z.number().default(7), output: z.number() } },
      })
      bob.network.serve(service, { get: (page) => page })
      expect(await scene.run(alice.network.client(service, bob.id).get())).toBe(7)
    }))
})

describe('bytes that are not MessagePack', () => {
  it('they are an invalid input at the server, and not a failure of the handler', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.serve(echoOf(z.any()), { back: () => 1 })
      const call = alice.network.request(bob.id, noMsgPack, {
        name: 'echo.back',
        headers: { 'service-version': '1.0.0' },
      })
      const error = (await scene.run(rejectionOf(call))) as RequestError
      expect(error.remote).toMatchObject({
        code: 'invalid-input',
        message: expect.stringContaining('input: is not MessagePack'),
      })
      expect(bob.eventsOf('handler.failed')).toEqual([])
    }))

  it('the caller gets an error that says so when they are the answer', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.onRequest('echo.back', () => noMsgPack)
      const error = await scene.run(rejectionOf(alice.network.client(echoOf(z.any()), bob.id).back(1)))
      expect(error).toBeInstanceOf(ServiceValidationError)
      expect(error).toMatchObject({
        code: 'ERR_SERVICE_VALUE',
        issues: [{ field: 'output', message: expect.stringContaining('is not MessagePack') }],
      })
    }))

  it('neither a refused input nor another version is reported as a failure of the handler', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const service = echoOf(z.number())
      bob.network.serve(service, { back: (n) => n })
      const loose = alice.network.client(echoOf(z.any()), bob.id)
      expect(await scene.run(rejectionOf(loose.back('x')))).toMatchObject({ remote: { code: 'invalid-input' } })
      const other = alice.network.client(defineService({ ...service, version: '2.0.0' }), bob.id)
      expect(await scene.run(rejectionOf(other.back(1)))).toMatchObject({ remote: { code: 'service-version' } })
      expect(bob.eventsOf('handler.failed')).toEqual([])
    }))
})

describe('an implementation', () => {
  const inherited = defineService({
    name: 'inherited',
    version: '1.0.0',
    methods: {
      constructor: { input: z.any(), output: z.any() },
      toString: { input: z.any(), output: z.any() },
    },
  })
  const counter = defineService({
    name: 'counter',
    version: '1.0.0',
    methods: { add: { input: z.number(), output: z.number() } },
  })
  const own = { constructor: () => 'c', toString: () => 't' }
  class Counter {
    total = 0
    readonly #step = 10
    helper(): number {
      return this.#step
    }
    add(n: number): number {
      return (this.total += n * this.helper())
    }
  }
  class Named extends Counter {
    override toString(): string {
      return 't'
    }
  }

  it.each<[string, object, string]>([
    ['an empty object', {}, 'inherited.constructor'],
    ['an object with only one of them', { constructor: own.constructor }, 'inherited.toString'],
    ['a class, whose constructor is no method', new Named(), 'inherited.constructor'],
  ])('what every object has is not a method of %s', async (_, implementation, missing) => {
    const network = createNetwork({ identity: keys[0]!, peers: [] })
    expect(() => network.serve(inherited, implementation as never)).toThrow(`${missing} must be a function`)
    await network.shutdown()
  })

  it('methods of an object with such names are its own, and are called', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.serve(inherited, own)
      const { constructor: first, toString: second } = alice.network.client(inherited, bob.id)
      expect(await scene.run(first(1))).toBe('c')
      expect(await scene.run(second(1))).toBe('t')
    }))

  it.each([
    ['an instance of a class with fields of its own', () => new Counter()],
    ['an instance of a class that inherits the method', () => new Named()],
  ] as const)('%s keeps its `this`', (_, make) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const implementation = make()
      bob.network.serve(counter, implementation)
      const { add } = alice.network.client(counter, bob.id)
      expect(await scene.run(add(1))).toBe(10)
      expect(await scene.run(add(2))).toBe(30)
      expect(implementation.total).toBe(30)
    }),
  )
})

describe('the services of a peer', () => {
  const method = { name: 'm', calls: 1, errors: 0, meanMs: 1.5, p99Ms: 2 }
  const info = { name: 's', version: '1.0.0', methods: [method] }
  const answered = (bytes: Buffer, play_: (asked: Promise<unknown>) => Promise<void>): Promise<void> =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      vi.spyOn(alice.services.messaging, 'begin').mockReturnValue({
        promise: Promise.resolve({ bytes, peer: bob.id }),
      } as never)
      await play_(alice.network.services(bob.id))
    })

  it.each<[string, MsgPackData, string]>([
    ['no list', { a: 1 }, 'output'],
    ['null', null, 'output'],
    ['a service that is no object', [7], 'output[0]'],
    ['a service without a name', [{ ...info, name: null }], 'output[0].name'],
    ['a version that is a number', [info, { ...info, version: 1 }], 'output[1].version'],
    ['methods that are no list', [{ ...info, methods: {} }], 'output[0].methods'],
    ['a method that is a list', [{ ...info, methods: [[]] }], 'output[0].methods[0]'],
    ['a method without a name', [{ ...info, methods: [{ ...method, name: 1 }] }], 'output[0].methods[0].name'],
    ['fewer than no calls', [{ ...info, methods: [{ ...method, calls: -1 }] }], 'output[0].methods[0].calls'],
    ['half an error', [{ ...info, methods: [{ ...method, errors: 0.5 }] }], 'output[0].methods[0].errors'],
    ['a mean of text', [{ ...info, methods: [{ ...method, meanMs: '1' }] }], 'output[0].methods[0].meanMs'],
    ['an endless p99', [{ ...info, methods: [{ ...method, p99Ms: Infinity }] }], 'output[0].methods[0].p99Ms'],
  ])('%s is refused, with the field', (_, answer, field) =>
    answered(encodeMsgPack(answer), async (asked) => {
      const error = await rejectionOf(asked)
      expect(error).toBeInstanceOf(ServiceValidationError)
      expect(error).toMatchObject({ code: 'ERR_SERVICE_VALUE', issues: [{ field }] })
    }),
  )

  it('an answer that is not MessagePack is refused, and so is an empty one', async () => {
    for (const bytes of [noMsgPack, Buffer.alloc(0)]) {
      await answered(bytes, async (asked) => {
        expect(await rejectionOf(asked)).toMatchObject({ code: 'ERR_SERVICE_VALUE', issues: [{ field: 'output' }] })
      })
    }
  })

  it('what a later version adds is left out', () =>
    answered(encodeMsgPack([{ ...info, since: 7, methods: [{ ...method, p50Ms: 1 }] }]), async (asked) => {
      expect(await asked).toEqual([info])
    }))
})

describe('permit', () => {
  const rejected = (): Promise<boolean> => Promise.reject(new Error('no'))
  it.each<[string, () => unknown]>([
    ['a promise of true', () => Promise.resolve(true)],
    ['a promise that rejects', rejected],
    ['undefined', () => undefined],
    ['null', () => null],
    ['a text', () => 'yes'],
    ['1', () => 1],
  ])('%s permits nothing, and is reported', (_, permit) =>
    play({ on: 'memory' }, async (scene) => {
      const bob = await scene.start({ key: 0, peers: [1], dials: [], permit: permit as () => boolean })
      const alice = await scene.start({ key: 1, peers: [0], dials: [0] })
      const refused = await scene.run(rejectionOf(alice.network.services(bob.id)))
      expect(refused).toMatchObject({ code: 'ERR_REFUSED', remote: { code: 'not-permitted' } })
      expect(bob.eventsOf('handler.failed')).toMatchObject([
        { name: 'statewire/services', cause: { message: expect.stringContaining('permit must return true or false') } },
      ])
    }),
  )
})

describe('p99', () => {
  /** The end of the last bucket. */
  const lastMs = 2 ** 30 / 1000

  it.each([
    ['at the end of the last bucket', lastMs, lastMs],
    ['just above it', lastMs * 1.001, lastMs * 1.001],
    ['far above it', 86_400_000, 86_400_000],
  ])('of calls %s it is not too low', (_, tookMs, p99Ms) => {
    const figures = new CallFigures('m')
    figures.add(1, false)
    for (let call = 0; call < 9; call++) figures.add(tookMs, false)
    expect(figures.figures.p99Ms).toBe(p99Ms)
  })

  it('above the last bucket it is the longest call', () => {
    const figures = new CallFigures('m')
    for (let hours = 1; hours <= 5; hours++) figures.add(hours * 3_600_000, false)
    expect(figures.figures.p99Ms).toBe(5 * 3_600_000)
  })
})
