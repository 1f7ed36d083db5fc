/**
 * Owns: who may begin a handshake: caps on pending connections, in all and from one address, and a rate per address.
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
  /** `evict`: the table is full; end this pending connection (the oldest of the busiest address) and the new one is in. */
  | { readonly admitted: true; readonly evict: string }
  | { readonly admitted: false; readonly reason: 'address-pending' | 'address-rate' | 'pending' }

interface Source {
  tokens: number
  filledAtMs: number
  readonly pending: Set<string>
}

/** Sources that are remembered although nothing of theirs is pending, so that their rate counts; older ones are forgotten first. */
const idleSourcesMax = 4096

export class Admission {
  readonly #limits: AdmissionLimits
  readonly #sources = new Map<string, Source>()
  readonly #addressOf = new Map<string, string>()

  constructor(limits: AdmissionLimits) {
    this.#limits = limits
  }

  get pending(): number {
    return this.#addressOf.size
  }

  /** @param id of the connection that asks, unique; @param address where it comes from, without the port */
  ask(id: string, address: string, nowMs: number): AdmissionVerdict {
    const source = this.#source(address, nowMs)
    if (source.pending.size >= this.#limits.pendingInboundPerAddressMax) return { admitted: false, reason: 'address-pending' }
    if (source.tokens < 1) return { admitted: false, reason: 'address-rate' }
    let evict: string | undefined
    if (this.#addressOf.size >= this.#limits.pendingInboundMax) {
      const busiest = this.#busiest()
      // A newcomer from the busiest address itself does not push out its own elder sister.
      if (busiest === undefined || busiest.pending.size <= 1 || busiest === source) return { admitted: false, reason: 'pending' }
      evict = busiest.pending.values().next().value
    }
    source.tokens -= 1
    source.pending.add(id)
    this.#addressOf.set(id, address)
    if (evict === undefined) return { admitted: true }
    this.#drop(evict)
    return { admitted: true, evict }
  }

  /** The handshake is over. One that authenticated gives its token back: the rate is for those who do not. */
  settle(id: string, authenticated: boolean): void {
    const source = this.#drop(id)
    if (source !== undefined && authenticated) source.tokens = Math.min(this.#limits.connectBurst, source.tokens + 1)
  }

  #drop(id: string): Source | undefined {
    const address = this.#addressOf.get(id)
    if (address === undefined) return undefined
    this.#addressOf.delete(id)
    const source = this.#sources.get(address)
    source?.pending.delete(id)
    return source
  }

  #source(address: string, nowMs: number): Source {
    const { connectBurst, connectRatePerSecond } = this.#limits
    let source = this.#sources.get(address)
    if (source === undefined) {
      if (this.#sources.size >= idleSourcesMax) this.#forgetIdle()
      source = { tokens: connectBurst, filledAtMs: nowMs, pending: new Set() }
      this.#sources.set(address, source)
    }
    source.tokens = Math.min(connectBurst, source.tokens + (Math.max(0, nowMs - source.filledAtMs) / 1000) * connectRatePerSecond)
    source.filledAtMs = nowMs
    return source
  }

  #busiest(): Source | undefined {
    let busiest: Source | undefined
    for (const source of this.#sources.values()) if (busiest === undefined || source.pending.size > busiest.pending.size) busiest = source
    return busiest
  }

  #forgetIdle(): void {
    for (const [address, source] of this.#sources) {
      if (source.pending.size > 0) continue
      this.#sources.delete(address)
      if (this.#sources.size <= idleSourcesMax / 2) return
    }
  }
}
