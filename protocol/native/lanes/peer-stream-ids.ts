/**
 * Owns: which stream ids the peer may open next on one link in one epoch, and which of its streams are over
 * (docs/protocol.md, native, "Streams").
 * Independent of: what streams carry, and the limit of how many are open.
 */
import { ProtocolError } from '../../../codec/errors.ts'
import { controlLane, firstStreamLane } from '../../../codec/native-frames.ts'

/** How far an Open may be ahead of the last one, in ids of its side. */
export const streamStepsMax = 2 ** 29

export class PeerStreamIds {
  readonly #firstId: number
  /** Ids of this parity below the control lane. */
  readonly #ids: number
  #lastId: number | null = null

  /** The peer with the greater id opens odd ids, the other even ids. */
  constructor(isPeerGreater: boolean) {
    this.#firstId = firstStreamLane + (isPeerGreater ? 1 : 0)
    this.#ids = Math.ceil((controlLane - this.#firstId) / 2)
  }

  /** An Open arrived. Throws ProtocolError ERR_STREAM_ID for an id that the peer may not open now. */
  opened(id: number, isInUse: boolean): void {
    if (!this.#isOwn(id)) throw wrong(id, 'it belongs to the other side')
    if (isInUse) throw wrong(id, 'it is in use')
    if (!this.#isAhead(id)) throw wrong(id, `it is not ahead of the last one, ${this.#lastId ?? 'none'}`)
    this.#lastId = id
  }

  /** Another frame arrived for a stream that is not open. Throws ProtocolError ERR_STREAM_ID if it never was. */
  checkOver(id: number): void {
    if (this.#lastId === null || !this.#isOwn(id) || this.#isAhead(id))
      throw new ProtocolError('ERR_STREAM_ID', `A frame arrived for stream ${id}, which was never opened.`)
  }

  #isOwn(id: number): boolean {
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
