/**
 * Owns: what happened, in order: time, node, event; and one hash over all of it, so that two runs can be compared.
 * Independent of: what the events mean.
 */

/** Number of lines kept; the hash covers all. */
const keptMax = 20_000

export class Trace {
  readonly #nowMs: () => number
  #lines: string[] = []
  #hash = 0x811c9dc5
  #events = 0

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** FNV-1a over every event so far; equal for equal runs. */
  get hash(): number {
    return this.#hash >>> 0
  }

  get events(): number {
    return this.#events
  }

  note(node: string, event: string): void {
    const line = `${this.#nowMs().toFixed(3)} ${node}: ${event}`
    let hash = this.#hash
    for (let index = 0; index < line.length; index += 1) hash = Math.imul(hash ^ line.charCodeAt(index), 0x01000193)
    this.#hash = hash
    this.#events += 1
    this.#lines.push(line)
    if (this.#lines.length >= 2 * keptMax) this.#lines = this.#lines.slice(-keptMax)
  }

  /** The last lines, oldest first; "12.500 alice: connects to bob:1 (wire 3)". */
  lines(countMax = keptMax): readonly string[] {
    return this.#lines.slice(-countMax)
  }
}
