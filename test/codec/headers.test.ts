/** Owns: the contract of headers: which bytes are a map of strings to strings, and what is read from them. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeHeaders } from '../../codec/headers.ts'
import { encodeMsgPack } from '../../codec/msgpack-encode.ts'

const read = (hex: string): unknown => {
  const headers = decodeHeaders(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
  return headers === null ? null : [...headers]
}

describe('headers', () => {
  test.each<[name: string, hex: string, entries: [string, string][] | null]>([
    ['no bytes', '', []],
    ['an empty map', '80', []],
    ['one entry', '81 a161 a162', [['a', 'b']]],
    ['a map with a 16-bit count', 'de 0001 a161 a162', [['a', 'b']]],
    ['a map with a 32-bit count', 'df 00000001 a161 a162', [['a', 'b']]],
    [
      'strings with lengths of 8, 16 and 32 bits',
      '82 d901 61 da0001 62 db00000001 63 a0',
      [
        ['a', 'b'],
        ['c', ''],
      ],
    ],
    ['an empty key', '81 a0 a162', [['', 'b']]],
    ['two entries with one key', '82 a161 a162 a161 a163', [['a', 'c']]],
    ['a list', '90', null],
    ['a string', 'a161', null],
    ['nil', 'c0', null],
    ['a number as a value', '81 a161 01', null],
    ['nil as a value', '81 a161 c0', null],
    ['bytes as a value', '81 a161 c40162', null],
    ['a map as a value', '81 a161 80', null],
    ['a number as a key', '81 01 a161', null],
    ['the key __proto__', '81 a9 5f5f70726f746f5f5f a161', null],
    ['the key constructor', '81 ab 636f6e7374727563746f72 a161', null],
    ['the key prototype', '81 a9 70726f746f74797065 a161', null],
    ['a key that is not UTF-8', '81 a1ff a161', null],
    ['a value that is not UTF-8', '81 a161 a1ff', null],
    ['a byte after the map', '80 80', null],
    ['a map that ends early', '82 a161 a162', null],
    ['a string that ends early', '81 a161 a262', null],
    ['the reserved byte', 'c1', null],
  ])('headers that are %s are read or are bad content', (_, hex, entries) => {
    expect(read(hex)).toEqual(entries)
  })

  test('every record of strings that MessagePack can carry is read as it was', () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 })
    const key = text.filter((each) => !['__proto__', 'constructor', 'prototype'].includes(each))
    fc.assert(
      fc.property(fc.array(fc.tuple(key, text), { maxLength: 40 }), (entries) => {
        const record = Object.fromEntries(entries)
        const headers = decodeHeaders(Buffer.from(encodeMsgPack(record)))
        expect(Object.fromEntries(headers ?? [])).toEqual(record)
      }),
    )
  })

  test('any bytes are read as headers or are bad content, without an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const headers = decodeHeaders(Buffer.from(bytes))
        for (const [key, value] of headers ?? []) expect([typeof key, typeof value]).toEqual(['string', 'string'])
      }),
    )
  })
})
