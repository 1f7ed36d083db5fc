/**
 * Owns: what was said: each line once, in order of time, the last thousand.
 * Independent of: who says it and how it travels.
 */

export interface Line {
  /** The same at every peer. */
  readonly id: string
  readonly name: string
  readonly text: string
  /** Milliseconds since 1970, by the clock of who said it. */
  readonly atMs: number
}

/** Enough for an evening, and far below the limit of one answer. */
const keptLines = 1000
const textLengthMost = 500

export class History {
  readonly #lines = new Map<string, Line>()

  /** @returns whether it is new */
  add(line: Line): boolean {
    if (this.#lines.has(line.id)) return false
    this.#lines.set(line.id, line)
    if (this.#lines.size > keptLines) {
      const [oldest] = this.all
      if (oldest !== undefined) this.#lines.delete(oldest.id)
    }
    return true
  }

  get all(): Line[] {
    return [...this.#lines.values()].sort((a, b) => a.atMs - b.atMs || (a.id < b.id ? -1 : 1))
  }
}

/** @returns null for anything that is not a line: peers are known, but their programs may differ */
export function parseLine(value: unknown): Line | null {
  const { id, name, text, atMs } = (value ?? {}) as Record<string, unknown>
  if (typeof id !== 'string' || typeof name !== 'string' || typeof text !== 'string' || typeof atMs !== 'number')
    return null
  return { id: id.slice(0, 100), name: clean(name).slice(0, 40), text: clean(text).slice(0, textLengthMost), atMs }
}

/** No control characters: they could move the cursor of a terminal. */
function clean(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ')
}
