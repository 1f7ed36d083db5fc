/**
 * Owns: when an Ack leaves that has nothing to go along with.
 * Refuses to know: links and sockets, and when an Ack is due (protocol/native/ack-schedule.ts).
 *
 * An Ack alone costs a write, a record of TLS and a read at the other end, some 20 µs, and a reader at full speed owes one a turn,
 * for some 400 values. So it waits for three turns, which is microseconds where the loop has nothing else to do: what comes meanwhile is
 * acknowledged with it, and often there is something to go along with. On one stream of small values that takes the price of resumption
 * from 6 to 13 % of processor time to nothing (bar E3). Not in a crowd: the senders of many links need their batch buffers back,
 * and 64 links were slower by a twelfth (row lanes-64).
 */
import type { Clock } from './environment.ts'
import { crowdMin } from './flush-schedule.ts'

export interface LoneAck {
  /** False once it has left along with something. */
  readonly isAckDue: boolean
  /** Out with it, if it is still due. */
  acknowledge(): void
}

const turnsToWait = 3

interface Waiting {
  readonly ack: LoneAck
  turns: number
}

export class LoneAcks {
  readonly #clock: Clock
  #waiting: Waiting[] = []
  #isLookDue = false
  readonly #look = (): void => this.#leave()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Once until `acknowledge` is called. */
  request(ack: LoneAck): void {
    this.#waiting.push({ ack, turns: 0 })
    this.#lookNextTurn()
  }

  #lookNextTurn(): void {
    if (this.#isLookDue) return
    this.#isLookDue = true
    this.#clock.setImmediate(this.#look)
  }

  #leave(): void {
    this.#isLookDue = false
    const waiting = this.#waiting
    this.#waiting = []
    const isCrowd = waiting.length >= crowdMin
    for (const each of waiting) {
      if (!isCrowd && ++each.turns < turnsToWait && each.ack.isAckDue) this.#waiting.push(each)
      else each.ack.acknowledge()
    }
    if (this.#waiting.length > 0) this.#lookNextTurn()
  }
}
