/**
 * Owns: that small unread values cost what credit counts, and keep their content. Independent of: who reads them.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodedLength, encodeFrame } from '../../codec/index.ts'
import type { NetworkValue } from '../../codec/index.ts'
import { Lane } from '../../protocol/index.ts'
import { isPackable, isPackableBody, WaitingValues } from '../../protocol/waiting-values.ts'
import { anyValue } from '../codec/harness.ts'

const bytesOf = (length: number): NetworkValue => ({ type: 'Bytes', value: Buffer.alloc(length, length) })
const encoded = (value: NetworkValue): string => encodeFrame(0, value).toString('hex')

function laneOf(): { lane: Lane; unread: number; taken: number } {
  const figures = { unread: 0, taken: 0 }
  const lane = new Lane(0, { onTaken: (costBytes) => (figures.taken += costBytes), onUnread: () => figures.unread++ })
  return Object.assign(figures, { lane })
}

describe('unread values on a lane', () => {
  it('unread values are read as they arrived, in order and at their cost, small ones and others', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyValue, fc.boolean()), { maxLength: 60 }), (steps) => {
        const { lane } = laneOf()
        const waiting: string[] = []
        for (const [value, takesOne] of steps) {
          expect(lane.deliver(value, encodedLength(value) + 4)).toBe(encodedLength(value) + 4)
          waiting.push(encoded(value))
          if (takesOne) expect(encoded(lane.take() as NetworkValue)).toBe(waiting.shift())
          expect(lane.unreadValues).toBe(waiting.length)
        }
        while (waiting.length > 0) expect(encoded(lane.take() as NetworkValue)).toBe(waiting.shift())
        expect([lane.take(), lane.unreadValues]).toEqual([undefined, 0])
      }),
    )
  })

  it('unread values return their cost when they are taken or discarded', () => {
    const figures = laneOf()
    let costBytes = 0
    for (let length = 0; length < 600; length++) costBytes += figures.lane.deliver(bytesOf(length), length + 9)
    for (let count = 0; count < 100; count++) figures.lane.take()
    expect(figures.taken + figures.lane.discardUnread()).toBe(costBytes)
    expect(figures.lane.unreadValues).toBe(0)
  })

  it.each([
    [249, 0],
    [250, 0],
    [251, 1],
  ])('unread values of %i bytes are kept as separate objects: %i', (length, objects) => {
    // With descriptor and length field: 254, 255 and 256.
    const figures = laneOf()
    for (let count = 0; count < 20; count++) figures.lane.deliver(bytesOf(length), length + 9)
    expect(figures.unread).toBe(20 * objects)
    for (let count = 0; count < 20; count++)
      expect(encoded(figures.lane.take() as NetworkValue)).toBe(encoded(bytesOf(length)))
  })

  it('small unread values use little more memory than their own bytes, however many there are', () => {
    const { lane } = laneOf()
    for (let count = 0; count < 7_000; count++) lane.deliver(bytesOf(1), 10)
    const memories = new Set<ArrayBufferLike>()
    for (let value = lane.take(); value !== undefined; value = lane.take())
      if (value.type === 'Bytes') memories.add(value.value.buffer)
    expect([...memories].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThan(1.1 * 7_000 * 10)
  })
})

it('whether a value is packed depends only on the length of its body', () => {
  for (let length = 0; length < 300; length++)
    expect(isPackableBody(length + 4)).toBe(isPackable(bytesOf(length), length + 9))
})

it('a long list is recognized as long without reading its elements', () => {
  const list = {
    type: 'NetworkVec',
    get value(): never {
      throw new Error('its value was read')
    },
  } as const
  expect(isPackable(list as unknown as NetworkValue, 100_000)).toBe(false)
})

it('a full store of waiting values refuses another and keeps what it has', () => {
  const parked = new WaitingValues()
  let added = 0
  while (parked.add(bytesOf(added % 7), 10)) added++
  expect(parked.values).toBe(added)
  for (let count = 0; count < added; count++)
    expect(encoded(parked.take()?.value as NetworkValue)).toBe(encoded(bytesOf(count % 7)))
  expect(parked.take()).toBeUndefined()
})
