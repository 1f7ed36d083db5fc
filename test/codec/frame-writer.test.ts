/**
 * Owns: the contract of the write batch: order, what is copied and what is not, and that nothing changes after it was
 * taken.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { byReferenceThresholdBytes, encodeFrame, encodeValue, FrameReader, FrameWriter, maxArenaLengthBytes, SpareMemory, type NetworkValue } from '../../codec/index.ts'
import { anyValue, expectError, RecordingSink } from './harness.ts'
import { fromNotation, toHex, valueVectors } from './vectors.ts'

function bytes(lengthBytes: number, fill = 7): NetworkValue & { type: 'Bytes' } {
  return { type: 'Bytes', value: new Uint8Array(lengthBytes).fill(fill) }
}

describe('frames', () => {
  test('a frame is the session id, then the value as the Rust codec writes it, for every vector', () => {
    const writer = new FrameWriter()
    let pendingBytes = 0
    const expected = valueVectors.valid.map(({ is, hex }, lane) => {
      const added = writer.writeFrame(lane, fromNotation(is))
      expect(added).toBe(4 + hex.length / 2)
      pendingBytes += added
      return `${lane.toString(16).padStart(2, '0')}000000${hex}`
    })
    expect(writer.pendingBytes).toBe(pendingBytes)
    expect(writer.pendingFrames).toBe(207)
    expect(Buffer.concat(writer.take()).toString('hex')).toBe(expected.join(''))
    expect([writer.pendingBytes, writer.pendingFrames, writer.take()]).toEqual([0, 0, []])
  })

  test('the session id is written as u32 little-endian, on the fast path and on the slow path', () => {
    expect(encodeFrame(0xfedcba98, bytes(1)).toString('hex')).toBe('98badcfe0c0100000007')
    expect(encodeFrame(0xfedcba98, { type: 'RingElementBit', value: true }).toString('hex')).toBe('98badcfe12')
    expect(encodeFrame(0xfedcba98, bytes(byReferenceThresholdBytes)).subarray(0, 9).toString('hex')).toBe('98badcfe0c00400000')
  })

  test.each([-1, 2 ** 32, 0.5, Number.NaN])('a session id of %d is ERR_INVALID_VALUE and adds nothing', (lane) => {
    const writer = new FrameWriter()
    for (const value of [bytes(3), { type: 'RingElementBit' as const, value: true }]) expectError('ERR_INVALID_VALUE', () => writer.writeFrame(lane, value))
    expect(writer.take()).toEqual([])
  })

  test('arbitrary frames, taken at arbitrary moments, are read back in order', () => {
    const large = fc.constantFrom<NetworkValue>(bytes(byReferenceThresholdBytes - 1), bytes(byReferenceThresholdBytes), bytes(70_000), { type: 'VecRing32', value: new Uint32Array(5_000).fill(9) }, { type: 'NetworkVec', value: [bytes(50_000), bytes(20_000)] })
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.oneof({ weight: 9, arbitrary: anyValue }, { weight: 1, arbitrary: large }), fc.boolean()), { maxLength: 40 }), (steps) => {
        const writer = new FrameWriter()
        const taken: Buffer[] = []
        for (const [lane, [value, takeNow]] of steps.entries()) {
          writer.writeFrame(lane, value)
          if (takeNow) taken.push(...writer.take())
        }
        taken.push(...writer.take())
        const sink = new RecordingSink()
        new FrameReader({ maxMessageLengthBytes: 2 ** 20 }, sink).push(Buffer.concat(taken))
        expect(sink.frames.map(({ lane }) => lane)).toEqual(steps.map((_, lane) => lane))
        expect(sink.values.map((value) => toHex(encodeValue(value)))).toEqual(steps.map(([value]) => toHex(encodeValue(value))))
      }),
      { numRuns: 100 },
    )
  })
})

describe('copies and references', () => {
  const byReference: [string, number, (lengthBytes: number) => NetworkValue & { value: ArrayBufferView }][] = [
    ['Bytes', 1, (length) => ({ type: 'Bytes', value: new Uint8Array(length) })],
    ['VecRing16', 2, (length) => ({ type: 'VecRing16', value: new Uint16Array(length / 2) })],
    ['VecRing32', 4, (length) => ({ type: 'VecRing32', value: new Uint32Array(length / 4) })],
    ['VecRing64', 8, (length) => ({ type: 'VecRing64', value: new BigUint64Array(length / 8) })],
  ]

  test.each(byReference)('%s of 16 KiB goes by reference, one element less is copied', (_type, elementLengthBytes, create) => {
    const writer = new FrameWriter()
    const long = create(byReferenceThresholdBytes)
    writer.writeFrame(1, long)
    const [header, payload, ...more] = writer.take()
    expect(more).toEqual([])
    expect(header).toHaveLength(9)
    expect(payload).toHaveLength(byReferenceThresholdBytes)
    expect(payload!.buffer).toBe(long.value.buffer)

    const short = create(byReferenceThresholdBytes - elementLengthBytes)
    writer.writeFrame(1, short)
    const parts = writer.take()
    expect(Buffer.concat(parts)).toHaveLength(9 + byReferenceThresholdBytes - elementLengthBytes)
    expect(parts.some((part) => part.buffer === short.value.buffer)).toBe(false)
  })

  test('a view into a larger buffer is sent as exactly its own bytes', () => {
    const vector = new Uint32Array(10_000).map((_, index) => index).subarray(100, 9_000)
    const frame = encodeFrame(1, { type: 'VecRing32', value: vector })
    expect(frame).toHaveLength(9 + 4 * 8_900)
    expect(frame.readUInt32LE(9)).toBe(100)
    expect(frame.readUInt32LE(frame.length - 4)).toBe(8_999)
  })

  test('small values around a reference keep their order', () => {
    const writer = new FrameWriter()
    const values = [bytes(3, 1), bytes(20_000, 2), bytes(4, 3), bytes(20_001, 4), bytes(5, 5)]
    for (const [lane, value] of values.entries()) writer.writeFrame(lane, value)
    const parts = writer.take()
    // arena slice (frame 0 + header 1), payload 1, slice (frame 2 + header 3), payload 3, slice (frame 4)
    expect(parts.map((part) => part.length)).toEqual([12 + 9, 20_000, 13 + 9, 20_001, 14])
    expect(Buffer.concat(parts).equals(Buffer.concat(values.map((value, lane) => encodeFrame(lane, value))))).toBe(true)
  })

  test('a list longer than an arena is written whole', () => {
    const value: NetworkValue = { type: 'NetworkVec', value: Array.from({ length: 10 }, (_, index) => bytes(10_000, index)) }
    const frame = encodeFrame(5, value)
    expect(frame.subarray(4).equals(Buffer.from(encodeValue(value)))).toBe(true)
    expect(frame.length).toBeGreaterThan(maxArenaLengthBytes)
  })

  test('a list of 16 KiB or more gets a buffer of its own, and the arena continues where it was', () => {
    const writer = new FrameWriter()
    writer.writeFrame(1, bytes(3))
    writer.writeFrame(1, { type: 'NetworkVec', value: [bytes(10_000), bytes(10_000)] })
    writer.writeFrame(1, bytes(4))
    const [before, list, after, ...more] = writer.take()
    expect([before!.length, list!.length, after!.length, more.length]).toEqual([12, 9 + 2 * 10_005, 13, 0])
    expect(after!.buffer).toBe(before!.buffer)
    expect(list!.buffer).not.toBe(before!.buffer)
  })

  test('a small value is copied: changing it after the call changes nothing that is sent', () => {
    const writer = new FrameWriter()
    const value = bytes(10)
    writer.writeFrame(1, value)
    value.value.fill(0)
    expect(toHex(writer.take()[0]!)).toBe('010000000c0a00000007070707070707070707')
  })
})

describe('what was taken', () => {
  test('a batch that was taken is never overwritten by later writes', () => {
    const writer = new FrameWriter()
    const slices: [Buffer, string][] = []
    for (let round = 0; round < 3_000; round += 1) {
      for (let count = 0; count <= round % 4; count += 1) writer.writeFrame(round, bytes((round * 37) % 300, round % 251))
      for (const part of writer.take()) slices.push([part, part.toString('hex')])
    }
    expect(slices.length).toBeGreaterThanOrEqual(3_000)
    expect(slices.every(([part, hex]) => part.toString('hex') === hex)).toBe(true)
  })

  test('a batch that was taken equals what peek() showed before, and what was written in between', () => {
    const writer = new FrameWriter(new SpareMemory(1024 * 1024))
    const written: Buffer[] = []
    const write = (count: number): void => {
      for (let value = 0; value < count; value += 1) {
        writer.writeFrame(written.length, bytes(30))
        written.push(encodeFrame(written.length, bytes(30)))
      }
    }
    write(3_000)
    const seen = [...writer.peek()]
    write(3_000)
    const taken = writer.take()
    expect(Buffer.concat(taken).equals(Buffer.concat(written))).toBe(true)
    expect(seen.every((part, index) => taken[index]?.buffer === part.buffer && taken[index]?.byteOffset === part.byteOffset)).toBe(true)
    expect([writer.peek(), writer.pendingBytes]).toEqual([[], 0])
  })

  test('batches share arenas instead of allocating a buffer for each write, and arenas grow to 64 KiB', () => {
    const writer = new FrameWriter()
    const arenas = new Map<ArrayBufferLike, number>()
    for (let count = 0; count < 5_000; count += 1) {
      writer.writeFrame(1, bytes(100))
      for (const part of writer.take()) arenas.set(part.buffer, part.buffer.byteLength)
    }
    expect([...arenas.values()]).toEqual([4_096, 8_192, 16_384, 32_768, ...Array.from({ length: 8 }, () => maxArenaLengthBytes)])
  })

  test('raw bytes keep their place in a batch, copied below 16 KiB, by reference above', () => {
    const writer = new FrameWriter()
    const hello = Uint8Array.of(1, 2, 3)
    expect(writer.writeRaw(hello)).toBe(3)
    hello.fill(9)
    writer.writeFrame(1, { type: 'RingElementBit', value: true })
    const long = new Uint8Array(byReferenceThresholdBytes)
    writer.writeRaw(long)
    expect([writer.pendingBytes, writer.pendingFrames]).toEqual([8 + byReferenceThresholdBytes, 1])
    const parts = writer.take()
    expect(parts.map((part) => part.length)).toEqual([8, byReferenceThresholdBytes])
    expect(parts[0]!.toString('hex')).toBe('0102030100000012')
    expect(parts[1]!.buffer).toBe(long.buffer)
    expect(writer.writeRaw(new Uint8Array(0))).toBe(0)
    expect(writer.take()).toEqual([])
  })
})
