/**
 * Owns: one test for each check of the encoder: what it refuses, and that nothing is written in that case.
 */
import { describe, expect, test } from 'vitest'
import {
  encodedLength,
  encodeValue,
  FrameWriter,
  InvalidValueError,
  writeValue,
  type NetworkValue,
} from '../../codec/index.ts'
import { wasmMemory } from '../support/wasm-memory.ts'
import { expectError } from './harness.ts'

/** The view has no length any more, as an empty one. */
function detached<View extends ArrayBufferView>(view: View): View {
  structuredClone(view.buffer, { transfer: [view.buffer as ArrayBuffer] })
  return view
}

function overGrownMemory(): Uint8Array {
  const memory = wasmMemory(1)
  const view = new Uint8Array(memory.buffer, 0, 100)
  memory.grow(1)
  return view
}

/** [field that the message must name, value as a caller without types could pass it] */
const invalid: [string, unknown][] = [
  ['value', null],
  ['value', undefined],
  ['type', { type: 'Nonsense', value: 1 }],
  ['PrfKey.value', { type: 'PrfKey', value: new Uint8Array(15) }],
  ['PrfKey.value', { type: 'PrfKey', value: new Uint8Array(17) }],
  ['PrfKey.value', { type: 'PrfKey', value: '0123456789abcdef' }],
  ['RingElementBit.value', { type: 'RingElementBit', value: 1 }],
  ['RingElement16.value', { type: 'RingElement16', value: 0x1_0000 }],
  ['RingElement16.value', { type: 'RingElement16', value: -1 }],
  ['RingElement16.value', { type: 'RingElement16', value: 1.5 }],
  ['RingElement16.value', { type: 'RingElement16', value: 1n }],
  ['RingElement32.value', { type: 'RingElement32', value: 2 ** 32 }],
  ['RingElement32.value', { type: 'RingElement32', value: Number.NaN }],
  ['RingElement48.value', { type: 'RingElement48', value: 2 ** 48 }],
  ['RingElement48.value', { type: 'RingElement48', value: '7' }],
  ['RingElement64.value', { type: 'RingElement64', value: 1n << 64n }],
  ['RingElement64.value', { type: 'RingElement64', value: -1n }],
  ['RingElement64.value', { type: 'RingElement64', value: 7 }],
  ['StateChecksum.value', { type: 'StateChecksum', value: null }],
  ['StateChecksum.value.irises', { type: 'StateChecksum', value: { irises: 1n << 64n, graph: 0n } }],
  ['StateChecksum.value.graph', { type: 'StateChecksum', value: { irises: 0n, graph: 1 } }],
  ['PrfCheck.value', { type: 'PrfCheck', value: 1n << 128n }],
  ['PrfCheck.value', { type: 'PrfCheck', value: -1n }],
  ['VecRing16.value', { type: 'VecRing16', value: new Uint8Array(4) }],
  ['VecRing32.value', { type: 'VecRing32', value: [1, 2] }],
  ['VecRing64.value', { type: 'VecRing64', value: new Uint32Array(4) }],
  ['VecRing48.value', { type: 'VecRing48', value: [1, 2] }],
  ['VecRing48.value[1]', { type: 'VecRing48', value: Float64Array.of(1, 2 ** 48) }],
  ['VecRing48.value[0]', { type: 'VecRing48', value: Float64Array.of(-1) }],
  ['VecRing48.value[2]', { type: 'VecRing48', value: Float64Array.of(1, 2, 0.5) }],
  ['VecRing48.value[0]', { type: 'VecRing48', value: Float64Array.of(Number.NaN) }],
  ['VecRingBit.value', { type: 'VecRingBit', value: undefined }],
  ['VecRingBit.value.bits', { type: 'VecRingBit', value: { bits: -1, packed: new Uint8Array(0) } }],
  ['VecRingBit.value.bits', { type: 'VecRingBit', value: { bits: 2 ** 32, packed: new Uint8Array(0) } }],
  ['VecRingBit.value.packed', { type: 'VecRingBit', value: { bits: 9, packed: new Uint8Array(1) } }],
  ['VecRingBit.value.packed', { type: 'VecRingBit', value: { bits: 8, packed: new Uint8Array(2) } }],
  ['VecRingBit.value.packed', { type: 'VecRingBit', value: { bits: 8, packed: [1] } }],
  ['Bytes.value', { type: 'Bytes', value: 'text' }],
  ['Bytes.value', { type: 'Bytes', value: detached(new Uint8Array(4)) }],
  ['Bytes.value', { type: 'Bytes', value: overGrownMemory() }],
  ['VecRing16.value', { type: 'VecRing16', value: detached(new Uint16Array(4)) }],
  ['VecRing32.value', { type: 'VecRing32', value: detached(new Uint32Array(4)) }],
  ['VecRing64.value', { type: 'VecRing64', value: detached(new BigUint64Array(4)) }],
  ['VecRing48.value', { type: 'VecRing48', value: detached(new Float64Array(4)) }],
  [
    'NetworkVec.value[0]: Bytes.value',
    { type: 'NetworkVec', value: [{ type: 'Bytes', value: detached(new Uint8Array(4)) }] },
  ],
  ['NetworkVec.value', { type: 'NetworkVec', value: new Set() }],
  ['NetworkVec.value[1]', { type: 'NetworkVec', value: [{ type: 'RingElement16', value: 1 }, null] }],
  ['NetworkVec.value[0]: RingElement16.value', { type: 'NetworkVec', value: [{ type: 'RingElement16', value: -1 }] }],
  ['NetworkVec.value[0]', { type: 'NetworkVec', value: [{ type: 'NetworkVec', value: [] }] }],
  ['NetworkVec.value[0]', { type: 'NetworkVec', value: [{ type: 'PrfKey', value: new Uint8Array(16) }] }],
  ['NetworkVec.value[0]', { type: 'NetworkVec', value: [{ type: 'PrfCheck', value: 1n }] }],
  ['NetworkVec.value[0]', { type: 'NetworkVec', value: [{ type: 'StateChecksum', value: { irises: 1n, graph: 1n } }] }],
]

