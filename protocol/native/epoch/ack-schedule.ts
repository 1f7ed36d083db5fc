/**
 * Owns: when a side owes its peer an Ack (docs/protocol.md, native): after 64 counted frames, a quarter of the sender's replay window, or
 * 50 ms after the first frame that is not acknowledged.
 * Refuses to know: timers, the frames themselves, and what else carries an acknowledgement; its owner says when one left.
 */
import { retransmitFrameOverheadBytes } from './retransmit-buffer.ts'

const framesPerAck = 64
const ackDelayMs = 50

export class AckSchedule {
  readonly #bytesPerAck: number
  #frames = 0
  #costBytes = 0
  #dueAtMs: number | null = null

  /** @param senderReplayWindowBytes as the peer's hello says: it waits for us when that much is not acknowledged */
  constructor(senderReplayWindowBytes: number) {
    this.#bytesPerAck = senderReplayWindowBytes / 4
  }

  /** @returns whether an Ack is due now; `nowMs` may be the time of the chunk that the frame came in */
  counted(frameLengthBytes: number, nowMs: number): boolean {
    this.#frames += 1
    this.#costBytes += frameLengthBytes + retransmitFrameOverheadBytes
    this.#dueAtMs ??= nowMs + ackDelayMs
    return this.#frames >= framesPerAck || this.#costBytes >= this.#bytesPerAck
  }

  /** Something to acknowledge: where a write leaves anyway, an Ack goes with it. */
  get isOwed(): boolean {
    return this.#frames > 0
  }

  /** Frames that are counted and not acknowledged. */
  get owedFrames(): number {
    return this.#frames
  }

  /**
   * Owed for half of what makes it due: it goes along with a write that leaves now. On every write it would be 13 bytes a
   * round trip, and 8 µs at each end.
   */
  isRipe(nowMs: number): boolean {
    if (this.#dueAtMs === null) return false
    return (
      this.#frames >= framesPerAck / 2 ||
      this.#costBytes >= this.#bytesPerAck / 2 ||
      nowMs >= this.#dueAtMs - ackDelayMs / 2
    )
  }

  /** When the Ack leaves alone at the latest, or null if none is owed. */
  get dueAtMs(): number | null {
    return this.#dueAtMs
  }

  /** An Ack, a Pong, a Goodbye or a hello left, with the count as it is now. */
  sent(): void {
    this.#frames = 0
    this.#costBytes = 0
    this.#dueAtMs = null
  }
}
