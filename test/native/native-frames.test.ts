/**
 * Owns: the contract of the native frames: their bytes, the lanes each may use, their limits, and reading them in every
 * split.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { FrameSink } from '../../codec/frame-assembler.ts'
import { encodeFrame } from '../../codec/frame-writer.ts'
import * as frames from '../../codec/native-frames.ts'
import { NativeFrameReader } from '../../codec/native-frame-reader.ts'
import * as bodies from '../../protocol/native/frame-bodies.ts'
import { expectError, expectProtocolError } from '../codec/harness.ts'

interface Seen {
  lane: number
  descriptor: number
  body: string
}

class Sink implements FrameSink {
  readonly seen: Seen[] = []
  decoded: unknown = null
  onFrame(lane: number, descriptor: number, buffer: Buffer, start: number, end: number): boolean {
    this.seen.push({ lane, descriptor, body: buffer.toString('hex', start, end) })
    this.decoded = decode(descriptor, buffer, start, end)
    return true
  }
}

function decode(descriptor: number, buffer: Buffer, start: number, end: number): unknown {
  const d = frames.nativeDescriptors
  switch (descriptor) {
    case d.Ping:
      return bodies.decodePing(buffer, start)
    case d.Pong:
      return bodies.decodePong(buffer, start)
    case d.Ack:
      return bodies.decodeAck(buffer, start)
    case d.Goodbye:
      return bodies.decodeGoodbye(buffer, start, end)
    case d.Credit:
      return bodies.decodeCredit(buffer, start)
    case d.Open:
      return bodies.decodeOpen(buffer, start, end)
    case d.Accept:
      return bodies.decodeAccept(buffer, start)
    case d.Reset:
      return bodies.decodeReset(buffer, start, end)
    case d.Message:
      return bodies.decodeMessage(buffer, start, end)
    case d.Request:
      return bodies.decodeRequest(buffer, start, end)
    case d.Response:
      return bodies.decodeResponse(buffer, start, end)
    default:
      return null
  }
}

const { controlLane, endpointLane, firstStreamLane } = frames

function createReader(options: { max?: number; linkIndex?: number } = {}): {
  reader: NativeFrameReader
  sink: Sink
} {
  const sink = new Sink()
  return {
    reader: new NativeFrameReader(
      { maxMessageLengthBytes: options.max ?? 100_000, linkIndex: options.linkIndex ?? 0 },
      sink,
    ),
    sink,
  }
}

function readOne(bytes: Buffer): unknown {
  const { reader, sink } = createReader()
  reader.push(bytes)
  expect(sink.seen).toHaveLength(1)
  return sink.decoded
}

/** A handmade frame: lane, descriptor, body. */
function frame(lane: number, descriptor: number, body = ''): Buffer {
  const header = Buffer.alloc(5)
  header.writeUInt32LE(lane)
  header[4] = descriptor
  return Buffer.concat([header, Buffer.from(body.replaceAll(' ', ''), 'hex')])
}

