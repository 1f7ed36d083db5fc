/**
 * Owns: which of a host's addresses a link dials next.
 * Independent of: name lookups, back-off and connections; its owner reports how each dial ended.
 *
 * Each address is tried once before the host counts as failed. An address that belongs to another peer, or refuses
 * because of its configuration, is set aside for a while; the others are dialled in the meantime.
 */
export class DialAddresses {
  readonly #setAsideMs: number
  #found: readonly string[] = []
  /** Addresses tried since the host last counted as failed. */
  readonly #tried = new Set<string>()
  /** The time until which each address is set aside. */
  readonly #setAside = new Map<string, number>()
  #current: string | null = null
  /** The last address with a working connection. */
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
    // If all addresses are set aside, the first one is dialled anyway.
    const isPreferred = this.#preferred !== null && candidates.includes(this.#preferred)
    const host = (isPreferred ? this.#preferred : (candidates[0] ?? found[0])) as string
    this.#tried.add(host)
    this.#current = host
    return { host, isLast: candidates.length <= 1 }
  }

  /**
   * The dial failed.
   * @returns whether another address can be tried before the host counts as failed
   */
  failed(isToSetAside: boolean, nowMs: number): boolean {
    const current = this.#current
    if (current === null) return false
    this.#current = null
    if (isToSetAside) this.#setAside.set(current, nowMs + this.#setAsideMs)
    return this.#untried(nowMs).length > 0
  }

  /** The connection to the current address works. */
  proved(): void {
    if (this.#current === null) return
    this.#preferred = this.#current
    this.#current = null
    this.#tried.clear()
  }

  /** The dial was abandoned for another connection, which says nothing about the address. */
  forget(): void {
    this.#current = null
  }

  #untried(nowMs: number): string[] {
    return this.#found.filter((host) => !this.#tried.has(host) && (this.#setAside.get(host) ?? 0) <= nowMs)
  }
}
