/**
 * Owns: when the batches of a network leave that are asked for within one turn of the loop: few at its end, many a little later.
 * Refuses to know: links and sockets; a batch tells how long it is and leaves when it is told to.
 *
 * A write costs some 10 µs at each end, and its acknowledgement as much again, whatever it carries. Where one turn has little for
 * each of many links, that is most of the cost: 64 links with 64 values each reached 0.46 of what one link did (bench, row
 * lanes-64). So in a crowd a short batch waits while more keeps coming to it, for a few turns at most.
 */
import type { Clock } from './environment.ts'

export interface Batch {
  /** Bytes that wait to leave; 0 if they have left by other ways. */
  readonly pendingBytes: number
  leave(): void
}

/** Fewer batches than this in one turn leave at its end: a party with its peers should not wait for more. */
export const crowdMin = 16
/** As long as two records of TLS: the cost of a write is small beside it. */
const longEnoughBytes = 32 * 1024
const turnsMax = 8

interface Held {
  readonly batch: Batch
  seenBytes: number
  /** By number of the look: when it is first asked whether more has come. */
  readonly fromLook: number
}

export class FlushSchedule {
  readonly #clock: Clock
  #due: Batch[] = []
  #held: Held[] = []
  #looks = 0
  readonly #endTurn = (): void => this.#leave()
  readonly #nextTurn = (): void => this.#look()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Batches that wait for more. */
  get held(): number {
    return this.#held.length
  }

  /**
   * The batch leaves at the end of this turn, by nextTick, or soon after. Not by a microtask: an awaited `send` runs in microtasks,
   * and a flush between them would write every value alone (0.17 M values/s instead of 3.1 M).
   */
  request(batch: Batch): void {
    if (this.#due.push(batch) === 1) this.#clock.nextTick(this.#endTurn)
  }

  #leave(): void {
    const due = this.#due
    this.#due = []
    if (due.length < crowdMin && this.#held.length === 0) {
      for (const batch of due) batch.leave()
      return
    }
    const isFirst = this.#held.length === 0
    // A look that was asked for before may come in this very turn, when nothing more can have come.
    const fromLook = this.#looks + (isFirst ? 1 : 2)
    for (const batch of due) {
      const seenBytes = batch.pendingBytes
      if (seenBytes >= longEnoughBytes) batch.leave()
      else this.#held.push({ batch, seenBytes, fromLook })
    }
    if (isFirst && this.#held.length > 0) this.#clock.setImmediate(this.#nextTurn)
  }

  #look(): void {
    const held = this.#held
    this.#held = []
    const look = ++this.#looks
    for (const each of held) {
      const { pendingBytes } = each.batch
      const hasGrown = pendingBytes > each.seenBytes || look < each.fromLook
      if (hasGrown && pendingBytes < longEnoughBytes && look < each.fromLook + turnsMax - 1) {
        each.seenBytes = pendingBytes
        this.#held.push(each)
      } else each.batch.leave()
    }
    if (this.#held.length > 0) this.#clock.setImmediate(this.#nextTurn)
  }
}
