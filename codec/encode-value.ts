/**
 * Owns: NetworkValue -> bytes, and the checks of values from the application.
 * Independent of: frames, sessions, length limits.
 *
 * Runs before the frame writer. Every field is checked before the first byte is written, so an invalid value never
 * leaves half a frame.
 */
import { scratchBytes, scratchWords } from './byte-order.ts'
import {
  descriptors,
  lengthFieldLengthBytes,
  maxUint16,
  maxUint32,
  maxUint48,
  maxUint64,
  maxUint128,
  msgPackDescriptor,
  prfCheckLengthBytes,
  prfKeyLengthBytes,
  ring48LengthBytes,
  stateChecksumLengthBytes,
} from './constants.ts'
import { InvalidValueError } from './errors.ts'
import { formatValue } from './format-value.ts'
import { writeMsgPack } from './msgpack-encode.ts'
import { measureMsgPack } from './msgpack-measure.ts'
import type { NetworkValue, NetworkValueType } from './values.ts'

const prefixLengthBytes = 1 + lengthFieldLengthBytes
const noBytes = new Uint8Array(0)

/** A record, so that the compiler requires every type. Used in the message about an unknown name. */
const knownTypes: Record<NetworkValueType, true> = {
  Bytes: true,
  MsgPack: true,
  NetworkVec: true,
  RingElementBit: true,
  RingElement16: true,
  RingElement32: true,
  RingElement48: true,
  RingElement64: true,
  VecRingBit: true,
  VecRing16: true,
  VecRing32: true,
  VecRing48: true,
  VecRing64: true,
  PrfKey: true,
  PrfCheck: true,
  StateChecksum: true,
}
const typeNames = Object.keys(knownTypes).join(', ')

/**
 * Returns the length in bytes of the encoded value: descriptor + body, without session id. Checks every field.
 * @throws InvalidValueError ERR_INVALID_VALUE, which names the wrong field
 */
export function encodedLength(value: NetworkValue): number {
  // JavaScript callers can pass anything, and `undefined.type` would be an unhelpful TypeError.
  requireObject(value, 'value')
  switch (value.type) {
    case 'Bytes':
      requireBytes(value.value, 'Bytes.value')
      return lengthPrefixed(attachedLength(value.value, 'Bytes'), 'Bytes')
    case 'PrfKey':
      requireBytes(value.value, 'PrfKey.value')
      if (value.value.length !== prfKeyLengthBytes)
        throw new InvalidValueError(`PrfKey.value must have 16 bytes; it has ${String(value.value.length)}.`)
      return 1 + prfKeyLengthBytes
    case 'RingElementBit':
      requireBoolean(value.value, 'RingElementBit.value')
      return 1
    case 'RingElement16':
      requireInteger(value.value, maxUint16, 'RingElement16.value')
      return 1 + 2
    case 'RingElement32':
      requireInteger(value.value, maxUint32, 'RingElement32.value')
      return 1 + 4
    case 'RingElement48':
      requireInteger(value.value, maxUint48, 'RingElement48.value')
      return 1 + ring48LengthBytes
    case 'RingElement64':
      requireBigInt(value.value, maxUint64, 'RingElement64.value')
      return 1 + 8
    case 'StateChecksum':
      requireObject(value.value, 'StateChecksum.value')
      requireBigInt(value.value.irises, maxUint64, 'StateChecksum.value.irises')
      requireBigInt(value.value.graph, maxUint64, 'StateChecksum.value.graph')
      return 1 + stateChecksumLengthBytes
    case 'PrfCheck':
      requireBigInt(value.value, maxUint128, 'PrfCheck.value')
      return 1 + prfCheckLengthBytes
    case 'VecRing16':
      if (!(value.value instanceof Uint16Array)) throw wrongType('VecRing16.value', 'a Uint16Array', value.value)
      return lengthPrefixed(attachedLength(value.value, 'VecRing16'), 'VecRing16')
    case 'VecRing32':
      if (!(value.value instanceof Uint32Array)) throw wrongType('VecRing32.value', 'a Uint32Array', value.value)
      return lengthPrefixed(attachedLength(value.value, 'VecRing32'), 'VecRing32')
    case 'VecRing64':
      if (!(value.value instanceof BigUint64Array)) throw wrongType('VecRing64.value', 'a BigUint64Array', value.value)
      return lengthPrefixed(attachedLength(value.value, 'VecRing64'), 'VecRing64')
    case 'VecRing48':
      requireVecRing48(value.value)
      attachedLength(value.value, 'VecRing48')
      return lengthPrefixed(value.value.length * ring48LengthBytes, 'VecRing48')
    case 'VecRingBit':
      requireObject(value.value, 'VecRingBit.value')
      return requirePackedBits(value.value.bits, value.value.packed)
    case 'NetworkVec':
      return lengthPrefixed(requireList(value.value), 'NetworkVec')
    case 'MsgPack':
      return lengthPrefixed(measureMsgPack(value.value).lengthBytes, 'MsgPack')
    default:
      throw new InvalidValueError(
        `type must be the name of a network value (${typeNames}); it is ` +
          `${formatValue((value as { type: unknown }).type)}.`,
      )
  }
}