describe('encoder checks', () => {
  test.each(invalid.map(([field, value], index) => ({ field, value: value as NetworkValue, index })))(
    'case $index is ERR_INVALID_VALUE and the message begins with the field $field',
    ({ field, value }) => {
      for (const encode of [encodedLength, encodeValue]) {
        const error = expectError('ERR_INVALID_VALUE', () => encode(value))
        expect(error).toBeInstanceOf(InvalidValueError)
        expect(error.message.startsWith(`${field} `) || error.message.startsWith(`${field}: `)).toBe(true)
      }
    },
  )

  test.each(invalid.map(([field, value], index) => ({ field, value: value as NetworkValue, index })))(
    'case $index ($field) leaves the target and the writer as they were',
    ({ value }) => {
      const target = new Uint8Array(256).fill(0xee)
      expectError('ERR_INVALID_VALUE', () => writeValue(value, target, 3))
      expect(target.every((byte) => byte === 0xee)).toBe(true)

      const writer = new FrameWriter()
      writer.writeFrame(1, { type: 'RingElement16', value: 7 })
      expectError('ERR_INVALID_VALUE', () => writer.writeFrame(1, value))
      expect([writer.pendingBytes, writer.pendingFrames]).toEqual([7, 1])
      expect(Buffer.concat(writer.take()).toString('hex')).toBe('01000000030700')
    },
  )

  test('an error about an invalid value never contains the value of a payload', () => {
    const error = expectError('ERR_INVALID_VALUE', () =>
      encodeValue({ type: 'Bytes', value: 'secret' as unknown as Uint8Array }),
    )
    expect(error.message).not.toContain('secret')
  })

  test('a payload that does not fit a u32 length field is ERR_INVALID_VALUE', () => {
    // Four references to the same 1 GiB of untouched memory, so little is really used.
    const gibibyte = new Uint8Array(2 ** 30)
    const element: NetworkValue = { type: 'Bytes', value: gibibyte }
    expectError('ERR_INVALID_VALUE', () =>
      encodedLength({ type: 'NetworkVec', value: [element, element, element, element] }),
    )
    expect(encodedLength({ type: 'NetworkVec', value: [element, element, element] })).toBe(5 + 3 * (5 + 2 ** 30))
  })

  test('the largest number of each type is encoded', () => {
    const largest: NetworkValue[] = [
      { type: 'RingElement16', value: 2 ** 16 - 1 },
      { type: 'RingElement32', value: 2 ** 32 - 1 },
      { type: 'RingElement48', value: 2 ** 48 - 1 },
      { type: 'RingElement64', value: 2n ** 64n - 1n },
      { type: 'PrfCheck', value: 2n ** 128n - 1n },
    ]
    expect(largest.map((value) => Buffer.from(encodeValue(value).subarray(1)).toString('hex'))).toEqual(
      ['ff', 'ff', 'ff', 'ff', 'ff'].map((byte, index) => byte.repeat([2, 4, 6, 8, 16][index]!)),
    )
  })
})
