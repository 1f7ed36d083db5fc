/**
 * Owns: the contract of the hello and of the refusal: every byte of the layout, every rule, any split, any garbage.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  encodeHello,
  encodeRefusal,
  HelloReader,
  helloLengthBytes,
  refusalCodes,
  refusalNameOf,
  type Hello,
  type HelloStep,
  type RefusalName,
} from '../../codec/hello.ts'
import { expectError } from '../codec/harness.ts'

const hello: Hello = {
  keepsIdle: true,
  connectionId: 0x0403_0201,
  maxMessageLengthBytes: 0x0100_0000,
  laneWindowBytes: 65_536,
  resumeTimeoutMs: 120_000,
  bootId: 0x0002_3344_5566_7788n,
  epoch: 0xffff_ffff_ffff_fffen,
  nextEpoch: 3n,
  known: 0n,
  received: 5,
  first: 6,
  next: Number.MAX_SAFE_INTEGER,
  publicKey: Uint8Array.from({ length: 32 }, (_, index) => index + 1),
  helloNumber: 9,
  links: 2,
  replayWindowBytes: 4_194_304,
  streamsMax: 1024,
}

const helloHex = packed(
  '53574952 01 01 0100 01020304 00000001 00000100 c0d40100 8877665544330200 feffffffffffffff 0300000000000000 0000000000000000',
  '0500000000000000 0600000000000000 ffffffffffff1f00 0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20 0900000000000000 0200 00004000 00040000',
  '00'.repeat(30),
)

/** Hex written in fields, as one string. */
function packed(...lines: string[]): string {
  return lines.join('').replaceAll(' ', '')
}

function read(bytes: Buffer, role: 'dialer' | 'acceptor' = 'acceptor'): HelloStep {
  return new HelloReader(role).feed(bytes)
}

function faultOf(bytes: Buffer, role: 'dialer' | 'acceptor' = 'acceptor'): string {
  const step = read(bytes, role)
  if (step.kind === 'foreign') return `closed: ${step.message}`
  expect(step.kind).toBe('fault')
  return step.kind === 'fault' ? `${step.fault.name}: ${step.fault.message}` : ''
}

/** The hello with some bytes overwritten. */
function patched(offset: number, ...bytes: number[]): Buffer {
  const patch = encodeHello(hello)
  patch.set(bytes, offset)
  return patch
}

describe('a hello', () => {
  test('a hello has 160 bytes, each at its place', () => {
    expect(encodeHello(hello).toString('hex')).toBe(helloHex)
    expect(read(Buffer.from(helloHex, 'hex'))).toEqual({ kind: 'hello', hello, rest: Buffer.alloc(0) })
  })

  test('a hello is read in every split, and the bytes after it are returned', () => {
    const stream = Buffer.concat([encodeHello(hello), Buffer.from('rest')])
    for (let cut = 1; cut <= helloLengthBytes; cut += 1) {
      const reader = new HelloReader('acceptor')
      const first = reader.feed(stream.subarray(0, cut))
      const last = first.kind === 'more' ? reader.feed(stream.subarray(cut)) : first
      expect(last.kind).toBe('hello')
      const rest = last.kind === 'hello' ? last.rest.toString() : ''
      expect(cut === helloLengthBytes ? `${rest}rest` : rest).toBe('rest')
    }
    const byByte = new HelloReader('acceptor')
    const steps = [...encodeHello(hello)].map((byte) => byByte.feed(Buffer.of(byte)).kind)
    expect(steps.slice(0, -1).every((kind) => kind === 'more')).toBe(true)
    expect(steps.at(-1)).toBe('hello')
  })

  test('a hello with unknown flags and reserved bytes is accepted', () => {
    expect(read(patched(6, 0xff, 0xff))).toEqual({ kind: 'hello', hello, rest: Buffer.alloc(0) })
    expect(read(patched(6, 0xfe, 0xff))).toMatchObject({ hello: { keepsIdle: false } })
    expect(read(patched(130, ...Array.from({ length: 30 }, () => 0xaa)))).toEqual({
      kind: 'hello',
      hello,
      rest: Buffer.alloc(0),
    })
  })

  test('a hello does not retain the chunk it came in', () => {
    const bytes = encodeHello(hello)
    const step = read(bytes)
    bytes.fill(0)
    expect(step.kind === 'hello' && step.hello.publicKey[31]).toBe(32)
  })

  test('a hello survives the round trip for any fields in range', () => {
    const u32 = fc.integer({ min: 1, max: 2 ** 32 - 1 })
    const id = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n })
    const counter = fc.maxSafeNat()
    const any = fc.record({
      connectionId: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      maxMessageLengthBytes: fc.integer({ min: 65_536, max: 2 ** 30 }),
      laneWindowBytes: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      resumeTimeoutMs: u32,
      bootId: fc.bigInt({ min: 1n, max: 2n ** 53n - 1n }),
      epoch: id,
      nextEpoch: id,
      known: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      received: counter,
      first: counter,
      next: counter,
      publicKey: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      helloNumber: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      links: fc.integer({ min: 1, max: 65_535 }),
      replayWindowBytes: u32,
      streamsMax: u32,
      keepsIdle: fc.boolean(),
    })
    fc.assert(
      fc.property(any, (value) => {
        expect(read(encodeHello(value))).toEqual({ kind: 'hello', hello: value, rest: Buffer.alloc(0) })
      }),
    )
  })
})

