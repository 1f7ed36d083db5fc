/**
 * Owns: typed services: definitions, calls over a network, errors that name the field, versions, figures, permission.
 * Independent of: how requests travel.
 */
import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { createNetwork, defineService, RequestError, ServiceValidationError } from '../../index.ts'
import type { ServiceDefinition } from '../../index.ts'
import { CallFigures } from '../../actors/services/call-figures.ts'
import { keys, play, rejectionOf } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'

const withZod = defineService({
  name: 'sum',
  version: '1.2.0',
  methods: {
    add: {
      input: z.object({ values: z.array(z.object({ n: z.number() })), round: z.boolean().default(false) }),
      output: z.object({ sum: z.number() }),
    },
    ping: { input: z.undefined().nullable(), output: z.string() },
  },
})
const withValibot = defineService({
  name: 'sum',
  version: '1.2.0',
  methods: {
    add: {
      input: v.object({ values: v.array(v.object({ n: v.number() })), round: v.optional(v.boolean(), false) }),
      output: v.object({ sum: v.number() }),
    },
  },
})
const withArktype = defineService({
  name: 'sum',
  version: '1.2.0',
  methods: {
    add: {
      input: type({ values: type({ n: 'number' }).array(), 'round?': 'boolean' }),
      output: type({ sum: 'number' }),
    },
  },
})

async function connected(scene: NativeScene): Promise<[NativeMember, NativeMember]> {
  const [alice, bob] = await scene.pair()
  await scene.run(alice.network.send(bob.id, 'first'))
  return [alice, bob]
}

const total = ({ values }: { readonly values: readonly { readonly n: number }[] }): { sum: number } => ({
  sum: values.reduce((sum, { n }) => sum + n, 0),
})

