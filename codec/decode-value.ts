/**
 * Owns: body bytes -> NetworkValue, and every rule about what a body may be, for the values of both dialects (not
 * MsgPack: msgpack-decode.ts).
 * Independent of: frames, sessions, length limits (the reader has applied them before).
 *
 * Runs after the frame reader. Bytes and PrfKey are views into the given buffer; ring vectors are copied once, because
 * their elements are rarely aligned inside a frame.
 */
import type { ChunkViews } from './chunk-views.ts'
import { scratchHalves, scratchWords } from './byte-order.ts'
import { describeDescriptor, descriptors, lengthFieldLengthBytes, ring48LengthBytes } from './constants.ts'
import { ProtocolError } from './errors.ts'
import {
  bodyKindBitCount,
  bodyKinds,
  bodyKindUnknown,
  bodyLength,
  maxFixedBodyLengthBytes,
  readUint32,
} from './frame-length.ts'
import type { NetworkValue, NetworkVecElement, RingElementBitValue } from './values.ts'

// Frozen and shared: a list of 64 MiB of one-byte bits would otherwise become 64 Mi objects.
const bit0: RingElementBitValue = Object.freeze({ type: 'RingElementBit', value: false })
const bit1: RingElementBitValue = Object.freeze({ type: 'RingElementBit', value: true })

/**
 * A typed array of up to this many bytes lives on the V8 heap. Filling it element by element is faster than using its
 * ArrayBuffer, which moves it off the heap.
 */
const onHeapLengthBytes = 64

/**
 * Decodes the body `buffer[start, end)` of a value with this descriptor (which stands before `start`). The body must
 * have exactly that length. RingElementBit results are frozen and shared.
 * @param views passed by callers that cut the frame by its own length field; the length of Bytes is not checked again
 *   then
 * @throws ProtocolError ERR_UNKNOWN_DESCRIPTOR, ERR_VALUE_TRUNCATED, ERR_VALUE_TRAILING_BYTES,
 *   ERR_VECTOR_LENGTH_NOT_MULTIPLE, ERR_NETWORK_VEC_ELEMENT_NOT_ALLOWED, ERR_NETWORK_VEC_LENGTH_MISMATCH
 */
export function decodeBody(
  descriptor: number,
  buffer: Uint8Array,
  start: number,
  end: number,
  views?: ChunkViews,
): NetworkValue {
  if (views !== undefined && descriptor === descriptors.Bytes)
    return { type: 'Bytes', value: views.of(buffer as Buffer, start + lengthFieldLengthBytes, end) }
  checkLength(descriptor, buffer, start, end)
  const payload = start + lengthFieldLengthBytes
  switch (descriptor) {
    case descriptors.Bytes:
      return { type: 'Bytes', value: buffer.subarray(payload, end) }
    case descriptors.PrfKey:
      return { type: 'PrfKey', value: buffer.subarray(start, end) }
    case descriptors.RingElementBit0:
      return bit0
    case descriptors.RingElementBit1:
      return bit1
    case descriptors.RingElement16:
      return { type: 'RingElement16', value: readUint16(buffer, start) }
    case descriptors.RingElement32:
      return { type: 'RingElement32', value: readUint32(buffer, start) }
    case descriptors.RingElement48:
      return { type: 'RingElement48', value: readUint48(buffer, start) }
    case descriptors.RingElement64:
      return { type: 'RingElement64', value: readUint64(buffer, start) }
    case descriptors.StateChecksum:
      return {
        type: 'StateChecksum',
        value: { irises: readUint64(buffer, start), graph: readUint64(buffer, start + 8) },
      }
    case descriptors.PrfCheck:
      return { type: 'PrfCheck', value: readUint64(buffer, start) | (readUint64(buffer, start + 8) << 64n) }
    case descriptors.VecRing16:
      return { type: 'VecRing16', value: decodeVecRing16(buffer, payload, end) }
    case descriptors.VecRing32:
      return { type: 'VecRing32', value: decodeVecRing32(buffer, payload, end) }
    case descriptors.VecRing48:
      return { type: 'VecRing48', value: decodeVecRing48(buffer, payload, end) }
    case descriptors.VecRing64:
      return { type: 'VecRing64', value: decodeVecRing64(buffer, payload, end) }
    case descriptors.VecRingBit:
      return { type: 'VecRingBit', value: { bits: readUint32(buffer, start), packed: buffer.subarray(payload, end) } }
    default: // checkLength has refused everything that is not in the table, so this is NetworkVec.
      return { type: 'NetworkVec', value: decodeNetworkVec(buffer, payload, end) }
  }
}

/** Whether a decoded value refers to the buffer it was decoded from; all others are copies. */
export function isView(value: NetworkValue): boolean {
  return value.type === 'Bytes' || value.type === 'PrfKey' || value.type === 'VecRingBit' || value.type === 'NetworkVec'
}

/** Like `isView`, from the descriptor, before the value is decoded. */
export function isViewed(descriptor: number): boolean {
  return (
    descriptor === descriptors.Bytes ||
    descriptor === descriptors.PrfKey ||
    descriptor === descriptors.VecRingBit ||
    descriptor === descriptors.NetworkVec
  )
}

/**
 * Decodes a whole buffer that contains exactly one value, descriptor first.
 * @throws ProtocolError as {@link decodeBody}; ERR_VALUE_TRUNCATED for an empty buffer
 */
export function decodeValue(bytes: Uint8Array): NetworkValue {
  if (bytes.length === 0)
    throw new ProtocolError('ERR_VALUE_TRUNCATED', 'A value needs at least its descriptor; there are 0 bytes.')
  return decodeBody(bytes[0]!, bytes, 1, bytes.length)
}