describe('bytes that are not a hello', () => {
  test.each([
    ['another protocol, from its first byte', Buffer.from('G'), /^closed: .*byte 0 is 0x47/],
    [
      'a ClientHello of TLS',
      Buffer.from([0x16, 3, 1]),
      /^closed: .*byte 0 is 0x16, the first byte of TLS: the other side uses TLS, and this side does not/,
    ],
    ['an alert of TLS', Buffer.from([0x15, 3, 3]), /^closed: .*byte 0 is 0x15, the first byte of TLS/],
    ['a wrong fourth byte', Buffer.from('SWIG'), /^closed: .*byte 3/],
    ['an unknown kind', patched(4, 3).subarray(0, 5), /^closed: .*kind is 3/],
    ['another version, from its sixth byte', patched(5, 2).subarray(0, 6), /^version: Version 2/],
    ['a refusal from a dialer', encodeRefusal('busy', '').subarray(0, 5), /^closed: .*a dialer began with a refusal/],
    ['maxMessageLength 65535', patched(12, 0xff, 0xff, 0, 0), /maxMessageLength is 65535/],
    ['maxMessageLength 2^30 + 1', patched(12, 1, 0, 0, 0x40), /maxMessageLength is 1073741825/],
    ['lane window 0', patched(16, 0, 0, 0, 0), /lane window is 0/],
    ['lane window 2^31', patched(16, 0, 0, 0, 0x80), /lane window is 2147483648/],
    ['resume time-out 0', patched(20, 0, 0, 0, 0), /resume time-out is 0/],
    ['boot id 0', patched(24, ...Array.from({ length: 8 }, () => 0)), /boot id is 0/],
    ['boot id 2^53', patched(24, 0, 0, 0, 0, 0, 0, 0x20, 0), /boot id is 9007199254740992/],
    ['epoch 0', patched(32, ...Array.from({ length: 8 }, () => 0)), /the epoch is 0/],
    ['next epoch 0', patched(40, ...Array.from({ length: 8 }, () => 0)), /next epoch is 0/],
    ['received 2^53', patched(56, 0, 0, 0, 0, 0, 0, 0x20, 0), /received is 9007199254740992/],
    ['first 2^64 - 1', patched(64, ...Array.from({ length: 8 }, () => 0xff)), /first is 18446744073709551615/],
    ['next 2^53', patched(72, 0, 0, 0, 0, 0, 0, 0x20, 0), /next is/],
    ['hello number 0', patched(112, ...Array.from({ length: 8 }, () => 0)), /hello number is 0/],
    ['hello number 2^53', patched(112, 0, 0, 0, 0, 0, 0, 0x20, 0), /hello number is 9007199254740992/],
    ['number of links 0', patched(120, 0, 0), /number of links is 0/],
    ['replay window 0', patched(122, 0, 0, 0, 0), /replay window is 0/],
    ['stream limit 0', patched(126, 0, 0, 0, 0), /stream limit is 0/],
  ])('bytes that are not a hello are refused, each with its own message: %s', (_, bytes, message) => {
    expect(faultOf(bytes)).toMatch(message)
  })

  test('a hello is accepted with each field at its limit', () => {
    expect(read(patched(12, 0, 0, 1, 0)).kind).toBe('hello')
    expect(read(patched(12, 0, 0, 0, 0x40)).kind).toBe('hello')
    expect(read(patched(24, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0)).kind).toBe('hello')
    expect(read(patched(126, 1, 0, 0, 0)).kind).toBe('hello')
    expect(read(patched(16, 0xff, 0xff, 0xff, 0x7f)).kind).toBe('hello')
    expect(read(patched(16, 1, 0, 0, 0)).kind).toBe('hello')
    expect(read(patched(56, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0)).kind).toBe('hello')
  })

  test('parsing a hello never throws, and gives the same answer when more bytes come', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(160),
        fc.constantFrom('dialer', 'acceptor'),
        (garbage, from, role) => {
          const reader = new HelloReader(role)
          const bytes = encodeHello(hello)
          bytes.set(garbage.subarray(0, helloLengthBytes - from), from)
          const step = reader.feed(bytes)
          if (step.kind !== 'more') expect(reader.feed(Buffer.from(garbage)).kind).toBe(step.kind)
        },
      ),
    )
  })

  test('writing a hello that would be refused is an internal error', () => {
    expectError('ERR_INTERNAL', () => encodeHello({ ...hello, epoch: 0n }))
  })
})

