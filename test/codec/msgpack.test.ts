/**
 * Owns: which MessagePack bytes are refused, with which error, and which values an application cannot send.
 * Independent of: what arrives (msgpack-values.test.ts) and what it costs (msgpack-cost.test.ts).
 */
import { encode as libraryEncode } from '@msgpack/msgpack'
import { describe, expect, test } from 'vitest'
import type { ErrorCode, MsgPackData } from '../../codec/index.ts'
import { decodeMsgPack, encodeMsgPack } from '../../codec/index.ts'
import { scanMsgPack } from '../../codec/msgpack-scan.ts'
import { expectError, expectProtocolError } from './harness.ts'

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex')
}

function decode(bytes: Uint8Array): MsgPackData {
  return decodeMsgPack(bytes, 0, bytes.length)
}

const text = (value: string): string =>
  Buffer.concat([Buffer.of(0xa0 + value.length), Buffer.from(value)]).toString('hex')

/** Each is refused with this error: input that crashes, confuses or pollutes other decoders. */
const hostileValues: [name: string, bytes: Buffer, code: ErrorCode][] = [
  ['20 nested array32 of 16 million', hex('dd00f42400'.repeat(20)), 'ERR_MSGPACK_LENGTH'],
  ['60 nested array32 of 32 million', hex('dd01e84800'.repeat(60)), 'ERR_MSGPACK_LENGTH'],
  ['one array32 of 2^32 - 1', hex('ddffffffff'), 'ERR_MSGPACK_LENGTH'],
  ['one map32 of 2^32 - 1', hex('dfffffffff'), 'ERR_MSGPACK_LENGTH'],
  ['an array16 of 65535 in 3 bytes', hex('dcffff'), 'ERR_MSGPACK_LENGTH'],
  ['a map16 of 65535 in 3 bytes', hex('deffff'), 'ERR_MSGPACK_LENGTH'],
  [
    'a map that has room for its keys and not for its values',
    hex(`82${text('a')}c0${text('b')}`),
    'ERR_MSGPACK_TRUNCATED',
  ],
  ['64 KiB of nested arrays that each claim the rest', claimTheRest(64 * 1024), 'ERR_MSGPACK_LENGTH'],
  ['1 MiB of nested maps that each claim the rest', claimTheRest(1024 * 1024, 0xdf), 'ERR_MSGPACK_LENGTH'],
  ['33 nested arrays of 1', hex(`${'91'.repeat(33)}c0`), 'ERR_MSGPACK_DEPTH'],
  ['33 nested maps of 1', hex(`${`81${text('a')}`.repeat(33)}c0`), 'ERR_MSGPACK_DEPTH'],
  ['an empty array inside 32', hex(`${'91'.repeat(32)}90`), 'ERR_MSGPACK_DEPTH'],
  ['5,000 levels', hex(`${'91'.repeat(5000)}c0`), 'ERR_MSGPACK_DEPTH'],
  ['100,000 levels', hex(`${'91'.repeat(100_000)}c0`), 'ERR_MSGPACK_DEPTH'],
  ['a million levels of array32', hex(`${'dd00000001'.repeat(1_000_000)}c0`), 'ERR_MSGPACK_DEPTH'],
  ['__proto__', hex(`81${text('__proto__')}81${text('polluted')}c3`), 'ERR_MSGPACK_KEY_FORBIDDEN'],
  ['__proto__ as str8', hex(`81d909${Buffer.from('__proto__').toString('hex')}80`), 'ERR_MSGPACK_KEY_FORBIDDEN'],
  ['__proto__ as str16', hex(`81da0009${Buffer.from('__proto__').toString('hex')}80`), 'ERR_MSGPACK_KEY_FORBIDDEN'],
  ['__proto__ as str32', hex(`81db00000009${Buffer.from('__proto__').toString('hex')}80`), 'ERR_MSGPACK_KEY_FORBIDDEN'],
  ['__proto__ deep inside', hex(`9181${text('a')}91 81${text('__proto__')}c0`), 'ERR_MSGPACK_KEY_FORBIDDEN'],
  ['constructor', hex(`81${text('constructor')}c0`), 'ERR_MSGPACK_KEY_FORBIDDEN'],
  ['prototype', hex(`81${text('prototype')}c0`), 'ERR_MSGPACK_KEY_FORBIDDEN'],
  ['a key in over-long UTF-8', hex(`81ac c1a3 ${Buffer.from('onstructor').toString('hex')} c0`), 'ERR_MSGPACK_TEXT'],
  ['over-long UTF-8 of 3 bytes', hex('a3e081b0'), 'ERR_MSGPACK_TEXT'],
  ['over-long UTF-8 of 4 bytes', hex('a4f08081b0'), 'ERR_MSGPACK_TEXT'],
  ['half of a surrogate pair', hex('a3eda0bd'), 'ERR_MSGPACK_TEXT'],
  ['a surrogate pair in 6 bytes', hex('a6eda0bdedb880'), 'ERR_MSGPACK_TEXT'],
  ['a code point above U+10FFFF', hex('a4f4908080'), 'ERR_MSGPACK_TEXT'],
  ['half of a character at the end of a text', hex('a2c3c3'), 'ERR_MSGPACK_TEXT'],
  ['a character that the end of its text cuts', hex('92a161a1c3'), 'ERR_MSGPACK_TEXT'],
  ['a continuation byte alone', hex('a180'), 'ERR_MSGPACK_TEXT'],
  ['ff in a long text', hex(`d928${'61'.repeat(39)}ff`), 'ERR_MSGPACK_TEXT'],
  ['c1', hex('c1'), 'ERR_MSGPACK_RESERVED'],
  ['c1 inside', hex('92c0c1'), 'ERR_MSGPACK_RESERVED'],
  ['c1 as a key', hex('81c1c0'), 'ERR_MSGPACK_RESERVED'],
  ['a number as a key', hex('8101c0'), 'ERR_MSGPACK_KEY_TYPE'],
  ['an array as a key', hex('8190c0'), 'ERR_MSGPACK_KEY_TYPE'],
  ['binary as a key', hex('81c40161c0'), 'ERR_MSGPACK_KEY_TYPE'],
  ['ext type 1', hex('d40100'), 'ERR_MSGPACK_EXT'],
  ['ext 0x72, a record that the peer defines', hex('d47240'), 'ERR_MSGPACK_EXT'],
  ['ext32 of 4 GiB', hex('c9ffffffff01'), 'ERR_MSGPACK_EXT'],
  ['a timestamp of 2 bytes', hex('d5ff0000'), 'ERR_MSGPACK_EXT'],
  ['a timestamp of 16 bytes', hex(`d8ff${'00'.repeat(16)}`), 'ERR_MSGPACK_EXT'],
  ['bin32 of 4 GiB', hex('c6ffffffff'), 'ERR_MSGPACK_TRUNCATED'],
  ['str32 of 4 GiB', hex('dbffffffff61'), 'ERR_MSGPACK_TRUNCATED'],
  ['no bytes', hex(''), 'ERR_MSGPACK_TRUNCATED'],
  ['half of a length', hex('dd0000'), 'ERR_MSGPACK_TRUNCATED'],
  ['half of a uint64', hex('cf00000000'), 'ERR_MSGPACK_TRUNCATED'],
  ['a timestamp of 10^9 nanoseconds, in 8 bytes', hex('d7ffee6b280000000000'), 'ERR_MSGPACK_TIMESTAMP'],
  ['a timestamp of 2^30 - 1 nanoseconds', hex('d7fffffffffc00000000'), 'ERR_MSGPACK_TIMESTAMP'],
  ['a timestamp of 10^9 nanoseconds, in 12 bytes', hex('c70cff3b9aca000000000000000000'), 'ERR_MSGPACK_TIMESTAMP'],
  ['a timestamp a second after the last Date', hex('c70cff00000000000007dba8218001'), 'ERR_MSGPACK_TIMESTAMP'],
  ['a timestamp a second before the first Date', hex('c70cff00000000fffff82457de7fff'), 'ERR_MSGPACK_TIMESTAMP'],
  ['a timestamp of -2^63 seconds', hex('c70cff000000008000000000000000'), 'ERR_MSGPACK_TIMESTAMP'],
  ['a timestamp in ext 32', hex('c90000000cff3b9aca000000000000000000'), 'ERR_MSGPACK_TIMESTAMP'],
  ['half of a timestamp', hex('d6ff0000'), 'ERR_MSGPACK_TRUNCATED'],
  ['trailing bytes', hex('c0c0'), 'ERR_MSGPACK_TRAILING_BYTES'],
]

