/**
 * Owns: when the links of a network write: the write batches of a tick, and acks that nothing goes along with.
 * Independent of: links and sockets. A link says how much it has to write, and writes when it is called.
 *
 * A write costs some 10 µs at each end whatever it carries, and the ack for it as much again.
 * - A batch is written at the end of its tick. Where many links have one, a short batch waits for a few ticks while more
 *   keeps coming to it.
 * - A standalone ack waits for three ticks, so that it covers more values and often goes along with a batch. With many
 *   links it waits for one: senders need their buffers back.
 */
import type { Clock } from '../base/environment.ts'

/** The writing side of one link. */
export interface LinkWrites {
  /** Bytes of the batch; 0 if it has been written already. */
  readonly pendingBytes: number
  /** False once the ack has gone along with something. */
  readonly isAckDue: boolean
  writeBatch(): void
  /** Writes the ack, if it is still due. */
  writeAck(): void
}

/** With fewer links than this nothing waits for more: a party should not wait for its other peers. */
export const coalesceMinLinks = 16
/** As long as two TLS records: the cost of a write is small beside it. */
const longBatchBytes = 32 * 1024
const batchTicksMax = 8
const ackTicks = 3

interface HeldBatch {
  readonly writes: LinkWrites
  seenBytes: number
  /** The first check that can find more bytes. */
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

  /** Batches that wait for more. */
  get heldBatches(): number {
    return this.#batches.length
  }

  /**
   * Once until `writeBatch` is called. The batch is written by nextTick, not in a microtask: an awaited `send` runs in
   * microtasks, and a write between two of them would write every value alone.
   */
  requestBatch(writes: LinkWrites): void {
    if (this.#due.push(writes) === 1) this.#clock.nextTick(this.#endTick)
  }

  /** Once until `writeAck` is called. */
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
    // A check that is due already may come in this very tick, when nothing more can have come.
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
