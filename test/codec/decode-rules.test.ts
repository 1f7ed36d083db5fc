/**
 * Owns: one test for each rule of the decoder, each with its own error code.
 */
import { describe, expect, test } from 'vitest'
import { bodyLength, decodeBody, decodeValue, descriptors, isAllowedInNetworkVec } from '../../codec/index.ts'
import { expectProtocolError } from './harness.ts'
import { fromHex } from './vectors.ts'

const defined = new Set<number>(Object.values(descriptors))

describe('decoder rules', () => {
  test('decoding an empty buffer is ERR_VALUE_TRUNCATED', () => {
    expectProtocolError('ERR_VALUE_TRUNCATED', () => decodeValue(new Uint8Array(0)))
  })

  test('each of the 240 undefined descriptors is ERR_UNKNOWN_DESCRIPTOR, and the message names it', () => {
    let count = 0
    for (let descriptor = 0; descriptor < 256; descriptor += 1) {
      if (defined.has(descriptor)) continue
      count += 1
      const error = expectProtocolError('ERR_UNKNOWN_DESCRIPTOR', () =>
        decodeValue(Uint8Array.of(descriptor, 0, 0, 0, 0)),
      )
      expect(error.message).toContain(`0x${descriptor.toString(16).padStart(2, '0')}`)
    }
    expect(count).toBe(240)
  })

  test('a fixed-length body that is one byte short is ERR_VALUE_TRUNCATED, one byte long ERR_VALUE_TRAILING_BYTES', () => {
    const lengths: [number, number][] = [
      [0x01, 16],
      [0x02, 0],
      [0x12, 0],
      [0x03, 2],
      [0x04, 4],
      [0x05, 8],
      [0x09, 16],
      [0x0b, 16],
      [0x0d, 6],
    ]
    for (const [descriptor, length] of lengths) {
      expect(() => decodeValue(Uint8Array.of(descriptor, ...new Uint8Array(length)))).not.toThrow()
      expectProtocolError('ERR_VALUE_TRAILING_BYTES', () =>
        decodeValue(Uint8Array.of(descriptor, ...new Uint8Array(length + 1))),
      )
      if (length > 0)
        expectProtocolError('ERR_VALUE_TRUNCATED', () =>
          decodeValue(Uint8Array.of(descriptor, ...new Uint8Array(length - 1))),
        )
    }
  })

  test('a length field that is cut short is ERR_VALUE_TRUNCATED for every type that has one', () => {
    for (const descriptor of [0x06, 0x07, 0x08, 0x0a, 0x0c, 0x0e, 0x0f]) {
      for (let length = 0; length < 4; length += 1) {
        expectProtocolError('ERR_VALUE_TRUNCATED', () =>
          decodeValue(Uint8Array.of(descriptor, ...new Uint8Array(length))),
        )
      }
    }
  })

  test('a declared length above the available bytes is ERR_VALUE_TRUNCATED, below it ERR_VALUE_TRAILING_BYTES', () => {
    expectProtocolError('ERR_VALUE_TRUNCATED', () => decodeValue(fromHex('0c03000000aaaa')))
    expectProtocolError('ERR_VALUE_TRAILING_BYTES', () => decodeValue(fromHex('0c01000000aaaa')))
    expectProtocolError('ERR_VALUE_TRUNCATED', () => decodeValue(fromHex('0cffffffffaa')))
  })

  test('a bit count is rounded up to whole bytes, and 2^32 - 1 bits do not wrap to zero bytes', () => {
    expect(() => decodeValue(fromHex('0f09000000ffff'))).not.toThrow()
    expectProtocolError('ERR_VALUE_TRUNCATED', () => decodeValue(fromHex('0f09000000ff')))
    expectProtocolError('ERR_VALUE_TRAILING_BYTES', () => decodeValue(fromHex('0f08000000ffff')))
    expectProtocolError('ERR_VALUE_TRUNCATED', () => decodeValue(fromHex('0fffffffff')))
    expect(bodyLength(fromHex('0fffffffff'), 0, 5)).toBe(4 + 2 ** 29)
  })

  test('a vector whose byte length is not a multiple of its element size is ERR_VECTOR_LENGTH_NOT_MULTIPLE', () => {
    for (const [descriptor, size] of [
      [0x06, 2],
      [0x07, 4],
      [0x08, 8],
      [0x0e, 6],
    ] as const) {
      for (let length = 0; length <= 2 * size + 1; length += 1) {
        const bytes = Uint8Array.of(descriptor, length, 0, 0, 0, ...new Uint8Array(length))
        if (length % size === 0) expect(() => decodeValue(bytes)).not.toThrow()
        else expectProtocolError('ERR_VECTOR_LENGTH_NOT_MULTIPLE', () => decodeValue(bytes))
      }
    }
  })

  test('a NetworkVec that contains a PrfKey, a StateChecksum, a PrfCheck or a list is ERR_NETWORK_VEC_ELEMENT_NOT_ALLOWED', () => {
    for (const descriptor of [0x01, 0x09, 0x0b]) {
      expectProtocolError('ERR_NETWORK_VEC_ELEMENT_NOT_ALLOWED', () =>
        decodeValue(Uint8Array.of(0x0a, 17, 0, 0, 0, descriptor, ...new Uint8Array(16))),
      )
    }
    expectProtocolError('ERR_NETWORK_VEC_ELEMENT_NOT_ALLOWED', () => decodeValue(fromHex('0a050000000a00000000')))
  })

  test('a NetworkVec that contains an undefined descriptor is ERR_UNKNOWN_DESCRIPTOR', () => {
    expectProtocolError('ERR_UNKNOWN_DESCRIPTOR', () => decodeValue(fromHex('0a0100000077')))
  })

  test('a NetworkVec whose last value extends beyond its end is ERR_NETWORK_VEC_LENGTH_MISMATCH', () => {
    for (const hex of [
      '0a0400000004010203',
      '0a040000000708 0000',
      '0a050000000cffffffff',
      '0a060000000f0900000001',
      '0a09000000070800000001020304',
    ]) {
      expectProtocolError('ERR_NETWORK_VEC_LENGTH_MISMATCH', () => decodeValue(fromHex(hex.replace(' ', ''))))
    }
  })

  test('a value inside a NetworkVec obeys the rules of that value', () => {
    expectProtocolError('ERR_VECTOR_LENGTH_NOT_MULTIPLE', () => decodeValue(fromHex('0a080000000703000000010203')))
  })

  test('a NetworkVec may contain 0x02 to 0x08, 0x0c to 0x0f and 0x12, and nothing else', () => {
    const allowed = Array.from({ length: 256 }, (_, descriptor) => descriptor).filter(isAllowedInNetworkVec)
    expect(allowed).toEqual([2, 3, 4, 5, 6, 7, 8, 12, 13, 14, 15, 18])
  })

  test('decodeBody refuses an undefined descriptor, also one that does not fit in a byte', () => {
    expectProtocolError('ERR_UNKNOWN_DESCRIPTOR', () => decodeBody(0x20, new Uint8Array(4), 0, 4))
    expectProtocolError('ERR_UNKNOWN_DESCRIPTOR', () => decodeBody(256, new Uint8Array(4), 0, 4))
  })
})

describe('body length', () => {
  test('bodyLength is -1 until the bytes that determine it are available, and never an error', () => {
    const bytes = fromHex('0c0a000000')
    for (let available = 0; available < 5; available += 1) expect(bodyLength(bytes, 0, available)).toBe(-1)
    expect(bodyLength(bytes, 0, 5)).toBe(14)
  })

  test('bodyLength of a fixed-length value is known from the descriptor alone', () => {
    const lengths = [0x01, 0x02, 0x12, 0x03, 0x04, 0x05, 0x09, 0x0b, 0x0d].map((descriptor) =>
      bodyLength(Uint8Array.of(descriptor), 0, 1),
    )
    expect(lengths).toEqual([16, 0, 0, 2, 4, 8, 16, 16, 6])
  })

  test('bodyLength of an undefined descriptor is ERR_UNKNOWN_DESCRIPTOR', () => {
    expectProtocolError('ERR_UNKNOWN_DESCRIPTOR', () => bodyLength(Uint8Array.of(0x20), 0, 1))
  })
})
