/**
 * Owns: which of a host's addresses a link dials next.
 * Independent of: name lookups, back-off and connections; its owner reports how each dial ended.
 *
 * Each address is tried once before the host counts as failed. An address that belongs to someone else, or refuses for
 * reasons of configuration, is set aside for a while: the others are dialled meanwhile.
 */
export class DialAddresses {
  readonly #setAsideMs: number
  #found: readonly string[] = []
  /** Since the host last counted as failed. */
  readonly #tried = new Set<string>()
  /** Until when, by address. */
  readonly #setAside = new Map<string, number>()
  #current: string | null = null
  /** The last one on which a connection proved itself. */
  #preferred: string | null = null

  constructor(setAsideMs: number) {
    this.#setAsideMs = setAsideMs
  }

  /** @returns the address to dial, and whether it is the last one to try before the host counts as failed */
  next(found: readonly string[], nowMs: number): { readonly host: string; readonly isLast: boolean } {
    this.#found = found
    for (const host of this.#setAside.keys()) if (!found.includes(host)) this.#setAside.delete(host)
    let candidates = this.#untried(nowMs)
    if (candidates.length === 0) {
      this.#tried.clear()
      candidates = this.#untried(nowMs)
    }
    // Where all are set aside, the first is dialled all the same.
    const isPreferred = this.#preferred !== null && candidates.includes(this.#preferred)
    const host = (isPreferred ? this.#preferred : (candidates[0] ?? found[0])) as string
    this.#tried.add(host)
    this.#current = host
    return { host, isLast: candidates.length <= 1 }
  }

  /** The dial failed. @returns whether another address is to be tried before the host counts as failed */
  failed(isToSetAside: boolean, nowMs: number): boolean {
    const current = this.#current
    if (current === null) return false
    this.#current = null
    if (isToSetAside) this.#setAside.set(current, nowMs + this.#setAsideMs)
    return this.#untried(nowMs).length > 0
  }

  /** The connection that was dialled last works. */
  proved(): void {
    if (this.#current === null) return
    this.#preferred = this.#current
    this.#current = null
    this.#tried.clear()
  }

  /** The dial was given up for another connection: it says nothing about its address. */
  forget(): void {
    this.#current = null
  }

  #untried(nowMs: number): string[] {
    return this.#found.filter((host) => !this.#tried.has(host) && (this.#setAside.get(host) ?? 0) <= nowMs)
  }
}