describe('a typed service', () => {
  it.each(['memory', 'tls'] as const)('a method is called with a checked input and its output is checked (%s)', (on) =>
    play({ on }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const seen: unknown[] = []
      bob.network.serve(withZod, {
        add: (input, { peer, deadline, headers }) => {
          seen.push(input, peer, typeof deadline, headers['trace'])
          return total(input)
        },
        ping: () => 'pong',
      })
      const sum = alice.network.client(withZod, bob.id)
      const answer = await scene.run(sum.add({ values: [{ n: 1 }, { n: 2 }] }, { headers: { trace: 't1' } }))
      expect(answer).toEqual({ sum: 3 })
      // The default of the schema was filled in.
      expect(seen).toEqual([{ values: [{ n: 1 }, { n: 2 }], round: false }, alice.id, 'number', 't1'])
      expect(await scene.run(sum.ping(null))).toBe('pong')
    }),
  )

  it.each([
    ['zod', withZod],
    ['valibot', withValibot],
    ['arktype', withArktype],
  ] as [string, ServiceDefinition][])('schemas of %s work at both sides', (_, service) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const methods = Object.fromEntries(Object.keys(service.methods).map((name) => [name, total as never]))
      bob.network.serve(service, methods)
      const client = alice.network.client(service, bob.id) as unknown as { add: (input: unknown) => Promise<unknown> }
      expect(await scene.run(client.add({ values: [{ n: 4 }] }))).toEqual({ sum: 4 })
      const error = await scene.run(rejectionOf(client.add({ values: [{ n: 4 }, { n: 'x' }] })))
      expect(error).toBeInstanceOf(ServiceValidationError)
      expect(error).toMatchObject({ code: 'ERR_SERVICE_VALUE', issues: [{ field: 'input.values[1].n' }] })
    }),
  )

  it('an input that the server refuses, and an output that does not fit, name the field at the caller', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const looseInput = { ...withZod.methods.add, input: z.any() }
      const loose = defineService({ ...withZod, methods: { ...withZod.methods, add: looseInput } })
      const wrongOutput = { sum: 'three' } as never
      bob.network.serve(withZod, { add: () => wrongOutput, ping: () => '' })
      const client = alice.network.client(loose, bob.id)
      const refused = (await scene.run(rejectionOf(client.add({ values: 7 })))) as RequestError
      expect(refused.remote).toMatchObject({ code: 'invalid-input', message: expect.stringContaining('input.values') })
      const failed = (await scene.run(rejectionOf(client.add({ values: [] })))) as RequestError
      expect(failed.remote).toMatchObject({ code: 'invalid-output', message: expect.stringContaining('output.sum') })
    }))

  it('an answer that does not fit the schema of the caller names the field', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const other = defineService({
        name: 'sum',
        version: '1.9.0',
        methods: { ping: { input: z.null(), output: z.object({ at: z.number() }) } },
      })
      bob.network.serve(withZod, { add: total, ping: () => 'pong' })
      const error = await scene.run(rejectionOf(alice.network.client(other, bob.id).ping(null)))
      expect(error).toMatchObject({ code: 'ERR_SERVICE_VALUE', issues: [{ field: 'output' }] })
    }))

  it('another major version is refused with both versions, and another minor version is not', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.serve(withZod, { add: total, ping: () => 'pong' })
      const minor = defineService({ ...withZod, version: '1.0.7' })
      expect(await scene.run(alice.network.client(minor, bob.id).ping(null))).toBe('pong')
      const major = defineService({ ...withZod, version: '2.0.0' })
      const error = (await scene.run(rejectionOf(alice.network.client(major, bob.id).ping(null)))) as RequestError
      expect(error.remote).toMatchObject({
        code: 'service-version',
        message: expect.stringMatching(/1\.2\.0.*2\.0\.0/),
      })
    }))

  it('a call ends by its signal and by its time, as a request does', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const signals: AbortSignal[] = []
      bob.network.serve(withZod, {
        add: total,
        ping: (_, context) => {
          signals.push(context.signal)
          return new Promise(() => {})
        },
      })
      const { ping } = alice.network.client(withZod, bob.id)
      const late = rejectionOf(ping(null, { timeoutMs: 100 }))
      await scene.clock.advance(200)
      expect(await late).toMatchObject({ code: 'ERR_TIMED_OUT', outcome: 'unknown' })
      expect(signals.map(({ aborted }) => aborted)).toEqual([true])
      const aborted = rejectionOf(ping(null, { signal: AbortSignal.abort() }))
      expect(await scene.run(aborted)).toMatchObject({ code: 'ERR_CANCELLED' })
    }))

  it('a service that is served twice is refused, and one that was stopped has no handler', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const implementation = { add: total, ping: () => 'pong' }
      const stop = bob.network.serve(withZod, implementation)
      expect(() => bob.network.serve(withZod, implementation)).toThrow('served already')
      stop()
      expect(await scene.run(rejectionOf(alice.network.client(withZod, bob.id).ping(null)))).toMatchObject({
        code: 'ERR_NO_HANDLER',
      })
      bob.network.serve(withZod, implementation)
    }))
})

