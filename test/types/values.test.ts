/**
 * Owns: which values the compiler accepts and refuses. Each `@ts-expect-error` is checked by `npm run typecheck`.
 * Independent of: what the encoder checks.
 */
import { describe, expect, expectTypeOf, it } from 'vitest'
import type { MsgPackData, NetworkValue, NetworkVecElement, Session } from '../../index.ts'

/** Never called: only the compiler reads it. */
async function checked(session: Session): Promise<void> {
  await session.send('bob', { type: 'MsgPack', value: { a: [1, 2n, null, true, 'x', new Date(0), new Uint8Array(1)] } })
  interface Order {
    id: number
    note?: string
  }
  const order: Pick<Order, 'id' | 'note'> = { id: 1 }
  await session.send('bob', { type: 'MsgPack', value: { ...order } })
  // @ts-expect-error -- a function has no MessagePack form
  await session.send('bob', { type: 'MsgPack', value: () => 1 })
  // @ts-expect-error -- undefined has none either, but a property may be undefined
  await session.send('bob', { type: 'MsgPack', value: [undefined] })
  // @ts-expect-error -- a list holds ring elements, vectors and Bytes
  await session.send('bob', { type: 'NetworkVec', value: [{ type: 'MsgPack', value: 1 }] })
  // @ts-expect-error -- nor other lists
  await session.send('bob', { type: 'NetworkVec', value: [{ type: 'NetworkVec', value: [] }] })
  const received = await session.receive('bob')
  if (received.type === 'MsgPack') expectTypeOf(received.value).toEqualTypeOf<MsgPackData>()
}

describe('the types of values', () => {
  it('the value types include MsgPack as a value of its own, and not as an element of a list', () => {
    expect(checked).toBeTypeOf('function')
    expectTypeOf<Extract<NetworkValue, { type: 'MsgPack' }>['value']>().toEqualTypeOf<MsgPackData>()
    expectTypeOf<Extract<NetworkVecElement, { type: 'MsgPack' }>>().toEqualTypeOf<never>()
  })
})
