/**
 * Owns: a clock that stands still until it is advanced; ticks, immediates and timers run in a fixed order.
 * Independent of: the system's clock.
 */
import { checkFunction, invalid } from '../actors/base/checks.ts'
import { formatValue } from '../codec/format-value.ts'
import type { Clock, TimerHandle } from '../actors/base/environment.ts'
import { TimerHeap } from './timer-heap.ts'
import type { HeapTimer } from './timer-heap.ts'

export class VirtualClock implements Clock {
  #nowMs = 0
  readonly #timers = new TimerHeap()
  #ticks: (() => void)[] = []
  #immediates: (() => void)[] = []

  nowMs(): number {
    return this.#nowMs
  }

  /** Time here begins in 2026, so that boot ids look like those of real processes. */
  wallMs(): number {
    return 1_767_225_600_000 + this.#nowMs
  }

  setTimeout(callback: () => void, delayMs: number): TimerHandle {
    checkFunction(callback, 'the callback of setTimeout')
    if (typeof delayMs !== 'number' || Number.isNaN(delayMs))
      throw invalid(`delayMs of setTimeout must be a number, got ${formatValue(delayMs)}`)
    return this.#timers.add(this.#nowMs + Math.max(0, delayMs), callback)
  }

  clearTimeout(handle: TimerHandle): void {
    this.#timers.remove(handle as HeapTimer | null)
  }

  nextTick(callback: () => void): void {
    checkFunction(callback, 'the callback of nextTick')
    this.#ticks.push(callback)
  }

  setImmediate(callback: () => void): void {
    checkFunction(callback, 'the callback of setImmediate')
    this.#immediates.push(callback)
  }

  /** Number of timers that are set. */
  get timers(): number {
    return this.#timers.size
  }

  /**
   * Runs what is due now, promises included, until nothing is left to do at this moment.
   * @throws if it does not become quiet within `turnsMax` ticks
   */
  settle(turnsMax = 10_000): Promise<void> {
    return this.#go(turnsMax, () => null)
  }

  /** Advances by this many milliseconds, stopping at each timer on the way. */
  async advance(byMs: number): Promise<void> {
    checkSpan(byMs, 'byMs of advance')
    const untilMs = this.#nowMs + byMs
    await this.#go(undefined, () => {
      const nextMs = this.#timers.earliestMs
      return nextMs === null || nextMs > untilMs ? null : nextMs
    })
    this.#nowMs = untilMs
    await this.settle()
  }

  /**
   * Time passes and nothing runs, as when the machine sleeps: what was due meanwhile runs late, at the next advance.
   */
  stall(byMs: number): void {
    checkSpan(byMs, 'byMs of stall')
    this.#nowMs += byMs
  }

  /**
   * Advances from timer to timer until a condition holds. Does not advance if it already does.
   * @throws with `what` when the condition does not hold within `withinMs` of virtual time, or when nothing is left to
   *   happen
   */
  async until(what: string, holds: () => boolean, withinMs = 600_000): Promise<void> {
    checkFunction(holds, 'the condition of until')
    checkSpan(withinMs, 'withinMs of until')
    const untilMs = this.#nowMs + withinMs
    return this.#go(undefined, () => {
      if (holds()) return null
      const nextMs = this.#timers.earliestMs
      if (nextMs !== null && nextMs <= untilMs) return nextMs
      const why = nextMs === null ? 'nothing is left to happen' : `the next thing happens at ${nextMs} ms`
      throw new Error(`${what} did not come about within ${withinMs} ms of virtual time: ${why}`)
    })
  }

  /** Advances until a promise is settled, and returns its result. @throws what it rejects with, and as `until` */
  async run<T>(promise: Promise<T>, withinMs?: number): Promise<T> {
    let isSettled = false
    const settled = (): void => {
      isSettled = true
    }
    promise.then(settled, settled)
    await this.until('the promise', () => isSettled, withinMs)
    return promise
  }

  /**
   * Runs tick after tick. A tick begins with a Node tick requested in a microtask: such a tick runs when no promise has
   * anything left to do, however long the chains are.
   * @param goOn called when nothing is left to do at this moment: the next moment, or null to end
   */
  #go(turnsMax = 10_000, goOn: () => number | null): Promise<void> {
    return new Promise((resolve, reject) => {
      let turns = 0
      const turn = (): void => {
        try {
          if (!this.#turn()) {
            const atMs = goOn()
            if (atMs === null) return resolve()
            this.#nowMs = Math.max(this.#nowMs, atMs)
            turns = 0
            this.#turn()
          }
          if (++turns > turnsMax)
            throw new Error(
              `the virtual clock did not become quiet: ${this.#ticks.length} ticks, ${this.#immediates.length} immediates, ${this.#timers.size} timers pending`,
            )
          queueMicrotask(next)
        } catch (error) {
          reject(error as Error)
        }
      }
      const next = (): void => process.nextTick(turn)
      queueMicrotask(next)
    })
  }

  /** @returns whether there was anything to do at this moment */
  #turn(): boolean {
    if (this.#ticks.length > 0) {
      const ticks = this.#ticks
      this.#ticks = []
      for (const tick of ticks) tick()
      return true
    }
    if (this.#immediates.length > 0) {
      const immediates = this.#immediates
      this.#immediates = []
      for (const immediate of immediates) immediate()
      return true
    }
    const due = this.#timers.takeDue(this.#nowMs)
    due?.()
    return due !== null
  }
}

/** Time advances by a finite amount: an endless run would never return. @throws StatewireError ERR_INVALID_OPTION */
function checkSpan(spanMs: unknown, what: string): void {
  if (typeof spanMs !== 'number' || !Number.isFinite(spanMs) || spanMs < 0)
    throw invalid(`${what} must be a number of milliseconds from 0 on, got ${formatValue(spanMs)}`)
}
