/**
 * Owns: the only clean end of a link, Goodbye (docs/protocol.md, native): who answers whom, and what comes before the FIN.
 * Refuses to know: sockets and timers; replay and outcomes, which link-epoch.ts keeps. Its owner carries out the steps.
 *
 *     first                                             second
 *       Goodbye(next, received)            ──────────▶
 *                                          ◀──────────  Goodbye(next, received), at once
 *       Ack, FIN                           ──────────▶
 *                                          ◀──────────  FIN
 *
 * Two that cross answer each other: then both sides send their last Ack and FIN. The last Ack is not for decoration: without
 * it the second side would report what the first has heard as unknown.
 */
import { ProtocolError } from '../../../codec/errors.ts'
import { goodbyeCodes } from '../../../codec/native-frames.ts'
import type { GoodbyeBody } from '../frame-bodies.ts'

/** After its FIN, or while it waits for the other's, a side that received no byte for so long destroys the socket. */
export const goodbyeSilenceMs = 5_000

/**
 * What the owner does now. `answer`: send the own Goodbye, then wait for the other's FIN. `finish`: send a last Ack, then
 * FIN, and read on until the other's. `protocol-error`: the peer found this side in breach; end the epoch, send nothing.
 */
export type GoodbyeStep = 'answer' | 'finish' | 'protocol-error'

export class GoodbyeExchange {
  #isSaid = false
  #isHeard = false

  /** No counted frame may be sent any more: what waits is not sent. */
  get isSaid(): boolean {
    return this.#isSaid
  }

  /** If its socket ends or is replaced now, the link has ended with it. */
  get isEnding(): boolean {
    return this.#isSaid || this.#isHeard
  }

  /** This side's Goodbye goes out. */
  say(): void {
    this.#isSaid = true
  }

  /**
   * The peer's Goodbye arrived. Its `received` is an Ack, which the owner applies before this call (see {@link isAck}).
   * @param counted frames that this side has counted in this epoch. Throws ProtocolError ERR_GOODBYE_MISMATCH if the peer
   * sent another number, ERR_GOODBYE_ORDER for a second Goodbye.
   */
  hear(goodbye: GoodbyeBody, counted: number): GoodbyeStep {
    if (goodbye.code === goodbyeCodes.protocol) return 'protocol-error'
    if (this.#isHeard) throw new ProtocolError('ERR_GOODBYE_ORDER', 'A second Goodbye arrived.')
    if (goodbye.next !== counted)
      throw new ProtocolError(
        'ERR_GOODBYE_MISMATCH',
        `The peer says it has sent ${goodbye.next} frames; ${counted} arrived.`,
      )
    this.#isHeard = true
    return this.#isSaid ? 'finish' : 'answer'
  }

  /** Before a counted frame is taken. Throws ProtocolError ERR_GOODBYE_ORDER behind the peer's Goodbye. */
  checkCounted(): void {
    if (this.#isHeard) throw new ProtocolError('ERR_GOODBYE_ORDER', 'A counted frame arrived behind a Goodbye.')
  }

  /** Of another socket, or of a new epoch. */
  reset(): void {
    this.#isSaid = false
    this.#isHeard = false
  }
}
