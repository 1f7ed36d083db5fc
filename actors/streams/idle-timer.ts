/**
 * Owns: the event `timeout` of a stream: so long without a byte in either direction.
 * Independent of: what travels.
 */
import type { Deadline, TimerWheel } from '../base/timer-wheel.ts'

export interface TimedStream {
  readonly bytesRead: number
  readonly bytesWritten: number
  emit(event: 'timeout'): boolean
}

/** Compares byte counts at its deadlines, so that a transfer costs nothing. */
export class IdleTimer {
  readonly #wheel: TimerWheel
  readonly #stream: TimedStream
  #timeoutMs = 0
  #deadline: Deadline | null = null
  #bytes = 0

  constructor(wheel: TimerWheel, stream: TimedStream) {
    this.#wheel = wheel
    this.#stream = stream
  }

  /** 0 turns it off. */
  set(timeoutMs: number): void {
    this.#deadline?.cancel()
    this.#deadline = null
    this.#timeoutMs = timeoutMs
    if (timeoutMs > 0) this.#arm()
  }

  #arm(): void {
    const { bytesRead, bytesWritten } = this.#stream
    this.#bytes = bytesRead + bytesWritten
    this.#deadline = this.#wheel.schedule(this.#timeoutMs, () => {
      const isIdle = this.#bytes === this.#stream.bytesRead + this.#stream.bytesWritten
      this.#arm()
      if (isIdle) this.#stream.emit('timeout')
    })
  }
}
