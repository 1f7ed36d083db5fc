/**
 * Owns: the bounded queue of events: order, missed events, its end.
 * Independent of: what emits them.
 */
import { describe, expect, it } from 'vitest'
import { EventQueue } from '../../actors/base/event-queue.ts'
import type { NetworkEvent } from '../../actors/index.ts'

const event = (n: number): NetworkEvent => ({ type: 'warning', message: String(n) })
const ended = { done: true, value: undefined }

async function drain(queue: EventQueue): Promise<string[]> {
  const seen: string[] = []
  queue.end()
  for await (const item of queue)
    seen.push(
      item.type === 'events.missed' ? `missed ${item.count}` : item.type === 'warning' ? item.message : item.type,
    )
  return seen
}

describe('the queue of events', () => {
  it('the event queue yields earlier and later events in order', async () => {
    const queue = new EventQueue(10)
    queue.push(event(1))
    expect(await queue.next()).toEqual({ done: false, value: event(1) })
    const waiting = queue.next()
    queue.push(event(2))
    expect(await waiting).toEqual({ done: false, value: event(2) })
  })

  it.each([
    [2, ['0', '1']],
    [3, ['0', '1', '2']],
    [4, ['0', '1', '2', 'missed 1']],
    [13, ['0', '1', '2', 'missed 10']],
  ])('the event queue with room for 3 yields, after %i unread events, %j', async (count, seen) => {
    const queue = new EventQueue(3)
    for (let i = 0; i < count; i++) queue.push(event(i))
    expect(await drain(queue)).toEqual(seen)
  })

  it('the event queue reports once how many events were missed, and continues with the next', async () => {
    const queue = new EventQueue(1)
    for (let i = 0; i < 5; i++) queue.push(event(i))
    expect([await queue.next(), await queue.next()]).toEqual([
      { done: false, value: event(0) },
      { done: false, value: { type: 'events.missed', count: 4 } },
    ])
    queue.push(event(9))
    expect(await queue.next()).toEqual({ done: false, value: event(9) })
  })

  it('the event queue reports missed events at their place, before later events', async () => {
    const queue = new EventQueue(2)
    for (let i = 0; i < 5; i++) queue.push(event(i))
    await queue.next()
    queue.push(event(5))
    expect(await drain(queue)).toEqual(['1', 'missed 3', '5'])
  })

  it('the event queue ends waiting readers, notifies its owner once, and accepts nothing more', async () => {
    const queue = new EventQueue(3)
    let ends = 0
    queue.onEnd = () => ends++
    const both = [queue.next(), queue.next()]
    queue.end()
    queue.end()
    queue.push(event(1))
    expect([await Promise.all(both), await queue.next(), ends]).toEqual([[ended, ended], ended, 1])
  })

  it('the event queue is released when its reader breaks out of the loop', async () => {
    const queue = new EventQueue(3)
    let ends = 0
    queue.onEnd = () => ends++
    queue.push(event(1))
    for await (const item of queue) {
      expect(item).toEqual(event(1))
      break
    }
    expect([ends, await queue.next()]).toEqual([1, ended])
  })
})