/**
 * Checks `value`, writes it at `target[offset…]` and returns the offset after it. The target must have room for {@link
 * encodedLength} bytes.
 * @throws as encodedLength, before anything is written
 */
export function writeValue(value: NetworkValue, target: Uint8Array, offset: number): number {
  encodedLength(value)
  return writeCheckedValue(value, target, offset)
}

/**
 * Encodes a value, descriptor + body, in a buffer of its own.
 * @throws as {@link encodedLength}
 */
export function encodeValue(value: NetworkValue): Uint8Array {
  const bytes = Buffer.allocUnsafe(encodedLength(value))
  writeCheckedValue(value, bytes, 0)
  return bytes
}

/**
 * A checked value, descriptor + body, in two parts. Bytes and vectors are not copied: the second part is their memory.
 */
export function partsOfValue(value: NetworkValue): readonly [head: Uint8Array, payload: Uint8Array] {
  switch (value.type) {
    case 'Bytes':
      return headed(descriptors.Bytes, value.value.length, value.value)
    case 'VecRing16':
      return headed(descriptors.VecRing16, value.value.byteLength, bytesOf(value.value))
    case 'VecRing32':
      return headed(descriptors.VecRing32, value.value.byteLength, bytesOf(value.value))
    case 'VecRing64':
      return headed(descriptors.VecRing64, value.value.byteLength, bytesOf(value.value))
    case 'VecRingBit':
      return headed(descriptors.VecRingBit, value.value.bits, value.value.packed)
    default:
      return [noBytes, encodeValue(value)]
  }
}

function headed(descriptor: number, lengthField: number, payload: Uint8Array): readonly [Uint8Array, Uint8Array] {
  const head = new Uint8Array(prefixLengthBytes)
  head[0] = descriptor
  writeUint32(head, 1, lengthField)
  return [head, payload]
}