describe('a refusal', () => {
  test('a refusal is magic, kind, version, code, length and text', () => {
    expect(encodeRefusal('crossing', 'ü').toString('hex')).toBe(packed('53574952 02 01 0500 0200 c3bc'))
  })

  test('a refusal has the code and the effect of its name', () => {
    const names: [RefusalName, number, string][] = [
      ['bad-hello', 1, 'transient'],
      ['version', 2, 'configuration'],
      ['identity', 3, 'configuration'],
      ['not-allowed', 4, 'transient'],
      ['crossing', 5, 'none'],
      ['no-such-link', 6, 'configuration'],
      ['busy', 7, 'transient'],
      ['stopping', 8, 'transient'],
      ['stale', 9, 'none'],
      ['self', 10, 'configuration'],
    ]
    expect(Object.keys(refusalCodes)).toHaveLength(names.length)
    for (const [name, code, effect] of names) {
      expect(refusalNameOf(code)).toBe(name)
      const step = read(Buffer.concat([encodeRefusal(name, 'why'), Buffer.from('x')]), 'dialer')
      const refusal = { code, name, effect, message: 'why', staleBootId: 0n }
      expect(step).toEqual({ kind: 'refusal', refusal, rest: Buffer.from('x') })
    }
  })

  test('a refusal of a later version with an unknown code is read, and is transient', () => {
    const bytes = encodeRefusal('version', 'speak 2')
    bytes[5] = 2
    bytes.writeUInt16LE(77, 6)
    expect(read(bytes, 'dialer')).toMatchObject({
      kind: 'refusal',
      refusal: { code: 77, name: undefined, effect: 'transient' },
    })
  })

  test('a refusal as stale ends with a boot id, and is read in every split', () => {
    const bytes = encodeRefusal('stale', 'ü', 0x0807_0605_0403_0201n)
    expect(bytes.toString('hex')).toBe(packed('53574952 02 01 0900 0200 c3bc 0102030405060708'))
    const reader = new HelloReader('dialer')
    const steps = [...bytes].map((byte) => reader.feed(Buffer.of(byte)))
    expect(steps.findIndex(({ kind }) => kind === 'refusal')).toBe(bytes.length - 1)
    expect(steps.at(-1)).toMatchObject({ refusal: { message: 'ü', staleBootId: 0x0807_0605_0403_0201n } })
  })

  test('a refusal is read in every split', () => {
    const bytes = encodeRefusal('busy', 'come again')
    const reader = new HelloReader('dialer')
    const kinds = [...bytes].map((byte) => reader.feed(Buffer.of(byte)).kind)
    expect(kinds.indexOf('refusal')).toBe(bytes.length - 1)
  })

  test('a refusal text is cut at 256 bytes between characters, rejected above, and replaced if not UTF-8', () => {
    expect(encodeRefusal('busy', 'é'.repeat(200))).toHaveLength(10 + 256)
    expect(encodeRefusal('busy', `a${'é'.repeat(200)}`)).toHaveLength(10 + 255)
    expect(encodeRefusal('busy', '😀'.repeat(100))).toHaveLength(10 + 256)
    const long = encodeRefusal('busy', 'x')
    long.writeUInt16LE(257, 8)
    expect(faultOf(long, 'dialer')).toMatch(/257 bytes/)
    const bad = encodeRefusal('busy', 'xx')
    bad[10] = 0xff
    expect(read(bad, 'dialer')).toMatchObject({ refusal: { message: '\ufffdx' } })
  })
})
