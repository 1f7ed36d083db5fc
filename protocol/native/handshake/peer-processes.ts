/**
 * Owns: what one side remembers about the processes of one peer over all links (docs/protocol.md, "Stale hellos"): the
 * current and the greatest boot id, the adopted hello numbers; and the boot id and the hello numbers of its own that it
 * uses with that peer. It is kept for the lifetime of the process, also while the peer is removed.
 * Independent of: bytes, sockets, epochs and back-off.
 */
import { staleBootIdMax, type Hello } from '../../../codec/hello.ts'

/** Which process a hello came from, and which of its hellos it was. */
export type HelloOrigin = Pick<Hello, 'bootId' | 'helloNumber'>

/**
 * What a refusal as stale means for the side that gets it.
 *
 * - `duplicate`: another process with the same key is connected. The next dial waits for the cap of the back-off.
 * - `behind-now`, `behind`: the clock of this side went back. The next hello has a later boot id; `-now`: it is sent at
 *   once.
 * - `ignored`: the boot id in the refusal makes no sense. The next dial waits for the cap of the back-off.
 * - `outdated`: a newer hello has been sent, or will be. The refusal says nothing about it.
 */
export type StaleMeaning = 'duplicate' | 'behind-now' | 'behind' | 'ignored' | 'outdated'

interface LinkRecord {
  /** Hellos that this process has sent on this link. */
  sentHellos: number
  adopted: HelloOrigin | null
  /** Whether a connection is up and not suspect. */
  isAlive: () => boolean
}

export class PeerProcesses {
  readonly #links = new Map<number, LinkRecord>()
  #ownBootId: bigint
  #current: bigint | null = null
  #greatest = 0n
  #hasRedialled = false

  /** @param bootId microseconds since 1970 at the start of this process */
  constructor(bootId: bigint) {
    this.#ownBootId = bootId
  }

  /** What this side sends in its hellos to this peer. */
  get ownBootId(): bigint {
    return this.#ownBootId
  }

  /** The link exists now. Its hello numbers continue if it existed before. */
  watch(linkIndex: number, isAlive: () => boolean): void {
    this.#link(linkIndex).isAlive = isAlive
  }

  nextHelloNumber(linkIndex: number): number {
    return ++this.#link(linkIndex).sentHellos
  }

  /** A hello of the peer is adopted on this link. */
  adopted(linkIndex: number, { bootId, helloNumber }: HelloOrigin): void {
    const link = this.#link(linkIndex)
    link.adopted = { bootId, helloNumber: Math.max(helloNumber, this.#adoptedNumber(link, bootId)) }
    this.#current = bootId
    if (bootId > this.#greatest) this.#greatest = bootId
  }

  /** Whether the acceptor refuses the hello: a dropped dial sent it, or an earlier process. */
  isStale(linkIndex: number, { bootId, helloNumber }: HelloOrigin): boolean {
    if (bootId !== this.#current) return bootId <= this.#greatest
    return helloNumber <= this.#adoptedNumber(this.#link(linkIndex), bootId)
  }

  /** Whether the hello comes from the process that this side knows now. */
  isOfCurrent({ bootId }: HelloOrigin): boolean {
    return bootId === this.#current
  }

  /** The boot id in a refusal as stale: 0n while the current process is connected. */
  get staleBootId(): bigint {
    for (const { adopted, isAlive } of this.#links.values())
      if (adopted !== null && adopted.bootId === this.#current && isAlive()) return 0n
    return this.#greatest
  }

  /** The greatest boot id that was adopted; 0n before the first. */
  get greatestBootId(): bigint {
    return this.#greatest
  }

  /** This side's hello was refused as stale. */
  refused(linkIndex: number, { bootId, helloNumber }: HelloOrigin, staleBootId: bigint): StaleMeaning {
    if (bootId !== this.#ownBootId || helloNumber !== this.#link(linkIndex).sentHellos) return 'outdated'
    if (staleBootId === 0n) return 'duplicate'
    if (staleBootId < this.#ownBootId || staleBootId > staleBootIdMax) return 'ignored'
    this.#ownBootId = staleBootId + 1n
    if (this.#hasRedialled) return 'behind'
    this.#hasRedialled = true
    return 'behind-now'
  }

  #adoptedNumber({ adopted }: LinkRecord, bootId: bigint): number {
    return adopted !== null && adopted.bootId === bootId ? adopted.helloNumber : 0
  }

  #link(linkIndex: number): LinkRecord {
    let link = this.#links.get(linkIndex)
    if (link === undefined) {
      link = { sentHellos: 0, adopted: null, isAlive: () => false }
      this.#links.set(linkIndex, link)
    }
    return link
  }
}
