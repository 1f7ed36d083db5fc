/**
 * Owns: the length of a value's body, determined from as few bytes of it as possible.
 * Independent of: limits, what the body means, where the bytes came from.
 */
import { describeDescriptor, descriptors, lengthFieldLengthBytes } from './constants.ts'
import { ProtocolError } from './errors.ts'

/** Entries of {@link bodyKinds} up to this one are fixed body lengths in bytes. */
export const maxFixedBodyLengthBytes = 20
/** The body starts with a u32 byte length. */
export const bodyKindByteLength = 0xfd
/** The body starts with a u32 bit count. */
export const bodyKindBitCount = 0xfe
export const bodyKindUnknown = 0xff

/**
 * By descriptor: the fixed body length, or one of the kinds above. A table, because the reader needs it for every
 * frame.
 */
export const bodyKinds: Uint8Array = buildBodyKinds()

function buildBodyKinds(): Uint8Array {
  const kinds = new Uint8Array(256).fill(bodyKindUnknown)
  kinds[descriptors.PrfKey] = 16
  kinds[descriptors.RingElementBit0] = 0
  kinds[descriptors.RingElementBit1] = 0
  kinds[descriptors.RingElement16] = 2
  kinds[descriptors.RingElement32] = 4
  kinds[descriptors.RingElement48] = 6
  kinds[descriptors.RingElement64] = 8
  kinds[descriptors.StateChecksum] = 16
  kinds[descriptors.PrfCheck] = 16
  kinds[descriptors.VecRing16] = bodyKindByteLength
  kinds[descriptors.VecRing32] = bodyKindByteLength
  kinds[descriptors.VecRing48] = bodyKindByteLength
  kinds[descriptors.VecRing64] = bodyKindByteLength
  kinds[descriptors.NetworkVec] = bodyKindByteLength
  kinds[descriptors.Bytes] = bodyKindByteLength
  kinds[descriptors.VecRingBit] = bodyKindBitCount
  return kinds
}

/** Little-endian u32 at `offset`; four bytes must be available. */
export function readUint32(buffer: Uint8Array, offset: number): number {
  return (
    (buffer[offset]! | (buffer[offset + 1]! << 8) | (buffer[offset + 2]! << 16) | (buffer[offset + 3]! << 24)) >>> 0
  )
}

/**
 * Returns the number of body bytes that follow the descriptor at `buffer[descriptorOffset]`, length field included (a
 * VecRingBit of 9 bits: 4 + 2), or -1 if more bytes are needed to know it.
 *
 * `availableBytes` counts from the descriptor on, the descriptor included. No limit is applied here.
 * @throws ProtocolError ERR_UNKNOWN_DESCRIPTOR
 */
export function bodyLength(buffer: Uint8Array, descriptorOffset: number, availableBytes: number): number {
  if (availableBytes < 1) return -1
  const descriptor = buffer[descriptorOffset]!
  const kind = bodyKinds[descriptor]!
  if (kind <= maxFixedBodyLengthBytes) return kind
  if (kind === bodyKindUnknown) {
    throw new ProtocolError(
      'ERR_UNKNOWN_DESCRIPTOR',
      `The descriptor ${describeDescriptor(descriptor)} is not defined.`,
    )
  }
  if (availableBytes < 1 + lengthFieldLengthBytes) return -1
  const declared = readUint32(buffer, descriptorOffset + 1)
  // Not `(declared + 7) >> 3`: a bit count may be up to 2^32 - 1 and must not wrap.
  return lengthFieldLengthBytes + (kind === bodyKindBitCount ? Math.ceil(declared / 8) : declared)
}
