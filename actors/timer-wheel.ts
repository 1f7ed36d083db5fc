/**
 * Owns: every deadline of one network: many entries, one timer of the clock.
 * Refuses to know: what a deadline is for.
 *
 * Deadlines are not delayed XState events and not child actors: each actor that stops walks all timers of its actor
 * system (10,000 timers: 1 ms a stop), and a child actor a deadline doubles the price of a life.
 */
import type { Clock, TimerHandle } from './environment.ts'

/** Deadlines are rounded up to this, so that thousands of them share a few wake-ups. None here needs to be finer. */
const slotMs = 4
/** The greatest delay that a Node timer keeps: above it, it fires at once. A slot further away is looked at again then. */
const maxTimerMs = 2 ** 31 - 1

export interface Deadline {
  cancel(): void
}

class Entry implements Deadline {
  readonly #wheel: TimerWheel
  readonly slot: number
  readonly callback: () => void
  constructor(wheel: TimerWheel, slot: number, callback: () => void) {
    this.#wheel = wheel
    this.slot = slot
    this.callback = callback
  }
  cancel(): void {
    this.#wheel.remove(this)
  }
}

/** The smallest number first, each once. */
class SlotHeap {
  readonly #heap: number[] = []
  readonly #known = new Set<number>()

  get first(): number {
    return this.#heap[0] ?? Infinity
  }

  get size(): number {
    return this.#heap.length
  }

  add(slot: number): void {
    if (this.#known.has(slot)) return
    this.#known.add(slot)
    const heap = this.#heap
    let at = heap.push(slot) - 1
    for (let parent = (at - 1) >> 1; at > 0 && heap[parent]! > slot; at = parent, parent = (at - 1) >> 1) heap[at] = heap[parent]!
    heap[at] = slot
  }

  removeFirst(): void {
    const heap = this.#heap
    this.#known.delete(this.first)
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++
      if (heap[child]! >= last) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }

  clear(): void {
    this.#heap.length = 0
    this.#known.clear()
  }
}

export class TimerWheel {
  readonly #clock: Clock
  readonly #slots = new Map<number, Set<Entry>>()
  /** Of those, and of some that are empty by now: a thousand idle links have as many, and one passes at a time. */
  readonly #order = new SlotHeap()
  #timer: TimerHandle = null
  #timerSlot = Infinity
  #size = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Deadlines that are set and have not passed. */
  get size(): number {
    return this.#size
  }

  /** Moments that it looks at: those of deadlines, and until they pass those of some that were cancelled. */
  get moments(): number {
    return this.#order.size
  }

  /** @param delayMs from now; rounded up to a slot, never early. */
  schedule(delayMs: number, callback: () => void): Deadline {
    const slot = Math.ceil((this.#clock.nowMs() + Math.max(0, delayMs)) / slotMs)
    const entry = new Entry(this, slot, callback)
    let entries = this.#slots.get(slot)
    if (entries === undefined) {
      this.#slots.set(slot, (entries = new Set()))
      this.#order.add(slot)
    }
    entries.add(entry)
    this.#size++
    if (slot < this.#timerSlot) this.#arm(slot)
    return entry
  }

  remove(entry: Entry): void {
    const entries = this.#slots.get(entry.slot)
    if (entries === undefined || !entries.delete(entry)) return
    this.#size--
    if (entries.size > 0) return
    this.#slots.delete(entry.slot)
    // The clock's timer is left to fire for nothing, unless nothing is left at all: then it must not hold the process. It would have
    // forgotten the slots that are empty.
    if (this.#size > 0) return
    this.#order.clear()
    this.#disarm()
  }

  /** Forgets every deadline. */
  clear(): void {
    // Those of the slot that passes right now too.
    for (const entries of this.#slots.values()) entries.clear()
    this.#slots.clear()
    this.#order.clear()
    this.#size = 0
    this.#disarm()
  }

  #arm(slot: number): void {
    this.#disarm()
    this.#timerSlot = slot
    this.#timer = this.#clock.setTimeout(() => this.#turn(), Math.min(maxTimerMs, Math.max(0, slot * slotMs - this.#clock.nowMs())))
  }

  #disarm(): void {
    if (this.#timer !== null) this.#clock.clearTimeout(this.#timer)
    this.#timer = null
    this.#timerSlot = Infinity
  }

  #turn(): void {
    this.#timer = null
    this.#timerSlot = Infinity
    const due = Math.floor(this.#clock.nowMs() / slotMs)
    try {
      // In order of time, so that two deadlines that pass in one turn keep their order.
      for (let slot = this.#order.first; slot <= due; slot = this.#order.first) {
        const entries = this.#slots.get(slot)
        this.#pass(entries)
        // A callback may have cleared the wheel, and set deadlines in it again.
        if (this.#slots.get(slot) !== entries) continue
        this.#slots.delete(slot)
        // It is not there where a callback took away all that was left.
        if (this.#order.first === slot) this.#order.removeFirst()
      }
    } finally {
      // Also where a callback threw: the deadlines of others must pass all the same.
      this.#rearm()
    }
  }

  #pass(entries: Set<Entry> | undefined): void {
    if (entries === undefined) return
    // A callback may set a deadline in this very slot: a Set visits it in this loop.
    for (const entry of entries) {
      entries.delete(entry)
      this.#size--
      entry.callback()
    }
  }

  #rearm(): void {
    for (let slot = this.#order.first; slot < Infinity; slot = this.#order.first) {
      if ((this.#slots.get(slot)?.size ?? 0) > 0) {
        if (slot < this.#timerSlot) this.#arm(slot)
        return
      }
      this.#slots.delete(slot)
      this.#order.removeFirst()
    }
  }
}
