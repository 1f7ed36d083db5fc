/**
 * Owns: the numbering of sessions and which connection carries which (docs/protocol.md), and what validation says.
 * Refuses to know: sockets and lanes.
 */

const idsEnd = 0xffff_ffff

/** Session ids are consecutive over the batches that succeed; both sides count alike. */
export class SessionNumbering {
  #next = 0

  get next(): number {
    return this.#next
  }

  /** The ids of a batch; nothing is used up until it succeeds. */
  first(count: number): number {
    return this.#next >= idsEnd - count ? 0 : this.#next
  }

  /** Calls to different peers run at once and may end in any order: the number never goes back, but where it begins anew. */
  succeeded(first: number, count: number): void {
    const beginsAnew = first === 0 && this.first(count) === 0
    this.#next = beginsAnew ? count : Math.max(this.#next, first + count)
  }
}

/** Session number `index` of a batch rides on this connection. */
export function connectionOf(index: number, connections: number): number {
  return index % connections
}

/** The asked parallelism, capped at the number of sessions: a connection without a session would have nothing to do. */
export function connectionsFor(sessions: number, parallelism: number): number {
  return Math.min(sessions, parallelism)
}

/** What a session says and hears first: its index in the batch, u64 LE, zero padded to a PrfKey. */
export function validationKey(index: number): Uint8Array {
  const key = new Uint8Array(16)
  new DataView(key.buffer).setUint32(0, index, true)
  return key
}
