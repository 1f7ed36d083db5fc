/**
 * Owns: the contract of the session frame reader: decoding at any split, copies only where needed, limits, stop and
 * resume.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  defaultMaxMessageLengthBytes,
  encodeFrame,
  exactAssemblyLimitBytes,
  FrameReader,
  StatewireError,
  type NetworkValue,
} from '../../codec/index.ts'
import { anyValue, expectError, expectProtocolError, RecordingSink, type SeenFrame } from './harness.ts'
import { fromHex, valueVectors } from './vectors.ts'

function createReader(maxMessageLengthBytes = defaultMaxMessageLengthBytes): {
  reader: FrameReader
  sink: RecordingSink
} {
  const sink = new RecordingSink()
  return { reader: new FrameReader({ maxMessageLengthBytes }, sink), sink }
}

/** A frame of the vectors: lane, then the encoded value. */
function frameOf(lane: number, hex: string): Buffer {
  const frame = Buffer.alloc(4 + hex.length / 2)
  frame.writeUInt32LE(lane)
  frame.set(fromHex(hex), 4)
  return frame
}

const vectorFrames = valueVectors.valid.map(({ hex }, lane) => frameOf(lane * 20_000_003, hex))
const vectorStream = Buffer.concat(vectorFrames)
const expectedFrames: SeenFrame[] = valueVectors.valid.map(({ hex }, lane) => ({
  lane: lane * 20_000_003,
  descriptor: Number.parseInt(hex.slice(0, 2), 16),
  body: hex.slice(2),
}))

function pushInChunks(reader: FrameReader, stream: Buffer, chunkLengthBytes: number): void {
  for (let offset = 0; offset < stream.length; offset += chunkLengthBytes) {
    const chunk = Buffer.from(stream.subarray(offset, offset + chunkLengthBytes))
    reader.push(chunk)
    reader.invariants()
    // It was borrowed.
    chunk.fill(0xee)
  }
}

describe('splitting', () => {
  test('every frame of the vectors, cut at every offset, is delivered once and whole', () => {
    let cuts = 0
    for (const [index, frame] of vectorFrames.entries()) {
      // Long vectors are cut at every offset up to 300 and then in larger steps: their body is one memory copy.
      for (let cut = 0; cut <= frame.length; cut += cut < 300 ? 1 : 97) {
        const { reader, sink } = createReader()
        reader.push(Buffer.from(frame.subarray(0, cut)))
        reader.invariants()
        expect(sink.frames).toHaveLength(cut === frame.length ? 1 : 0)
        expect(reader.bufferedBytes).toBe(cut === frame.length ? 0 : cut)
        reader.push(Buffer.from(frame.subarray(cut)))
        reader.invariants()
        expect(sink.frames).toEqual([expectedFrames[index]])
        expect(reader.bufferedBytes).toBe(0)
        cuts += 1
      }
    }
    expect(cuts).toBeGreaterThan(5_000)
  })

  test.each([1, 2, 3, 4, 5, 7, 9, 10, 64, 100, 1_000, 4_096, 65_536, vectorStream.length])(
    'all 207 frames glued together and cut every %i bytes are delivered in order',
    (chunkLengthBytes) => {
      const { reader, sink } = createReader()
      pushInChunks(reader, vectorStream, chunkLengthBytes)
      expect(sink.frames).toEqual(expectedFrames)
      expect(reader.bufferedBytes).toBe(0)
    },
  )

  test('arbitrary frames cut at arbitrary offsets are delivered whole and in order, and the invariants hold after each chunk', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 2 ** 32 - 1 }), anyValue), { maxLength: 20 }),
        fc.array(fc.nat({ max: 90 }), { minLength: 1, maxLength: 50 }),
        (values, lengths) => {
          const frames = values.map(([lane, value]) => encodeFrame(lane, value))
          const stream = Buffer.concat(frames)
          const { reader, sink } = createReader()
          let offset = 0
          for (let index = 0; offset < stream.length; index += 1) {
            const end = index < lengths.length ? offset + lengths[index]! : stream.length
            reader.push(Buffer.from(stream.subarray(offset, end)))
            reader.invariants()
            offset = end
          }
          expect(sink.frames.map(({ lane }) => lane)).toEqual(values.map(([lane]) => lane))
          expect(
            sink.values.map((value, index) => encodeFrame(sink.frames[index]!.lane, value).toString('hex')),
          ).toEqual(frames.map((frame) => frame.toString('hex')))
          expect(reader.bufferedBytes).toBe(0)
        },
      ),
      { numRuns: 300 },
    )
  })

  test('an unfinished frame is never an error, whatever its first bytes are', () => {
    for (const frame of vectorFrames) {
      const { reader, sink } = createReader()
      for (const byte of frame.subarray(0, -1)) reader.push(Buffer.of(byte))
      expect(sink.frames).toEqual([])
      expect(reader.bufferedBytes).toBe(frame.length - 1)
    }
  })

  test('an empty chunk changes nothing in a frame reader', () => {
    const { reader, sink } = createReader()
    reader.push(Buffer.alloc(0))
    reader.push(vectorFrames[0]!.subarray(0, 3))
    reader.push(Buffer.alloc(0))
    expect(reader.bufferedBytes).toBe(3)
    expect(sink.frames).toEqual([])
  })
})