/** Like {@link writeValue}, for callers that have just called encodedLength on the same value. Checks nothing. */
export function writeCheckedValue(value: NetworkValue, target: Uint8Array, offset: number): number {
  switch (value.type) {
    case 'Bytes':
      return writeLengthPrefixed(descriptors.Bytes, value.value.length, value.value, target, offset)
    case 'PrfKey':
      target[offset] = descriptors.PrfKey
      target.set(value.value, offset + 1)
      return offset + 1 + prfKeyLengthBytes
    case 'RingElementBit':
      target[offset] = value.value ? descriptors.RingElementBit1 : descriptors.RingElementBit0
      return offset + 1
    case 'RingElement16':
      target[offset] = descriptors.RingElement16
      target[offset + 1] = value.value
      target[offset + 2] = value.value >>> 8
      return offset + 3
    case 'RingElement32':
      target[offset] = descriptors.RingElement32
      return writeUint32(target, offset + 1, value.value)
    case 'RingElement48':
      target[offset] = descriptors.RingElement48
      return writeUint48(target, offset + 1, value.value)
    case 'RingElement64':
      target[offset] = descriptors.RingElement64
      return writeUint64s(target, offset + 1, value.value, 0n, 8)
    case 'StateChecksum':
      target[offset] = descriptors.StateChecksum
      return writeUint64s(target, offset + 1, value.value.irises, value.value.graph, 16)
    case 'PrfCheck':
      target[offset] = descriptors.PrfCheck
      return writeUint64s(target, offset + 1, value.value & maxUint64, value.value >> 64n, 16)
    case 'VecRing16':
      return writeLengthPrefixed(descriptors.VecRing16, value.value.byteLength, bytesOf(value.value), target, offset)
    case 'VecRing32':
      return writeLengthPrefixed(descriptors.VecRing32, value.value.byteLength, bytesOf(value.value), target, offset)
    case 'VecRing64':
      return writeLengthPrefixed(descriptors.VecRing64, value.value.byteLength, bytesOf(value.value), target, offset)
    case 'VecRing48':
      return writeVecRing48(value.value, target, offset)
    case 'VecRingBit':
      return writeLengthPrefixed(descriptors.VecRingBit, value.value.bits, value.value.packed, target, offset)
    case 'NetworkVec': {
      let end = offset + prefixLengthBytes
      for (const element of value.value) end = writeCheckedValue(element, target, end)
      target[offset] = descriptors.NetworkVec
      writeUint32(target, offset + 1, end - offset - prefixLengthBytes)
      return end
    }
    case 'MsgPack': {
      const end = writeMsgPack(value.value, target, offset + prefixLengthBytes)
      target[offset] = msgPackDescriptor
      writeUint32(target, offset + 1, end - offset - prefixLengthBytes)
      return end
    }
  }
}

/** Writes a little-endian u32 and returns the offset after it. */
export function writeUint32(target: Uint8Array, offset: number, value: number): number {
  target[offset] = value
  target[offset + 1] = value >>> 8
  target[offset + 2] = value >>> 16
  target[offset + 3] = value >>> 24
  return offset + 4
}

/** The memory of a typed array as bytes, without a copy. Wire order is host order: see byte-order.ts. */
export function bytesOf(vector: Uint16Array | Uint32Array | BigUint64Array): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)
}

function writeUint48(target: Uint8Array, offset: number, value: number): number {
  // `>>> 0` takes the low 32 bits of any integer in a double; the rest is exact after the division.
  const low = value >>> 0
  const high = (value - low) / 0x1_0000_0000
  writeUint32(target, offset, low)
  target[offset + 4] = high
  target[offset + 5] = high >>> 8
  return offset + ring48LengthBytes
}

function writeUint64s(target: Uint8Array, offset: number, first: bigint, second: bigint, lengthBytes: 8 | 16): number {
  scratchWords[0] = first
  scratchWords[1] = second
  // A loop: `set` with a view of 8 or 16 bytes is no faster, and would allocate the view.
  for (let index = 0; index < lengthBytes; index += 1) target[offset + index] = scratchBytes[index]!
  return offset + lengthBytes
}

function writeLengthPrefixed(
  descriptor: number,
  lengthField: number,
  payload: Uint8Array,
  target: Uint8Array,
  offset: number,
): number {
  target[offset] = descriptor
  writeUint32(target, offset + 1, lengthField)
  target.set(payload, offset + prefixLengthBytes)
  return offset + prefixLengthBytes + payload.length
}

function writeVecRing48(vector: Float64Array, target: Uint8Array, offset: number): number {
  target[offset] = descriptors.VecRing48
  let end = writeUint32(target, offset + 1, vector.length * ring48LengthBytes)
  for (let index = 0; index < vector.length; index += 1) end = writeUint48(target, end, vector[index]!)
  return end
}

// ---- checks -----------------------------------------------------------------------------------------------------

const notInLists: ReadonlySet<NetworkValueType> = new Set([
  'NetworkVec',
  'PrfKey',
  'StateChecksum',
  'PrfCheck',
  'MsgPack',
])