/** One example of each, with its decoded form. */
const examples: [name: string, bytes: Buffer, hex: string, decoded: unknown][] = [
  ['Ping', frames.encodePing(1n), 'ffffffff30 0100000000000000', 1n],
  [
    'Pong',
    frames.encodePong(2n ** 64n - 1n, 5),
    'ffffffff31 ffffffffffffffff 0500000000000000',
    { echo: 2n ** 64n - 1n, received: 5 },
  ],
  ['Ack', frames.encodeAck(2 ** 40), 'ffffffff32 0000000000010000', 2 ** 40],
  [
    'Goodbye',
    frames.encodeGoodbye({ code: 1, next: 2, received: 3, reason: 'ok' }),
    'ffffffff33 0100 0200000000000000 0300000000000000 0200 6f6b',
    { code: 1, next: 2, received: 3, reason: 'ok' },
  ],
  [
    'Goodbye without a reason',
    frames.encodeGoodbye({ code: 0, next: 0, received: 0, reason: '' }),
    `ffffffff33${'00'.repeat(20)}`,
    { code: 0, next: 0, received: 0, reason: '' },
  ],
  ['Credit', frames.encodeCredit(7, 65_536), '0700000034 00000100', 65_536],
  [
    'Open',
    frames.encodeOpen(firstStreamLane, { windowBytes: 9, protocol: 'ab', extra: Buffer.from('xyz') }),
    '0000008035 09000000 0200 6162 03000000 78797a',
    { windowBytes: 9, protocol: 'ab', extra: Buffer.from('xyz') },
  ],
  [
    'Open without extra bytes',
    frames.encodeOpen(0xffff_fffe, { windowBytes: 0, protocol: 'é', extra: Buffer.alloc(0) }),
    'feffffff35 00000000 0200 c3a9 00000000',
    { windowBytes: 0, protocol: 'é', extra: Buffer.alloc(0) },
  ],
  ['Accept', frames.encodeAccept(firstStreamLane + 1, 1), '0100008036 01000000', 1],
  [
    'Reset',
    frames.encodeReset(0x3fff_ffff, { code: 4, reason: 'no' }),
    'ffffff3f37 0400 0200 6e6f',
    { code: 4, reason: 'no' },
  ],
  ['Fin', frames.encodeFin(firstStreamLane), '0000008038', null],
  [
    'Message',
    Buffer.concat([frames.encodeMessageHeader(2), Buffer.from('hi')]),
    'ffffff7f39 02000000 6869',
    Buffer.from('hi'),
  ],
  [
    'Request',
    Buffer.concat([frames.encodeRequestHeader(8, 1), Buffer.from('?')]),
    'ffffff7f3a 05000000 08000000 3f',
    { nonce: 8, payload: Buffer.from('?') },
  ],
  [
    'Response',
    Buffer.concat([frames.encodeResponseHeader(8, 0, 1), Buffer.from('!')]),
    'ffffff7f3b 06000000 08000000 00 21',
    { nonce: 8, status: 'ok', payload: Buffer.from('!') },
  ],
  [
    'Response with an error',
    Buffer.concat([frames.encodeResponseHeader(8, 1, 2), Buffer.from('no')]),
    'ffffff7f3b 07000000 08000000 01 6e6f',
    { nonce: 8, status: 'error', message: 'no' },
  ],
]

describe('every frame', () => {
  test.each(examples)(
    'a frame of type %s has its specified bytes and decodes to the same content',
    (_, bytes, hex, decoded) => {
      expect(bytes.toString('hex')).toBe(hex.replaceAll(' ', ''))
      expect(readOne(bytes)).toEqual(decoded)
    },
  )

  test('every frame is found among others in every split', () => {
    const value = encodeFrame(3, { type: 'VecRing16', value: Uint16Array.of(1, 2, 3) })
    const stream = Buffer.concat([value, ...examples.flatMap(([, bytes]) => [bytes, value])])
    const { reader: whole, sink: expected } = createReader()
    whole.push(stream)
    expect(expected.seen).toHaveLength(1 + 2 * examples.length)
    for (let cut = 1; cut < stream.length; cut += 1) {
      const { reader, sink } = createReader()
      reader.push(Buffer.from(stream.subarray(0, cut)))
      reader.push(Buffer.from(stream.subarray(cut)))
      expect(sink.seen).toEqual(expected.seen)
      reader.invariants()
      expect(reader.bufferedBytes).toBe(0)
    }
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 60 }), (sizes) => {
        const { reader, sink } = createReader()
        for (let offset = 0, index = 0; offset < stream.length; index += 1) {
          const size = sizes[index % sizes.length]!
          reader.push(Buffer.from(stream.subarray(offset, offset + size)))
          offset += size
        }
        expect(sink.seen).toEqual(expected.seen)
      }),
    )
  })

  test('a partial frame is discarded by a reset, and its bytes were counted as buffered', () => {
    const open = frames.encodeOpen(firstStreamLane, { windowBytes: 1, protocol: 'name', extra: Buffer.from('extra') })
    const { reader, sink } = createReader()
    reader.push(open.subarray(0, 14))
    expect(reader.bufferedBytes).toBe(14)
    reader.reset()
    expect(reader.bufferedBytes).toBe(0)
    reader.push(open)
    expect(sink.seen).toHaveLength(1)
  })
})

