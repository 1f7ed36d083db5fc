/**
 * Owns: that a view of a chunk equals what `subarray` would give. Independent of: its speed (bench/).
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ChunkViews } from '../../codec/chunk-views.ts'

const chunkAndRange = fc
  .uint8Array({ minLength: 1, maxLength: 200 })
  .chain((bytes) => fc.tuple(fc.constant(bytes), fc.nat(7), fc.nat(bytes.length), fc.nat(bytes.length)))

describe('a view of a chunk', () => {
  test('a view is a Buffer over the same memory as a subarray, wherever the chunk lies', () => {
    const views = new ChunkViews()
    fc.assert(
      fc.property(chunkAndRange, ([bytes, offsetBytes, one, other]) => {
        const memory = new ArrayBuffer(offsetBytes + bytes.length)
        const chunk = Buffer.from(memory, offsetBytes, bytes.length)
        chunk.set(bytes)
        const [start, end] = [Math.min(one, other), Math.max(one, other)]
        const view = views.of(chunk, start, end)
        const subarray = chunk.subarray(start, end)
        expect([view, view.byteOffset, view.length]).toStrictEqual([subarray, subarray.byteOffset, subarray.length])
        expect([
          view.buffer === memory,
          Buffer.isBuffer(view),
          Object.getPrototypeOf(view) === Buffer.prototype,
        ]).toStrictEqual([true, true, true])
      }),
    )
  })

  test('a view stays valid after its maker released the chunk', () => {
    const views = new ChunkViews()
    const view = views.of(Buffer.from('abcdef'), 1, 3)
    views.forget()
    expect([view.toString(), views.of(Buffer.from('xyz'), 0, 2).toString()]).toEqual(['bc', 'xy'])
  })
})
