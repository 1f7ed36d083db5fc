/**
 * Owns: all deadlines of one network. Many deadlines share one timer of the clock.
 * Independent of: what a deadline is for.
 *
 * Deadlines are not delayed XState events, because an actor that stops walks all timers of its actor system.
 */
import type { Clock, TimerHandle } from './environment.ts'

/** Deadlines are rounded up to a multiple of this, so that thousands of them share a few timers. */
const slotMs = 4
/** The longest delay of a Node timer; a longer one fires at once. For a slot further away the timer is armed again. */
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

export class TimerWheel {
  readonly #clock: Clock
  /** Entries of a slot are in the order they were set. An emptied slot stays until its time has passed. */
  readonly #slots = new Map<number, Set<Entry>>()
  /** The keys of `#slots`, ascending. */
  #order: number[] = []
  #timer: TimerHandle = null
  #timerSlot = Infinity
  #size = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The number of deadlines that are set and have not passed. */
  get size(): number {
    return this.#size
  }

  /** The number of slots, including those whose deadlines were all cancelled. */
  get moments(): number {
    return this.#order.length
  }

  /**
   * Calls back after a delay.
   * @param delayMs from now; rounded up to a slot, never early
   */
  schedule(delayMs: number, callback: () => void): Deadline {
    const slot = Math.ceil((this.#clock.nowMs() + Math.max(0, delayMs)) / slotMs)
    const entry = new Entry(this, slot, callback)
    this.#entriesAt(slot).add(entry)
    this.#size++
    if (slot < this.#timerSlot) this.#arm(slot)
    return entry
  }

  remove(entry: Entry): void {
    if (this.#slots.get(entry.slot)?.delete(entry) !== true) return
    this.#size--
    // The clock's timer stays armed unless no deadline is left: it must not keep the process alive.
    if (this.#size === 0) this.#reset()
  }

  /** Cancels every deadline. */
  clear(): void {
    // A slot whose callbacks are running is being iterated, so it must be emptied too.
    for (const entries of this.#slots.values()) entries.clear()
    this.#size = 0
    this.#reset()
  }

  #entriesAt(slot: number): Set<Entry> {
    let entries = this.#slots.get(slot)
    if (entries === undefined) {
      this.#slots.set(slot, (entries = new Set()))
      this.#order.splice(placeOf(slot, this.#order), 0, slot)
    }
    return entries
  }

  #reset(): void {
    this.#slots.clear()
    this.#order = []
    this.#disarm()
  }

  #arm(slot: number): void {
    this.#disarm()
    this.#timerSlot = slot
    const delayMs = Math.max(0, slot * slotMs - this.#clock.nowMs())
    this.#timer = this.#clock.setTimeout(() => this.#wake(), Math.min(maxTimerMs, delayMs))
  }

  #disarm(): void {
    if (this.#timer !== null) this.#clock.clearTimeout(this.#timer)
    this.#timer = null
    this.#timerSlot = Infinity
  }

  #wake(): void {
    this.#timer = null
    this.#timerSlot = Infinity
    const due = Math.floor(this.#clock.nowMs() / slotMs)
    try {
      for (let slot = this.#order[0]; slot !== undefined && slot <= due; slot = this.#order[0]) this.#pass(slot)
    } finally {
      // Also after a callback threw: the other deadlines must still fire.
      this.#rearm()
    }
  }

  #pass(slot: number): void {
    const entries = this.#slots.get(slot)!
    // The iteration also reaches entries that a callback adds to this slot.
    for (const entry of entries) {
      entries.delete(entry)
      this.#size--
      entry.callback()
    }
    // A callback may have cancelled the last deadline, which resets the wheel, and then set another.
    if (this.#slots.get(slot) === entries) this.#dropFirst()
  }

  #rearm(): void {
    for (let slot = this.#order[0]; slot !== undefined; slot = this.#order[0]) {
      if (this.#slots.get(slot)!.size > 0) {
        if (slot < this.#timerSlot) this.#arm(slot)
        return
      }
      this.#dropFirst()
    }
  }

  #dropFirst(): void {
    this.#slots.delete(this.#order.shift()!)
  }
}

/** Returns the index at which `value` belongs in an ascending list that does not contain it. */
function placeOf(value: number, list: readonly number[]): number {
  let low = 0
  for (let high = list.length; low < high;) {
    const middle = (low + high) >> 1
    if (list[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}
