/**
 * Owns: the ampc dialect as a strategy: which handshake, which framings.
 * Independent of: links and sockets.
 */
import { ControlFrameReader, encodeControlFrame } from '../../codec/control-frame-reader.ts'
import { encodedLength } from '../../codec/encode-value.ts'
import { InvalidValueError, StatewireError } from '../../codec/errors.ts'
import { FrameReader } from '../../codec/frame-reader.ts'
import type { EncodedFrame } from '../../codec/frame-writer.ts'
import type { NetworkValue } from '../../codec/values.ts'
import { AmpcAcceptorHandshake, AmpcDialerHandshake } from './ampc-handshake.ts'
import type { Dialect } from '../dialect.ts'

/** Types with a length field. The reader's limit applies to them and counts what follows the length field. */
const prefixLengthBytes = 5
const measured = new Set(['VecRing16', 'VecRing32', 'VecRing48', 'VecRing64', 'VecRingBit', 'NetworkVec'])

/**
 * A value that the other side would refuse is not sent: the refusal would end the connection for all of its sessions.
 */
function checkValue(value: NetworkValue, maxLengthBytes: number): void {
  // Most values are short Bytes: one comparison. The encoder reports what is not a value.
  const type = value?.type
  if (type === 'MsgPack')
    throw new StatewireError(
      'ERR_DIALECT_UNSUPPORTED',
      'The ampc dialect has no MsgPack values. Send Bytes, or use the native dialect.',
    )
  const lengthBytes =
    type === 'Bytes' ? value.value?.length : measured.has(type) ? encodedLength(value) - prefixLengthBytes : 0
  if (lengthBytes > maxLengthBytes)
    throw new InvalidValueError(
      `A value may have at most ${maxLengthBytes} bytes (maxMessageLengthBytes); this one has ${lengthBytes}.`,
    )
}

function controlFrame(value: NetworkValue): EncodedFrame {
  checkValue(value, Infinity)
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
      checkValue(value, maxMessageLengthBytes)
      return writer.writeFrame(lane, value, transfer)
    },
    encode: (writer, lane, value, transfer) => {
      checkValue(value, maxMessageLengthBytes)
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
