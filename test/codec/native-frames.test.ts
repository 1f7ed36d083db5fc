/**
 * Owns: the contract of the native frames: their bytes, the lanes each may use, their limits, and reading them in every
 * split.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeFrame } from '../../codec/frame-writer.ts'
import { encodeMessageHeader } from '../../codec/message-frames.ts'
import { NativeFrameReader } from '../../codec/native-frame-reader.ts'
import * as frames from '../../codec/native-frames.ts'
import { encodeSetupFrame } from '../../codec/setup-frames.ts'
import { expectError, expectProtocolError } from './harness.ts'
import { createReader, examples, frame, readOne } from './frame-examples.ts'

const { controlLane, firstStreamLane, messagesLane, requestsLane, responsesLane, setupLane } = frames

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
  test.each<[id: number, kind: frames.LaneKind]>([
    [0, 'session'],
    [0x3fff_ffff, 'session'],
    [0x4000_0000, 'unassigned'],
    [0x7fff_fffb, 'unassigned'],
    [0x7fff_fffc, 'responses'],
    [0x7fff_fffd, 'messages'],
    [0x7fff_fffe, 'setup'],
    [0x7fff_ffff, 'requests'],
    [0x8000_0000, 'stream'],
    [0xffff_fffe, 'stream'],
    [0xffff_ffff, 'control'],
  ])('lane %i is of kind %s', (id, kind) => {
    expect(frames.laneKindOf(id)).toBe(kind)
  })

  test('a lane accepts exactly the descriptors of its kind, checked after 5 bytes', () => {
    const values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x12]
    const allowed: [lane: number, onLinkZero: number[], onOthers?: number[]][] = [
      [0, [...values, 0x20, 0x21, 0x34, 0x37]],
      [0x3fff_ffff, [...values, 0x20, 0x21, 0x34, 0x37]],
      [0x4000_0000, []],
      [0x7fff_fffb, []],
      [responsesLane, [0x21, 0x34, 0x3b], []],
      [messagesLane, [0x21, 0x34, 0x39], []],
      [setupLane, [0x3d, 0x3e, 0x3f, 0x40, 0x41], [0x3e, 0x3f, 0x40]],
      [requestsLane, [0x21, 0x34, 0x3a, 0x3c], []],
      [firstStreamLane, [0x0c, 0x34, 0x35, 0x36, 0x37, 0x38]],
      [0xffff_fffe, [0x0c, 0x34, 0x35, 0x36, 0x37, 0x38]],
      [controlLane, [0x30, 0x31, 0x32, 0x33]],
    ]
    const cases = allowed.flatMap(([lane, onLinkZero, onOthers = onLinkZero]) => [
      { lane, linkIndex: 0, descriptors: onLinkZero },
      { lane, linkIndex: 1, descriptors: onOthers },
    ])
    let refused = 0
    for (const { lane, linkIndex, descriptors } of cases) {
      for (let descriptor = 0; descriptor < 256; descriptor += 1) {
        const { reader } = createReader({ linkIndex })
        const push = (): void => {
          // What follows is at its smallest, so that only the first 5 bytes can be wrong.
          const head = frame(lane, descriptor)
          for (const byte of head) reader.push(Buffer.of(byte))
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
    expect(refused).toBe(2 * 11 * 256 - 2 * (2 * 20 + 2 * 6 + 4) - (3 + 3 + 5 + 4) - 3)
  })

  test('messages, requests, responses, Want and Agree exist on link 0 only, and streams on every link', () => {
    const onLinkZero = [
      encodeMessageHeader({ name: '', payloadLengthBytes: 0 }),
      frames.encodeCredit(requestsLane, 1),
      frames.encodeCredit(responsesLane, 1),
      encodeSetupFrame({ type: 'Want', k: 1, callId: 1n, count: 1, name: '' }),
      encodeSetupFrame({ type: 'Agree', k: 1, set: 1n }),
    ]
    for (const bytes of onLinkZero) {
      expectProtocolError('ERR_UNKNOWN_DESCRIPTOR', () => {
        createReader({ linkIndex: 1 }).reader.push(bytes.subarray(0, 5))
      })
    }
    const onEvery = [
      frames.encodeAck(1),
      encodeFrame(0, { type: 'Bytes', value: Buffer.from('x') }),
      frames.encodeFin(firstStreamLane),
      encodeSetupFrame({ type: 'Make', k: 1, callId: 1n, firstId: 0, windowBytes: 1 }),
      encodeSetupFrame({ type: 'Made', k: 1, windowBytes: 1 }),
      encodeSetupFrame({ type: 'Refuse', k: 1, reason: 'limit', ownCount: 0 }),
    ]
    const { reader, sink } = createReader({ linkIndex: 1 })
    reader.push(Buffer.concat(onEvery))
    expect(sink.seen).toHaveLength(onEvery.length)
  })

  test('only values, Bytes, Message, Request, Response and their Pieces use credit', () => {
    const paying = (lane: number): number[] =>
      Array.from({ length: 256 }, (_, descriptor) => descriptor).filter(
        (descriptor) =>
          frames.laneTables[frames.laneKindOf(lane)][descriptor] !== 0xff &&
          frames.isPaying(frames.laneKindOf(lane), descriptor),
      )
    expect(paying(0)).toHaveLength(18)
    expect(
      [messagesLane, requestsLane, responsesLane, setupLane, firstStreamLane, controlLane].map((lane) => paying(lane)),
    ).toEqual([[0x21, 0x39], [0x21, 0x3a], [0x21, 0x3b], [], [0x0c], []])
  })
})

describe('the length of a frame', () => {
  const u32 = (value: number): string => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(value)
    return bytes.toString('hex')
  }
  const u16 = (value: number): string => u32(value).slice(0, 4)
  /** From here on a frame is sent in Pieces. */
  const max = 65_536
  const goodbye = (length: number): string => '00'.repeat(18) + u16(length)

  test.each<[string, number, number, (length: number) => string, number, number]>([
    ['a value', 0, 0x0c, u32, 0, max],
    ['a MessagePack value', 0, 0x20, u32, 0, max],
    ['packed bits', 0, 0x0f, u32, 0, 8 * max],
    ['Bytes on a stream', firstStreamLane, 0x0c, u32, 1, 65_536],
    ['a Message', messagesLane, 0x39, u32, 3, max],
    ['a Request', requestsLane, 0x3a, u32, 11, max],
    ['a Response', responsesLane, 0x3b, u32, 5, max],
    ['a Piece of a value', 0, 0x21, u32, 1, 65_536],
    ['a Piece of a Message', messagesLane, 0x21, u32, 1, 65_536],
    ['a Piece of a Request', requestsLane, 0x21, u32, 1, 65_536],
    ['a Piece of a Response', responsesLane, 0x21, u32, 1, 65_536],
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

  test.each<[name: string, lane: number, descriptor: number, most: number]>([
    ['a value', 0, 0x0c, 65_536],
    ['a vector', 0, 0x06, 65_536],
    ['packed bits', 0, 0x0f, 8 * 65_536],
    ['a MessagePack value', 0, 0x20, 65_536],
    ['a Message', messagesLane, 0x39, 65_536],
    ['a Request', requestsLane, 0x3a, 65_536],
    ['a Response', responsesLane, 0x3b, 65_536],
  ])('%s that is long and was not sent in Pieces is refused from its header', (_, lane, descriptor, most) => {
    const push = (length: number): void => {
      const reader = new NativeFrameReader({ maxMessageLengthBytes: 100_000, linkIndex: 0 }, { onFrame: () => true })
      reader.push(frame(lane, descriptor, u32(length)))
    }
    push(most)
    expectProtocolError('ERR_LONG_FRAME_WHOLE', () => push(most + 1))
    expectProtocolError('ERR_MESSAGE_TOO_LONG', () => push(8 * 100_000 + 1))
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
  test('a Credit of 0 is a protocol error', () => {
    expectProtocolError('ERR_CREDIT_ZERO', () => readOne(frame(1, 0x34, '00000000')))
  })

  test('a window above 2^31 - 1 is a protocol error', () => {
    expect(readOne(frame(firstStreamLane, 0x36, 'ffffff7f'))).toBe(2 ** 31 - 1)
    expectProtocolError('ERR_CREDIT_OVERFLOW', () => readOne(frame(firstStreamLane, 0x36, '00000080')))
    expectProtocolError('ERR_CREDIT_OVERFLOW', () => readOne(frame(firstStreamLane, 0x35, '00000080 0100 61 00000000')))
  })

  test.each([
    [0, 0],
    [7, 7],
    [8, 0],
    [0xff, 0],
    [0x100, 0x100],
    [0xffff, 0xffff],
  ])('code %i of a Reset is read as %i', (sent, read) => {
    expect(readOne(frames.encodeReset(1, { code: sent, reason: '' }))).toEqual({ code: read, reason: '' })
  })

  test('a code of a Goodbye above 1 is read as 0', () => {
    for (const [sent, read] of [
      [0, 0],
      [1, 1],
      [2, 0],
      [0xffff, 0],
    ] as const)
      expect(readOne(frames.encodeGoodbye({ code: sent, next: 0, received: 0, reason: '' }))).toMatchObject({
        code: read,
      })
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
