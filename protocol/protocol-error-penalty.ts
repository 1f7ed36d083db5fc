/**
 * Owns: how long a peer that breaks the protocol repeatedly is kept out: longer each time.
 * Independent of: what a protocol error is, and clocks (time is passed in).
 */

/** A protocol error this long after the last one counts as a first one. */
const forgottenAfterMs = 60_000
const firstPenaltyMs = 250

export class ProtocolErrorPenalty {
  readonly #penaltyMsMax: number
  #breaches = 0
  #lastAtMs = -Infinity
  #untilMs = -Infinity

  constructor(penaltyMsMax: number) {
    this.#penaltyMsMax = penaltyMsMax
  }

  /** The first costs nothing: it may be a rare bug, and its dialer waits for its back-off anyway. */
  note(nowMs: number): void {
    // Waiting out a penalty does not reset it.
    const sinceMs = nowMs - Math.max(this.#lastAtMs, this.#untilMs)
    this.#breaches = sinceMs > forgottenAfterMs ? 1 : this.#breaches + 1
    this.#lastAtMs = nowMs
    if (this.#breaches > 1)
      this.#untilMs = nowMs + Math.min(this.#penaltyMsMax, firstPenaltyMs * 2 ** (this.#breaches - 2))
  }

  /** How long the peer is still kept out; 0 or less if it is not. */
  leftMs(nowMs: number): number {
    return this.#untilMs - nowMs
  }
}
