/**
 * Owns: timers ordered by time, and by the order of setting within one moment; a binary heap.
 * Independent of: the current time.
 */

export interface HeapTimer {
  readonly atMs: number
  readonly order: number
  /** Null once it was removed or taken: it may stay in the heap for a while. */
  callback: (() => void) | null
}

export class TimerHeap {
  #heap: HeapTimer[] = []
  #size = 0
  #order = 0

  /** Number of timers that are set. */
  get size(): number {
    return this.#size
  }

  /** When the first is due; null if none is set. */
  get earliestMs(): number | null {
    this.#dropRemoved()
    return this.#heap[0]?.atMs ?? null
  }

  add(atMs: number, callback: () => void): HeapTimer {
    const timer: HeapTimer = { atMs, order: this.#order++, callback }
    this.#heap.push(timer)
    this.#size++
    this.#rise(this.#heap.length - 1)
    return timer
  }

  remove(timer: HeapTimer | null | undefined): void {
    if (timer === null || timer === undefined || timer.callback === null) return
    timer.callback = null
    this.#size--
    // Timers set far ahead and cancelled at once would pile up.
    if (this.#heap.length > 64 && this.#size * 2 < this.#heap.length) this.#rebuild()
  }

  /** Takes the first that is due. */
  takeDue(nowMs: number): (() => void) | null {
    this.#dropRemoved()
    const first = this.#heap[0]
    if (first === undefined || first.atMs > nowMs) return null
    const { callback } = first
    first.callback = null
    this.#size--
    this.#pop()
    return callback
  }

  #dropRemoved(): void {
    while (this.#heap.length > 0 && this.#heap[0]!.callback === null) this.#pop()
  }

  #pop(): void {
    const last = this.#heap.pop()!
    if (this.#heap.length === 0) return
    this.#heap[0] = last
    this.#sink(0)
  }

  #rebuild(): void {
    this.#heap = this.#heap.filter(({ callback }) => callback !== null)
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at -= 1) this.#sink(at)
  }

  #rise(from: number): void {
    const heap = this.#heap
    const timer = heap[from]!
    let at = from
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!isBefore(timer, heap[above]!)) break
      heap[at] = heap[above]!
      at = above
    }
    heap[at] = timer
  }

  #sink(from: number): void {
    const heap = this.#heap
    const timer = heap[from]!
    let at = from
    for (;;) {
      let below = 2 * at + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below += 1
      if (!isBefore(heap[below]!, timer)) break
      heap[at] = heap[below]!
      at = below
    }
    heap[at] = timer
  }
}

function isBefore(a: HeapTimer, b: HeapTimer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
