/**
 * Owns: what a case of a limit is: a value at or next to the bound, and the one expected outcome.
 * Independent of: any limit.
 */

export interface LimitCase {
  /** A name of the declared tables. */
  readonly limit: string
  /** "n-1", "n" or "n+1", and the direction of the bound. */
  readonly at: string
  /** "in order", an error code, or another documented outcome. */
  readonly expected: string
  readonly run: () => unknown
}

/** No error means "in order"; a string is the outcome itself. */
export async function outcomeOf(run: () => unknown): Promise<string> {
  try {
    const result: unknown = await run()
    return typeof result === 'string' ? result : 'in order'
  } catch (error) {
    const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
    return typeof code === 'string' ? code : `untyped: ${String(error)}`
  }
}

/** The three values around a bound; `outcomes` belong to n-1, n and n+1. */
export function around(
  limit: string,
  way: string,
  n: number,
  outcomes: readonly [string, string, string],
  run: (value: number) => unknown,
): LimitCase[] {
  return outcomes.map((expected, index) => ({
    limit,
    at: `${way}, n${['-1', '', '+1'][index] as string}`,
    expected,
    run: () => run(n + (index - 1)),
  }))
}
