/**
 * Owns: which memory a frame reader uses: chunks are borrowed, and assembly memory is reused. Independent of: what
 * frames mean.
 */
import { expect, test } from 'vitest'
import { defaultMaxMessageLengthBytes, encodeFrame, FrameReader, SpareMemory } from '../../codec/index.ts'
import { NativeFrameReader } from '../../codec/native-frame-reader.ts'
import { RecordingSink, type SeenFrame } from './harness.ts'
import { fromHex, valueVectors } from './vectors.ts'

const vectorStream = Buffer.concat(
  valueVectors.valid.map(({ hex }, lane) => Buffer.concat([Buffer.of(lane, 0, 0, 0), fromHex(hex)])),
)
const expectedFrames: SeenFrame[] = valueVectors.valid.map(({ hex }, lane) => ({
  lane,
  descriptor: Number.parseInt(hex.slice(0, 2), 16),
  body: hex.slice(2),
}))

test('a chunk is borrowed: what is left of it after a stop, a throw or a call from the sink is a copy', () => {
  const sink = new RecordingSink()
  const reader = new FrameReader({ maxMessageLengthBytes: defaultMaxMessageLengthBytes }, sink)
  const lend = (start: number, end: number): void => {
    const chunk = Buffer.from(vectorStream.subarray(start, end))
    try {
      reader.push(chunk)
    } finally {
      chunk.fill(0xee)
    }
  }
  sink.after = (count) => {
    if (count === 2) lend(700, 900)
    if (count === 3) reader.stop()
    if (count === 5) throw new Error('sink')
  }
  lend(0, 700)
  lend(900, 1000)
  expect(() => reader.resume()).toThrow('sink')
  reader.invariants()
  lend(1000, vectorStream.length)
  expect(sink.frames).toEqual(expectedFrames)
})

test.each([
  { keeps: true, buffers: 2, sentence: 'a frame that spans chunks has memory of its own when the sink keeps it' },
  {
    keeps: false,
    buffers: 1,
    sentence: 'the memory of a frame that spans chunks is used again when the sink keeps nothing',
  },
])('$sentence', ({ keeps, buffers }) => {
  const seen = new Set<ArrayBufferLike>()
  const bodies: string[] = []
  const reader = new FrameReader(
    { maxMessageLengthBytes: 1 << 20 },
    {
      onFrame(_lane, _descriptor, buffer, bodyStart, bodyEnd) {
        seen.add(buffer.buffer)
        bodies.push(
          buffer
            .subarray(bodyStart + 4, bodyEnd)
            .toString('latin1')
            .slice(0, 1),
        )
        return !keeps
      },
    },
  )
  for (const letter of ['a', 'b']) {
    const frame = encodeFrame(1, { type: 'Bytes', value: Buffer.alloc(20_000, letter) })
    for (let cut = 0; cut < frame.length; cut += 9_000) reader.push(frame.subarray(cut, cut + 9_000))
    reader.invariants()
  }
  expect(bodies).toEqual(['a', 'b'])
  expect(seen.size).toBe(buffers)
})

test("frame readers that share spare memory reuse each other's", () => {
  const spares = new SpareMemory(1 << 20)
  const seen = new Set<ArrayBufferLike>()
  const frame = encodeFrame(1, { type: 'Bytes', value: Buffer.alloc(60_000, 'a') })
  for (let count = 0; count < 4; count++) {
    const reader = new NativeFrameReader(
      { maxMessageLengthBytes: 1 << 20, linkIndex: 0, spares },
      { onFrame: (_lane, _descriptor, { buffer }) => seen.add(buffer).size > 0 },
    )
    for (let cut = 0; cut < frame.length; cut += 20_000) {
      reader.push(frame.subarray(cut, cut + 20_000))
      reader.invariants()
    }
  }
  expect(seen.size).toBe(1)
})
