/**
 * Owns: who may begin a handshake: caps on pending connections, in all and from one address, and a rate per address; and who
 * gives way when the table is full (docs/decisions/0005-who-gives-way.md).
 * Refuses to know: sockets and clocks; time comes in as a number. It decides before anything costs.
 */
export interface AdmissionLimits {
  readonly pendingInboundMax: number
  readonly pendingInboundPerAddressMax: number
  readonly connectRatePerSecond: number
  readonly connectBurst: number
}

export type AdmissionVerdict =
  | { readonly admitted: true }
  /** `evict`: the table is full; end this pending connection and the new one is in. */
  | { readonly admitted: true; readonly evict: string }
  | { readonly admitted: false; readonly reason: 'address-pending' | 'address-rate' | 'pending' }

interface Source {
  tokens: number
  filledAtMs: number
  /** When somebody from here last proved to be a peer; -Infinity if nobody has. */
  provedAtMs: number
  readonly pending: Set<string>
}

interface Pending {
  readonly source: Source
  readonly sinceMs: number
}

/** Sources that are remembered although nothing of theirs is pending, so that their rate counts; older ones are forgotten first. */
const idleSourcesMax = 4096
/** An address from which a peer came so recently goes before strangers. An hour: a peer that was away overnight can wait a second. */
export const provedForMs = 3_600_000
/** A handshake that has been under way so long gives way in a full table. 1 s: many times what an honest one takes. */
export const givesWayAfterMs = 1_000

export class Admission {
  readonly #limits: AdmissionLimits
  readonly #sources = new Map<string, Source>()
  /** In the order in which they came: the first is the oldest. */
  readonly #pending = new Map<string, Pending>()

  constructor(limits: AdmissionLimits) {
    this.#limits = limits
  }

  get pending(): number {
    return this.#pending.size
  }

  /** @param id of the connection that asks, unique; @param address where it comes from, without the port */
  ask(id: string, address: string, nowMs: number): AdmissionVerdict {
    const source = this.#source(address, nowMs)
    if (source.pending.size >= this.#limits.pendingInboundPerAddressMax) return { admitted: false, reason: 'address-pending' }
    if (source.tokens < 1) return { admitted: false, reason: 'address-rate' }
    let evict: string | undefined
    if (this.#pending.size >= this.#limits.pendingInboundMax) {
      evict = this.#oldestOfBusiest(source, nowMs) ?? this.#oldestStranger(source, nowMs) ?? this.#overdue(nowMs)
      if (evict === undefined) return { admitted: false, reason: 'pending' }
    }
    source.tokens -= 1
    source.pending.add(id)
    this.#pending.set(id, { source, sinceMs: nowMs })
    if (evict === undefined) return { admitted: true }
    this.#drop(evict)
    return { admitted: true, evict }
  }

  /**
   * The handshake is over. One that authenticated gives its token back: the rate is for those who do not.
   * @param isProved whether that rests on a key: a name that was only claimed makes nobody's address known
   */
  settle(id: string, authenticated: boolean, isProved = authenticated): void {
    const source = this.#drop(id)
    if (source === undefined || !authenticated) return
    source.tokens = Math.min(this.#limits.connectBurst, source.tokens + 1)
    if (isProved) source.provedAtMs = source.filledAtMs
  }

  /** Many from one address are the likeliest not to be missed. Strangers do not push out an address that is known. */
  #oldestOfBusiest(newcomer: Source, nowMs: number): string | undefined {
    const sparesKnown = !isKnown(newcomer, nowMs)
    let busiest: Source | undefined
    for (const { source } of this.#pending.values()) {
      if (sparesKnown && isKnown(source, nowMs)) continue
      if (busiest === undefined || source.pending.size > busiest.pending.size) busiest = source
    }
    // A newcomer from the busiest address itself does not push out its own elder sister.
    if (busiest === undefined || busiest.pending.size <= 1 || busiest === newcomer) return undefined
    return busiest.pending.values().next().value
  }

  /** Where a peer comes from, a peer will come from again. */
  #oldestStranger(newcomer: Source, nowMs: number): string | undefined {
    if (!isKnown(newcomer, nowMs)) return undefined
    for (const [id, { source }] of this.#pending) if (!isKnown(source, nowMs)) return id
    return undefined
  }

  /** Whoever is honest has long got through by then. */
  #overdue(nowMs: number): string | undefined {
    const [id, oldest] = this.#pending.entries().next().value ?? []
    return oldest !== undefined && nowMs - oldest.sinceMs >= givesWayAfterMs ? id : undefined
  }

  #drop(id: string): Source | undefined {
    const pending = this.#pending.get(id)
    if (pending === undefined) return undefined
    this.#pending.delete(id)
    pending.source.pending.delete(id)
    return pending.source
  }

  #source(address: string, nowMs: number): Source {
    const { connectBurst, connectRatePerSecond } = this.#limits
    let source = this.#sources.get(address)
    if (source === undefined) {
      if (this.#sources.size >= idleSourcesMax) this.#forgetIdle(nowMs)
      source = { tokens: connectBurst, filledAtMs: nowMs, provedAtMs: -Infinity, pending: new Set() }
      this.#sources.set(address, source)
    }
    source.tokens = Math.min(connectBurst, source.tokens + (Math.max(0, nowMs - source.filledAtMs) / 1000) * connectRatePerSecond)
    source.filledAtMs = nowMs
    return source
  }

  /** Strangers first: a flood from many addresses must not wash away where peers come from. */
  #forgetIdle(nowMs: number): void {
    for (const sparesKnown of [true, false]) {
      for (const [address, source] of this.#sources) {
        if (this.#sources.size <= idleSourcesMax / 2) return
        if (source.pending.size === 0 && !(sparesKnown && isKnown(source, nowMs))) this.#sources.delete(address)
      }
    }
  }
}

function isKnown(source: Source, nowMs: number): boolean {
  return nowMs - source.provedAtMs < provedForMs
}
