/**
 * Owns: the ampc dialect as a strategy: which handshake, which framings.
 * Refuses to know: links and sockets.
 */
import { ControlFrameReader, encodeControlFrame } from '../codec/control-frame-reader.ts'
import { FrameReader } from '../codec/frame-reader.ts'
import { AmpcAcceptorHandshake, AmpcDialerHandshake } from './ampc-handshake.ts'
import type { Dialect } from './dialect.ts'

export const ampcDialect: Dialect = {
  name: 'ampc',
  createDialerHandshake: (options) => new AmpcDialerHandshake(options),
  createAcceptorHandshake: () => new AmpcAcceptorHandshake(),
  sessions: (maxMessageLengthBytes) => ({
    name: 'sessions',
    createReader: (sink) => new FrameReader({ maxMessageLengthBytes }, sink),
    write: (writer, lane, value) => writer.writeFrame(lane, value),
  }),
  control: () => ({
    name: 'control',
    createReader: (sink) => new ControlFrameReader(sink),
    write: (writer, _lane, value) => {
      const bytes = encodeControlFrame(value)
      writer.writeRaw(bytes)
      return bytes.length
    },
  }),
}
