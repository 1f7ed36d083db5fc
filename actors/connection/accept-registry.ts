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
  open({ identity, linkIndex }: Claim, holder: ClaimHolder): void {
    const holders = this.#holders.get(identity) ?? new Map<number, ClaimHolder>()
    if (holders.has(linkIndex)) throw new Error(`connection ${linkIndex} of ${identity} already has an owner`)
    holders.set(linkIndex, holder)
    this.#holders.set(identity, holders)
  }

  close({ identity, linkIndex }: Claim, holder: ClaimHolder): void {
    const holders = this.#holders.get(identity)
    if (holders?.get(linkIndex) !== holder) return
    holders.delete(linkIndex)
    if (holders.size === 0) this.#holders.delete(identity)
  }

  find({ identity, linkIndex }: Claim): ClaimHolder | undefined {
    return this.#holders.get(identity)?.get(linkIndex)
  }
}
