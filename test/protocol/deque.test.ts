/**
 * Owns: that a Deque behaves like an array for any sequence of operations. Independent of: what is queued.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Deque } from '../../protocol/deque.ts'

const simple = (name: string) => ({ do: name, count: 0 })

/** The operation, and how often or on which item. */
const operations = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('push', 'shift', 'peek').map(simple) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('pushMany', 'shiftMany'), count: fc.nat(80) }) },
    { weight: 1, arbitrary: fc.constant(simple('drain')) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('remove'), count: fc.nat(100) }) },
  ),
  { maxLength: 60 },
)

describe('a deque', () => {
  it('a deque behaves like an array for any sequence of operations', () => {
    fc.assert(
      fc.property(operations, (steps) => {
        const deque = new Deque<number>()
        let model: number[] = []
        let next = 0
        for (const step of steps) {
          if (step.do === 'push') deque.push((model.push(next), next++))
          else if (step.do === 'pushMany') for (let i = 0; i < step.count; i++) deque.push((model.push(next), next++))
          else if (step.do === 'shift') expect(deque.shift()).toBe(model.shift())
          else if (step.do === 'shiftMany')
            for (let i = 0; i < step.count; i++) expect(deque.shift()).toBe(model.shift())
          else if (step.do === 'peek') expect(deque.peek()).toBe(model[0])
          else if (step.do === 'drain') {
            expect(deque.drain()).toEqual(model)
            model = []
          } else {
            const item = model[step.count] ?? -1
            expect(deque.remove(item)).toBe(step.count < model.length)
            model = model.filter((other) => other !== item)
          }
          expect(deque.length).toBe(model.length)
        }
        expect(deque.drain()).toEqual(model)
      }),
    )
  })

  it('an empty deque returns undefined', () => {
    const deque = new Deque<string>()
    expect([deque.length, deque.peek(), deque.shift(), deque.drain(), deque.remove('x')]).toEqual([
      0,
      undefined,
      undefined,
      [],
      false,
    ])
  })

  it('a deque ignores the removal of an item that was taken already', () => {
    const deque = new Deque<string>()
    deque.push('a')
    deque.push('b')
    deque.shift()
    expect([deque.remove('a'), deque.remove('b'), deque.length]).toEqual([false, true, 0])
  })
})
