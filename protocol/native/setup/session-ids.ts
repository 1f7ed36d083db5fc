/**
 * Owns: the session ids of one link in one epoch: which come next, and what a frame for an id without an open lane is.
 * Independent of: who assigns them to which call, and what a lane does. The link makes a new one with each epoch.
 */
import { maxUint16 } from '../../../codec/constants.ts'
import { ProtocolError, StatewireError } from '../../../codec/errors.ts'
import { sessionLanesEnd } from '../../../codec/native-frames.ts'

/**
 * What an id without an open lane is. `over`: its frames are counted and dropped. `refused`: this side refused its Make
 * and granted nothing, so a value is a protocol error; other frames are counted and dropped. `unmade`: any frame is a
 * protocol error.
 */
export type IdPlace = 'over' | 'refused' | 'unmade'

export class SessionIds {
  /** The next Make may not begin below. */
  #next = 0
  /** Ids from here on are unmade. Above `#next` where the length of a refused Make is not known. */
  #end = 0
  /** The first id of the last Make, if this side refused it. */
  #refusedFrom = Infinity

  /** Whether so many ids are left. */
  has(count: number): boolean {
    return this.#next + count <= sessionLanesEnd
  }

  /** Takes ids for a Make of this side. Throws StatewireError ERR_SESSION_IDS_USED_UP. @returns the first */
  take(count: number): number {
    if (!this.has(count))
      throw new StatewireError(
        'ERR_SESSION_IDS_USED_UP',
        `${count} more session ids were needed; the next is ${this.#next} and they end at ${sessionLanesEnd}.`,
      )
    const first = this.#next
    this.#next += count
    this.#end = this.#next
    return first
  }

  /**
   * A Make of the peer. Throws ProtocolError ERR_MAKE_IDS.
   * @param count null if this side does not know how many ids it covers; it refuses the Make then
   */
  make(firstId: number, count: number | null): void {
    if (firstId < this.#next || firstId + (count ?? 1) > sessionLanesEnd)
      throw new ProtocolError(
        'ERR_MAKE_IDS',
        `A Make assigns session ids from ${firstId}; they must be at least ${this.#next} and below ${sessionLanesEnd}.`,
      )
    this.#next = firstId + (count ?? 1)
    // A Make creates at most as many sessions as the count of a Want can say.
    this.#end = count === null ? Math.min(firstId + maxUint16, sessionLanesEnd) : this.#next
    this.#refusedFrom = count === null ? firstId : Infinity
  }

  /** This side refuses the last Make, although it knows its length. */
  refuse(firstId: number): void {
    this.#refusedFrom = firstId
  }

  /** @param id one for which this side has no open lane */
  placeOf(id: number): IdPlace {
    if (id >= this.#end) return 'unmade'
    return id >= this.#refusedFrom ? 'refused' : 'over'
  }
}