function requireList(list: NetworkValue[]): number {
  if (!Array.isArray(list)) throw wrongType('NetworkVec.value', 'an array', list)
  let totalBytes = 0
  for (let index = 0; index < list.length; index += 1) {
    const element = list[index]!
    requireObject(element, `NetworkVec.value[${String(index)}]`)
    if (notInLists.has(element.type))
      throw new InvalidValueError(`NetworkVec.value[${String(index)}] must not be a ${element.type}.`)
    try {
      totalBytes += encodedLength(element)
    } catch (error) {
      if (!(error instanceof InvalidValueError)) throw error
      throw new InvalidValueError(`NetworkVec.value[${String(index)}]: ${error.message}`, { cause: error })
    }
  }
  return totalBytes
}

function requirePackedBits(bits: number, packed: Uint8Array): number {
  requireInteger(bits, maxUint32, 'VecRingBit.value.bits')
  requireBytes(packed, 'VecRingBit.value.packed')
  const needed = Math.ceil(bits / 8)
  if (packed.length !== needed) {
    throw new InvalidValueError(
      `VecRingBit.value.packed must have ${String(needed)} bytes for ${String(bits)} bits; it has ` +
        `${String(packed.length)}.`,
    )
  }
  return prefixLengthBytes + needed
}

function requireVecRing48(vector: Float64Array): void {
  if (!(vector instanceof Float64Array)) throw wrongType('VecRing48.value', 'a Float64Array', vector)
  for (let index = 0; index < vector.length; index += 1) {
    const element = vector[index]!
    if (!(element >= 0 && element <= maxUint48 && Math.floor(element) === element)) {
      throw new InvalidValueError(
        `VecRing48.value[${String(index)}] must be an integer from 0 to ${String(maxUint48)}; it is ` +
          `${String(element)}.`,
      )
    }
  }
}

function requireInteger(value: number, max: number, field: string): void {
  if (!(Number.isInteger(value) && value >= 0 && value <= max)) {
    throw new InvalidValueError(`${field} must be an integer from 0 to ${String(max)}; it is ${describe(value)}.`)
  }
}

function requireBigInt(value: bigint, max: bigint, field: string): void {
  if (!(typeof value === 'bigint' && value >= 0n && value <= max)) {
    throw new InvalidValueError(`${field} must be a bigint from 0 to ${String(max)}; it is ${describe(value)}.`)
  }
}

function requireBoolean(value: unknown, field: string): void {
  if (typeof value !== 'boolean') throw wrongType(field, 'a boolean', value)
}

function requireBytes(value: Uint8Array, field: string): void {
  if (!(value instanceof Uint8Array)) throw wrongType(field, 'a Uint8Array', value)
}

function requireObject(value: object, field: string): void {
  if (typeof value !== 'object' || (value as object | null) === null) throw wrongType(field, 'an object', value)
}

/**
 * The length of a view in bytes.
 * @throws InvalidValueError for a detached view, which would be sent as an empty value
 */
function attachedLength(view: ArrayBufferView, type: NetworkValueType): number {
  const lengthBytes = view.byteLength
  if (lengthBytes > 0) return lengthBytes
  try {
    // Throws for memory that is detached. Node 20 does not have `buffer.detached`.
    return new Uint8Array(view.buffer, 0, 0).length
  } catch (cause) {
    const message = `${type}.value is detached: its memory was transferred, or is WebAssembly memory that has grown.`
    throw new InvalidValueError(message, { cause })
  }
}

function lengthPrefixed(payloadLengthBytes: number, type: NetworkValueType): number {
  if (payloadLengthBytes > maxUint32) {
    throw new InvalidValueError(
      `${type}.value is ${String(payloadLengthBytes)} bytes long; the length field holds at most ${String(maxUint32)}.`,
    )
  }
  return prefixLengthBytes + payloadLengthBytes
}

function wrongType(field: string, expected: string, value: unknown): InvalidValueError {
  return new InvalidValueError(`${field} must be ${expected}; it is ${describe(value)}.`)
}

/** For messages: shows numbers as they are and anything else by its type only, so that no payload gets into a log. */
function describe(value: unknown): string {
  if (typeof value === 'number') return String(value)
  if (typeof value === 'bigint') return 'a bigint out of range'
  return value === null ? 'null' : `of type ${typeof value}`
}
