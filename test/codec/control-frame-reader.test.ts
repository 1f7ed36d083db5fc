/** Owns: the contract of the control channel's framing. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  ControlFrameReader,
  encodeControlFrame,
  encodeValue,
  maxControlValueLengthBytes,
  type NetworkValue,
} from '../../codec/index.ts'
import { anyValue, expectError, expectProtocolError, RecordingSink } from './harness.ts'
import { fromHex, toHex, valueVectors } from './vectors.ts'

function createReader(): { reader: ControlFrameReader; sink: RecordingSink } {
  const sink = new RecordingSink()
  return { reader: new ControlFrameReader(sink), sink }
}

function buffer(hex: string): Buffer {
  return Buffer.from(fromHex(hex.replaceAll(' ', '')))
}

const ok: NetworkValue = { type: 'Bytes', value: Uint8Array.of(0x6f, 0x6b) }

describe('control frames', () => {
  test('a control frame is a u32 length and the value', () => {
    expect(encodeControlFrame(ok).toString('hex')).toBe('070000000c020000006f6b')
  })

  test('every control value of the vectors, framed and cut at every offset, is delivered once on lane 0', () => {
    for (const { hex } of valueVectors.valid) {
      const frame = Buffer.alloc(4 + hex.length / 2)
      frame.writeUInt32LE(hex.length / 2)
      frame.set(fromHex(hex), 4)
      for (let cut = 0; cut <= frame.length; cut += cut < 64 ? 1 : 61) {
        const { reader, sink } = createReader()
        reader.push(Buffer.from(frame.subarray(0, cut)))
        reader.invariants()
        reader.push(Buffer.from(frame.subarray(cut)))
        reader.invariants()
        expect(sink.frames).toEqual([{ lane: 0, descriptor: Number.parseInt(hex.slice(0, 2), 16), body: hex.slice(2) }])
        expect(reader.bufferedBytes).toBe(0)
      }
    }
  })

  test('arbitrary control values cut at arbitrary offsets are delivered whole and in order', () => {
    fc.assert(
      fc.property(
        fc.array(anyValue, { maxLength: 12 }),
        fc.integer({ min: 1, max: 70 }),
        (values, chunkLengthBytes) => {
          const stream = Buffer.concat(values.map(encodeControlFrame))
          const { reader, sink } = createReader()
          for (let offset = 0; offset < stream.length; offset += chunkLengthBytes) {
            reader.push(Buffer.from(stream.subarray(offset, offset + chunkLengthBytes)))
            reader.invariants()
          }
          expect(sink.values.map((value) => toHex(encodeValue(value)))).toEqual(
            values.map((value) => toHex(encodeValue(value))),
          )
          expect(sink.values).toHaveLength(values.length)
        },
      ),
      { numRuns: 200 },
    )
  })

  test('the control reader stops and resumes like the session reader', () => {
    const { reader, sink } = createReader()
    sink.after = () => {
      reader.stop()
    }
    reader.push(Buffer.concat([encodeControlFrame(ok), encodeControlFrame(ok)]))
    expect(sink.frames).toHaveLength(1)
    reader.resume()
    expect(sink.frames).toHaveLength(2)
  })

  test('a control length of 0 or above 1,048,576 is ERR_CONTROL_FRAME_LENGTH, from 4 bytes', () => {
    for (const hex of ['00000000', '01001000', 'ffffffff']) {
      const { reader } = createReader()
      reader.push(buffer(hex).subarray(0, 3))
      expectProtocolError('ERR_CONTROL_FRAME_LENGTH', () => {
        reader.push(buffer(hex).subarray(3))
      })
      expect(reader.assemblyLengthBytes).toBe(0)
    }
    const { reader } = createReader()
    reader.push(buffer('00001000'))
    expect(reader.bufferedBytes).toBe(4)
  })

  test('a control value of 1,048,576 bytes is sent and read; one byte more is ERR_INVALID_VALUE at the sender', () => {
    const { reader, sink } = createReader()
    const longest = encodeControlFrame({ type: 'Bytes', value: new Uint8Array(maxControlValueLengthBytes - 5) })
    reader.push(longest.subarray(0, 700_000))
    reader.invariants()
    reader.push(longest.subarray(700_000))
    expect(sink.frames).toHaveLength(1)
    expectError('ERR_INVALID_VALUE', () =>
      encodeControlFrame({ type: 'Bytes', value: new Uint8Array(maxControlValueLengthBytes - 4) }),
    )
  })

  test.each([
    ['longer than a fixed-length value', '02000000 02 00'],
    ['shorter than a fixed-length value', '02000000 03 00'],
    ['longer than the declared length of Bytes', '08000000 0c 02000000'],
    ['shorter than the declared length of Bytes', '06000000 0c 02000000'],
    ['too short for a length field', '03000000 0c 0200'],
    ['too short for a length field, with a byte of the next frame behind it', '03000000 0c 0200 07'],
    ['not the bytes of the bit count', '06000000 0f 09000000'],
  ])('a control frame %s is ERR_CONTROL_FRAME_NOT_FILLED, in one chunk and byte by byte', (_name, hex) => {
    expectProtocolError('ERR_CONTROL_FRAME_NOT_FILLED', () => {
      createReader().reader.push(buffer(hex))
    })
    const { reader, sink } = createReader()
    expectProtocolError('ERR_CONTROL_FRAME_NOT_FILLED', () => {
      for (const byte of buffer(hex)) reader.push(Buffer.of(byte))
    })
    expect(sink.frames).toEqual([])
  })

  test('an undefined descriptor in a control frame is ERR_UNKNOWN_DESCRIPTOR', () => {
    expectProtocolError('ERR_UNKNOWN_DESCRIPTOR', () => {
      createReader().reader.push(buffer('05000000 20'))
    })
  })
})
