/**
 * Owns: values -> MessagePack bytes, with the library.
 * Independent of: what may be sent (msgpack-measure.ts has checked the value), frames and lanes.
 */
import { Encoder } from '@msgpack/msgpack'
import { InvalidValueError } from './errors.ts'
import { msgpackDepthMax } from './msgpack-limits.ts'
import { measureMsgPack } from './msgpack-measure.ts'
import type { MsgPackData } from './values.ts'

/** The encoder keeps its memory for the next value, but not the memory of a longer one than this: 64 KiB. */
export const keptEncoderLengthBytesMax = 64 * 1024

/** The depth is checked before. The library also counts the values inside the innermost container. */
const options = { ignoreUndefined: true, maxDepth: msgpackDepthMax + 1, useBigInt64: true } as const
let encoder = new Encoder(options)

/** Encodes a value in a buffer of its own. @throws as measureMsgPack */
export function encodeMsgPack(value: MsgPackData): Buffer {
  const bytes = Buffer.allocUnsafe(measureMsgPack(value).lengthBytes)
  if (writeMsgPack(value, bytes, 0) !== bytes.length) throw changed()
  return bytes
}

/**
 * Writes a value that measureMsgPack has accepted at `target[offset…]` and returns the offset after it.
 * @throws InvalidValueError if the value has changed since, and cannot be written
 */
export function writeMsgPack(value: unknown, target: Uint8Array, offset: number): number {
  const bytes = encoded(value)
  if (bytes.length > keptEncoderLengthBytesMax) encoder = new Encoder(options)
  if (bytes.length > target.length - offset) throw changed()
  target.set(bytes, offset)
  return offset + bytes.length
}

function encoded(value: unknown): Uint8Array {
  try {
    return encoder.encodeSharedRef(value)
  } catch (cause) {
    throw changed(cause)
  }
}

function changed(cause?: unknown): InvalidValueError {
  return new InvalidValueError('The value changed while it was being encoded.', { cause })
}
