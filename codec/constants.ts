/**
 * Owns: the constant numbers of the wire format: descriptors, header lengths, element sizes.
 * Independent of: limits (they are configuration, see limits.ts) and how a body is read or written.
 */

/** The first byte of a value is its type. RingElementBit has two: its bit is in the descriptor. */
export const descriptors = {
  PrfKey: 0x01,
  RingElementBit0: 0x02,
  RingElement16: 0x03,
  RingElement32: 0x04,
  RingElement64: 0x05,
  VecRing16: 0x06,
  VecRing32: 0x07,
  VecRing64: 0x08,
  StateChecksum: 0x09,
  NetworkVec: 0x0a,
  PrfCheck: 0x0b,
  Bytes: 0x0c,
  RingElement48: 0x0d,
  VecRing48: 0x0e,
  VecRingBit: 0x0f,
  RingElementBit1: 0x12,
} as const
/** A MessagePack value: only in the native dialect. */
export const msgPackDescriptor = 0x20

/** session u32 LE + descriptor u8. */
export const frameHeaderLengthBytes = 5
/** The u32 byte length (or bit count) after the descriptor of a vector, list, or Bytes. */
export const lengthFieldLengthBytes = 4
/** Enough to refuse a declared length that is too long: session + descriptor + length. */
export const lengthPrefixedHeaderLengthBytes = frameHeaderLengthBytes + lengthFieldLengthBytes
/** u32 LE before a value on the control channel. */
export const controlHeaderLengthBytes = 4

export const prfKeyLengthBytes = 16
export const stateChecksumLengthBytes = 16
export const prfCheckLengthBytes = 16
export const ring48LengthBytes = 6

export const maxUint16 = 0xffff
export const maxUint32 = 0xffff_ffff
export const maxUint48 = 0xffff_ffff_ffff
export const maxUint64 = 0xffff_ffff_ffff_ffffn
export const maxUint128 = (1n << 128n) - 1n

/** "0x0c", as in documentation and error messages. */
export function describeDescriptor(descriptor: number): string {
  return `0x${descriptor.toString(16).padStart(2, '0')}`
}
