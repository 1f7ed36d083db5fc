/**
 * Owns: which (peer, connection id) is asked for right now, and by whom: the table that the listener places sockets by.
 * Refuses to know: sockets. Nobody who was not asked for gets in.
 */
import type { Claim } from '../protocol/dialect.ts'
import type { Offer } from './offer.ts'

/** Takes the offer, or says no because it has one already. @returns false if it is turned away for its conduct: that costs it a token */
export type ClaimHolder = (offer: Offer) => boolean

export class Claims {
  readonly #holders = new Map<string, ClaimHolder>()

  get size(): number {
    return this.#holders.size
  }

  /** @throws if the claim is open already: two owners of one connection would be a bug */
  open(claim: Claim, holder: ClaimHolder): void {
    const key = keyOf(claim)
    if (this.#holders.has(key)) throw new Error(`connection ${claim.connectionId} of ${claim.identity} is asked for already`)
    this.#holders.set(key, holder)
  }

  close(claim: Claim, holder: ClaimHolder): void {
    const key = keyOf(claim)
    if (this.#holders.get(key) === holder) this.#holders.delete(key)
  }

  find(claim: Claim): ClaimHolder | undefined {
    return this.#holders.get(keyOf(claim))
  }
}

function keyOf(claim: Claim): string {
  return `${claim.connectionId} ${claim.identity}`
}
