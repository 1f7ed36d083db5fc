/**
 * Owns: which (peer, connection id) is asked for right now, and by whom: the table that the listener places sockets by.
 * Refuses to know: sockets. Nobody who was not asked for gets in.
 */
import type { Claim } from '../../protocol/dialect.ts'
import type { Handover } from './handover.ts'

/**
 * Takes the handover, or says no because it has one already. @returns false if it is turned away for its conduct: that
 * costs it a token
 */
export type ClaimHolder = (handover: Handover) => boolean

export class AcceptRegistry {
  /**
   * By identity, then by connection id: a key of both would be put together, and looked up by its characters, for
   * every hello.
   */
  readonly #holders = new Map<string, Map<number, ClaimHolder>>()

  /** @throws if the claim is open already: two owners of one connection would be a bug */
  open({ identity, connectionId }: Claim, holder: ClaimHolder): void {
    const holders = this.#holders.get(identity) ?? new Map<number, ClaimHolder>()
    if (holders.has(connectionId)) throw new Error(`connection ${connectionId} of ${identity} is asked for already`)
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
