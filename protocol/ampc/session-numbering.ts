/**
 * Owns: the ids of sessions, which connection carries which session (docs/protocol.md), and the content of validation.
 * Independent of: sockets and lanes.
 */

const idsEnd = 0xffff_ffff

/** Session ids are consecutive over the groups that succeed. Both sides count the same way. */
export class SessionNumbering {
  #next = 0

  get next(): number {
    return this.#next
  }

  /** The ids of a session group. None is used up until the group succeeds. */
  first(count: number): number {
    return this.#next >= idsEnd - count ? 0 : this.#next
  }

  /**
   * Calls to different peers run at once and end in any order. The number never goes back, except where it starts again
   * at 0.
   */
  succeeded(first: number, count: number): void {
    const wraps = first === 0 && this.first(count) === 0
    this.#next = wraps ? count : Math.max(this.#next, first + count)
  }
}

/** The connection that carries session number `index` of a group. */
export function connectionOf(index: number, connections: number): number {
  return index % connections
}

/** The requested parallelism, at most the number of sessions: a connection without a session would be idle. */
export function connectionsFor(sessions: number, parallelism: number): number {
  return Math.min(sessions, parallelism)
}

/** The first value that each side sends on a session: its index in the group, u64 LE, zero padded to a PrfKey. */
export function validationKey(index: number): Uint8Array {
  const key = new Uint8Array(16)
  new DataView(key.buffer).setUint32(0, index, true)
  return key
}
