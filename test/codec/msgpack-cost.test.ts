/**
 * Owns: that both sides bound what a MessagePack value costs its reader, by the same count.
 * Independent of: how long decoding takes.
 */
import { describe, expect, test } from 'vitest'
import type { MsgPackData } from '../../codec/index.ts'
import { checkMsgPack } from '../../codec/msgpack-decode.ts'
import { msgpackCostMax, msgpackCosts } from '../../codec/msgpack-limits.ts'
import { measureMsgPack } from '../../codec/msgpack-measure.ts'
import { expectError, expectProtocolError } from './harness.ts'

const hex = (text: string): Buffer => Buffer.from(text, 'hex')

function usedBytes(): number {
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

describe('the cost of a MessagePack value', () => {
  const { array, map, key, small, number, text, binary, timestamp } = msgpackCosts

  /** Elements of an array, their cost, and one of them in JavaScript. */
  const parts: [name: string, bytes: string, cost: number, value: MsgPackData][] = [
    ['nil', 'c0', small, null],
    ['true', 'c3', small, true],
    ['a small integer', '07', small, 7],
    ['an integer of 16 bits', 'cdffff', small, 65_535],
    ['a negative integer of 32 bits', 'd280000000', small, -(2 ** 31)],
    ['an integer of 32 bits', 'ceffffffff', number, 2 ** 32 - 1],
    ['an integer of 64 bits', 'cfffffffffffffffff', number, 2n ** 64n - 1n],
    ['a float', 'cb3ff8000000000000', number, 1.5],
    ['an empty text', 'a0', text, ''],
    ['an empty binary', 'c400', binary, new Uint8Array(0)],
    ['a timestamp', 'd6ff00000001', timestamp, new Date(1000)],
    ['an empty array', '90', array, []],
    ['an empty map', '80', map, {}],
    ['a map of one entry', '81a161c0', map + key + small, { a: null }],
    ['a map with an index', '81a43130323301', map + key + small, { 1023: 1 }],
  ]

  test.each(parts)(
    'as many MessagePack parts as the cost allows are sent and read, and not one more: %s',
    (_, part, cost, value) => {
      const bytes = hex(part)
      const most = Math.floor((msgpackCostMax - array) / cost)
      const listOf = (count: number): Buffer => {
        const list = Buffer.alloc(5 + count * bytes.length).fill(bytes, 5)
        list[0] = 0xdd
        list.writeUInt32BE(count, 1)
        return list
      }
      const allowed = listOf(most)
      expect(() => checkMsgPack(allowed, 0, allowed.length)).not.toThrow()
      const oneMore = listOf(most + 1)
      expectProtocolError('ERR_MSGPACK_COST', () => checkMsgPack(oneMore, 0, oneMore.length))
      expect(measureMsgPack(Array<MsgPackData>(most).fill(value)).lengthBytes).toBe(allowed.length)
      expectError('ERR_INVALID_VALUE', () => measureMsgPack(Array<MsgPackData>(most + 1).fill(value)))
    },
  )

  test('64 MiB of nil are refused before anything is decoded', () => {
    const nils = Buffer.alloc(64 * 1024 * 1024, 0xc0)
    nils[0] = 0xdd
    nils.writeUInt32BE(nils.length - 5, 1)
    const before = usedBytes()
    expectProtocolError('ERR_MSGPACK_COST', () => checkMsgPack(nils, 0, nils.length))
    expect(usedBytes() - before).toBeLessThan(8 * 1024 * 1024)
  })

  test('a value that shares its parts with itself is refused by its cost, not by an endless walk', () => {
    let value: MsgPackData = []
    for (let level = 0; level < 30; level += 1) value = Array<MsgPackData>(10).fill(value)
    expect(expectError('ERR_INVALID_VALUE', () => measureMsgPack(value)).message).toContain('too many parts')
  })

  test('the contents of texts and binaries cost nothing: their length is limited by itself', () => {
    expect(measureMsgPack('x'.repeat(1000)).cost).toBe(text)
    expect(measureMsgPack(new Uint8Array(1000)).cost).toBe(binary)
  })
})
