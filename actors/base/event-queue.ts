/**
 * Owns: a bounded queue of events with an async iterator. Events that a slow reader misses are counted and reported.
 * Independent of: what the events are.
 */
import { Deque } from '../../protocol/deque.ts'
import type { NetworkEvent } from './events.ts'

/** Replaces events that were dropped because the reader was too slow. */
export interface MissedEvents {
  readonly type: 'events.missed'
  readonly count: number
}

type Item = NetworkEvent | MissedEvents

export class EventQueue implements AsyncIterableIterator<Item> {
  onEnd: () => void = () => {}
  readonly #max: number
  readonly #items = new Deque<Item>()
  #events = 0
  /** The last item while events are being dropped: it counts them, in their place. */
  #missing: { type: 'events.missed'; count: number } | null = null
  #ended = false
  #waiting: ((result: IteratorResult<Item>) => void)[] = []

  constructor(max: number) {
    this.#max = max
  }

  push(event: NetworkEvent): void {
    if (this.#ended) return
    const waiting = this.#waiting.shift()
    if (waiting !== undefined) waiting({ done: false, value: event })
    else if (this.#events < this.#max) {
      this.#missing = null
      this.#events++
      this.#items.push(event)
    } else if (this.#missing !== null) this.#missing.count++
    else this.#items.push((this.#missing = { type: 'events.missed', count: 1 }))
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
    if (value !== undefined) {
      if (value === this.#missing) this.#missing = null
      else if (value.type !== 'events.missed') this.#events--
      return Promise.resolve({ done: false, value })
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
