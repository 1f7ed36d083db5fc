/**
 * Owns: the memory that a node promises and holds, over all links and lanes, and who gets what is left (docs/protocol.md, native).
 * Refuses to know: what the memory is for. A purpose is a name, so that it can be seen who holds how much.
 *
 * Fair: whoever must wait is served in the order of asking, and nobody who asks later, for less, goes first. What can be
 * done without (growth) is refused while anyone waits.
 */
import { StatewireError } from '../../codec/errors.ts'
import { Deque } from '../deque.ts'

/** 256 MiB. */
export const defaultMemoryBudgetBytes = 256 * 1024 * 1024
/** A lane with less than this would crawl: rather none. */
export const leastWindowBytes = 4 * 1024

export type MemoryPurpose = 'windows' | 'largeFrames' | 'sendQueues' | 'replay'

interface Waiter {
  readonly purpose: MemoryPurpose
  readonly bytes: number
  readonly onReserved: () => void
}

export class MemoryBudget {
  readonly totalBytes: number
  readonly #heldBytes: Record<MemoryPurpose, number> = { windows: 0, largeFrames: 0, sendQueues: 0, replay: 0 }
  readonly #waiters = new Deque<Waiter>()
  #usedBytes = 0
  #isServing = false

  constructor(totalBytes: number = defaultMemoryBudgetBytes) {
    this.totalBytes = totalBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Never negative: what {@link force} takes beyond the total is paid back before anything is left again. */
  get leftBytes(): number {
    return Math.max(0, this.totalBytes - this.#usedBytes)
  }

  get waiting(): number {
    return this.#waiters.length
  }

  heldBytes(purpose: MemoryPurpose): number {
    return this.#heldBytes[purpose]
  }

  /** For growth: all or nothing, and nothing while others wait. */
  tryReserve(purpose: MemoryPurpose, bytes: number): boolean {
    if (this.#waiters.length > 0 || bytes > this.leftBytes) return false
    this.#take(purpose, bytes)
    return true
  }

  /**
   * The window of a new session or stream: a first window, or what is left of the budget.
   * @returns bytes reserved, or 0 if that is under 4 KiB: then there is no room for another lane
   */
  reserveWindow(wantedBytes: number): number {
    const bytes = this.#waiters.length > 0 ? 0 : Math.min(wantedBytes, this.leftBytes)
    if (bytes < Math.min(wantedBytes, leastWindowBytes)) return 0
    this.#take('windows', bytes)
    return bytes
  }

  /** Takes it whether there is room or not: for what must go on, such as the one frame that is all a link has. */
  force(purpose: MemoryPurpose, bytes: number): void {
    this.#take(purpose, bytes)
  }

  /**
   * Calls back once the bytes are reserved, at once if there is room and nobody waits. More than the whole budget is served
   * when nothing else is held, or it would never be. The returned function gives up; it says whether that was in time.
   */
  whenReserved(purpose: MemoryPurpose, bytes: number, onReserved: () => void): () => boolean {
    const waiter: Waiter = { purpose, bytes, onReserved }
    this.#waiters.push(waiter)
    this.#serve()
    return () => {
      const hadWaited = this.#waiters.remove(waiter)
      // Those behind it may fit where it did not.
      if (hadWaited) this.#serve()
      return hadWaited
    }
  }

  /** Throws ERR_INTERNAL if more is given back than was taken. */
  release(purpose: MemoryPurpose, bytes: number): void {
    if (bytes > this.#heldBytes[purpose]) throw new StatewireError('ERR_INTERNAL', `${bytes} bytes of ${purpose} were released; ${this.#heldBytes[purpose]} are held.`)
    this.#heldBytes[purpose] -= bytes
    this.#usedBytes -= bytes
    this.#serve()
  }

  #take(purpose: MemoryPurpose, bytes: number): void {
    this.#heldBytes[purpose] += bytes
    this.#usedBytes += bytes
  }

  /** A callback may release or ask again: the loop goes on, and does not nest. */
  #serve(): void {
    if (this.#isServing) return
    this.#isServing = true
    try {
      for (;;) {
        const waiter = this.#waiters.peek()
        if (waiter === undefined || (waiter.bytes > this.leftBytes && this.#usedBytes > 0)) return
        this.#waiters.shift()
        this.#take(waiter.purpose, waiter.bytes)
        waiter.onReserved()
      }
    } finally {
      this.#isServing = false
    }
  }
}
