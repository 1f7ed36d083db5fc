/**
 * Owns: when an application is told that links wait for memory to send.
 * Independent of: how the memory is divided.
 */
import type { Clock } from '../base/environment.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'

/** Links may begin to wait thousands of times a second: an operator needs one event. */
const everyMs = 1000

export interface PressureOptions {
  readonly clock: Clock
  readonly wheel: TimerWheel
  /** How many links wait now. */
  readonly waiting: () => number
  readonly tell: () => void
}

/** Tells at the first wait that lasts for a tick, and each second for as long as any link waits. */
export class Pressure {
  readonly #options: PressureOptions
  #isLooking = false
  #hasTold = false

  constructor(options: PressureOptions) {
    this.#options = options
  }

  /** A link begins to wait, and is asking for memory at this moment. */
  begins(): void {
    if (this.#isLooking || this.#hasTold) return
    this.#isLooking = true
    this.#options.clock.nextTick(() => {
      this.#isLooking = false
      this.#look()
    })
  }

  #look(): void {
    const { wheel, waiting, tell } = this.#options
    this.#hasTold = waiting() > 0
    if (!this.#hasTold) return
    wheel.schedule(everyMs, () => this.#look())
    tell()
  }
}