describe('lanes', () => {
  test('the kind of a lane follows from its number', () => {
    const kinds = [0, 0x3fff_ffff, 0x4000_0000, 0x7fff_fffe, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff].map(
      frames.laneKindOf,
    )
    expect(kinds).toEqual(['session', 'session', 'unassigned', 'unassigned', 'endpoint', 'stream', 'stream', 'control'])
  })

  test('a lane accepts exactly the descriptors of its kind, checked after 5 bytes', () => {
    const values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x12]
    const allowed: Record<number, number[]> = {
      0: [...values, 0x20, 0x34, 0x37],
      0x3fff_ffff: [...values, 0x20, 0x34, 0x37],
      0x4000_0000: [],
      0x7fff_fffe: [],
      [endpointLane]: [0x34, 0x39, 0x3a, 0x3b],
      [firstStreamLane]: [0x0c, 0x34, 0x35, 0x36, 0x37, 0x38],
      0xffff_fffe: [0x0c, 0x34, 0x35, 0x36, 0x37, 0x38],
      [controlLane]: [0x30, 0x31, 0x32, 0x33],
    }
    let refused = 0
    for (const [lane, descriptors] of Object.entries(allowed)) {
      for (let descriptor = 0; descriptor < 256; descriptor += 1) {
        const { reader } = createReader()
        const push = (): void => {
          reader.push(frame(Number(lane), descriptor))
        }
        if (descriptors.includes(descriptor)) push()
        else {
          refused += 1
          expectProtocolError('ERR_UNKNOWN_DESCRIPTOR', push)
          // The error is final, whatever follows.
          expectProtocolError('ERR_UNKNOWN_DESCRIPTOR', () => {
            reader.push(Buffer.of(1))
          })
        }
      }
    }
    expect(refused).toBe(8 * 256 - 2 * 19 - 4 - 2 * 6 - 4)
  })

  test('lanes of streams and of the endpoint exist on link 0 only', () => {
    for (const bytes of [frames.encodeMessageHeader(0), frames.encodeFin(firstStreamLane)]) {
      const { reader } = createReader({ linkIndex: 1 })
      expectProtocolError('ERR_UNKNOWN_DESCRIPTOR', () => {
        reader.push(bytes.subarray(0, 5))
      })
    }
    const { reader, sink } = createReader({ linkIndex: 1 })
    reader.push(Buffer.concat([frames.encodeAck(1), encodeFrame(0, { type: 'Bytes', value: Buffer.from('x') })]))
    expect(sink.seen).toHaveLength(2)
  })

  test('only values, Bytes, Message and Request use credit', () => {
    const paying = (lane: number): number[] =>
      Array.from({ length: 256 }, (_, descriptor) => descriptor).filter(
        (descriptor) =>
          frames.laneTables[frames.laneKindOf(lane)][descriptor] !== 0xff &&
          frames.isPaying(frames.laneKindOf(lane), descriptor),
      )
    expect(paying(0)).toHaveLength(17)
    expect([paying(endpointLane), paying(firstStreamLane), paying(controlLane)]).toEqual([[0x39, 0x3a], [0x0c], []])
  })
})

describe('the length of a frame', () => {
  const u32 = (value: number): string => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(value)
    return bytes.toString('hex')
  }
  const u16 = (value: number): string => u32(value).slice(0, 4)
  const max = 100_000
  const goodbye = (length: number): string => '00'.repeat(18) + u16(length)

  test.each<[string, number, number, (length: number) => string, number, number]>([
    ['a value', 0, 0x0c, u32, 0, max],
    ['a MessagePack value', 0, 0x20, u32, 0, max],
    ['packed bits', 0, 0x0f, u32, 0, 8 * max],
    ['Bytes on a stream', firstStreamLane, 0x0c, u32, 1, 65_536],
    ['a Message', endpointLane, 0x39, u32, 0, max],
    ['a Request', endpointLane, 0x3a, u32, 4, max],
    ['a Response', endpointLane, 0x3b, u32, 5, max],
    ['a Reset', 0, 0x37, (length) => `0000${u16(length)}`, 0, 256],
    ['a Goodbye', controlLane, 0x33, goodbye, 0, 256],
    ['the name in an Open', firstStreamLane, 0x35, (length) => `00000000${u16(length)}`, 1, 255],
    ['the extra bytes of an Open', firstStreamLane, 0x35, (length) => `00000000${u16(1)}61${u32(length)}`, 0, 65_536],
  ])(
    'a frame length of %s is refused from the header one above its limit and one below its minimum',
    (_, lane, descriptor, body, least, most) => {
      for (const split of [false, true]) {
        const push = (length: number): void => {
          const { reader } = createReader({ max })
          const bytes = frame(lane, descriptor, body(length))
          for (const chunk of split ? [...bytes].map((byte) => Buffer.of(byte)) : [bytes]) reader.push(chunk)
          expect(reader.assemblyLengthBytes).toBeLessThanOrEqual(256 * 1024)
        }
        push(least)
        push(most)
        expectProtocolError('ERR_MESSAGE_TOO_LONG', () => {
          push(most + 1)
        })
        if (least > 0)
          expectProtocolError('ERR_VALUE_TRUNCATED', () => {
            push(least - 1)
          })
      }
    },
  )

  test('a wrong length split between two chunks is as final as one within a header', () => {
    const { reader } = createReader()
    const bytes = frame(firstStreamLane, 0x35, `00000000${u16(0)}`)
    reader.push(bytes.subarray(0, 9))
    expectProtocolError('ERR_VALUE_TRUNCATED', () => {
      reader.push(bytes.subarray(9))
    })
    expectProtocolError('ERR_VALUE_TRUNCATED', () => {
      reader.push(frames.encodeAck(1))
    })
    reader.reset()
    reader.push(frames.encodeAck(1))
  })

  test('a length of 2^32 - 1 allocates nothing', () => {
    const { reader } = createReader()
    expectProtocolError('ERR_MESSAGE_TOO_LONG', () => {
      reader.push(frame(0, 0x0c, 'ffffffff'))
    })
    expect(reader.assemblyLengthBytes).toBe(0)
    expectError('ERR_INVALID_OPTION', () => createReader({ max: -1 }))
  })
})

