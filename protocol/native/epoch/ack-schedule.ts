/**
 * Owns: when a side owes its peer an Ack (docs/protocol.md): after 64 counted frames, a quarter of the sender's
 * replay window, or 50 ms after the first frame that is not acknowledged.
 * Independent of: timers, the frames themselves, and what else carries an acknowledgement: the owner calls `sent`.
 */
import { retransmitFrameOverheadBytes } from './retransmit-buffer.ts'

const framesPerAck = 64
const ackDelayMs = 50

export class AckSchedule {
  readonly #bytesPerAck: number
  #frames = 0
  #costBytes = 0
  #dueAtMs: number | null = null

  /** @param senderReplayWindowBytes from the peer's hello: the peer waits once that much is not acknowledged */
  constructor(senderReplayWindowBytes: number) {
    this.#bytesPerAck = senderReplayWindowBytes / 4
  }

  /** @returns whether an Ack is due now. `nowMs` may be the time of the chunk that the frame came in */
  counted(frameLengthBytes: number, nowMs: number): boolean {
    this.#frames += 1
    this.#costBytes += frameLengthBytes + retransmitFrameOverheadBytes
    this.#dueAtMs ??= nowMs + ackDelayMs
    return this.#frames >= framesPerAck || this.#costBytes >= this.#bytesPerAck
  }

  /** There is something to acknowledge: an Ack goes with the next write. */
  get isOwed(): boolean {
    return this.#frames > 0
  }

  /** Frames that are counted and not acknowledged. */
  get owedFrames(): number {
    return this.#frames
  }

  /**
   * Half of what makes an Ack due is owed: it goes with a write that leaves now. On every write it would cost 13 bytes
   * a round trip and measurable time at each end.
   */
  isWorthSending(nowMs: number): boolean {
    if (this.#dueAtMs === null) return false
    return (
      this.#frames >= framesPerAck / 2 ||
      this.#costBytes >= this.#bytesPerAck / 2 ||
      nowMs >= this.#dueAtMs - ackDelayMs / 2
    )
  }

  /** When the Ack is sent on its own at the latest, or null if none is owed. */
  get dueAtMs(): number | null {
    return this.#dueAtMs
  }

  /** An Ack, a Pong, a Goodbye or a hello was sent, with the current count. */
  sent(): void {
    this.#frames = 0
    this.#costBytes = 0
    this.#dueAtMs = null
  }
}
