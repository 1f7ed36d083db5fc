/**
 * Owns: the part of the memory budget that long frames are received in: who gets room next (docs/protocol.md).
 * Independent of: links, lanes and frames; what the other part of the budget is used for.
 *
 * First come, first served, with one exception: a peer whose long frames hold less than its share goes before a peer
 * whose long frames hold more than its share. The share is the whole part, divided by the number of peers with long
 * frames held or waiting.
 */
import { StatewireError } from '../../../codec/errors.ts'

interface Holder {
  readonly peer: string
  heldBytes: number
  /** Held or waiting. */
  frames: number
}

interface Waiter {
  readonly holder: Holder
  readonly bytes: number
  readonly onReserved: () => void
}

export class LongFrameMemory {
  readonly #totalBytes: number
  readonly #onWaitingChanged: () => void
  readonly #holders = new Map<string, Holder>()
  /** In the order in which they asked. */
  readonly #waiters = new Set<Waiter>()
  #usedBytes = 0
  #isServing = false

  /** @param onWaitingChanged called when the first frame begins to wait, and when none waits any more */
  constructor(totalBytes: number, onWaitingChanged: () => void = () => {}) {
    this.#totalBytes = totalBytes
    this.#onWaitingChanged = onWaitingChanged
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get waiting(): number {
    return this.#waiters.size
  }

  heldBytesOf(peer: string): number {
    return this.#holders.get(peer)?.heldBytes ?? 0
  }

  /**
   * Calls back once the bytes are reserved, at once if there is room and nobody goes before. A frame longer than the
   * whole part is served when no other is held. The returned function gives up; it returns whether that was in time.
   */
  ask(peer: string, bytes: number, onReserved: () => void): () => boolean {
    const holder = this.#holders.get(peer) ?? { peer, heldBytes: 0, frames: 0 }
    this.#holders.set(peer, holder)
    holder.frames += 1
    const waiter: Waiter = { holder, bytes, onReserved }
    const waitingBefore = this.#waiters.size
    this.#waiters.add(waiter)
    this.#serve(waitingBefore)
    return () => {
      const waiting = this.#waiters.size
      if (!this.#waiters.delete(waiter)) return false
      this.#leave(holder)
      // Others may fit where this one did not, and the shares have grown.
      this.#serve(waiting)
      return true
    }
  }

  /** Reserves at once, whether there is room or not: a Response is bounded by the request that it answers. */
  force(peer: string, bytes: number): void {
    const holder = this.#holders.get(peer) ?? { peer, heldBytes: 0, frames: 0 }
    this.#holders.set(peer, holder)
    holder.frames += 1
    holder.heldBytes += bytes
    this.#usedBytes += bytes
  }

  /** Throws ERR_INTERNAL if more is given back than the peer holds. */
  release(peer: string, bytes: number): void {
    const holder = this.#holders.get(peer)
    if (holder === undefined || bytes > holder.heldBytes)
      throw new StatewireError(
        'ERR_INTERNAL',
        `${bytes} bytes of long frames were released; ${holder?.heldBytes ?? 0} are held for the peer.`,
      )
    holder.heldBytes -= bytes
    this.#usedBytes -= bytes
    this.#leave(holder)
    this.#serve(this.#waiters.size)
  }

  #leave(holder: Holder): void {
    holder.frames -= 1
    if (holder.frames === 0) this.#holders.delete(holder.peer)
  }

  /** A callback may release or ask again: the loop continues, and does not nest. */
  #serve(waitingBefore: number): void {
    if (this.#isServing) return
    this.#isServing = true
    try {
      for (let next = this.#next(); next !== undefined && this.#fits(next.bytes); next = this.#next()) {
        this.#waiters.delete(next)
        next.holder.heldBytes += next.bytes
        this.#usedBytes += next.bytes
        next.onReserved()
      }
    } finally {
      this.#isServing = false
    }
    // Once too often does no harm.
    if (waitingBefore === 0 || this.#waiters.size === 0) this.#onWaitingChanged()
  }

  #fits(bytes: number): boolean {
    return this.#usedBytes === 0 || this.#usedBytes + bytes <= this.#totalBytes
  }

  #next(): Waiter | undefined {
    const [first] = this.#waiters
    if (first === undefined) return undefined
    const shareBytes = this.#totalBytes / this.#holders.size
    if (first.holder.heldBytes <= shareBytes) return first
    for (const waiter of this.#waiters) if (waiter.holder.heldBytes < shareBytes) return waiter
    return first
  }
}
