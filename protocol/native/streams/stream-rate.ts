/**
 * Owns: how many streams a peer may open or reset on one link in a second.
 * Independent of: streams and their limit; clocks (time is passed in).
 *
 * A token bucket that holds what is allowed in one second. Without it a peer could open and reset streams as fast as
 * frames arrive, which the limit of streams that are open at once does not prevent (HTTP/2 "rapid reset",
 * CVE-2023-44487). It outlives connections and epochs.
 */
import { ProtocolError } from '../../../codec/errors.ts'

export class StreamRate {
  readonly #perSecond: number
  #tokens: number
  #filledAtMs: number

  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = this.#tokens = perSecond
    this.#filledAtMs = nowMs
  }

  /** An Open, a Reset, or another frame without content for a stream that is over. Throws ProtocolError ERR_FLOOD. */
  spend(nowMs: number): void {
    this.#tokens -= 1
    if (this.#tokens >= 0) return
    const earned = ((nowMs - this.#filledAtMs) / 1000) * this.#perSecond
    this.#tokens = Math.min(this.#perSecond, this.#tokens + earned)
    this.#filledAtMs = nowMs
    if (this.#tokens >= 0) return
    this.#tokens = 0
    throw new ProtocolError(
      'ERR_FLOOD',
      `The peer opens or resets more than ${this.#perSecond} streams per second (limits.streamOpensPerSecond).`,
    )
  }
}
