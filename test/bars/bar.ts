/**
 * Owns: what a bar is (an id, a verdict, its figures), how it is written as one line, and how memory is measured.
 * Independent of: any particular bar.
 */

export type Figure = number | string

export interface Bar {
  readonly id: string
  readonly passed: boolean
  readonly figures: Readonly<Record<string, Figure>>
  /** For people: what failed, one short line each. Printed before the bar's line. */
  readonly notes: readonly string[]
}

export interface BarContext {
  /** Runs everything at a smaller size: shows whether it works, not how far it scales. */
  readonly isQuick: boolean
  /** Seeds all randomness of a bar. */
  readonly seed: number
  readonly progress: (text: string) => void
}

export type BarRun = (context: BarContext) => Promise<readonly Bar[]>

/** The figures in the order given; fractions have at most three digits. */
export function writeBar({ id, passed, figures }: Bar): string {
  const words = Object.entries(figures).map(
    ([key, value]) =>
      `${key}=${typeof value === 'number' && !Number.isInteger(value) ? Number(value.toFixed(3)) : value}`,
  )
  return [`BAR ${id} ${passed ? 'pass' : 'fail'}`, ...words].join(' ')
}

/** The value below which the given share of the values lies; 0 for no values. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) return 0
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] as number
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)

export const mebibyte = 1024 * 1024

/** Memory in use without garbage: the minimum of a few samples, because pages are returned to the system late. */
export async function settledRssBytes(looks = 5, pauseMs = 100): Promise<number> {
  let leastBytes = Infinity
  for (let look = 0; look < looks; look++) {
    globalThis.gc?.()
    await pause(pauseMs)
    leastBytes = Math.min(leastBytes, process.memoryUsage().rss)
  }
  return leastBytes
}

export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs))
}

/** @throws if the condition does not become true in time */
export async function eventually(what: string, holds: () => boolean, patienceMs = 10_000): Promise<void> {
  const untilMs = performance.now() + patienceMs
  while (!holds()) {
    if (performance.now() > untilMs) throw new Error(`${what} did not come about within ${patienceMs} ms`)
    await pause(1)
  }
}
