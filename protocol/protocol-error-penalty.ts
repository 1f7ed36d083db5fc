/**
 * Owns: how long a peer that breaks the protocol again and again is not let in: longer each time.
 * Refuses to know: what a breach is, and clocks (time comes in as a number).
 */

/** A breach that comes so long after the last is a first one. */
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

  /** The first costs nothing: it may be a bug that was hit once, and its dialer waits its back-off anyway. */
  note(nowMs: number): void {
    // Waiting out a penalty does not make it forgotten.
    const sinceMs = nowMs - Math.max(this.#lastAtMs, this.#untilMs)
    this.#breaches = sinceMs > forgottenAfterMs ? 1 : this.#breaches + 1
    this.#lastAtMs = nowMs
    if (this.#breaches > 1)
      this.#untilMs = nowMs + Math.min(this.#penaltyMsMax, firstPenaltyMs * 2 ** (this.#breaches - 2))
  }

  /** For how long yet nobody is let in; 0 or less for nobody kept out. */
  leftMs(nowMs: number): number {
    return this.#untilMs - nowMs
  }
}
