/**
 * Owns: stop, resume and reset of the session frame reader, also from inside its sink.
 * Independent of: splitting and copies (frame-reader.test.ts).
 */
import { describe, expect, test } from 'vitest'
import { FrameReader, StatewireError, type NetworkValue } from '../../codec/index.ts'
import { createReader, expectedFrames, pushInChunks, vectorFrames, vectorStream } from './frame-reader-bench.ts'
import { expectError } from './harness.ts'

describe('stop, resume and reset of the frame reader', () => {
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
