/**
 * Owns: when the links of a network write: the write batches of a tick, and standalone acks.
 * Independent of: links and sockets. A link reports how much it has to write, and writes when it is called.
 *
 * A write has a fixed cost at each end, whatever it carries, and so has the ack for it.
 * - A write batch is written at the end of its tick. If many links have one, a short batch waits for a few ticks while
 *   it keeps growing.
 * - A standalone ack waits for three ticks, so that it covers more values and often shares a write. With many links it
 *   waits for one tick: senders need their buffers back.
 */
import type { Clock } from '../base/environment.ts'

/** The writing side of one link. */
export interface LinkWrites {
  /** The size of the write batch; 0 if it has been written already. */
  readonly pendingBytes: number
  /** False if the ack has been sent with other frames. */
  readonly isAckDue: boolean
  writeBatch(): void
  /** Writes the ack if it is still due. */
  writeAck(): void
}

/** With fewer links than this, write batches are not held back: a peer should not wait for other peers. */
export const coalesceMinLinks = 16
/** The length of two TLS records: longer batches gain little from waiting. */
const longBatchBytes = 32 * 1024
const batchTicksMax = 8
const ackTicks = 3

interface HeldBatch {
  readonly writes: LinkWrites
  seenBytes: number
  /** The number of the first check that can find more bytes. */
  readonly fromCheck: number
}

interface HeldAck {
  readonly writes: LinkWrites
  readonly atCheck: number
}

export class WriteScheduler {
  readonly #clock: Clock
  #due: LinkWrites[] = []
  #batches: HeldBatch[] = []
  #acks: HeldAck[] = []
  #checks = 0
  #isCheckDue = false
  readonly #endTick = (): void => this.#writeDue()
  readonly #nextTick = (): void => this.#check()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The number of write batches that are held back. */
  get heldBatches(): number {
    return this.#batches.length
  }

  /**
   * Life of a byte 4/12: requests one call of `writeBatch`. It is made in nextTick, not in a microtask: an awaited
   * `send` runs in microtasks, so every value would be written separately.
   */
  requestBatch(writes: LinkWrites): void {
    if (this.#due.push(writes) === 1) this.#clock.nextTick(this.#endTick)
  }

  /** Requests one call of `writeAck`. */
  requestAck(writes: LinkWrites): void {
    this.#acks.push({ writes, atCheck: this.#checks + ackTicks })
    this.#checkNextTick()
  }

  #checkNextTick(): void {
    if (this.#isCheckDue) return
    this.#isCheckDue = true
    this.#clock.setImmediate(this.#nextTick)
  }

  #writeDue(): void {
    const due = this.#due
    this.#due = []
    if (due.length < coalesceMinLinks && this.#batches.length === 0) {
      for (const writes of due) writes.writeBatch()
      return
    }
    // A pending check may run in this same tick, before more bytes can have been added.
    const fromCheck = this.#checks + (this.#isCheckDue ? 2 : 1)
    for (const writes of due) {
      const seenBytes = writes.pendingBytes
      if (seenBytes >= longBatchBytes) writes.writeBatch()
      else this.#batches.push({ writes, seenBytes, fromCheck })
    }
    if (this.#batches.length > 0) this.#checkNextTick()
  }

  #check(): void {
    this.#isCheckDue = false
    const check = ++this.#checks
    const [batches, acks] = [this.#batches, this.#acks]
    this.#batches = []
    this.#acks = []
    for (const held of batches) {
      if (this.#mayGrow(held, check)) this.#batches.push(held)
      else held.writes.writeBatch()
    }
    const isMany = acks.length >= coalesceMinLinks
    for (const held of acks) {
      if (!isMany && check < held.atCheck && held.writes.isAckDue) this.#acks.push(held)
      else held.writes.writeAck()
    }
    if (this.#batches.length + this.#acks.length > 0) this.#checkNextTick()
  }

  #mayGrow(held: HeldBatch, check: number): boolean {
    const { pendingBytes } = held.writes
    const hasGrown = pendingBytes > held.seenBytes || check < held.fromCheck
    held.seenBytes = pendingBytes
    return hasGrown && pendingBytes < longBatchBytes && check < held.fromCheck + batchTicksMax - 1
  }
}
