/**
 * Owns: that a MessagePack value arrives as it was sent, or as another implementation wrote it.
 * Independent of: what is refused (msgpack.test.ts), and sessions (test/native/network-msgpack.test.ts).
 */
import { decode as libraryDecode, encode as libraryEncode } from '@msgpack/msgpack'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { MsgPackData } from '../../codec/index.ts'
import { decodeMsgPack, encodeMsgPack } from '../../codec/index.ts'
import { measureMsgPack } from '../../codec/msgpack-measure.ts'
import { scanMsgPack } from '../../codec/msgpack-scan.ts'
import { expectError } from './harness.ts'

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex')
}

function decode(bytes: Uint8Array): MsgPackData {
  return decodeMsgPack(bytes, 0, bytes.length)
}

describe('valid MessagePack', () => {
  test('valid MessagePack may be 32 containers deep, and no deeper', () => {
    let value: MsgPackData = 7
    for (let level = 0; level < 32; level += 1) value = level % 2 === 0 ? [value] : { a: value }
    expect(decode(encodeMsgPack(value))).toEqual(value)
    expectError('ERR_INVALID_VALUE', () => encodeMsgPack([value]))
  })

  test.each<[string, MsgPackData]>([
    ['cf0020000000000000', 2 ** 53],
    ['cf0020000000000001', 2n ** 53n + 1n],
    ['cfffffffffffffffff', 2n ** 64n - 1n],
    ['cf0000000000000005', 5],
    ['d3ffffffffffffffff', -1],
    ['d3ffe0000000000000', -(2 ** 53)],
    ['d3ffdfffffffffffff', -(2n ** 53n) - 1n],
    ['d38000000000000000', -(2n ** 63n)],
    ['d30020000000000000', 2 ** 53],
    ['92cf0000000000000005cfffffffffffffffff', [5, 2n ** 64n - 1n]],
    ['81a16192d3ffffffffffffffffcf0020000000000001', { a: [-1, 2n ** 53n + 1n] }],
  ])('valid MessagePack decodes to bigint beyond ±2^53 and to numbers within: %s', (bytes, value) => {
    expect(decode(hex(bytes))).toEqual(value)
  })

  test('valid MessagePack may contain timestamps of all three lengths', () => {
    for (const date of [new Date(1000), new Date(1500), new Date(-1000), new Date('2600-01-01T00:00:00Z')])
      expect(decode(encodeMsgPack(date))).toEqual(date)
  })

  test('valid MessagePack may have a key that only resembles a forbidden one', () => {
    const value = {
      proto: 1,
      __proto: 2,
      constructors: 3,
      prototyp: 4,
      x__proto__: 5,
      '': 6,
      ['a'.repeat(300)]: '__proto__',
    }
    expect(decode(encodeMsgPack(value))).toEqual(value)
  })

  const exact: [string, MsgPackData][] = [
    ['NaN', Number.NaN],
    ['infinities', [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
    ['every length of an integer', [0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53]],
    ['negative integers', [-1, -32, -33, -128, -129, -32_768, -32_769, -(2 ** 31), -(2 ** 31) - 1, -(2 ** 53)]],
    ['floats', [0.1, 5e-324, Number.MAX_VALUE, -1.5]],
    ['bigints of 64 bits', [2n ** 64n - 1n, -(2n ** 63n), 2n ** 53n + 1n]],
    [
      'text of every length field',
      ['', 'a'.repeat(31), 'a'.repeat(32), 'b'.repeat(255), 'c'.repeat(256), 'd'.repeat(65_536)],
    ],
    ['a byte-order mark', ['\ufeff', '\ufeffabc', `\ufeff${'x'.repeat(300)}`, { '\ufeffkey': 1 }]],
    ['NUL and every width of UTF-8', ['a\0b', 'é', 'ࠀ', '\uffff', '😀', '\u{10ffff}', 'é😀'.repeat(100)]],
    [
      'binaries of every length field',
      [0, 1, 255, 256, 65_535, 65_536].map((length) => new Uint8Array(length).fill(7)),
    ],
    ['dates', [0, 1, -1, 999, 2 ** 32 * 1000, 2 ** 34 * 1000, 8.64e15, -8.64e15].map((ms) => new Date(ms))],
    ['arrays of every length field', [[], Array(15).fill(null), Array(16).fill(true), Array(65_536).fill(-7)]],
    ['a map of 65,536 entries', Object.fromEntries(Array.from({ length: 65_536 }, (_, index) => [`k${index}`, index]))],
    [
      'keys that look like indexes',
      { 0: 'a', 9: 'b', 1023: 'c', 4294967294: 'd', 4294967295: 'e', '007': 'f', '1e3': 'g' },
    ],
    ['keys that are names of methods', { toString: 1, valueOf: 2, hasOwnProperty: null, length: 3 }],
    ['a map without a prototype', Object.assign(Object.create(null) as object, { a: 1 })],
  ]

  test.each(exact)('valid MessagePack arrives exactly as it was sent: %s', (_, value) => {
    expect(decode(encodeMsgPack(value))).toEqual(value)
  })

  test('keys that are names of methods arrive where Object.prototype cannot be assigned to', () => {
    const original = Object.getOwnPropertyDescriptor(Object.prototype, 'toString')!
    const prototype = Object.prototype
    Object.defineProperty(prototype, 'toString', { ...original, writable: false })
    let value: MsgPackData
    try {
      value = decode(hex('81a8746f537472696e6701'))
    } finally {
      Object.defineProperty(prototype, 'toString', original)
    }
    expect(Object.entries(value as object)).toEqual([['toString', 1]])
  })

  test('-0 in a MessagePack value arrives as 0', () => {
    expect(decode(encodeMsgPack([-0, { a: -0 }]))).toEqual([0, { a: 0 }])
  })

  test('a MessagePack map with a key twice holds the last value', () => {
    expect(decode(hex('82a16101a16102'))).toEqual({ a: 2 })
  })

  test('a MessagePack float of 32 bits arrives as the number that it is', () => {
    expect(decode(hex('ca3fc00000'))).toBe(1.5)
  })

  test('what is below milliseconds in a MessagePack timestamp is cut off', () => {
    expect(decode(hex('d7ff 00000004 00000001'))).toEqual(new Date(1000))
    expect(decode(hex('d7ff ee6b27fc 00000001'))).toEqual(new Date(1999))
    expect(decode(hex('c70cff 3b9ac9ff ffffffffffffffff'))).toEqual(new Date(-1))
  })

  test('the last Date and the first one arrive from timestamps of 12 bytes', () => {
    expect(decode(hex('c70cff000000000000 07dba8218000'))).toEqual(new Date(8.64e15))
    expect(decode(hex('c70cff00000000ffff f82457de8000'))).toEqual(new Date(-8.64e15))
  })

  const isWellFormed = (text: string): boolean => Buffer.from(text, 'utf8').toString('utf8') === text
  const leaf = fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.maxSafeInteger(),
    // -0 arrives as 0.
    fc.double().map((float) => float + 0),
    fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) - 1n }),
    fc.bigInt({ min: 2n ** 53n + 1n, max: 2n ** 64n - 1n }),
    fc.string({ unit: 'binary' }).filter((text) => isWellFormed(text)),
    fc.uint8Array({ maxLength: 40 }),
    fc.date({ noInvalidDate: true }),
  )
  const key = fc
    .string({ unit: 'grapheme' })
    .filter((name) => !['__proto__', 'constructor', 'prototype'].includes(name))
  const anyValue: fc.Arbitrary<MsgPackData> = fc.letrec<{ value: MsgPackData }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      leaf,
      fc.array(tie('value'), { maxLength: 5 }),
      fc.dictionary(key, tie('value'), { maxKeys: 5, noNullPrototype: true }),
    ),
  })).value

  test('valid MessagePack survives the round trip, and the scan accepts it', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(decode(encodeMsgPack(value))).toEqual(value)
      }),
    )
  })

  test('the decoder of the library and the one here read the same values', () => {
    // It removes a byte-order mark.
    const withoutMark = anyValue.filter((value) => !encodeMsgPack(value).includes(Buffer.from('\ufeff')))
    fc.assert(
      fc.property(withoutMark, (value) => {
        // A plain array of bytes: the library returns binaries as the class that it reads.
        expect(libraryDecode(new Uint8Array(encodeMsgPack(value)), { useBigInt64: true })).toEqual(value)
        expect(decode(libraryEncode(value, { useBigInt64: true }))).toEqual(value)
      }),
    )
  })

  test('the sender and the receiver of a MessagePack value compute the same cost', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const bytes = encodeMsgPack(value)
        expect(scanMsgPack(bytes, 0, bytes.length)).toEqual({ fault: null, cost: measureMsgPack(value).cost })
        expect(measureMsgPack(value).lengthBytes).toBe(bytes.length)
      }),
    )
  })

  test('the MessagePack scan never throws, and accepts only bytes that decode', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 60 }),
          fc.tuple(anyValue, fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
            const bytes = encodeMsgPack(value)
            if (bytes.length > 0) bytes[at % bytes.length] = byte
            return bytes
          }),
        ),
        (bytes) => {
          if (scanMsgPack(bytes, 0, bytes.length).fault !== null) return
          decode(bytes)
        },
      ),
      { numRuns: 3000 },
    )
  })
})
