/**
 * Owns: what the compiler must infer and refuse for typed services, for each validator that is tested.
 * Each `@ts-expect-error` is checked by `npm run typecheck`.
 * Independent of: what the calls do.
 */
import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { defineService } from '../../index.ts'
import type { Network, ServiceCallOptions, ServiceContext } from '../../index.ts'

interface Place {
  height: number
  near?: boolean | undefined
}

const withZod = defineService({
  name: 'blocks',
  version: '1.0.0',
  methods: {
    get: {
      input: z.object({ height: z.number(), near: z.boolean().default(false) }),
      output: z.object({ at: z.string().transform((text) => new Date(text)) }),
    },
    stop: { input: z.void(), output: z.void() },
    list: { input: z.number().optional(), output: z.array(z.string()) },
  },
})

const withValibot = defineService({
  name: 'blocks',
  version: '1.0.0',
  methods: {
    get: {
      input: v.object({ height: v.number(), near: v.optional(v.boolean(), false) }),
      output: v.object({
        at: v.pipe(
          v.string(),
          v.transform((text) => new Date(text)),
        ),
      }),
    },
    stop: { input: v.void(), output: v.void() },
    list: { input: v.optional(v.number()), output: v.array(v.string()) },
  },
})

const withArktype = defineService({
  name: 'blocks',
  version: '1.0.0',
  methods: {
    get: {
      input: type({ height: 'number', near: 'boolean = false' }),
      output: type({ at: 'string.date.parse' }),
    },
    stop: { input: type('undefined'), output: type('undefined') },
    list: { input: type('number | undefined'), output: type('string[]') },
  },
})

/** Never called: only the compiler reads it. */
async function calledWithZod(network: Network): Promise<void> {
  const client = network.client(withZod, 'bob')
  expectTypeOf(client.get).parameter(0).toEqualTypeOf<Place>()
  expectTypeOf(client.get).parameter(1).toEqualTypeOf<ServiceCallOptions | undefined>()
  expectTypeOf(client.get).returns.resolves.toEqualTypeOf<{ at: Date }>()
  expectTypeOf(client.stop).returns.resolves.toEqualTypeOf<void>()
  expectTypeOf(client.list).parameter(0).toEqualTypeOf<number | undefined>()
  await client.stop()
  await client.list(undefined, { timeoutMs: 1 })
  // @ts-expect-error -- an input without undefined cannot be left out
  await client.get()
  // @ts-expect-error -- height is a number
  await client.get({ height: '1' })
  // @ts-expect-error -- no such method
  void client.put

  network.serve(withZod, {
    get: (input, context) => {
      expectTypeOf(input).toEqualTypeOf<{ height: number; near: boolean }>()
      expectTypeOf(context).toEqualTypeOf<ServiceContext>()
      return { at: '2026-12-01' }
    },
    stop: (input) => {
      expectTypeOf(input).toEqualTypeOf<void>()
    },
    list: async () => ['a'],
  })
  // @ts-expect-error -- a method returns what the schema takes, before its conversion
  network.serve(withZod, { get: () => ({ at: new Date() }), stop: () => {}, list: () => [] })
  // @ts-expect-error -- a method is missing
  network.serve(withZod, { get: () => ({ at: '' }), stop: () => {} })
}

/** Never called: only the compiler reads it. */
async function calledWithValibot(network: Network): Promise<void> {
  const client = network.client(withValibot, 'bob')
  expectTypeOf(client.get).parameter(0).toEqualTypeOf<Place>()
  expectTypeOf(client.get).returns.resolves.toEqualTypeOf<{ at: Date }>()
  expectTypeOf(client.stop).returns.resolves.toEqualTypeOf<void>()
  expectTypeOf(client.list).parameter(0).toEqualTypeOf<number | undefined>()
  await client.stop()
  // @ts-expect-error -- height is a number
  await client.get({ height: '1' })
  // @ts-expect-error -- no such method
  void client.put

  network.serve(withValibot, {
    get: (input) => {
      expectTypeOf(input).toEqualTypeOf<{ height: number; near: boolean }>()
      return { at: '2026-12-01' }
    },
    stop: () => {},
    list: () => ['a'],
  })
  // @ts-expect-error -- a method returns what the schema takes, before its conversion
  network.serve(withValibot, { get: () => ({ at: new Date() }), stop: () => {}, list: () => [] })
}

/** Never called: only the compiler reads it. */
async function calledWithArktype(network: Network): Promise<void> {
  const client = network.client(withArktype, 'bob')
  expectTypeOf(client.get).parameter(0).toEqualTypeOf<{ height: number; near?: boolean }>()
  expectTypeOf(client.get).returns.resolves.toEqualTypeOf<{ at: Date }>()
  expectTypeOf(client.stop).returns.resolves.toEqualTypeOf<undefined>()
  expectTypeOf(client.list).parameter(0).toEqualTypeOf<number | undefined>()
  await client.stop()
  // @ts-expect-error -- height is a number
  await client.get({ height: '1' })
  // @ts-expect-error -- no such method
  void client.put

  network.serve(withArktype, {
    get: (input) => {
      expectTypeOf(input).toEqualTypeOf<{ height: number; near: boolean }>()
      return { at: '2026-12-01' }
    },
    stop: () => undefined,
    list: () => ['a'],
  })
  // @ts-expect-error -- a method returns what the schema takes, before its conversion
  network.serve(withArktype, { get: () => ({ at: new Date() }), stop: () => undefined, list: () => [] })
}

describe('the types of services', () => {
  it('clients and implementations are inferred from schemas of zod, valibot and arktype', () => {
    expect([calledWithZod, calledWithValibot, calledWithArktype].every((one) => typeof one === 'function')).toBe(true)
  })
})
