/**
 * Owns: the proof that values become the bytes of the Rust codec and back, for every vector and for arbitrary values.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeValue, encodedLength, encodeValue, ProtocolError, writeValue } from '../../codec/index.ts'
import { valuesByType } from './harness.ts'
import { fromHex, fromNotation, toHex, toNotation, valueVectors } from './vectors.ts'

describe('values of the Rust codec', () => {
  test('the vectors have 207 valid values and 760 decisions, 82 of them accepted', () => {
    expect(valueVectors.valid).toHaveLength(207)
    expect(valueVectors.decisions).toHaveLength(760)
    expect(valueVectors.decisions.filter(({ accept }) => accept)).toHaveLength(82)
  })

  test.each(valueVectors.valid)('$name: encodes to the bytes of the Rust codec and decodes back', ({ is, hex }) => {
    const value = fromNotation(is)
    expect(toHex(encodeValue(value))).toBe(hex)
    expect(encodedLength(value)).toBe(hex.length / 2)
    expect(toNotation(decodeValue(fromHex(hex)))).toEqual(is)
  })

  test.each(valueVectors.decisions.map((decision, index) => ({ ...decision, index: String(index) })))(
    'decision $index ($why): accept = $accept',
    ({ hex, accept, is, again }) => {
      if (accept) {
        const value = decodeValue(fromHex(hex))
        expect(toNotation(value)).toEqual(is)
        expect(toHex(encodeValue(value))).toBe(again)
      } else {
        expect(() => decodeValue(fromHex(hex))).toThrow(ProtocolError)
      }
    },
  )
})

describe('arbitrary values', () => {
  test.each(Object.entries(valuesByType))(
    '%s: what was encoded decodes to the same value, at any offset',
    (type, arbitrary) => {
      fc.assert(
        fc.property(arbitrary, fc.nat({ max: 17 }), (value, offset) => {
          expect(value.type).toBe(type)
          const length = encodedLength(value)
          const target = new Uint8Array(offset + length + 3).fill(0xee)
          expect(writeValue(value, target, offset)).toBe(offset + length)
          expect(
            [...target.subarray(0, offset), ...target.subarray(offset + length)].every((byte) => byte === 0xee),
          ).toBe(true)
          const decoded = decodeValue(target.subarray(offset, offset + length))
          expect(toNotation(decoded)).toEqual(toNotation(value))
          expect(toHex(encodeValue(decoded))).toBe(toHex(target.subarray(offset, offset + length)))
        }),
        { numRuns: 200 },
      )
    },
  )

  test('arbitrary bytes are decoded or refused with a ProtocolError, and decoded values encode to the same bytes', () => {
    const descriptor = fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 18, 32, 255)
    const shortLength = fc.nat({ max: 24 }).map((n) => [n, 0, 0, 0])
    let accepted = 0
    fc.assert(
      fc.property(
        descriptor,
        shortLength,
        fc.array(fc.oneof(descriptor, fc.nat({ max: 255 })), { maxLength: 24 }),
        (first, length, rest) => {
          const bytes = Uint8Array.of(first, ...length, ...rest)
          try {
            const value = decodeValue(bytes)
            accepted += 1
            expect(toHex(encodeValue(value))).toBe(toHex(bytes))
          } catch (error) {
            if (!(error instanceof ProtocolError)) throw error
          }
        },
      ),
      { numRuns: 5_000 },
    )
    expect(accepted).toBeGreaterThan(50)
  })
})

describe('memory of decoded values', () => {
  test('decoded Bytes, PrfKey and packed bits are views into the buffer', () => {
    for (const value of [
      { type: 'Bytes' as const, value: Uint8Array.of(1, 2, 3) },
      { type: 'PrfKey' as const, value: new Uint8Array(16).fill(5) },
    ]) {
      const bytes = encodeValue(value)
      const decoded = decodeValue(bytes)
      bytes.fill(0xaa)
      expect(new Set(decoded.value as Uint8Array)).toEqual(new Set([0xaa]))
    }
    const bits = encodeValue({ type: 'VecRingBit', value: { bits: 9, packed: Uint8Array.of(1, 1) } })
    const decoded = decodeValue(bits)
    bits.fill(0xaa)
    expect(toNotation(decoded)).toEqual({ type: 'VecRingBit', value: { bits: 9, packed: 'aaaa' } })
  })

  test.each([1, 8, 9, 100])('a decoded ring vector of %i elements is a copy with memory of its own', (count) => {
    for (const value of [
      { type: 'VecRing16' as const, value: new Uint16Array(count).fill(0x0102) },
      { type: 'VecRing32' as const, value: new Uint32Array(count).fill(0x01020304) },
      { type: 'VecRing64' as const, value: new BigUint64Array(count).fill(0x0102030405060708n) },
      { type: 'VecRing48' as const, value: new Float64Array(count).fill(0x010203040506) },
    ]) {
      const bytes = encodeValue(value)
      const decoded = decodeValue(bytes)
      bytes.fill(0)
      expect(toNotation(decoded)).toEqual(toNotation(value))
    }
  })

  test('decoding a list of a million bits does not create an object for each bit', () => {
    const bytes = new Uint8Array(5 + 1_000_000).fill(0x12)
    bytes[0] = 0x0a
    new DataView(bytes.buffer).setUint32(1, 1_000_000, true)
    const decoded = decodeValue(bytes)
    const list = decoded.value as unknown[]
    expect(list).toHaveLength(1_000_000)
    expect(new Set(list).size).toBe(1)
  })
})
