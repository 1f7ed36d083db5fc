/**
 * Owns: the inbound connections that links are waiting for, by (peer, connection id). The listener looks up each socket
 * here.
 * Independent of: sockets. A connection that no link waits for is refused.
 */
import type { Claim } from '../../protocol/dialect.ts'
import type { Handover } from './handover.ts'

/**
 * Accepts the handover, or refuses it because the link has a connection.
 * @returns false if the peer is refused for its behaviour, which costs it an admission token
 */
export type ClaimHolder = (handover: Handover) => boolean

export class AcceptRegistry {
  /** By identity, then by connection id. A combined key would have to be built and hashed for every hello. */
  readonly #holders = new Map<string, Map<number, ClaimHolder>>()

  /** @throws if the claim is open already: one connection cannot have two owners */
  open({ identity, connectionId }: Claim, holder: ClaimHolder): void {
    const holders = this.#holders.get(identity) ?? new Map<number, ClaimHolder>()
    if (holders.has(connectionId)) throw new Error(`connection ${connectionId} of ${identity} already has an owner`)
    holders.set(connectionId, holder)
    this.#holders.set(identity, holders)
  }

  close({ identity, connectionId }: Claim, holder: ClaimHolder): void {
    const holders = this.#holders.get(identity)
    if (holders?.get(connectionId) !== holder) return
    holders.delete(connectionId)
    if (holders.size === 0) this.#holders.delete(identity)
  }

  find({ identity, connectionId }: Claim): ClaimHolder | undefined {
    return this.#holders.get(identity)?.get(connectionId)
  }
}
