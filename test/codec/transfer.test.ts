/** Owns: which memory can be transferred, that it is detached then, and that a refusal leaves the value as it was. */
import { expect, test } from 'vitest'
import { FrameWriter, type NetworkValue } from '../../codec/index.ts'
import { wasmMemory } from '../support/wasm-memory.ts'
import { expectError } from './harness.ts'

const wasm = wasmMemory(1)

test.each<[string, NetworkValue]>([
  ['a Buffer from the pool', { type: 'Bytes', value: Buffer.from('statewire') }],
  ['a view of a part of its memory', { type: 'Bytes', value: new Uint8Array(100).subarray(0, 50) }],
  ['a vector over a part of its memory', { type: 'VecRing32', value: new Uint32Array(100).subarray(1) }],
  ['all of a WebAssembly memory', { type: 'Bytes', value: new Uint8Array(wasm.buffer) }],
  ['a part of a WebAssembly memory', { type: 'VecRing64', value: new BigUint64Array(wasm.buffer, 8, 8) }],
  ['shared memory', { type: 'Bytes', value: new Uint8Array(new SharedArrayBuffer(100)) }],
  ['a number', { type: 'RingElement16', value: 1 }],
  ['a list', { type: 'NetworkVec', value: [{ type: 'Bytes', value: new Uint8Array(10) }] }],
])('refuses to transfer %s, which stays as it was', (_what, value) => {
  const before = JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? String(part) : part))
  const writer = new FrameWriter()
  expectError('ERR_NOT_TRANSFERABLE', () => writer.writeFrame(1, value, true))
  expectError('ERR_NOT_TRANSFERABLE', () => writer.encode(1, value, true))
  expect(writer.take()).toEqual([])
  expect(JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? String(part) : part))).toBe(before)
})

test('refuses an invalid value before it detaches anything', () => {
  const value = new Uint32Array(10)
  expectError('ERR_INVALID_VALUE', () =>
    new FrameWriter().writeFrame(1, { type: 'VecRing16', value } as unknown as NetworkValue, true),
  )
  expectError('ERR_INVALID_VALUE', () => new FrameWriter().writeFrame(-1, { type: 'VecRing32', value }, true))
  expect(value).toHaveLength(10)
})
