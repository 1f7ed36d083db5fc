/**
 * Owns: the ampc dialect as a strategy: which handshake, which framings.
 * Refuses to know: links and sockets.
 */
import { ControlFrameReader, encodeControlFrame } from '../../codec/control-frame-reader.ts'
import { encodedLength } from '../../codec/encode-value.ts'
import { InvalidValueError } from '../../codec/errors.ts'
import { FrameReader } from '../../codec/frame-reader.ts'
import type { EncodedFrame } from '../../codec/frame-writer.ts'
import type { NetworkValue } from '../../codec/values.ts'
import { AmpcAcceptorHandshake, AmpcDialerHandshake } from './ampc-handshake.ts'
import type { Dialect } from '../dialect.ts'

/** Values with a length of their own; the reader's limit is for them, and counts what follows the length. */
const prefixLengthBytes = 5
const measured = new Set(['VecRing16', 'VecRing32', 'VecRing48', 'VecRing64', 'VecRingBit', 'NetworkVec'])

/** What the other side would refuse is not sent: it would cost the connection, and with it what others had under way. */
function checkLength(value: NetworkValue, maxLengthBytes: number): void {
  // Most values are short Bytes: one comparison. What is no value at all is the encoder's to name.
  const type = value?.type
  const lengthBytes =
    type === 'Bytes' ? value.value?.length : measured.has(type) ? encodedLength(value) - prefixLengthBytes : 0
  if (lengthBytes > maxLengthBytes)
    throw new InvalidValueError(
      `A value may have at most ${maxLengthBytes} bytes (maxMessageLengthBytes); this one has ${lengthBytes}.`,
    )
}

function controlFrame(value: NetworkValue): EncodedFrame {
  const frame = encodeControlFrame(value)
  return { parts: [frame], lengthBytes: frame.length, block: null }
}

export const ampcDialect: Dialect = {
  name: 'ampc',
  bothMayDial: false,
  createDialerHandshake: (options) => new AmpcDialerHandshake(options),
  createAcceptorHandshake: () => new AmpcAcceptorHandshake(),
  sessions: (maxMessageLengthBytes) => ({
    name: 'sessions',
    createReader: (sink) => new FrameReader({ maxMessageLengthBytes }, sink),
    write: (writer, lane, value, transfer) => {
      checkLength(value, maxMessageLengthBytes)
      return writer.writeFrame(lane, value, transfer)
    },
    encode: (writer, lane, value, transfer) => {
      checkLength(value, maxMessageLengthBytes)
      return writer.encode(lane, value, transfer)
    },
  }),
  control: () => ({
    name: 'control',
    createReader: (sink) => new ControlFrameReader(sink),
    write: (writer, _lane, value) => writer.writeEncoded(controlFrame(value)),
    encode: (_writer, _lane, value) => controlFrame(value),
  }),
}
