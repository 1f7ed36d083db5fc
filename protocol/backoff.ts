/**
 * Owns: how long to wait before the next try.
 * Independent of: clocks and random sources; a random number is passed in.
 *
 * Full jitter (a wait anywhere between 0 and the bound) spreads a herd best and needs the fewest tries of the usual
 * forms, see "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export interface BackoffOptions {
  readonly minMs: number
  readonly maxMs: number
  readonly factor: number
}

/** @param attempt 0 for the first retry; @param fraction in [0, 1) */
export function backoffMs(attempt: number, fraction: number, options: BackoffOptions): number {
  // The exponent is clamped before the power is taken: 1.6 ** 2000 is Infinity, and a timer of Infinity fires at once.
  const boundMs = Math.min(options.maxMs, options.minMs * options.factor ** Math.min(attempt, 64))
  return boundMs * fraction
}
