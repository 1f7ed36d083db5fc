/**
 * Owns: the stream ids of one side of a link in one epoch: which it may open next, and which of its streams are over
 * (docs/protocol.md, native, "Streams").
 * Independent of: what streams carry, and the limit of how many are open.
 */
import { ProtocolError } from '../../../codec/errors.ts'
import { controlLane, firstStreamLane } from '../../../codec/native-frames.ts'

/** How far an Open may be ahead of the last one, in ids of its side. */
export const streamStepsMax = 2 ** 29

export class StreamIds {
  readonly #firstId: number
  /** Ids of this parity below the control lane. */
  readonly #ids: number
  #lastId: number | null = null

  /** @param isGreater the side whose ids these are has the greater peer id: it opens odd ids, the other even ids */
  constructor(isGreater: boolean) {
    this.#firstId = firstStreamLane + (isGreater ? 1 : 0)
    this.#ids = Math.ceil((controlLane - this.#firstId) / 2)
  }

  /** The id of the next stream of this side: ascending; after the last id the first follows. Ids in use are skipped. */
  next(isInUse: (id: number) => boolean): number {
    let id = this.#lastId
    do id = id === null || id + 2 >= controlLane ? this.#firstId : id + 2
    while (isInUse(id))
    this.#lastId = id
    return id
  }

  /** An Open arrived. Throws ProtocolError ERR_STREAM_ID for an id that the peer may not open now. */
  opened(id: number, isInUse: boolean): void {
    if (!this.isOwn(id)) throw wrong(id, 'it belongs to the other side')
    if (isInUse) throw wrong(id, 'it is in use')
    if (!this.#isAhead(id)) throw wrong(id, `it is not ahead of the last one, ${this.#lastId ?? 'none'}`)
    this.#lastId = id
  }

  /** Another frame arrived for a stream that is not open. Throws ProtocolError ERR_STREAM_ID if it never was. */
  checkOver(id: number): void {
    if (this.#lastId === null || !this.isOwn(id) || this.#isAhead(id))
      throw new ProtocolError('ERR_STREAM_ID', `A frame arrived for stream ${id}, which was never opened.`)
  }

  /** It has the parity of that side. */
  isOwn(id: number): boolean {
    return id % 2 === this.#firstId % 2
  }

  /** By 1 to 2^29 steps, counted around the end of the range. The first Open may carry any id. */
  #isAhead(id: number): boolean {
    if (this.#lastId === null) return true
    const steps = ((id - this.#lastId) / 2 + this.#ids) % this.#ids
    return steps >= 1 && steps <= streamStepsMax
  }
}

function wrong(id: number, why: string): ProtocolError {
  return new ProtocolError('ERR_STREAM_ID', `An Open has the stream id ${id}, which the peer may not open: ${why}.`)
}
