/**
 * Owns: the limits and framing errors of the session frame reader.
 * Independent of: splitting and copies (frame-reader.test.ts).
 */
import { describe, expect, test } from 'vitest'
import { encodeFrame } from '../../codec/index.ts'
import { createReader, expectedFrames, vectorFrames } from './frame-reader-bench.ts'
import { expectError, expectProtocolError } from './harness.ts'
import { fromHex } from './vectors.ts'

describe('limits of the frame reader', () => {
  /** Header of a frame that declares `declared` in its length field. */
  function header(descriptor: number, declared: number): Buffer {
    const bytes = Buffer.alloc(9)
    bytes[4] = descriptor
    bytes.writeUInt32LE(declared, 5)
    return bytes
  }

  test.each([0x06, 0x07, 0x08, 0x0a, 0x0c, 0x0e])(
    'descriptor %i: a declared length of the limit is read, one more is ERR_MESSAGE_TOO_LONG from the 9-byte header',
    (descriptor) => {
      for (const declared of [999, 1_000]) {
        const { reader } = createReader(1_000)
        reader.push(header(descriptor, declared))
        expect(reader.assemblyLengthBytes).toBe(9 + declared)
      }
      for (const declared of [1_001, 2 ** 32 - 1]) {
        const { reader, sink } = createReader(1_000)
        reader.push(header(descriptor, declared).subarray(0, 8))
        expectProtocolError('ERR_MESSAGE_TOO_LONG', () => {
          reader.push(header(descriptor, declared).subarray(8))
        })
        expect(reader.assemblyLengthBytes).toBe(0)
        expect(reader.bufferedBytes).toBe(9)
        expect(sink.frames).toEqual([])
      }
    },
  )

  test('the limit for VecRingBit counts bytes, not bits', () => {
    createReader(1_000).reader.push(header(0x0f, 8_000))
    expectProtocolError('ERR_MESSAGE_TOO_LONG', () => {
      createReader(1_000).reader.push(header(0x0f, 8_001))
    })
    expectProtocolError('ERR_MESSAGE_TOO_LONG', () => {
      createReader().reader.push(header(0x0f, 2 ** 32 - 1))
    })
  })

  test('fixed-length values are read even when the length limit is 0', () => {
    const { reader, sink } = createReader(0)
    reader.push(encodeFrame(1, { type: 'PrfKey', value: new Uint8Array(16) }))
    reader.push(encodeFrame(1, { type: 'Bytes', value: new Uint8Array(0) }))
    expect(sink.frames).toHaveLength(2)
    expectProtocolError('ERR_MESSAGE_TOO_LONG', () => {
      reader.push(encodeFrame(1, { type: 'Bytes', value: new Uint8Array(1) }))
    })
  })

  test('an undefined descriptor is ERR_UNKNOWN_DESCRIPTOR as soon as its byte arrives, after the frames before it', () => {
    const { reader, sink } = createReader()
    expectProtocolError('ERR_UNKNOWN_DESCRIPTOR', () => {
      reader.push(Buffer.concat([vectorFrames[0]!, fromHex('0100000020')]))
    })
    expect(sink.frames).toEqual([expectedFrames[0]])
  })

  test('after a framing error every push and resume throws the same error until reset, and buffers nothing', () => {
    const { reader, sink } = createReader()
    const error = expectProtocolError('ERR_UNKNOWN_DESCRIPTOR', () => {
      reader.push(Buffer.from('0100000020', 'hex'))
    })
    const held = reader.bufferedBytes
    expect(
      expectProtocolError('ERR_UNKNOWN_DESCRIPTOR', () => {
        reader.push(vectorFrames[0]!)
      }),
    ).toBe(error)
    expect(
      expectProtocolError('ERR_UNKNOWN_DESCRIPTOR', () => {
        reader.resume()
      }),
    ).toBe(error)
    expect(reader.bufferedBytes).toBe(held)
    reader.reset()
    reader.push(vectorFrames[0]!)
    expect(sink.frames).toEqual([expectedFrames[0]])
  })

  test.each([-1, 1.5, Number.NaN, 2 ** 32])('a length limit of %d is ERR_INVALID_OPTION', (limit) => {
    const error = expectError('ERR_INVALID_OPTION', () => createReader(limit))
    expect(error.message).toContain('maxMessageLengthBytes')
  })
})