describe('memory', () => {
  const fourMebibytes = encodeFrame(1, { type: 'Bytes', value: new Uint8Array(2 ** 22).fill(7) })

  test('frames that lie whole in a chunk are delivered in place, without a copy', () => {
    const { reader, sink } = createReader()
    reader.push(vectorStream)
    expect(sink.buffers).toHaveLength(207)
    expect(sink.buffers.every((buffer) => buffer === vectorStream)).toBe(true)
  })

  test('a frame reader releases a chunk when its frames have been delivered', () => {
    const { reader } = createReader()
    reader.push(vectorStream)
    expect(reader.bufferedBytes).toBe(0)
    expect(Object.values(reader).includes(vectorStream)).toBe(false)
  })

  test('a frame that spans chunks gets a buffer of exactly its length up to 256 KiB', () => {
    const frame = encodeFrame(1, { type: 'Bytes', value: new Uint8Array(exactAssemblyLimitBytes - 9) })
    const { reader } = createReader()
    reader.push(frame.subarray(0, 9))
    expect(reader.assemblyLengthBytes).toBe(frame.length)
  })

  test('a peer that declares 64 MiB and sends only the header causes an allocation of at most 256 KiB', () => {
    const { reader } = createReader()
    reader.push(Buffer.from('010000000c00000004', 'hex'))
    reader.invariants()
    expect(reader.bufferedBytes).toBe(9)
    expect(reader.assemblyLengthBytes).toBe(exactAssemblyLimitBytes)
  })

  test('the memory of a frame in assembly never exceeds four times what has arrived, and the frame is correct', () => {
    const { reader, sink } = createReader()
    let largest = 0
    for (let offset = 0; offset < fourMebibytes.length; offset += 10_000) {
      reader.push(fourMebibytes.subarray(offset, offset + 10_000))
      reader.invariants()
      expect(reader.assemblyLengthBytes).toBeLessThanOrEqual(Math.max(exactAssemblyLimitBytes, 4 * (offset + 10_000)))
      largest = Math.max(largest, reader.assemblyLengthBytes)
    }
    expect(largest).toBe(fourMebibytes.length)
    expect(sink.frames).toHaveLength(1)
    expect(sink.bodies[0]!.equals(fourMebibytes.subarray(5))).toBe(true)
  })

  test('a frame reader never writes to a delivered buffer that was kept, whatever arrives later', () => {
    const { reader, sink } = createReader()
    const stream = Buffer.concat([vectorStream, vectorStream])
    for (let offset = 0; offset < stream.length; offset += 33) reader.push(stream.subarray(offset, offset + 33))
    expect(sink.bodies.map((body) => body.toString('hex'))).toEqual(sink.frames.map(({ body }) => body))
  })
})

