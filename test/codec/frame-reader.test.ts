/**
 * Owns: that the session frame reader decodes streams split anywhere, and copies only where needed.
 * Independent of: limits, errors, stop and resume (frame-reader-limits, frame-reader-stops).
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeFrame, exactAssemblyLimitBytes } from '../../codec/index.ts'
import { createReader, expectedFrames, pushInChunks, vectorFrames, vectorStream } from './frame-reader-bench.ts'
import { anyValue } from './harness.ts'

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
