/**
 * Owns: the deadlines of one actor's current state, as entries in the timer wheel.
 * Independent of: charts, and what happens when a deadline passes.
 */
import type { DeadlineName } from '../../machines/chart.ts'
import type { Deadline, TimerWheel } from '../base/timer-wheel.ts'

interface ArmedDeadline {
  readonly name: DeadlineName
  readonly deadline: Deadline
}

export class StateDeadlines {
  readonly #wheel: TimerWheel
  readonly #msOf: (name: DeadlineName) => number
  readonly #onPassed: (name: DeadlineName) => void
  /** One or two at most. */
  readonly #armed: ArmedDeadline[] = []

  constructor(wheel: TimerWheel, msOf: (name: DeadlineName) => number, onPassed: (name: DeadlineName) => void) {
    this.#wheel = wheel
    this.#msOf = msOf
    this.#onPassed = onPassed
  }

  /**
   * Arms the deadlines of the state just entered and cancels the others. A deadline that is already armed keeps
   * running, so one deadline can cover several states. One that has passed is armed again if the state still names it.
   */
  enter(names: readonly DeadlineName[]): void {
    const armed = this.#armed
    for (let at = armed.length - 1; at >= 0; at--) {
      const { name, deadline } = armed[at] as ArmedDeadline
      if (names.includes(name)) continue
      deadline.cancel()
      armed.splice(at, 1)
    }
    for (const name of names) if (!armed.some((one) => one.name === name)) this.#arm(name)
  }

  clear(): void {
    for (const { deadline } of this.#armed.splice(0)) deadline.cancel()
  }

  #arm(name: DeadlineName): void {
    const armed = this.#armed
    const deadline = this.#wheel.schedule(this.#msOf(name), () => {
      armed.splice(
        armed.findIndex((one) => one.deadline === deadline),
        1,
      )
      this.#onPassed(name)
    })
    armed.push({ name, deadline })
  }
}
