/**
 * Owns: a clock that stands still until it is told to go on; ticks, immediates and timers run in a fixed order.
 * Refuses to know: the system's clock.
 */
import { checkFunction, invalid } from '../actors/checks.ts'
import { show } from '../codec/show.ts'
import type { Clock, TimerHandle } from '../actors/environment.ts'

interface Timer {
  readonly atMs: number
  readonly order: number
  readonly callback: () => void
}

export class VirtualClock implements Clock {
  #nowMs = 0
  #order = 0
  #timers = new Set<Timer>()
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
    if (typeof delayMs !== 'number' || Number.isNaN(delayMs)) throw invalid(`delayMs of setTimeout must be a number, got ${show(delayMs)}`)
    const timer: Timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, callback }
    this.#timers.add(timer)
    return timer
  }

  clearTimeout(handle: TimerHandle): void {
    this.#timers.delete(handle as Timer)
  }

  nextTick(callback: () => void): void {
    checkFunction(callback, 'the callback of nextTick')
    this.#ticks.push(callback)
  }

  setImmediate(callback: () => void): void {
    checkFunction(callback, 'the callback of setImmediate')
    this.#immediates.push(callback)
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.size
  }

  /**
   * Runs what is due now, promises included, until nothing is left to do at this moment.
   * @throws if it does not become quiet within `turnsMax` turns
   */
  async settle(turnsMax = 10_000): Promise<void> {
    for (let turn = 0; turn < turnsMax; turn++) {
      await drainMicrotasks()
      if (this.#ticks.length > 0) {
        const ticks = this.#ticks
        this.#ticks = []
        for (const tick of ticks) tick()
        continue
      }
      if (this.#immediates.length > 0) {
        const immediates = this.#immediates
        this.#immediates = []
        for (const immediate of immediates) immediate()
        continue
      }
      const due = this.#earliest()
      if (due === undefined || due.atMs > this.#nowMs) return
      this.#timers.delete(due)
      due.callback()
    }
    throw new Error(`the virtual clock did not become quiet: ${this.#ticks.length} ticks, ${this.#immediates.length} immediates, ${this.#timers.size} timers pending`)
  }

  /** Goes on by so many milliseconds, stopping at each timer on the way. */
  async advance(byMs: number): Promise<void> {
    checkSpan(byMs, 'byMs of advance')
    const untilMs = this.#nowMs + byMs
    await this.settle()
    for (;;) {
      const next = this.#earliest()
      if (next === undefined || next.atMs > untilMs) break
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      await this.settle()
    }
    this.#nowMs = untilMs
    await this.settle()
  }

  /** Time passes and nothing runs, as when the machine sleeps: what was due meanwhile runs late, when time next goes on. */
  stall(byMs: number): void {
    checkSpan(byMs, 'byMs of stall')
    this.#nowMs += byMs
  }

  /**
   * Goes on from timer to timer until something holds. Time stands still where it already does.
   * @throws with `what` when it does not come about within `withinMs` of virtual time, or when nothing is left to happen
   */
  async until(what: string, holds: () => boolean, withinMs = 600_000): Promise<void> {
    checkFunction(holds, 'the condition of until')
    checkSpan(withinMs, 'withinMs of until')
    const untilMs = this.#nowMs + withinMs
    await this.settle()
    while (!holds()) {
      const next = this.#earliest()
      if (next === undefined || next.atMs > untilMs) {
        const why = next === undefined ? 'nothing is left to happen' : `the next thing happens at ${next.atMs} ms`
        throw new Error(`${what} did not come about within ${withinMs} ms of virtual time: ${why}`)
      }
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      await this.settle()
    }
  }

  /** Goes on until a promise is settled, and gives its result. @throws what it rejects with, and as `until` */
  async run<T>(promise: Promise<T>, withinMs?: number): Promise<T> {
    let isSettled = false
    const settled = (): void => {
      isSettled = true
    }
    promise.then(settled, settled)
    await this.until('the promise', () => isSettled, withinMs)
    return promise
  }

  #earliest(): Timer | undefined {
    let earliest: Timer | undefined
    for (const timer of this.#timers) {
      if (earliest === undefined || timer.atMs < earliest.atMs || (timer.atMs === earliest.atMs && timer.order < earliest.order)) earliest = timer
    }
    return earliest
  }
}

/** Time goes on, and only so far: to go on without end would never return. @throws StatewireError ERR_INVALID_OPTION */
function checkSpan(spanMs: unknown, what: string): void {
  if (typeof spanMs !== 'number' || !Number.isFinite(spanMs) || spanMs < 0) throw invalid(`${what} must be a number of milliseconds from 0 on, got ${show(spanMs)}`)
}

/** Promise reactions may queue further ones; sixteen rounds are more than any chain here is long. */
async function drainMicrotasks(): Promise<void> {
  for (let i = 0; i < 16; i++) await Promise.resolve()
}
