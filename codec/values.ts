/**
 * Owns: the TypeScript shape of every value that a session carries.
 * Independent of: bytes, frames, sessions.
 */

/** Two 64-bit digests of a party's state. */
export interface StateChecksum {
  irises: bigint
  graph: bigint
}

/**
 * `bits` bits, least significant first, in `packed` of ceil(bits / 8) bytes. Spare bits of the last byte are sent
 * unchanged.
 */
export interface PackedBits {
  bits: number
  packed: Uint8Array
}

/** Exactly 16 bytes. */
export interface PrfKeyValue {
  type: 'PrfKey'
  value: Uint8Array
}
export interface RingElementBitValue {
  type: 'RingElementBit'
  value: boolean
}
/** Integer, 0 … 2^16 - 1. */
export interface RingElement16Value {
  type: 'RingElement16'
  value: number
}
/** Integer, 0 … 2^32 - 1. */
export interface RingElement32Value {
  type: 'RingElement32'
  value: number
}
/** Integer, 0 … 2^48 - 1, exact in a `number`. */
export interface RingElement48Value {
  type: 'RingElement48'
  value: number
}
/** 0 … 2^64 - 1. */
export interface RingElement64Value {
  type: 'RingElement64'
  value: bigint
}
export interface VecRing16Value {
  type: 'VecRing16'
  value: Uint16Array
}
export interface VecRing32Value {
  type: 'VecRing32'
  value: Uint32Array
}
/**
 * Integers 0 … 2^48 - 1 in a Float64Array. There is no 48-bit typed array; a double holds 48 bits exactly, and unlike
 * `number[]` it is one allocation of known size (8 bytes per element).
 */
export interface VecRing48Value {
  type: 'VecRing48'
  value: Float64Array
}
export interface VecRing64Value {
  type: 'VecRing64'
  value: BigUint64Array
}
export interface VecRingBitValue {
  type: 'VecRingBit'
  value: PackedBits
}
export interface StateChecksumValue {
  type: 'StateChecksum'
  value: StateChecksum
}
/** 0 … 2^128 - 1. */
export interface PrfCheckValue {
  type: 'PrfCheck'
  value: bigint
}
export interface BytesValue {
  type: 'Bytes'
  value: Uint8Array
}
/**
 * A list of ring elements, ring vectors and Bytes. PrfKey, StateChecksum, PrfCheck, MsgPack and nested lists are not
 * allowed on the wire; the encoder rejects them with ERR_INVALID_VALUE.
 */
export interface NetworkVecValue {
  type: 'NetworkVec'
  value: NetworkVecElement[]
}

/** What a NetworkVec may hold. */
export type NetworkVecElement =
  | RingElementBitValue
  | RingElement16Value
  | RingElement32Value
  | RingElement48Value
  | RingElement64Value
  | VecRing16Value
  | VecRing32Value
  | VecRing48Value
  | VecRing64Value
  | VecRingBitValue
  | BytesValue

/**
 * What a MessagePack value holds. Arrives as it was sent, except: a `bigint` within ±2^53 arrives as a `number`, -0 as
 * 0, a Buffer as a Uint8Array, and properties that are `undefined` are left out.
 */
export type MsgPackData =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Date
  | readonly MsgPackData[]
  | { readonly [key: string]: MsgPackData | undefined }

/** Only in the native dialect. */
export interface MsgPackValue {
  type: 'MsgPack'
  value: MsgPackData
}

/** One value on a session. `type` is the name in the wire contract. */
export type NetworkValue =
  NetworkVecElement | PrfKeyValue | StateChecksumValue | PrfCheckValue | NetworkVecValue | MsgPackValue

/** The name of a value's type, as in the wire contract. */
export type NetworkValueType = NetworkValue['type']
