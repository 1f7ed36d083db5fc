/**
 * Owns: the Ack that is sent before a Reset. A peer that waits for acknowledgements counts as dropped whatever was not
 * acknowledged before the session ended, so what was received before must be acknowledged first.
 * Independent of: sessions; the other Acks (ack-schedule.ts).
 */
import { encodeAck } from '../../../codec/native-frames.ts'
import type { LinkEpoch } from './link-epoch.ts'

export class AckBeforeReset {
  readonly #epoch: LinkEpoch
  #received: number | null = null

  constructor(epoch: LinkEpoch) {
    this.#epoch = epoch
  }

  /** @returns whether a Reset that waits to be sent needs another Ack, so that it must be sent first */
  differsFrom(received: number): boolean {
    return this.#received !== null && this.#received !== received
  }

  /** @param received counted frames that came before the session ended */
  add(received: number): void {
    this.#received ??= received
  }

  /** The Ack for the batch that is about to be sent. @returns null if nothing is owed */
  take(): Buffer | null {
    const received = this.#received
    this.#received = null
    const { acks } = this.#epoch
    if (received === null || acks.owedFrames === 0) return null
    if (received >= this.#epoch.received) acks.sent()
    return encodeAck(Math.min(received, this.#epoch.received))
  }

  /** There is a new connection, or none. Its hello says what was received. */
  forget(): void {
    this.#received = null
  }
}
