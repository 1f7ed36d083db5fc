/**
 * Owns: the proof that everything three Rust parties sent each other decodes, and encodes to the same bytes again.
 */
import { describe, expect, test } from 'vitest'
import {
  ControlFrameReader,
  defaultMaxMessageLengthBytes,
  encodeControlFrame,
  FrameReader,
  FrameWriter,
} from '../../codec/index.ts'
import { RecordingSink } from './harness.ts'
import { fromHex, fromNotation, toNotation, transcripts, type TranscriptFrame } from './vectors.ts'

const directions = transcripts.flatMap(({ name, control, links }) =>
  links.flatMap((link) =>
    (['dialer', 'acceptor'] as const).map((role) => ({
      title: `${name}, batch ${String(link.batch)}, connection ${String(link.connectionId)}, ${link.dialer} to ${link.acceptor}: ${role}`,
      control,
      stream: Buffer.from(fromHex(link[`${role}Bytes`]).subarray(link[`${role}HandshakeLength`])),
      frames: link[`${role}Frames`],
    })),
  ),
)

function encode(control: boolean, frames: TranscriptFrame[]): string {
  if (control) return Buffer.concat(frames.map(({ is }) => encodeControlFrame(fromNotation(is)))).toString('hex')
  const writer = new FrameWriter()
  for (const { session, is } of frames) writer.writeFrame(session!, fromNotation(is))
  return Buffer.concat(writer.take()).toString('hex')
}

describe('transcripts of the Rust stack', () => {
  test('the transcripts have 27 links in 4 scenarios, one of them a control channel', () => {
    expect(directions).toHaveLength(54)
    expect(transcripts.map(({ control }) => control)).toEqual([false, false, false, true])
    expect(directions.every(({ frames }) => frames.length > 0)).toBe(true)
  })

  test.each(directions)(
    '$title decodes to the listed frames in chunks of any size and encodes to the same bytes',
    ({ control, stream, frames }) => {
      for (const chunkLengthBytes of [1, 7, 64, stream.length]) {
        const sink = new RecordingSink()
        const reader = control
          ? new ControlFrameReader(sink)
          : new FrameReader({ maxMessageLengthBytes: defaultMaxMessageLengthBytes }, sink)
        for (let offset = 0; offset < stream.length; offset += chunkLengthBytes)
          reader.push(Buffer.from(stream.subarray(offset, offset + chunkLengthBytes)))
        reader.invariants()
        expect(reader.bufferedBytes).toBe(0)
        expect(sink.values.map(toNotation)).toEqual(frames.map(({ is }) => is))
        expect(sink.frames.map(({ lane }) => lane)).toEqual(frames.map(({ session }) => session ?? 0))
      }
      expect(encode(control, frames)).toBe(stream.toString('hex'))
    },
  )
})
