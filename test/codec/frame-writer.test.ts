/**
 * Owns: the contract of the write batch: order, copies and transfers, that an error adds nothing, and that nothing
 * changes after it was taken.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  encodeFrame,
  encodeValue,
  FrameReader,
  FrameWriter,
  largeFrameThresholdBytes,
  maxArenaLengthBytes,
  SpareMemory,
  type NetworkValue,
} from '../../codec/index.ts'
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
    expect(encodeFrame(0xfedcba98, bytes(largeFrameThresholdBytes)).subarray(0, 9).toString('hex')).toBe(
      '98badcfe0c00400000',
    )
  })

  test.each([-1, 2 ** 32, 0.5, Number.NaN])('a session id of %d is ERR_INVALID_VALUE and adds nothing', (lane) => {
    const writer = new FrameWriter()
    for (const value of [bytes(3), { type: 'RingElementBit' as const, value: true }])
      expectError('ERR_INVALID_VALUE', () => writer.writeFrame(lane, value))
    expect(writer.take()).toEqual([])
  })

  test('arbitrary frames, taken at arbitrary moments, are read back in order', () => {
    const large = fc.constantFrom<NetworkValue>(
      bytes(largeFrameThresholdBytes - 10),
      bytes(largeFrameThresholdBytes - 9),
      bytes(70_000),
      { type: 'VecRing32', value: new Uint32Array(5_000).fill(9) },
      { type: 'NetworkVec', value: [bytes(50_000), bytes(20_000)] },
    )
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.oneof({ weight: 9, arbitrary: anyValue }, { weight: 1, arbitrary: large }), fc.boolean()),
          { maxLength: 40 },
        ),
        (steps) => {
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
          expect(sink.values.map((value) => toHex(encodeValue(value)))).toEqual(
            steps.map(([value]) => toHex(encodeValue(value))),
          )
        },
      ),
      { numRuns: 100 },
    )
  })
})

describe('large frames', () => {
  const views: [string, (length: number) => NetworkValue & { value: ArrayBufferView }][] = [
    ['Bytes', (length) => ({ type: 'Bytes', value: new Uint8Array(length).fill(7) })],
    ['VecRing16', (length) => ({ type: 'VecRing16', value: new Uint16Array(length / 2).fill(0x0707) })],
    ['VecRing32', (length) => ({ type: 'VecRing32', value: new Uint32Array(length / 4).fill(0x07070707) })],
    ['VecRing64', (length) => ({ type: 'VecRing64', value: new BigUint64Array(length / 8).fill(0x0707070707070707n) })],
  ]

  test.each(views)(
    '%s is copied at every length: changing it after the call changes nothing that is sent',
    (_type, create) => {
      for (const lengthBytes of [8, 16_368, 16_376, 16_384, 65_536, 1_048_576]) {
        const writer = new FrameWriter()
        const value = create(lengthBytes)
        const expected = encodeFrame(1, value)
        writer.writeFrame(1, value)
        const waits = writer.encode(1, value, false)
        new Uint8Array(value.value.buffer).fill(9)
        expect(Buffer.concat(writer.take()).equals(expected), String(lengthBytes)).toBe(true)
        expect(waits.lengthBytes).toBe(expected.length)
        writer.writeEncoded(waits)
        expect(Buffer.concat(writer.take()).equals(expected), `${lengthBytes}, after it waited`).toBe(true)
      }
    },
  )

  test.each(views)('%s that is transferred is sent from its own memory, and its view is detached', (_type, create) => {
    for (const lengthBytes of [0, 8, 16_384, 1_048_576]) {
      const writer = new FrameWriter()
      const value = create(lengthBytes)
      const expected = encodeFrame(1, value)
      expect(writer.writeFrame(1, value, true)).toBe(expected.length)
      expect([value.value.byteLength, value.value.buffer.byteLength]).toEqual([0, 0])
      const parts = writer.take()
      expect(Buffer.concat(parts).equals(expected)).toBe(true)
      if (lengthBytes >= largeFrameThresholdBytes) expect(parts.map(({ length }) => length)).toEqual([9, lengthBytes])
    }
  })

  test('share arenas of 512 KiB, each a buffer of the batch, which are reused once a later one is received', () => {
    const writer = new FrameWriter(new SpareMemory(1 << 22))
    const batches = Array.from({ length: 4 }, () => {
      for (let count = 0; count < 7; count++) writer.writeFrame(1, bytes(65_536))
      const batch = writer.take()
      expect(batch.map(({ length }) => length)).toEqual([7 * 65_545])
      return batch[0]!.buffer
    })
    expect(new Set(batches).size).toBe(4)
    writer.receivedFrom(batches[2]!)
    for (let count = 0; count < 7; count++) writer.writeFrame(1, bytes(65_536))
    expect(batches.slice(0, 2)).toContain(writer.take()[0]!.buffer)
  })

  test('that waited return their memory once they are in the batch', () => {
    const spares = new SpareMemory(1 << 22)
    const writer = new FrameWriter(spares)
    const frame = writer.encode(1, bytes(100_000), false)
    writer.writeEncoded(frame)
    expect(spares.take(100_000)?.buffer).toBe(frame.parts[0]!.buffer)
  })

  test('a view into a larger buffer is sent as exactly its own bytes', () => {
    const vector = new Uint32Array(10_000).map((_, index) => index).subarray(100, 9_000)
    const frame = encodeFrame(1, { type: 'VecRing32', value: vector })
    expect(frame).toHaveLength(9 + 4 * 8_900)
    expect(frame.readUInt32LE(9)).toBe(100)
    expect(frame.readUInt32LE(frame.length - 4)).toBe(8_999)
  })

  test('small values around large ones keep their place', () => {
    const writer = new FrameWriter()
    const values = [bytes(3, 1), bytes(20_000, 2), bytes(4, 3), bytes(20_001, 4), bytes(5, 5)]
    for (const [lane, value] of values.entries()) writer.writeFrame(lane, value)
    const parts = writer.take()
    expect(parts.map((part) => part.length)).toEqual([12, 20_009 + 13 + 20_010 + 14])
    expect(Buffer.concat(parts).equals(Buffer.concat(values.map((value, lane) => encodeFrame(lane, value))))).toBe(true)
  })

  test('a list longer than an arena is written whole', () => {
    const value: NetworkValue = {
      type: 'NetworkVec',
      value: Array.from({ length: 10 }, (_, index) => bytes(10_000, index)),
    }
    const frame = encodeFrame(5, value)
    expect(frame.subarray(4).equals(Buffer.from(encodeValue(value)))).toBe(true)
    expect(frame.length).toBeGreaterThan(maxArenaLengthBytes)
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
      for (let count = 0; count <= round % 4; count += 1)
        writer.writeFrame(round, bytes((round * 37) % 300, round % 251))
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
    expect(
      seen.every((part, index) => taken[index]?.buffer === part.buffer && taken[index]?.byteOffset === part.byteOffset),
    ).toBe(true)
    expect([writer.peek(), writer.pendingBytes]).toEqual([[], 0])
  })

  test('batches share arenas instead of allocating a buffer for each write, and arenas grow to 64 KiB', () => {
    const writer = new FrameWriter()
    const arenas = new Map<ArrayBufferLike, number>()
    for (let count = 0; count < 5_000; count += 1) {
      writer.writeFrame(1, bytes(100))
      for (const part of writer.take()) arenas.set(part.buffer, part.buffer.byteLength)
    }
    expect([...arenas.values()]).toEqual([
      4_096,
      8_192,
      16_384,
      32_768,
      ...Array.from({ length: 8 }, () => maxArenaLengthBytes),
    ])
  })

  test('comes with raw bytes in their place, copied below 16 KiB and kept above', () => {
    const writer = new FrameWriter()
    const hello = Uint8Array.of(1, 2, 3)
    expect(writer.writeRaw(hello)).toBe(3)
    hello.fill(9)
    writer.writeFrame(1, { type: 'RingElementBit', value: true })
    const long = new Uint8Array(largeFrameThresholdBytes)
    writer.writeRaw(long)
    expect([writer.pendingBytes, writer.pendingFrames]).toEqual([8 + largeFrameThresholdBytes, 1])
    const parts = writer.take()
    expect(parts.map((part) => part.length)).toEqual([8, largeFrameThresholdBytes])
    expect(parts[0]!.toString('hex')).toBe('0102030100000012')
    expect(parts[1]!.buffer).toBe(long.buffer)
    expect(writer.writeRaw(new Uint8Array(0))).toBe(0)
    expect(writer.take()).toEqual([])
  })
})

describe('a value that cannot be written', () => {
  /** Answers as a value of `seen` bytes when it is measured, and as another when it is written. */
  function changing(seen: number, written: number): NetworkValue {
    let reads = 0
    const [first, later] = [new Uint8Array(seen), new Uint8Array(written)]
    // The checks read it three times.
    return {
      type: 'VecRing16',
      get value() {
        return new Uint16Array((reads++ < 2 ? first : later).buffer)
      },
    } as NetworkValue
  }

  test.each([
    ['is longer when it is written', changing(100, 5_000)],
    ['is shorter when it is written', changing(5_000, 100)],
    ['is longer than its block when it is written', changing(20_000, 2_000_000)],
    [
      'throws when it is written',
      {
        type: 'Bytes',
        get value(): Uint8Array {
          throw new TypeError('a getter')
        },
      } as NetworkValue,
    ],
    ['is out of range', { type: 'RingElement16', value: 65_536 } as NetworkValue],
  ])('because it %s leaves the batch as it was', (_why, value) => {
    const writer = new FrameWriter()
    writer.writeFrame(1, bytes(3))
    expect(() => writer.writeFrame(1, value)).toThrow()
    expect([writer.pendingBytes, writer.pendingFrames]).toEqual([12, 1])
    writer.writeFrame(1, bytes(4))
    expect(
      Buffer.concat(writer.take()).equals(Buffer.concat([encodeFrame(1, bytes(3)), encodeFrame(1, bytes(4))])),
    ).toBe(true)
  })
})