describe('limits', () => {
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

describe('stop, resume, reset', () => {
  test('after stop() inside the sink no further frame is delivered, and resume() delivers the rest in order', () => {
    const { reader, sink } = createReader()
    sink.after = () => {
      reader.stop()
    }
    reader.push(vectorStream)
    for (let count = 1; count < 207; count += 1) {
      expect(sink.frames).toHaveLength(count)
      expect(reader.isStopped).toBe(true)
      expect(reader.bufferedBytes).toBe(vectorStream.length - Buffer.concat(vectorFrames.slice(0, count)).length)
      reader.invariants()
      reader.resume()
    }
    expect(sink.frames).toEqual(expectedFrames)
  })

  test('chunks pushed while the reader is stopped are kept, counted, and delivered in order', () => {
    const { reader, sink } = createReader()
    reader.stop()
    pushInChunks(reader, vectorStream, 50)
    expect(sink.frames).toEqual([])
    expect(reader.bufferedBytes).toBe(vectorStream.length)
    reader.resume()
    expect(sink.frames).toEqual(expectedFrames)
    expect(reader.bufferedBytes).toBe(0)
  })

  test('stop() at the end of a frame that spans chunks holds back what follows in the same chunk', () => {
    const { reader, sink } = createReader()
    sink.after = () => {
      reader.stop()
    }
    reader.push(vectorStream.subarray(0, 3))
    reader.push(vectorStream.subarray(3))
    expect(sink.frames).toHaveLength(1)
    sink.after = () => undefined
    reader.resume()
    expect(sink.frames).toEqual(expectedFrames)
  })

  test('stop() and resume() within one delivery continue at once', () => {
    const { reader, sink } = createReader()
    sink.after = () => {
      reader.stop()
      reader.resume()
    }
    reader.push(vectorStream)
    expect(sink.frames).toEqual(expectedFrames)
  })

  test('resume() without stop() delivers nothing twice', () => {
    const { reader, sink } = createReader()
    reader.push(vectorStream)
    reader.resume()
    expect(sink.frames).toHaveLength(207)
  })

  test('the sink is never entered again while it handles a frame, whatever it calls', () => {
    const { reader, sink } = createReader()
    let depth = 0
    let deepest = 0
    sink.after = (count) => {
      depth += 1
      deepest = Math.max(deepest, depth)
      if (count === 1) reader.push(vectorFrames[2]!)
      if (count === 2) reader.push(vectorFrames[3]!)
      reader.resume()
      depth -= 1
    }
    reader.push(Buffer.concat(vectorFrames.slice(0, 2)))
    expect(deepest).toBe(1)
    expect(sink.frames).toEqual(expectedFrames.slice(0, 4))
  })

  test('a chunk pushed from inside the sink is delivered after the current one', () => {
    const { reader, sink } = createReader()
    sink.after = (count) => {
      if (count === 1) reader.push(vectorStream.subarray(vectorFrames[0]!.length + vectorFrames[1]!.length))
    }
    reader.push(vectorStream.subarray(0, vectorFrames[0]!.length + vectorFrames[1]!.length))
    expect(sink.frames).toEqual(expectedFrames)
  })

  test('when the sink throws, its frame is consumed, push throws the error, and the next push continues after it', () => {
    const { reader, sink } = createReader()
    const failure = new Error('sink')
    sink.after = (count) => {
      if (count === 3 || count === 5) throw failure
    }
    expect(() => {
      reader.push(vectorStream.subarray(0, 500))
    }).toThrow(failure)
    reader.invariants()
    expect(sink.frames).toHaveLength(3)
    expect(() => {
      reader.push(vectorStream.subarray(500))
    }).toThrow(failure)
    reader.invariants()
    reader.resume()
    expect(sink.frames).toEqual(expectedFrames)
  })

  test('when the sink throws at the last frame of a chunk, waiting chunks keep their place before a new one', () => {
    const [first, second, third] = vectorFrames as [Buffer, Buffer, Buffer]
    const { reader, sink } = createReader()
    sink.after = (count) => {
      if (count !== 1) return
      reader.push(second)
      throw new Error('sink')
    }
    expect(() => {
      reader.push(first)
    }).toThrow('sink')
    reader.push(third)
    expect(sink.frames).toEqual(expectedFrames.slice(0, 3))
  })

  test('when the sink throws at a frame that spanned chunks, that frame is consumed as well', () => {
    const { reader, sink } = createReader()
    sink.after = (count) => {
      if (count === 1) throw new Error('sink')
    }
    reader.push(vectorStream.subarray(0, 3))
    expect(() => {
      reader.push(vectorStream.subarray(3))
    }).toThrow('sink')
    reader.invariants()
    reader.resume()
    expect(sink.frames).toEqual(expectedFrames)
  })

  test('a ProtocolError thrown by the sink does not make the framing fail', () => {
    const sinkFailure: NetworkValue[] = []
    const reader = new FrameReader(
      { maxMessageLengthBytes: 100 },
      {
        onFrame() {
          sinkFailure.push({ type: 'RingElementBit', value: true })
          if (sinkFailure.length === 1) throw new StatewireError('ERR_VALUE_TRUNCATED', 'from the sink')
          return false
        },
      },
    )
    expectError('ERR_VALUE_TRUNCATED', () => {
      reader.push(Buffer.concat(vectorFrames.slice(0, 3)))
    })
    reader.resume()
    expect(sinkFailure).toHaveLength(3)
  })

  test('reset() forgets everything, also from inside the sink', () => {
    const { reader, sink } = createReader()
    reader.push(vectorStream.subarray(0, 3))
    reader.stop()
    reader.push(vectorStream.subarray(3, 40))
    reader.reset()
    reader.invariants()
    expect([reader.bufferedBytes, reader.isStopped]).toEqual([0, false])
    sink.after = (count) => {
      if (count === 2) reader.reset()
    }
    reader.push(vectorStream)
    expect(sink.frames).toEqual(expectedFrames.slice(0, 2))
    expect(reader.bufferedBytes).toBe(0)
    reader.push(vectorStream)
    expect(sink.frames).toHaveLength(2 + 207)
  })

  test('invariants() throws ERR_INTERNAL when a cursor is wrong', () => {
    const { reader } = createReader()
    Object.assign(reader, { frameStart: 1 })
    expectError('ERR_INTERNAL', () => {
      reader.invariants()
    })
  })
})
