/**
 * Owns: the memory that a node may hold for sending, over all links beyond their shares, and who gets what is left
 * (docs/protocol.md).
 * Independent of: what the memory is for. A purpose is a name, so that the holders can be shown.
 *
 * Fair: waiting requests are served in order, and a later, smaller one does not go first.
 *
 * No request waits forever: what is in flight is released on its own (acknowledged, or the link expires), so the first
 * is served at the latest when nothing is in flight.
 */
import { StatewireError } from '../../../codec/errors.ts'
import { Deque } from '../../deque.ts'

/** 256 MiB. */
export const defaultMemoryBudgetBytes = 256 * 1024 * 1024
/** A lane with less than this would be too slow to be useful: better none. */
export const leastWindowBytes = 4 * 1024

export type MemoryPurpose = 'sendQueues' | 'replay'

interface Waiter {
  readonly purpose: MemoryPurpose
  readonly bytes: number
  readonly onReserved: () => void
}

export class MemoryBudget {
  #totalBytes: number
  readonly #heldBytes: Record<MemoryPurpose, number> = { sendQueues: 0, replay: 0 }
  readonly #waiters = new Deque<Waiter>()
  #usedBytes = 0
  #isServing = false
  /** Called when a request begins to wait and no other does. It must not ask for memory. */
  onWait: (() => void) | null = null

  constructor(totalBytes: number = defaultMemoryBudgetBytes) {
    this.#totalBytes = totalBytes
  }

  get totalBytes(): number {
    return this.#totalBytes
  }

  /**
   * Changes the size. What is held stays held: if that is more than the new total, nothing is left until enough of it
   * is released.
   */
  resize(totalBytes: number): void {
    this.#totalBytes = totalBytes
    this.#serve()
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Never negative: what {@link force} takes beyond the total is paid back first. */
  get leftBytes(): number {
    return Math.max(0, this.totalBytes - this.#usedBytes)
  }

  /** {@link force} took more than there is. */
  get isOverdrawn(): boolean {
    return this.#usedBytes > this.#totalBytes
  }

  get waiting(): number {
    return this.#waiters.length
  }

  heldBytes(purpose: MemoryPurpose): number {
    return this.#heldBytes[purpose]
  }

  /** All or nothing, and nothing while others wait. */
  tryReserve(purpose: MemoryPurpose, bytes: number): boolean {
    if (this.#waiters.length > 0 || bytes > this.leftBytes) return false
    this.#take(purpose, bytes)
    return true
  }

  /** Takes it whether there is room or not: for what must continue, such as a frame of the link's own. */
  force(purpose: MemoryPurpose, bytes: number): void {
    this.#take(purpose, bytes)
  }

  /**
   * Calls back once the bytes are reserved, at once if there is room and no request waits. A request for more than is
   * ever left is served when nothing is in flight, or it would never be. A request for 0 bytes waits
   * until nothing is overdrawn. The returned function gives up; it returns whether that was in time.
   */
  whenReserved(purpose: MemoryPurpose, bytes: number, onReserved: () => void): () => boolean {
    const waiter: Waiter = { purpose, bytes, onReserved }
    const isFirst = this.#waiters.length === 0
    this.#waiters.push(waiter)
    this.#serve()
    if (isFirst && this.#waiters.length > 0) this.onWait?.()
    return () => {
      const hadWaited = this.#waiters.remove(waiter)
      // Later requests may fit where this one did not.
      if (hadWaited) this.#serve()
      return hadWaited
    }
  }

  /** Throws ERR_INTERNAL if more is given back than was taken. */
  release(purpose: MemoryPurpose, bytes: number): void {
    if (bytes > this.#heldBytes[purpose])
      throw new StatewireError(
        'ERR_INTERNAL',
        `${bytes} bytes of ${purpose} were released; ${this.#heldBytes[purpose]} are held.`,
      )
    this.#heldBytes[purpose] -= bytes
    this.#usedBytes -= bytes
    this.#serve()
  }

  #take(purpose: MemoryPurpose, bytes: number): void {
    this.#heldBytes[purpose] += bytes
    this.#usedBytes += bytes
  }

  /** A callback may release or ask again: the loop continues, and does not nest. */
  #serve(): void {
    if (this.#isServing) return
    this.#isServing = true
    try {
      while (this.#serveOne()) {}
    } finally {
      this.#isServing = false
    }
  }

  #serveOne(): boolean {
    const waiter = this.#waiters.peek()
    if (waiter === undefined) return false
    // Values that wait are not released on their own: only those in flight are.
    if (waiter.bytes > this.#totalBytes - this.#usedBytes && this.#heldBytes.replay > 0) return false
    this.#waiters.shift()
    this.#take(waiter.purpose, waiter.bytes)
    waiter.onReserved()
    return true
  }
}