function checkLength(descriptor: number, buffer: Uint8Array, start: number, end: number): void {
  const actual = end - start
  const kind = bodyKinds[descriptor] ?? bodyKindUnknown
  let expected = kind
  if (kind > maxFixedBodyLengthBytes) {
    if (kind === bodyKindUnknown) {
      throw new ProtocolError(
        'ERR_UNKNOWN_DESCRIPTOR',
        `The descriptor ${describeDescriptor(descriptor)} is not defined.`,
      )
    }
    expected = lengthFieldLengthBytes
    if (actual >= lengthFieldLengthBytes) {
      const declared = readUint32(buffer, start)
      expected += kind === bodyKindBitCount ? Math.ceil(declared / 8) : declared
    }
  }
  if (actual === expected) return
  const sizes = `The body of ${describeDescriptor(descriptor)} needs ${expected} bytes; there are ${actual}.`
  throw actual < expected
    ? new ProtocolError('ERR_VALUE_TRUNCATED', sizes)
    : new ProtocolError('ERR_VALUE_TRAILING_BYTES', sizes)
}

function readUint16(buffer: Uint8Array, offset: number): number {
  return buffer[offset]! | (buffer[offset + 1]! << 8)
}

function readUint48(buffer: Uint8Array, offset: number): number {
  return readUint32(buffer, offset) + readUint16(buffer, offset + 4) * 0x1_0000_0000
}

function readUint64(buffer: Uint8Array, offset: number): bigint {
  scratchHalves[0] = readUint32(buffer, offset)
  scratchHalves[1] = readUint32(buffer, offset + 4)
  return scratchWords[0]!
}

/** Number of elements between two offsets. */
function elementCount(start: number, end: number, elementLengthBytes: number): number {
  const count = (end - start) / elementLengthBytes
  if (!Number.isInteger(count)) {
    throw new ProtocolError(
      'ERR_VECTOR_LENGTH_NOT_MULTIPLE',
      `A vector of ${String(elementLengthBytes)}-byte elements has a byte length of ${String(end - start)}.`,
    )
  }
  return count
}

// One function per element type instead of a parameter keeps element accesses monomorphic.
function decodeVecRing16(buffer: Uint8Array, start: number, end: number): Uint16Array {
  const vector = new Uint16Array(elementCount(start, end, 2))
  if (end - start > onHeapLengthBytes) copyInto(vector, buffer, start, end)
  else
    for (let index = 0, offset = start; offset < end; index += 1, offset += 2)
      vector[index] = readUint16(buffer, offset)
  return vector
}

function decodeVecRing32(buffer: Uint8Array, start: number, end: number): Uint32Array {
  const vector = new Uint32Array(elementCount(start, end, 4))
  if (end - start > onHeapLengthBytes) copyInto(vector, buffer, start, end)
  else
    for (let index = 0, offset = start; offset < end; index += 1, offset += 4)
      vector[index] = readUint32(buffer, offset)
  return vector
}

function decodeVecRing64(buffer: Uint8Array, start: number, end: number): BigUint64Array {
  const vector = new BigUint64Array(elementCount(start, end, 8))
  if (end - start > onHeapLengthBytes) copyInto(vector, buffer, start, end)
  else
    for (let index = 0, offset = start; offset < end; index += 1, offset += 8)
      vector[index] = readUint64(buffer, offset)
  return vector
}

function decodeVecRing48(buffer: Uint8Array, start: number, end: number): Float64Array {
  const vector = new Float64Array(elementCount(start, end, ring48LengthBytes))
  for (let index = 0, offset = start; offset < end; index += 1, offset += ring48LengthBytes)
    vector[index] = readUint48(buffer, offset)
  return vector
}

/** The one memory copy of a vector. Wire order is host order: see byte-order.ts. */
function copyInto(
  vector: Uint16Array | Uint32Array | BigUint64Array,
  buffer: Uint8Array,
  start: number,
  end: number,
): void {
  new Uint8Array(vector.buffer).set(new Uint8Array(buffer.buffer, buffer.byteOffset + start, end - start))
}

function decodeNetworkVec(buffer: Uint8Array, start: number, end: number): NetworkVecElement[] {
  const values: NetworkVecElement[] = []
  for (let offset = start; offset < end;) {
    const descriptor = buffer[offset]!
    const length = bodyLength(buffer, offset, end - offset)
    if (!isAllowedInNetworkVec(descriptor)) {
      throw new ProtocolError(
        'ERR_NETWORK_VEC_ELEMENT_NOT_ALLOWED',
        `A NetworkVec must not hold a value with the descriptor ${describeDescriptor(descriptor)}.`,
      )
    }
    const bodyStart = offset + 1
    if (length < 0 || length > end - bodyStart) {
      throw new ProtocolError(
        'ERR_NETWORK_VEC_LENGTH_MISMATCH',
        `The value at offset ${String(offset - start)} of a NetworkVec of ${String(end - start)} bytes does not ` +
          'fit into it.',
      )
    }
    offset = bodyStart + length
    values.push(decodeBody(descriptor, buffer, bodyStart, offset) as NetworkVecElement)
  }
  return values
}

/** Ring elements, ring vectors and Bytes: 0x02–0x08, 0x0c–0x0f and 0x12. */
export function isAllowedInNetworkVec(descriptor: number): boolean {
  return (
    (descriptor >= descriptors.RingElementBit0 && descriptor <= descriptors.VecRing64) ||
    (descriptor >= descriptors.Bytes && descriptor <= descriptors.VecRingBit) ||
    descriptor === descriptors.RingElementBit1
  )
}
