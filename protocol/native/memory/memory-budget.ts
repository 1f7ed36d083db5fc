/**
 * Owns: the memory that a node promises and holds, over all links and lanes, and who gets what is left
 * (docs/protocol.md).
 * Independent of: what the memory is for. A purpose is a name, so that the holders can be shown.
 *
 * Fair: waiting requests are served in order, and a later, smaller one does not go first. There are two queues, for
 * sending and for receiving: what is unread may stay unread for as long as the application likes, and must not hold up
 * senders. What is optional (growth) is refused while a request waits.
 *
 * No request waits forever: what is held for sending is released on its own (acknowledged, or the link expires), so the
 * first of its queue is served at the latest when nothing of its kind is held. Windows stay for as long as lanes live;
 * a part of the budget that windows cannot have keeps them from taking all of it.
 */
import { StatewireError } from '../../../codec/errors.ts'
import { Deque } from '../../deque.ts'

/** 256 MiB. */
export const defaultMemoryBudgetBytes = 256 * 1024 * 1024
/** A lane with less than this would be too slow to be useful: better none. */
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

  /** @param windowsBytesMax what windows may take, so that something is left for values in flight */
  constructor(totalBytes: number = defaultMemoryBudgetBytes, windowsBytesMax: number = totalBytes) {
    this.#totalBytes = totalBytes
    this.#windowsBytesMax = windowsBytesMax
  }

  get totalBytes(): number {
    return this.#totalBytes
  }

  /**
   * Changes the size. What is held stays held: if that is more than the new total, nothing is left until enough of it
   * is released.
   */
  resize(totalBytes: number, windowsBytesMax: number): void {
    this.#totalBytes = totalBytes
    this.#windowsBytesMax = windowsBytesMax
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
    return this.#waiters.sending.length + this.#waiters.receiving.length
  }

  heldBytes(purpose: MemoryPurpose): number {
    return this.#heldBytes[purpose]
  }

  /**
   * All or nothing, and nothing while others of its kind wait. Growth of windows is refused while any request waits.
   */
  tryReserve(purpose: MemoryPurpose, bytes: number): boolean {
    const waiting = purpose === 'windows' ? this.waiting : this.#waiters[lineOf[purpose]].length
    if (waiting > 0 || bytes > this.leftBytes) return false
    this.#take(purpose, bytes)
    return true
  }

  /**
   * The windows of new sessions, or of a stream: first windows, or equal parts of what is left of the budget.
   * @returns bytes reserved for each lane, or 0 if that is under 4 KiB: then there is no room for so many lanes
   */
  reserveWindow(wantedBytes: number, lanes = 1): number {
    const leftBytes = this.waiting > 0 ? 0 : Math.min(this.leftBytes, this.#windowsBytesMax - this.#heldBytes.windows)
    const bytes = Math.min(wantedBytes, Math.floor(leftBytes / lanes))
    if (bytes < Math.min(wantedBytes, leastWindowBytes)) return 0
    this.#take('windows', lanes * bytes)
    return bytes
  }

  /** Takes it whether there is room or not: for what must continue, such as the only frame that a link has. */
  force(purpose: MemoryPurpose, bytes: number): void {
    this.#take(purpose, bytes)
  }

  /**
   * Calls back once the bytes are reserved, at once if there is room and no request waits. A request for more than is
   * ever left is served when no replay or no large frame is held, or it would never be. A request for 0 bytes waits
   * until nothing is overdrawn. The returned function gives up; it returns whether that was in time.
   */
  whenReserved(purpose: MemoryPurpose, bytes: number, onReserved: () => void): () => boolean {
    const waiter: Waiter = { purpose, bytes, onReserved }
    const line = this.#waiters[lineOf[purpose]]
    line.push(waiter)
    this.#serve()
    return () => {
      const hadWaited = line.remove(waiter)
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
      // The queues take turns, so that neither gets all that is given back.
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
    // Values that wait are not released on their own: only those in flight are.
    const isAlone = this.#heldBytes[line === 'sending' ? 'replay' : 'largeFrames'] === 0
    if (waiter.bytes > this.#totalBytes - this.#usedBytes && !isAlone) return false
    waiters.shift()
    this.#take(waiter.purpose, waiter.bytes)
    waiter.onReserved()
    return true
  }
}
