/**
 * Owns: the memory that a node promises and holds, over all links and lanes, and who gets what is left (docs/protocol.md, native).
 * Refuses to know: what the memory is for. A purpose is a name, so that it can be seen who holds how much.
 *
 * Fair: whoever must wait is served in the order of asking, and nobody who asks later, for less, goes first. There are two
 * queues, for sending and for receiving: what is unread may stay so for as long as the application likes, and must not hold
 * up senders. What can be done without (growth) is refused while anyone waits.
 *
 * Nobody waits for ever: what is held for sending goes away by itself (acknowledged, or the link expires), so the first of
 * its queue is served at the latest when nothing of its kind is held. Windows stay for as long as lanes live; a part of the
 * budget that they can not have keeps that from being more than the total.
 */
import { StatewireError } from '../../../codec/errors.ts'
import { Deque } from '../../deque.ts'

/** 256 MiB. */
export const defaultMemoryBudgetBytes = 256 * 1024 * 1024
/** A lane with less than this would crawl: rather none. */
export const leastWindowBytes = 4 * 1024

export type MemoryPurpose = 'windows' | 'largeFrames' | 'sendQueues' | 'replay'

const lineOf = { windows: 'receiving', largeFrames: 'receiving', sendQueues: 'sending', replay: 'sending' } as const
const lines = ['sending', 'receiving'] as const

interface Waiter {
  readonly purpose: MemoryPurpose
  readonly bytes: number
  readonly onReserved: () => void
}

export class MemoryBudget {
  #totalBytes: number
  readonly #heldBytes: Record<MemoryPurpose, number> = { windows: 0, largeFrames: 0, sendQueues: 0, replay: 0 }
  readonly #waiters = { sending: new Deque<Waiter>(), receiving: new Deque<Waiter>() }
  #windowsBytesMax: number
  #usedBytes = 0
  #isServing = false

  /** @param windowsBytesMax what windows may take of it, so that something is left for values that are on their way */
  constructor(totalBytes: number = defaultMemoryBudgetBytes, windowsBytesMax: number = totalBytes) {
    this.#totalBytes = totalBytes
    this.#windowsBytesMax = windowsBytesMax
  }

  get totalBytes(): number {
    return this.#totalBytes
  }

  /** Changes the size. What is held stays held: if that is more than the new total, nothing is left until enough of it is released. */
  resize(totalBytes: number, windowsBytesMax: number): void {
    this.#totalBytes = totalBytes
    this.#windowsBytesMax = windowsBytesMax
    this.#serve()
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Never negative: what {@link force} takes beyond the total is paid back before anything is left again. */
  get leftBytes(): number {
    return Math.max(0, this.totalBytes - this.#usedBytes)
  }

  /** More is held than there is, by what {@link force} took. */
  get isOverdrawn(): boolean {
    return this.#usedBytes > this.#totalBytes
  }

  get waiting(): number {
    return this.#waiters.sending.length + this.#waiters.receiving.length
  }

  heldBytes(purpose: MemoryPurpose): number {
    return this.#heldBytes[purpose]
  }

  /** All or nothing, and nothing while others of its kind wait. For the growth of windows: while anybody waits. */
  tryReserve(purpose: MemoryPurpose, bytes: number): boolean {
    const waiting = purpose === 'windows' ? this.waiting : this.#waiters[lineOf[purpose]].length
    if (waiting > 0 || bytes > this.leftBytes) return false
    this.#take(purpose, bytes)
    return true
  }

  /**
   * The window of a new session or stream: a first window, or what is left of the budget.
   * @returns bytes reserved, or 0 if that is under 4 KiB: then there is no room for another lane
   */
  reserveWindow(wantedBytes: number): number {
    const bytes =
      this.waiting > 0 ? 0 : Math.min(wantedBytes, this.leftBytes, this.#windowsBytesMax - this.#heldBytes.windows)
    if (bytes < Math.min(wantedBytes, leastWindowBytes)) return 0
    this.#take('windows', bytes)
    return bytes
  }

  /** Takes it whether there is room or not: for what must go on, such as the one frame that is all a link has. */
  force(purpose: MemoryPurpose, bytes: number): void {
    this.#take(purpose, bytes)
  }

  /**
   * Calls back once the bytes are reserved, at once if there is room and nobody waits. More than is ever left is served when
   * no replay or no large frame is held, or it would never be. 0 bytes wait until nothing is overdrawn. The returned function
   * gives up; it says whether that was in time.
   */
  whenReserved(purpose: MemoryPurpose, bytes: number, onReserved: () => void): () => boolean {
    const waiter: Waiter = { purpose, bytes, onReserved }
    const line = this.#waiters[lineOf[purpose]]
    line.push(waiter)
    this.#serve()
    return () => {
      const hadWaited = line.remove(waiter)
      // Those behind it may fit where it did not.
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

  /** A callback may release or ask again: the loop goes on, and does not nest. */
  #serve(): void {
    if (this.#isServing) return
    this.#isServing = true
    try {
      // In turns, so that neither queue takes all that is given back.
      for (let served = true; served;) {
        served = false
        for (const line of lines) served = this.#serveOne(line) || served
      }
    } finally {
      this.#isServing = false
    }
  }

  #serveOne(line: (typeof lines)[number]): boolean {
    const waiters = this.#waiters[line]
    const waiter = waiters.peek()
    if (waiter === undefined) return false
    // What waits to be sent does not go away by itself: only what is on its way does.
    const isAlone = this.#heldBytes[line === 'sending' ? 'replay' : 'largeFrames'] === 0
    if (waiter.bytes > this.#totalBytes - this.#usedBytes && !isAlone) return false
    waiters.shift()
    this.#take(waiter.purpose, waiter.bytes)
    waiter.onReserved()
    return true
  }
}
