/**
 * Owns: the addresses from which, or at which, peers were connected, and at which of them a peer proved its key.
 * Independent of: sockets and clocks (time is passed in), and of what an address is trusted with.
 */

/** The addresses that were used longest ago are forgotten first. */
const addressesMax = 4096

interface Use {
  readonly connectedAtMs: number
  readonly isProved: boolean
}

export class PeerAddresses {
  /** Least recently used first. */
  readonly #uses = new Map<string, Use>()

  /** @param isProved whether the peer proved its key; on plain TCP an identity is only claimed */
  connected(host: string, nowMs: number, isProved: boolean): void {
    const address = addressOf(host)
    const known = this.#uses.get(address)
    this.#uses.delete(address)
    this.#uses.set(address, { connectedAtMs: nowMs, isProved: isProved || known?.isProved === true })
    if (this.#uses.size <= addressesMax) return
    for (const oldest of this.#uses.keys()) return void this.#uses.delete(oldest)
  }

  /** Whether a peer proved its key there before. */
  isProved(host: string): boolean {
    return this.#uses.get(addressOf(host))?.isProved ?? false
  }

  /** When a peer was last connected there; -Infinity if none was. */
  connectedAtMs(host: string): number {
    return this.#uses.get(addressOf(host))?.connectedAtMs ?? -Infinity
  }
}

/** A socket that serves both versions of IP reports 127.0.0.1 as "::ffff:127.0.0.1". */
export function addressOf(host: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1] ?? host
}
