/**
 * Owns: which inbound connections may begin a handshake: limits on pending connections, in total and per address, and
 * on the connection rate of an address; and which pending connection is evicted for a new one
 * (docs/decisions/0005-who-gives-way.md).
 * Independent of: sockets and clocks; time is passed in. It decides before a connection costs anything.
 */
import { addressOf, PeerAddresses } from './peer-addresses.ts'

export interface AdmissionLimits {
  readonly pendingInboundMax: number
  readonly pendingInboundPerAddressMax: number
  readonly connectRatePerSecond: number
  readonly connectBurst: number
}

export type AdmissionVerdict =
  | { readonly admitted: true }
  /** `evict`: the pending connection that must be closed to make room. */
  | { readonly admitted: true; readonly evict: string }
  | { readonly admitted: false; readonly reason: 'address-pending' | 'address-rate' | 'pending' }

interface Source {
  readonly address: string
  tokens: number
  filledAtMs: number
  /** In the order of their arrival. */
  readonly pending: Set<string>
}

interface Pending {
  readonly source: Source
  readonly sinceMs: number
  /** Its peer has proved its key, and waits for a decision of this side. */
  isProved: boolean
}

/** Addresses whose rate is remembered while nothing of theirs is pending. The oldest are forgotten first. */
const idleSourcesMax = 4096

export class Admission {
  readonly #limits: AdmissionLimits
  readonly #peers: PeerAddresses
  readonly #sources = new Map<string, Source>()
  /** In the order of their arrival. */
  readonly #pending = new Map<string, Pending>()

  /**
   * @param peers the addresses where peers have proved their keys; shared, so that it outlives a restart of the
   *   listener
   */
  constructor(limits: AdmissionLimits, peers = new PeerAddresses()) {
    this.#limits = limits
    this.#peers = peers
  }

  get pending(): number {
    return this.#pending.size
  }

  /** When a pending connection was admitted; undefined if it is not pending. */
  sinceMs(id: string): number | undefined {
    return this.#pending.get(id)?.sinceMs
  }

  /**
   * Decides about a new connection. At this point only its address is known. Where a peer has proved its key before,
   * neither the rate nor the number of handshakes from that address turns it away.
   * @param id of the connection, unique
   * @param host where it comes from, without the port
   */
  ask(id: string, host: string, nowMs: number): AdmissionVerdict {
    const { pendingInboundMax, pendingInboundPerAddressMax } = this.#limits
    const source = this.#source(addressOf(host), nowMs)
    const isKnown = this.#peers.isProved(source.address)
    if (!isKnown && source.tokens < 1) return { admitted: false, reason: 'address-rate' }
    let evict: string | undefined
    if (!isKnown && source.pending.size >= pendingInboundPerAddressMax) {
      evict = this.#oldestOf(source)
      if (evict === undefined) return { admitted: false, reason: 'address-pending' }
    } else if (this.#pending.size >= pendingInboundMax) {
      evict = this.#oldestOfBusiest(isKnown)
      if (evict === undefined) return { admitted: false, reason: 'pending' }
    }
    source.tokens = Math.max(0, source.tokens - 1)
    if (evict !== undefined) this.#drop(evict)
    source.pending.add(id)
    this.#pending.set(id, { source, sinceMs: nowMs, isProved: false })
    return evict === undefined ? { admitted: true } : { admitted: true, evict }
  }

  /** The peer has proved its key: from now on the connection is not evicted. */
  prove(id: string): void {
    const pending = this.#pending.get(id)
    if (pending !== undefined) pending.isProved = true
  }

  /**
   * Ends the handshake of a connection. A connection that authenticated gives its token back, so that the rate limits
   * only those that do not.
   * @param isProved whether the identity rests on a key; one that was only claimed says nothing about the address
   */
  settle(id: string, authenticated: boolean, isProved = authenticated): void {
    const source = this.#drop(id)
    if (source === undefined || !authenticated) return
    source.tokens = Math.min(this.#limits.connectBurst, source.tokens + 1)
    if (isProved) this.#peers.connected(source.address, source.filledAtMs, true)
  }

  #oldestOf(source: Source): string | undefined {
    for (const id of source.pending) if (this.#pending.get(id)?.isProved === false) return id
    return undefined
  }

  /**
   * The oldest handshake of the busiest address. An address of a peer is spared up to the number that a stranger may
   * have; if only such addresses are left, they give way to each other, and not to strangers.
   */
  #oldestOfBusiest(isForPeer: boolean): string | undefined {
    const sources = new Set([...this.#pending.values()].map(({ source }) => source))
    const spared: Source[] = []
    const others: Source[] = []
    for (const source of sources) {
      const isSpared =
        source.pending.size <= this.#limits.pendingInboundPerAddressMax && this.#peers.isProved(source.address)
      ;(isSpared ? spared : others).push(source)
    }
    return this.#oldestIn(others) ?? (isForPeer ? this.#oldestIn(spared) : undefined)
  }

  /** Of the busiest first; between equals, the one whose oldest handshake came first. */
  #oldestIn(sources: Source[]): string | undefined {
    for (const source of sources.toSorted((a, b) => b.pending.size - a.pending.size)) {
      const id = this.#oldestOf(source)
      if (id !== undefined) return id
    }
    return undefined
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
      if (this.#sources.size >= idleSourcesMax) this.#forgetIdle()
      source = { address, tokens: connectBurst, filledAtMs: nowMs, pending: new Set() }
      this.#sources.set(address, source)
    }
    const passedMs = Math.max(0, nowMs - source.filledAtMs)
    source.tokens = Math.min(connectBurst, source.tokens + (passedMs / 1000) * connectRatePerSecond)
    source.filledAtMs = nowMs
    return source
  }

  #forgetIdle(): void {
    for (const [address, source] of this.#sources) {
      if (this.#sources.size <= idleSourcesMax / 2) return
      if (source.pending.size === 0) this.#sources.delete(address)
    }
  }
}