/**
 * Nested arrays (or maps), each of which declares as many elements as bytes remain. A check of each on its own accepts
 * them.
 */
function claimTheRest(lengthBytes: number, head = 0xdd): Buffer {
  const bytes = Buffer.alloc(lengthBytes, 0xa0)
  for (let level = 0; level < 31; level += 1) {
    const rest = lengthBytes - 5 * (level + 1)
    const at = 5 * level + (head === 0xdf ? level : 0)
    bytes[at] = head
    bytes.writeUInt32BE(head === 0xdf ? Math.floor((rest - level) / 2) : rest, at + 1)
  }
  return bytes
}

function usedBytes(): number {
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

describe('hostile MessagePack', () => {
  test.each(hostileValues)('hostile MessagePack is refused with its own error: %s', (_, bytes, code) => {
    expectProtocolError(code, () => decode(bytes))
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test('hostile MessagePack allocates at most 8 MiB, and so do valid values as large as their bytes', () => {
    const costly: [string, Buffer][] = [
      ...hostileValues.map(([name, bytes]): [string, Buffer] => [name, bytes]),
      [
        '2,048 distinct keys',
        Buffer.from(
          libraryEncode(Object.fromEntries(Array.from({ length: 2048 }, (_, index) => [`key${index}`, null]))),
        ),
      ],
      ['64 KiB of nil', Buffer.concat([hex('dd0000ffff'), Buffer.alloc(65_535, 0xc0)])],
      ['16 Ki empty maps', Buffer.concat([hex('dc4000'), Buffer.alloc(16_384, 0x80)])],
      ['1 MiB of binary', Buffer.concat([hex('c600100000'), Buffer.alloc(1_048_576)])],
    ]
    const large: string[] = []
    const attempt = (bytes: Buffer): void => {
      try {
        decode(bytes)
      } catch {
        // Refused, as it should be.
      }
    }
    for (const [name, bytes] of costly) {
      for (let warm = 0; warm < 3; warm += 1) attempt(bytes)
      let leastBytes = Infinity
      // The least of many rounds, because a round may include allocations of other code.
      for (let round = 0; round < 50 && leastBytes > 8 * 1024 * 1024; round += 1) {
        const before = usedBytes()
        attempt(bytes)
        leastBytes = Math.min(leastBytes, usedBytes() - before)
      }
      if (leastBytes > 8 * 1024 * 1024) large.push(`${name}: ${leastBytes} bytes`)
    }
    expect(costly.length).toBeGreaterThanOrEqual(30)
    expect(large).toEqual([])
  })

  test('a MessagePack map with a key that looks like an index does not hold an array up to that index', () => {
    // V8 would make one of 12 KiB for each, which is 194 MiB.
    const maps = Buffer.concat([hex('dc4000'), Buffer.alloc(16_384 * 7).fill(hex('81a431303233c0'))])
    const before = usedBytes()
    const value = decode(maps)
    expect(usedBytes() - before).toBeLessThan(48 * 1024 * 1024)
    expect(value).toHaveLength(16_384)
  })

  test('an error about MessagePack names the rule and the place', () => {
    expect(scanMsgPack(hex('ff92c0c1'), 1, 4)).toEqual({ fault: { rule: 'reserved', offset: 2 } })
    expectProtocolError('ERR_MSGPACK_RESERVED', () => decode(hex('92c0c1')))
  })

  test('a valid MessagePack value is refused at every cut', () => {
    const bytes = encodeMsgPack({ a: [1, 'two', 3n ** 30n, new Date(0), Buffer.from('x')], b: { c: null, d: -1.5 } })
    for (let cut = 0; cut < bytes.length; cut += 1) expect(scanMsgPack(bytes, 0, cut).fault).not.toBeNull()
    expect(scanMsgPack(bytes, 0, bytes.length).fault).toBeNull()
  })
})

describe('values that an application passes', () => {
  test.each<[string, unknown, RegExp]>([
    ['a function', [() => 1], /^MsgPack\.value\[0\] is of type function/],
    ['undefined', undefined, /^MsgPack\.value is of type undefined/],
    ['a hole', [1, , 2], /^MsgPack\.value\[1\] /], // oxlint-disable-line no-sparse-arrays -- the hole is the case
    ['a symbol', { a: Symbol('x') }, /^MsgPack\.value\.a is of type symbol/],
    ['a Map', { m: new Map() }, /^MsgPack\.value\.m is not a plain object/],
    [
      'an instance',
      new (class Point {
        x = 1
      })(),
      /^MsgPack\.value is not a plain object/,
    ],
    ['a typed array other than bytes', Uint16Array.of(1), /Pass new Uint8Array\(view\.buffer/],
    ['an invalid date', new Date(Number.NaN), /invalid Date/],
    ['2^64', [2n ** 64n], /^MsgPack\.value\[0\] is a bigint of more than 64 bits/],
    ['-2^63 - 1', -(2n ** 63n) - 1n, /more than 64 bits/],
    ['a forbidden key', JSON.parse('{"a":{"__proto__":1}}'), /^MsgPack\.value\.a has the key __proto__/],
    ['a circular reference', circular(), /^MsgPack\.value\[0\] is a container that it lies in/],
    ['a loop of two', { a: loopOfTwo() }, /^MsgPack\.value\.a\.b\.back is a container that it lies in/],
    ['an ArrayBuffer', { a: new ArrayBuffer(1) }, /^MsgPack\.value\.a is an ArrayBuffer\. Pass new Uint8Array/],
    ['a DataView', [new DataView(new ArrayBuffer(1))], /^MsgPack\.value\[0\] is a view other than Uint8Array/],
    ['detached memory', [detached()], /^MsgPack\.value\[0\] is detached/],
    ['half of a surrogate pair', ['hi \ud83d'], /^MsgPack\.value\[0\] is not valid text/],
    ['the second half first', ['\ude00\ud83d'], /^MsgPack\.value\[0\] is not valid text/],
    ['half of a pair in a long text', { t: `${'x'.repeat(300)}\ud83d` }, /^MsgPack\.value\.t is not valid text/],
    ['half of a pair in a key', { a: { 'x\ude00': 1 } }, /^MsgPack\.value\.a has a key that is not valid text/],
    ['a key that is a symbol', [{ [Symbol('s')]: 1 }], /^MsgPack\.value\[0\] has a key that is a symbol/],
    ['a place with an odd key', { 'a b': [undefined] }, /^MsgPack\.value\["a b"\]\[0\] is of type undefined/],
    ['a boxed string', [new String('x')], /^MsgPack\.value\[0\] is not a plain object/], // oxlint-disable-line no-new-wrappers -- the case
  ])('a value that MessagePack cannot represent is refused, and its place named: %s', (_, value, message) => {
    expect(expectError('ERR_INVALID_VALUE', () => encodeMsgPack(value as MsgPackData)).message).toMatch(message)
  })

  test('undefined properties of a value are left out', () => {
    expect(decode(encodeMsgPack({ a: undefined, b: 1 }))).toEqual({ b: 1 })
  })

  test('a number arrives as the same number, whether or not the value contains a bigint', () => {
    expect(decode(encodeMsgPack([2 ** 40, -(2 ** 40), 2n ** 60n, 7n]))).toEqual([2 ** 40, -(2 ** 40), 2n ** 60n, 7])
  })
})

function loopOfTwo(): unknown {
  const first: Record<string, unknown> = {}
  first['b'] = { back: first }
  return first
}

function detached(): Uint8Array {
  const bytes = new Uint8Array(8)
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
  return bytes
}

function circular(): unknown {
  const list: unknown[] = []
  list.push(list)
  return list
}