describe('the body of a frame', () => {
  test('a Credit of 0 or an unknown status is a protocol error', () => {
    expectProtocolError('ERR_CREDIT_ZERO', () => readOne(frame(1, 0x34, '00000000')))
    expectProtocolError('ERR_RESPONSE_STATUS', () => readOne(frame(endpointLane, 0x3b, '0500000001000000 02')))
  })

  test('a window above 2^31 - 1 is a protocol error', () => {
    expect(readOne(frame(firstStreamLane, 0x36, 'ffffff7f'))).toBe(2 ** 31 - 1)
    expectProtocolError('ERR_CREDIT_OVERFLOW', () => readOne(frame(firstStreamLane, 0x36, '00000080')))
    expectProtocolError('ERR_CREDIT_OVERFLOW', () => readOne(frame(firstStreamLane, 0x35, '00000080 0100 61 00000000')))
  })

  test('an unknown code is read as code 0', () => {
    expect(readOne(frames.encodeReset(1, { code: 8, reason: '' }))).toEqual({ code: 0, reason: '' })
    expect(readOne(frames.encodeReset(1, { code: 7, reason: '' }))).toEqual({ code: 7, reason: '' })
    expect(readOne(frames.encodeGoodbye({ code: 2, next: 0, received: 0, reason: '' }))).toMatchObject({ code: 0 })
  })

  test('a counter above 2^53 - 1 is read as 2^53, a count that no side can have', () => {
    expect(readOne(frame(controlLane, 0x32, 'ffffffffffff1f00'))).toBe(Number.MAX_SAFE_INTEGER)
    expect(readOne(frame(controlLane, 0x32, '0000000000002000'))).toBe(2 ** 53)
    expect(readOne(frame(controlLane, 0x32, 'ffffffffffffffff'))).toBe(2 ** 53)
  })

  test('invalid UTF-8 in a text is replaced', () => {
    expect(readOne(frame(1, 0x37, '0000 0200 ff61'))).toEqual({ code: 0, reason: '\ufffda' })
  })
})

describe('writing frames', () => {
  test('writing refuses what the other side would refuse', () => {
    expectError('ERR_INVALID_VALUE', () => frames.encodeCredit(1, 0))
    expectError('ERR_INVALID_VALUE', () => frames.encodeCredit(1, 2 ** 32))
    expectError('ERR_INVALID_VALUE', () => frames.encodeRequestHeader(0, 1))
    expectError('ERR_INVALID_VALUE', () =>
      frames.encodeOpen(firstStreamLane, { windowBytes: 1, protocol: '', extra: Buffer.alloc(0) }),
    )
    expectError('ERR_INVALID_VALUE', () =>
      frames.encodeOpen(firstStreamLane, { windowBytes: 1, protocol: 'x'.repeat(256), extra: Buffer.alloc(0) }),
    )
    expectError('ERR_INVALID_VALUE', () =>
      frames.encodeOpen(firstStreamLane, { windowBytes: 1, protocol: 'x', extra: Buffer.alloc(65_537) }),
    )
  })

  test('writing cuts a reason at 256 bytes, between two characters', () => {
    expect(frames.encodeReset(1, { code: 0, reason: 'é'.repeat(300) })).toHaveLength(9 + 256)
    expect(
      readOne(frames.encodeGoodbye({ code: 0, next: 0, received: 0, reason: `a${'é'.repeat(300)}` })),
    ).toMatchObject({ reason: `a${'é'.repeat(127)}` })
  })
})
