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
  readonly callback: () => void
  /** Null: it has passed, or was cancelled. */
  slot: Slot | null
  before: Entry | null = null
  after: Entry | null = null

  constructor(wheel: TimerWheel, slot: Slot, callback: () => void) {
    this.#wheel = wheel
    this.slot = slot
    this.callback = callback
  }

  cancel(): void {
    this.#wheel.remove(this)
  }
}

/** What passes at one moment, in the order in which it was set. A list and not a Set: a connect sets and cancels six, most in slots of their own. */
class Slot {
  first: Entry | null = null
  #last: Entry | null = null

  add(entry: Entry): void {
    entry.before = this.#last
    if (this.#last === null) this.first = entry
    else this.#last.after = entry
    this.#last = entry
  }

  remove(entry: Entry): void {
    const { before, after } = entry
    if (before === null) this.first = after
    else before.after = after
    if (after === null) this.#last = before
    else after.before = before
    entry.slot = entry.before = entry.after = null
  }

  clear(): void {
    while (this.first !== null) this.remove(this.first)
  }
}

/** The smallest number first. */
class SlotHeap {
  #heap: number[] = []

  get first(): number {
    return this.#heap[0] ?? Infinity
  }

  get size(): number {
    return this.#heap.length
  }

  add(slot: number): void {
    const heap = this.#heap
    let at = heap.push(slot) - 1
    for (let parent = (at - 1) >> 1; at > 0 && heap[parent]! > slot; at = parent, parent = (at - 1) >> 1) heap[at] = heap[parent]!
    heap[at] = slot
  }

  removeFirst(): void {
    const heap = this.#heap
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
    this.#heap = []
  }
}

export class TimerWheel {
  readonly #clock: Clock
  /** Also some that are empty by now, until they pass. */
  readonly #slots = new Map<number, Slot>()
  /** Of all of those: a thousand idle links have as many, and one passes at a time. */
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
    const number = Math.ceil((this.#clock.nowMs() + Math.max(0, delayMs)) / slotMs)
    let slot = this.#slots.get(number)
    if (slot === undefined) {
      this.#slots.set(number, (slot = new Slot()))
      this.#order.add(number)
    }
    const entry = new Entry(this, slot, callback)
    slot.add(entry)
    this.#size++
    if (number < this.#timerSlot) this.#arm(number)
    return entry
  }

  remove(entry: Entry): void {
    if (entry.slot === null) return
    entry.slot.remove(entry)
    this.#size--
    // The clock's timer is left to fire for nothing, unless nothing is left at all: then it must not hold the process.
    if (this.#size === 0) this.#forget()
  }

  /** Forgets every deadline. */
  clear(): void {
    // Those of the slot that passes right now too.
    for (const slot of this.#slots.values()) slot.clear()
    this.#size = 0
    this.#forget()
  }

  #forget(): void {
    this.#slots.clear()
    this.#order.clear()
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
      for (let number = this.#order.first; number <= due; number = this.#order.first) {
        const slot = this.#slots.get(number) as Slot
        this.#pass(slot)
        // A callback may have taken away all that was left, and set deadlines anew.
        if (this.#slots.get(number) === slot) this.#removeFirst(number)
      }
    } finally {
      // Also where a callback threw: the deadlines of others must pass all the same.
      this.#rearm()
    }
  }

  /** A callback may set a deadline in this very slot: it passes in this loop. */
  #pass(slot: Slot): void {
    for (let entry = slot.first; entry !== null; entry = slot.first) {
      slot.remove(entry)
      this.#size--
      entry.callback()
    }
  }

  #rearm(): void {
    for (let number = this.#order.first; number < Infinity; number = this.#order.first) {
      if ((this.#slots.get(number) as Slot).first !== null) {
        if (number < this.#timerSlot) this.#arm(number)
        return
      }
      this.#removeFirst(number)
    }
  }

  #removeFirst(number: number): void {
    this.#slots.delete(number)
    this.#order.removeFirst()
  }
}
