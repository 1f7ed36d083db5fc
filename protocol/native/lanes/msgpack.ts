/**
 * Owns: MessagePack values in both directions: the findings of the MessagePack scan as errors, which 64-bit integers
 * become `bigint`, and the check of what an application passes in, so that nothing arrives as something else.
 * Independent of: frames and lanes; and how MessagePack is written, which is the library's part.
 *
 * Here and not in codec/, which imports nothing: this file is the one place that imports the library.
 */
import { Decoder, Encoder } from '@msgpack/msgpack'
import { InvalidValueError, ProtocolError, type ErrorCode } from '../../../codec/errors.ts'
import { msgpackDepthMax, scanMsgPack, type MsgPackRule } from '../../../codec/msgpack-scan.ts'

/**
 * What a MessagePack value is in TypeScript. A `bigint` within ±2^53 arrives as a `number`; -0 as 0; a Buffer as a
 * Uint8Array.
 */
export type MsgPackValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Date
  | readonly MsgPackValue[]
  | { readonly [key: string]: MsgPackValue | undefined }

const exactIntegerMax = 2n ** 53n
const uint64Max = 2n ** 64n - 1n
const int64Min = -(2n ** 63n)

const codes: Readonly<Record<MsgPackRule, { code: ErrorCode; what: string }>> = {
  truncated: { code: 'ERR_MSGPACK_TRUNCATED', what: 'ends before it is complete' },
  'trailing-bytes': { code: 'ERR_MSGPACK_TRAILING_BYTES', what: 'has bytes left over behind it' },
  depth: { code: 'ERR_MSGPACK_DEPTH', what: `has a container inside ${msgpackDepthMax} containers` },
  length: {
    code: 'ERR_MSGPACK_LENGTH',
    what: 'has a container that declares more than the bytes that remain can hold',
  },
  ext: { code: 'ERR_MSGPACK_EXT', what: 'has an extension that is no timestamp of 4, 8 or 12 bytes' },
  reserved: { code: 'ERR_MSGPACK_RESERVED', what: 'holds the reserved byte c1' },
  'key-type': { code: 'ERR_MSGPACK_KEY_TYPE', what: 'has a key that is not a string' },
  'key-forbidden': { code: 'ERR_MSGPACK_KEY_FORBIDDEN', what: 'has a key that is __proto__, constructor or prototype' },
}

/**
 * Checked again after decoding: the library accepts over-long UTF-8 (c1 9f for "_"), so a key can become text that its
 * bytes do not contain.
 */
function checkKey(key: unknown): string {
  if (typeof key !== 'string')
    throw new ProtocolError('ERR_MSGPACK_KEY_TYPE', 'A key of a MessagePack map is not a string.')
  if (isForbiddenKey(key))
    throw new ProtocolError(
      'ERR_MSGPACK_KEY_FORBIDDEN',
      `A key of a MessagePack map is ${key}, written in over-long UTF-8.`,
    )
  return key
}

function isForbiddenKey(key: string): boolean {
  return key === '__proto__' || key === 'constructor' || key === 'prototype'
}

const decoderOfNumbers = new Decoder({ mapKeyConverter: checkKey, useBigInt64: false })
const decoderOfBigInts = new Decoder({ mapKeyConverter: checkKey, useBigInt64: true })
// The depth is checked before. The library also counts the values inside the innermost container.
const encoderOfNumbers = new Encoder({ ignoreUndefined: true, maxDepth: msgpackDepthMax + 1, useBigInt64: false })
const encoderOfBigInts = new Encoder({ ignoreUndefined: true, maxDepth: msgpackDepthMax + 1, useBigInt64: true })

/**
 * Decodes `buffer[start, end)`, which is exactly one value. Binary data inside are views of it. Throws ProtocolError
 * with one of the codes ERR_MSGPACK_…; a value that is refused ends its lane, not the connection.
 */
export function decodeMsgPack(buffer: Uint8Array, start: number, end: number): MsgPackValue {
  const scan = scanMsgPack(buffer, start, end)
  if (scan.fault !== null) {
    const { code, what } = codes[scan.fault.rule]
    throw new ProtocolError(code, `A MessagePack value of ${end - start} bytes ${what}, at byte ${scan.fault.offset}.`)
  }
  const bytes = buffer.subarray(start, end)
  // Numbers are exact up to 2^53, and the library decodes all 64-bit integers of a value alike: the second pass over
  // the result is needed only if both kinds occur.
  if (scan.wideIntegers === 'none' || scan.wideIntegers === 'small')
    return decoderOfNumbers.decode(bytes) as MsgPackValue
  const decoded = decoderOfBigInts.decode(bytes) as MsgPackValue
  return scan.wideIntegers === 'large' ? decoded : narrowed(decoded)
}

/** Turns each bigint within ±2^53 into a number, in place: the value was just created and is not shared. */
function narrowed(value: MsgPackValue): MsgPackValue {
  if (typeof value === 'bigint') return -exactIntegerMax <= value && value <= exactIntegerMax ? Number(value) : value
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Date) return value
  const container = value as Record<string, MsgPackValue>
  for (const key of Object.keys(container)) container[key] = narrowed(container[key]!)
  return value
}

/**
 * Encodes one value, by the rules that the other side decodes with. Properties that are `undefined` are left out.
 * Throws InvalidValueError (ERR_INVALID_VALUE) that names the place: for what MessagePack has no type for, integers
 * beyond 64 bits, more than 32 nested containers, and the keys that the other side refuses.
 */
export function encodeMsgPack(value: MsgPackValue): Uint8Array {
  const check = { hasBigInt: false }
  checkValue(value, 'value', 0, check)
  return (check.hasBigInt ? encoderOfBigInts : encoderOfNumbers).encode(value)
}

function checkValue(value: unknown, place: string, depth: number, check: { hasBigInt: boolean }): void {
  switch (typeof value) {
    case 'boolean':
    case 'number':
    case 'string':
      return
    case 'bigint':
      if (value < int64Min || value > uint64Max)
        throw new InvalidValueError(`${place} is a bigint of more than 64 bits.`)
      check.hasBigInt = true
      return
    case 'object':
      if (value !== null) checkObject(value, place, depth, check)
      return
    default:
      throw new InvalidValueError(`${place} is of the type ${typeof value}, which MessagePack does not have.`)
  }
}

function checkObject(value: object, place: string, depth: number, check: { hasBigInt: boolean }): void {
  if (value instanceof Uint8Array) return
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new InvalidValueError(`${place} is an invalid Date.`)
    return
  }
  if (depth === msgpackDepthMax)
    throw new InvalidValueError(`${place} lies inside ${msgpackDepthMax} containers already.`)
  if (Array.isArray(value)) {
    // Not `forEach`, which skips holes: they would arrive as null.
    for (let index = 0; index < value.length; index += 1)
      checkValue(value[index], `${place}[${index}]`, depth + 1, check)
    return
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype) {
    // A Map, a Set or an instance would silently be encoded as an empty map or as its fields.
    throw new InvalidValueError(`${place} is neither a plain object, an array, a Uint8Array nor a Date.`)
  }
  for (const [key, property] of Object.entries(value)) {
    if (property === undefined) continue
    if (isForbiddenKey(key)) throw new InvalidValueError(`${place} has the key ${key}, which the other side refuses.`)
    checkValue(property, `${place}.${key}`, depth + 1, check)
  }
}
