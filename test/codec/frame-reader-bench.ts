/**
 * Owns: what the tests of the session frame reader share: a reader with a recording sink, and the frames of the
 * vectors.
 * Independent of: what is expected of the reader.
 */
import { defaultMaxMessageLengthBytes, FrameReader } from '../../codec/index.ts'
import { RecordingSink, type SeenFrame } from './harness.ts'
import { fromHex, valueVectors } from './vectors.ts'

/** A frame reader, and the sink that records its frames. */
export function createReader(maxMessageLengthBytes = defaultMaxMessageLengthBytes): {
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

/** Every frame of the vectors, each on a lane of its own. */
export const vectorFrames = valueVectors.valid.map(({ hex }, lane) => frameOf(lane * 20_000_003, hex))
export const vectorStream = Buffer.concat(vectorFrames)
export const expectedFrames: SeenFrame[] = valueVectors.valid.map(({ hex }, lane) => ({
  lane: lane * 20_000_003,
  descriptor: Number.parseInt(hex.slice(0, 2), 16),
  body: hex.slice(2),
}))

export function pushInChunks(reader: FrameReader, stream: Buffer, chunkLengthBytes: number): void {
  for (let offset = 0; offset < stream.length; offset += chunkLengthBytes) {
    const chunk = Buffer.from(stream.subarray(offset, offset + chunkLengthBytes))
    reader.push(chunk)
    reader.invariants()
    // The reader may only borrow the chunk.
    chunk.fill(0xee)
  }
}
