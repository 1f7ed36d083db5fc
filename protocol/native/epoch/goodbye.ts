/**
 * Owns: Goodbye, the only orderly end of a link (docs/protocol.md): who answers whom, and what comes before the
 * FIN.
 * Independent of: sockets and timers; retransmission and outcomes (link-epoch.ts). The owner carries out the steps.
 *
 * first second
 *       Goodbye(next, received)            ──────────▶
 *                                          ◀──────────  Goodbye(next, received), at once
 *       Ack, FIN                           ──────────▶
 *                                          ◀──────────  FIN
 *
 * Two that cross answer each other: both sides then send their last Ack and FIN. Without the last Ack the second side
 * would report as unknown what the first has received.
 */
import { ProtocolError } from '../../../codec/errors.ts'
import { goodbyeCodes } from '../../../codec/native-frames.ts'
import type { GoodbyeBody } from '../frame-bodies.ts'

/**
 * After its FIN, or while it waits for the peer's FIN, a side destroys the socket after this time without a received
 * byte.
 */
export const goodbyeSilenceMs = 5_000

/**
 * What the owner does now. `answer`: send the own Goodbye, then wait for the peer's FIN. `finish`: send a last Ack,
 * then FIN, and read on until the peer's FIN. `protocol-error`: the peer reports that this side broke the protocol; end
 * the epoch, send nothing.
 */
export type GoodbyeStep = 'answer' | 'finish' | 'protocol-error'

export class GoodbyeExchange {
  #isSent = false
  #isReceived = false

  /** No counted frame may be sent any more. Frames that wait are not sent. */
  get isSent(): boolean {
    return this.#isSent
  }

  /** If the socket ends or is replaced now, the link ends with it. */
  get isEnding(): boolean {
    return this.#isSent || this.#isReceived
  }

  /** This side's Goodbye is sent. */
  sent(): void {
    this.#isSent = true
  }

  /**
   * The peer's Goodbye arrived. Its `received` is an Ack, which the owner applies before this call.
   * @param counted frames that this side has counted in this epoch. Throws ProtocolError ERR_GOODBYE_MISMATCH if the
   *   peer sent another number, ERR_GOODBYE_ORDER for a second Goodbye.
   */
  received(goodbye: GoodbyeBody, counted: number): GoodbyeStep {
    if (goodbye.code === goodbyeCodes.protocol) return 'protocol-error'
    if (this.#isReceived) throw new ProtocolError('ERR_GOODBYE_ORDER', 'A second Goodbye arrived.')
    if (goodbye.next !== counted)
      throw new ProtocolError(
        'ERR_GOODBYE_MISMATCH',
        `The peer says it has sent ${goodbye.next} frames; ${counted} arrived.`,
      )
    this.#isReceived = true
    return this.#isSent ? 'finish' : 'answer'
  }

  /** Before a counted frame is accepted. Throws ProtocolError ERR_GOODBYE_ORDER after the peer's Goodbye. */
  checkCounted(): void {
    if (this.#isReceived) throw new ProtocolError('ERR_GOODBYE_ORDER', 'A counted frame arrived after a Goodbye.')
  }

  /** There is another socket, or a new epoch. */
  reset(): void {
    this.#isSent = false
    this.#isReceived = false
  }
}
