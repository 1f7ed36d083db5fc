/**
 * Owns: the framing of the control channel in both directions: u32 LE length, then one value that fills it.
 * Independent of: what the values mean (barriers and their order belong to the protocol).
 */
import { controlHeaderLengthBytes } from './constants.ts'
import { encodedLength, writeCheckedValue, writeUint32 } from './encode-value.ts'
import { InvalidValueError, ProtocolError } from './errors.ts'
import { FrameAssembler, lengthNotKnownYet, type FrameSink } from './frame-assembler.ts'
import { bodyLength, readUint32 } from './frame-length.ts'
import { maxControlValueLengthBytes } from './limits.ts'
import type { NetworkValue } from './values.ts'

/**
 * Parses control frames from a byte stream and passes them to the sink with lane 0. Same interface as FrameReader.
 * @throws ProtocolError ERR_CONTROL_FRAME_LENGTH (0 or above 1,048,576, from 4 bytes), ERR_UNKNOWN_DESCRIPTOR, and
 *   ERR_CONTROL_FRAME_NOT_FILLED when the value is shorter or longer than the frame
 */
export class ControlFrameReader extends FrameAssembler {
  private readonly sink: FrameSink

  constructor(sink: FrameSink) {
    super()
    this.sink = sink
  }

  protected override measure(buffer: Buffer, start: number, end: number): number {
    if (end - start < controlHeaderLengthBytes) return lengthNotKnownYet
    const declared = readUint32(buffer, start)
    if (declared === 0 || declared > maxControlValueLengthBytes) {
      throw new ProtocolError(
        'ERR_CONTROL_FRAME_LENGTH',
        `A control frame declares ${String(declared)} bytes; 1 to ${String(maxControlValueLengthBytes)} are allowed.`,
      )
    }
    // Checked as early as possible, so that a wrong frame is refused without waiting for its end. A frame that ends
    // before the length of its value is known cannot be filled either.
    const valueStart = start + controlHeaderLengthBytes
    const received = Math.min(end - valueStart, declared)
    const length = bodyLength(buffer, valueStart, received)
    const isUnfilled = length === lengthNotKnownYet ? received === declared : length !== declared - 1
    if (isUnfilled) {
      const needs = length === lengthNotKnownYet ? 'more' : String(1 + length)
      throw new ProtocolError(
        'ERR_CONTROL_FRAME_NOT_FILLED',
        `A control frame declares ${String(declared)} bytes; its value needs ${needs}.`,
      )
    }
    return length === lengthNotKnownYet ? lengthNotKnownYet : controlHeaderLengthBytes + declared
  }

  protected override deliver(buffer: Buffer, start: number, end: number): boolean {
    const valueStart = start + controlHeaderLengthBytes
    return this.sink.onFrame(0, buffer[valueStart]!, buffer, valueStart + 1, end)
  }
}

/**
 * Encodes one control frame, length included, in a buffer of its own.
 * @throws InvalidValueError ERR_INVALID_VALUE, also when the value is longer than 1,048,576 bytes
 */
export function encodeControlFrame(value: NetworkValue): Buffer {
  const length = encodedLength(value)
  if (length > maxControlValueLengthBytes) {
    throw new InvalidValueError(
      `A value on the control channel may have at most ${String(maxControlValueLengthBytes)} bytes; this one has ` +
        `${String(length)}.`,
    )
  }
  const frame = Buffer.allocUnsafe(controlHeaderLengthBytes + length)
  writeCheckedValue(value, frame, writeUint32(frame, 0, length))
  return frame
}
