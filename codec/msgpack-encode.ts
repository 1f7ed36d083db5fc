/**
 * Owns: values -> MessagePack bytes.
 * Independent of: what may be sent (msgpack-measure.ts has checked the value), frames and lanes.
 *
 * Writes straight to where the frame is, so a value is copied once.
 */
import { scratchWords } from './byte-order.ts'
import { InvalidValueError } from './errors.ts'
import { isMsgPackInteger, measureMsgPack, timestampLength } from './msgpack-measure.ts'
import { utf8Length, writeUtf8 } from './utf8.ts'
import type { MsgPackData } from './values.ts'

const scratchDouble = new Float64Array(scratchWords.buffer)

/** Encodes a value in a buffer of its own. @throws as measureMsgPack */
export function encodeMsgPack(value: MsgPackData): Buffer {
  const bytes = Buffer.allocUnsafe(measureMsgPack(value).lengthBytes)
  if (writeMsgPack(value, bytes, 0) !== bytes.length) throw changed()
  return bytes
}

/**
 * Writes a value that measureMsgPack has accepted at `target[offset…]` and returns the offset after it.
 * @throws InvalidValueError if the value has changed since, and is of a type that cannot be written
 */
export function writeMsgPack(value: unknown, target: Uint8Array, offset: number): number {
  switch (typeof value) {
    case 'string':
      return writeText(value, target, offset)
    case 'number':
      return writeNumber(value, target, offset)
    case 'boolean':
      return writeHead(target, offset, value ? 0xc3 : 0xc2)
    case 'bigint':
      return writeWord(target, writeHead(target, offset, value < 0n ? 0xd3 : 0xcf), BigInt.asUintN(64, value))
    case 'object':
      return value === null ? writeHead(target, offset, 0xc0) : writeObject(value, target, offset)
    default:
      throw changed()
  }
}

function changed(): InvalidValueError {
  return new InvalidValueError('The value changed while it was being encoded.')
}

function writeNumber(value: number, target: Uint8Array, offset: number): number {
  if (!isMsgPackInteger(value)) {
    scratchDouble[0] = value
    return writeWord(target, writeHead(target, offset, 0xcb), scratchWords[0]!)
  }
  if (value >= 0) {
    if (value < 0x80) return writeHead(target, offset, value)
    if (value < 0x100) return writeInteger(target, writeHead(target, offset, 0xcc), value, 1)
    if (value < 0x1_0000) return writeInteger(target, writeHead(target, offset, 0xcd), value, 2)
    if (value < 0x1_0000_0000) return writeInteger(target, writeHead(target, offset, 0xce), value, 4)
  } else {
    if (value >= -0x20) return writeHead(target, offset, value)
    if (value >= -0x80) return writeInteger(target, writeHead(target, offset, 0xd0), value, 1)
    if (value >= -0x8000) return writeInteger(target, writeHead(target, offset, 0xd1), value, 2)
    if (value >= -0x8000_0000) return writeInteger(target, writeHead(target, offset, 0xd2), value, 4)
  }
  const low = value >>> 0
  const at = writeInteger(target, writeHead(target, offset, value < 0 ? 0xd3 : 0xcf), (value - low) / 0x1_0000_0000, 4)
  return writeInteger(target, at, low, 4)
}

function writeText(text: string, target: Uint8Array, offset: number): number {
  const lengthBytes = utf8Length(text)
  const at =
    lengthBytes < 0x20
      ? writeHead(target, offset, 0xa0 | lengthBytes)
      : writeLength(
          target,
          offset,
          lengthBytes < 0x100 ? 0xd9 : lengthBytes < 0x1_0000 ? 0xda : 0xdb,
          0xd9,
          lengthBytes,
        )
  return writeUtf8(text, target, at)
}

function writeObject(value: object, target: Uint8Array, offset: number): number {
  if (value instanceof Uint8Array) {
    const { length } = value
    const head = length < 0x100 ? 0xc4 : length < 0x1_0000 ? 0xc5 : 0xc6
    const at = writeLength(target, offset, head, 0xc4, length)
    if (at + length > target.length) throw changed()
    target.set(value, at)
    return at + length
  }
  if (value instanceof Date) return writeTimestamp(value, target, offset)
  if (Array.isArray(value)) {
    let at = writeContainer(target, offset, value.length, 0x90, 0xdc)
    for (let index = 0; index < value.length; index += 1) at = writeWithin(value[index], target, at)
    return at
  }
  const map = value as Record<string, unknown>
  const keys = Object.keys(map)
  let count = 0
  for (const key of keys) if (map[key] !== undefined) count += 1
  let at = writeContainer(target, offset, count, 0x80, 0xde)
  for (const key of keys) {
    const property = map[key]
    if (property !== undefined) at = writeWithin(property, target, writeText(key, target, at))
  }
  return at
}

/** A value that grew since it was measured, by a getter, must end. */
function writeWithin(value: unknown, target: Uint8Array, offset: number): number {
  if (offset >= target.length) throw changed()
  return writeMsgPack(value, target, offset)
}

function writeContainer(target: Uint8Array, offset: number, count: number, short: number, long: number): number {
  if (count < 0x10) return writeHead(target, offset, short | count)
  return count < 0x1_0000
    ? writeInteger(target, writeHead(target, offset, long), count, 2)
    : writeInteger(target, writeHead(target, offset, long + 1), count, 4)
}

function writeTimestamp(date: Date, target: Uint8Array, offset: number): number {
  const ms = date.getTime()
  const seconds = Math.floor(ms / 1000)
  const nanoseconds = (ms - seconds * 1000) * 1_000_000
  const low = seconds >>> 0
  const high = (seconds - low) / 0x1_0000_0000
  const lengthBytes = timestampLength(date)
  if (lengthBytes === 4) return writeInteger(target, writeInteger(target, offset, 0xd6ff, 2), low, 4)
  if (lengthBytes === 8) {
    // 30 bits of nanoseconds, then 34 bits of seconds.
    const at = writeInteger(target, writeInteger(target, offset, 0xd7ff, 2), (nanoseconds << 2) | high, 4)
    return writeInteger(target, at, low, 4)
  }
  const at = writeInteger(target, writeInteger(target, writeHead(target, offset, 0xc7), 0x0cff, 2), nanoseconds, 4)
  return writeInteger(target, writeInteger(target, at, high, 4), low, 4)
}

/** A head with a length field of 1, 2 or 4 bytes: the head that has one byte, and the two after it. */
function writeLength(target: Uint8Array, offset: number, head: number, oneByteHead: number, length: number): number {
  return writeInteger(target, writeHead(target, offset, head), length, 1 << (head - oneByteHead))
}

function writeHead(target: Uint8Array, offset: number, head: number): number {
  target[offset] = head
  return offset + 1
}

/** Writes the low bytes of a number, big-endian. */
function writeInteger(target: Uint8Array, offset: number, value: number, lengthBytes: number): number {
  for (let index = 0; index < lengthBytes; index += 1)
    target[offset + index] = value >>> (8 * (lengthBytes - 1 - index))
  return offset + lengthBytes
}

function writeWord(target: Uint8Array, offset: number, word: bigint): number {
  const low = Number(word & 0xffff_ffffn)
  return writeInteger(target, writeInteger(target, offset, Number(word >> 32n), 4), low, 4)
}
