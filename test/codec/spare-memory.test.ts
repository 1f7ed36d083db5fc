/**
 * Owns: that spare memory is reused and bounded. Independent of: readers.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { SpareMemory } from '../../codec/index.ts'

const kibibyte = 1024

it('spare memory returns the last buffer that was given back and is long enough', () => {
  const spares = new SpareMemory(1024 * kibibyte)
  const [small, large, other] = [32, 128, 64].map((length) => Buffer.alloc(length * kibibyte)) as [
    Buffer,
    Buffer,
    Buffer,
  ]
  for (const memory of [small, large, other]) spares.give(memory)
  expect([spares.take(48 * kibibyte), spares.take(48 * kibibyte), spares.take(48 * kibibyte)]).toEqual([
    other,
    large,
    undefined,
  ])
  expect(spares.heldBytes).toBe(32 * kibibyte)
})

it('spare memory keeps no short buffer, and none longer than its bound', () => {
  const spares = new SpareMemory(64 * kibibyte)
  spares.give(Buffer.alloc(4 * kibibyte - 1))
  spares.give(Buffer.alloc(64 * kibibyte + 1))
  expect(spares.heldBytes).toBe(0)
})

it('spare memory returns no buffer more than four times as long as needed, because a kept value would hold all of it', () => {
  const spares = new SpareMemory(1024 * kibibyte)
  spares.give(Buffer.alloc(64 * kibibyte + 1))
  expect(spares.take(16 * kibibyte)).toBeUndefined()
  expect(spares.take(17 * kibibyte)).toBeDefined()
})

it('spare memory never holds more than its bound, nor a buffer twice, for any sequence of calls', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.record({ give: fc.integer({ min: 1, max: 80 }) }),
          fc.record({ take: fc.integer({ min: 1, max: 80 }) }),
        ),
        { maxLength: 60 },
      ),
      (steps) => {
        const spares = new SpareMemory(128 * kibibyte)
        const inside = new Set<Buffer>()
        for (const step of steps) {
          if ('give' in step) {
            const memory = Buffer.alloc(step.give * kibibyte)
            inside.add(memory)
            spares.give(memory)
          } else {
            const memory = spares.take(step.take * kibibyte)
            if (memory === undefined) continue
            expect(memory.length).toBeGreaterThanOrEqual(step.take * kibibyte)
            expect(inside.delete(memory)).toBe(true)
          }
          expect(spares.heldBytes).toBeLessThanOrEqual(128 * kibibyte)
        }
      },
    ),
  )
})
