/**
 * Owns: a bounded queue of events with an async iterator: what a slow reader missed is counted and said.
 * Refuses to know: the events.
 */
import { Deque } from '../protocol/deque.ts'
import type { NetworkEvent } from './events.ts'

/** Stands where events were dropped because the reader was too slow. */
export interface MissedEvents {
  readonly type: 'events.missed'
  readonly count: number
}

type Item = NetworkEvent | MissedEvents

export class EventQueue implements AsyncIterableIterator<Item> {
  onEnd: () => void = () => {}
  readonly #max: number
  readonly #items = new Deque<NetworkEvent>()
  #missed = 0
  #ended = false
  #waiting: ((result: IteratorResult<Item>) => void)[] = []

  constructor(max: number) {
    this.#max = max
  }

  push(event: NetworkEvent): void {
    if (this.#ended) return
    const waiting = this.#waiting.shift()
    if (waiting !== undefined) waiting({ done: false, value: event })
    else if (this.#items.length < this.#max) this.#items.push(event)
    else this.#missed++
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.onEnd()
    for (const waiting of this.#waiting) waiting({ done: true, value: undefined })
    this.#waiting = []
  }

  next(): Promise<IteratorResult<Item>> {
    const value = this.#items.shift()
    if (value !== undefined) return Promise.resolve({ done: false, value })
    if (this.#missed > 0) {
      const count = this.#missed
      this.#missed = 0
      return Promise.resolve({ done: false, value: { type: 'events.missed', count } })
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  return(): Promise<IteratorResult<Item>> {
    this.end()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