describe('network.services', () => {
  it('it lists name, version and methods with their figures', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      bob.network.serve(withZod, {
        add: () => {
          throw new Error('no')
        },
        ping: () => 'pong',
      })
      const client = alice.network.client(withZod, bob.id)
      await scene.run(client.ping(null))
      await scene.run(rejectionOf(client.add({ values: [] })))
      expect(await scene.run(alice.network.services(bob.id))).toEqual([
        {
          name: 'sum',
          version: '1.2.0',
          methods: [
            { name: 'add', calls: 1, errors: 1, meanMs: 0, p99Ms: 0.001 },
            { name: 'ping', calls: 1, errors: 0, meanMs: 0, p99Ms: 0.001 },
          ],
        },
      ])
    }))

  it('it is answered only to peers that permit allows, and an error in permit allows nobody', () =>
    play({ on: 'memory' }, async (scene) => {
      const asked: [string, string][] = []
      let permit = (): boolean => false
      const bob = await scene.start({
        key: 0,
        peers: [1],
        dials: [],
        permit: (peer, name) => {
          asked.push([peer, name])
          return permit()
        },
      })
      const alice = await scene.start({ key: 1, peers: [0], dials: [0] })
      const refused = await scene.run(rejectionOf(alice.network.services(bob.id)))
      expect(refused).toMatchObject({ code: 'ERR_REFUSED', outcome: 'refused', remote: { code: 'not-permitted' } })
      permit = () => {
        throw new Error('broken')
      }
      expect(await scene.run(rejectionOf(alice.network.services(bob.id)))).toMatchObject({ code: 'ERR_REFUSED' })
      permit = () => true
      expect(await scene.run(alice.network.services(bob.id))).toEqual([])
      expect(asked[0]).toEqual([alice.id, 'statewire/services'])
    }))

  it('p99 is at most 19 % too high, over any figures', () => {
    const figures = new CallFigures('m')
    for (let ms = 1; ms <= 1000; ms++) figures.add(ms, ms % 10 === 0)
    const { calls, errors, meanMs, p99Ms } = figures.figures
    expect([calls, errors, meanMs]).toEqual([1000, 100, 500.5])
    expect(p99Ms).toBeGreaterThanOrEqual(990)
    expect(p99Ms).toBeLessThanOrEqual(990 * 1.19)
    expect(new CallFigures('n').figures).toEqual({ name: 'n', calls: 0, errors: 0, meanMs: null, p99Ms: null })
  })
})

describe('a bad definition', () => {
  const good = { input: z.null(), output: z.null() }
  it.each<[string, unknown]>([
    ['a name with a blank', { name: 'a b', version: '1.0.0', methods: {} }],
    ['a reserved name', { name: 'statewire/x', version: '1.0.0', methods: {} }],
    ['a version without a patch', { name: 'a', version: '1.0', methods: {} }],
    ['a method called then', { name: 'a', version: '1.0.0', methods: JSON.parse('{"then":{}}') as object }],
    ['a schema that is none', { name: 'a', version: '1.0.0', methods: { m: { input: {}, output: z.null() } } }],
    ['a method without output', { name: 'a', version: '1.0.0', methods: { m: { input: z.null() } } }],
    ['an unknown part', { name: 'a', version: '1.0.0', methods: {}, x: 1 }],
    ['a name that is too long', { name: 'a'.repeat(254), version: '1.0.0', methods: { m: good } }],
    ['nothing', undefined],
  ])('%s is refused', (_, definition) => {
    expect(() => defineService(definition as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }))
  })

  it('an implementation must have a function for each method, and no other', async () => {
    const network = createNetwork({ identity: keys[0]!, peers: [] })
    expect(() => network.serve(withZod, { add: total } as never)).toThrow('sum.ping must be a function')
    expect(() => network.serve(withZod, { add: total, ping: () => '', pong: () => '' } as never)).toThrow('pong')
    await network.shutdown()
  })
})

it('inputs and outputs are typed by inference', () => {
  const check = (network: ReturnType<typeof createNetwork>): void => {
    const client = network.client(withZod, 'bob')
    expectTypeOf(client.add).parameter(0).toEqualTypeOf<{ values: { n: number }[]; round?: boolean | undefined }>()
    expectTypeOf(client.add).returns.resolves.toEqualTypeOf<{ sum: number }>()
    network.serve(withZod, {
      add: (input) => {
        expectTypeOf(input).toEqualTypeOf<{ values: { n: number }[]; round: boolean }>()
        return { sum: 1 }
      },
      ping: () => 'pong',
    })
    // @ts-expect-error -- the output is a number
    network.serve(withZod, { add: () => ({ sum: '1' }), ping: () => 'pong' })
    // @ts-expect-error -- no such method
    void client.subtract
    // @ts-expect-error -- n is a number
    void client.add({ values: [{ n: '1' }] })
  }
  expect(check).toBeTypeOf('function')
})
