/**
 * Owns: how many bytes of Pieces a link keeps on the way (handed over and not acknowledged), so that a short value is
 * not queued behind megabytes in the buffers of sockets and routers.
 * Independent of: lanes, credit, and the retransmit buffer, which is a bound on all frames; clocks (time is passed in).
 *
 * As in delay-based congestion control (TCP Vegas): what waits in buffers shows as time beyond the shortest round trip.
 * If that time is short, twice as much may be on the way; if it is long, half. One change for each flight, because the
 * effect of a change shows a round trip later.
 */
import { Deque } from '../../deque.ts'

/** Eight Pieces: enough for any fast link until the first acknowledgement. */
export const firstInFlightBytes = 512 * 1024
/** Two Pieces: one is acknowledged while the other is on the way. */
export const leastInFlightBytes = 128 * 1024
/** An Ack may be 50 ms late by itself (ack-schedule.ts); twice that is still no queue. */
const shortDelayMs = 100
/** A person notices an answer that takes longer. */
const longDelayMs = 200

export interface RoundTripSource {
  /** The shortest of the connection; null if none was measured. */
  shortestMs(): number | null
  /** Measures one soon. */
  measure(nowMs: number): void
}

const unmeasured: RoundTripSource = { shortestMs: () => null, measure() {} }

interface SentPiece {
  /** As the link counts frames since it was made. */
  readonly frame: number
  readonly lengthBytes: number
  readonly atMs: number
}

export class PiecesInFlight {
  readonly #nowMs: () => number
  readonly #roundTrip: RoundTripSource
  readonly #pieces = new Deque<SentPiece>()
  #inFlightBytes = 0
  #limitBytes = firstInFlightBytes
  /** Up to this frame nothing is learnt: it was sent before the last change, or before the connection. */
  #learntFrame = 0
  #lastFrame = 0
  #wasLimited = false

  /** @param roundTrip without one nothing is learnt, and the limit stays */
  constructor(nowMs: () => number, roundTrip: RoundTripSource = unmeasured) {
    this.#nowMs = nowMs
    this.#roundTrip = roundTrip
  }

  get limitBytes(): number {
    return this.#limitBytes
  }

  /** Whether another Piece may be sent. With none on the way one always may. */
  maySend(): boolean {
    if (this.#inFlightBytes < this.#limitBytes) return true
    this.#wasLimited = true
    if (this.#roundTrip.shortestMs() === null) this.#roundTrip.measure(this.#nowMs())
    return false
  }

  sent(frame: number, lengthBytes: number): void {
    this.#pieces.push({ frame, lengthBytes, atMs: this.#nowMs() })
    this.#inFlightBytes += lengthBytes
    this.#lastFrame = frame
  }

  /** @param ackedFrames since the link was made */
  acknowledged(ackedFrames: number): void {
    let newest: SentPiece | null = null
    for (let piece = this.#pieces.peek(); piece !== undefined && piece.frame <= ackedFrames;) {
      newest = piece
      this.#inFlightBytes -= piece.lengthBytes
      this.#pieces.shift()
      piece = this.#pieces.peek()
    }
    const roundTripMs = newest === null ? null : this.#roundTrip.shortestMs()
    if (newest === null || roundTripMs === null || newest.frame <= this.#learntFrame) return
    const delayMs = this.#nowMs() - newest.atMs - roundTripMs
    if (delayMs > longDelayMs) this.#change(Math.max(leastInFlightBytes, this.#limitBytes / 2))
    else if (delayMs <= shortDelayMs && this.#wasLimited) this.#change(2 * this.#limitBytes)
  }

  /** A connection has ended: what is on the way is sent again, so that its time says nothing. */
  connectionEnded(): void {
    this.#learntFrame = this.#lastFrame
    this.#wasLimited = false
  }

  /** The epoch has ended: nothing is on the way. */
  clear(): void {
    this.#pieces.drain()
    this.#inFlightBytes = 0
    this.connectionEnded()
  }

  #change(limitBytes: number): void {
    this.#limitBytes = limitBytes
    this.#learntFrame = this.#lastFrame
    this.#wasLimited = false
  }
}
