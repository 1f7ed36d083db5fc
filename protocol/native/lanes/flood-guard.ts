/**
 * Owns: how much a peer may say that carries nothing (docs/protocol.md, native): Ping, Ack, Credit, Reset and frames that nobody
 * wants, measured against the values that a link carries, which give reason for such frames.
 * Refuses to know: what any frame says; clocks (time comes in as a number).
 *
 * A bucket of tokens. A frame that carries nothing costs one; values both ways and time give back. It is filled only when it
 * is empty, so that the usual case is one subtraction. It outlives connections and epochs: coming again fills nothing.
 */
import { ProtocolError } from '../../../codec/errors.ts'

/** What may come at once without any reason: 8 of each of 1,024 sessions. */
export const floodBurst = 8_192
/** At this rate a peer costs this side less than a hundredth of its time. */
const refillPerSecond = 1_000
/** A value has reason for a Credit or an Ack, and for a Ping where the application flushes it; twice that for good measure. */
const refillPerFrame = 4
/** Making and closing a session brings a Credit and a Reset. */
const refillPerSession = 8
/** A record of one byte costs this side as much as one of a thousand. */
const shortChunkLengthBytes = 256
const shortChunkCost = 1 / 8
/** Bytes that nobody wants cost as well; but a frame at most 64, for it may be a late one. */
const bytesPerToken = 1024
const maxFrameCost = 64
/** What makes this side answer, with frames that it must hold until they are acknowledged. */
const answerCost = 3

/** Frames of a link so far that carried something for an application, both ways, over all kinds of lanes. */
export interface Carried {
  carriedFrames(): number
}

export class FloodGuard {
  readonly #carried: Carried
  #tokens = floodBurst
  #filledAtMs: number
  #framesSeen = 0
  #sessionsMade = 0
  /** Credit that the peer had on sessions when this side closed them: what was under way is no flood. */
  #lateBytes = 0
  /** A frame of any size may go while there is credit: one a session. */
  #lateLongFrames = 0

  constructor(carried: Carried, nowMs: number) {
    this.#carried = carried
    this.#filledAtMs = nowMs
  }

  sessionMade(): void {
    this.#sessionsMade += 1
  }

  /** This side closes a session on which the peer may still send so much. */
  sessionClosed(creditBytes: number): void {
    if (creditBytes <= 0) return
    this.#lateBytes += creditBytes
    this.#lateLongFrames += 1
  }

  /** Throws ProtocolError ERR_FLOOD, as all below. */
  chunk(lengthBytes: number, nowMs: number): void {
    if (lengthBytes < shortChunkLengthBytes) this.#spend(shortChunkCost, nowMs)
  }

  /** A frame that carries no value for anybody. */
  frame(nowMs: number): void {
    this.#spend(1, nowMs)
  }

  /** Bytes for nobody: messages and streams where none are served. */
  unwanted(lengthBytes: number, nowMs: number): void {
    this.#spend(1 + Math.min(maxFrameCost, lengthBytes / bytesPerToken), nowMs)
  }

  /** A frame that is answered with one of this side's, besides what it costs itself. */
  answer(nowMs: number): void {
    this.#spend(answerCost, nowMs)
  }

  /** A value on a session that is over. */
  late(lengthBytes: number, nowMs: number): void {
    if (lengthBytes <= this.#lateBytes) this.#lateBytes -= lengthBytes
    else if (this.#lateLongFrames > 0) this.#lateLongFrames -= 1
    else this.unwanted(lengthBytes, nowMs)
  }

  /** Whether a value for a session that is over may have been on its way when the peer heard of it. */
  get expectsLate(): boolean {
    return this.#lateBytes > 0 || this.#lateLongFrames > 0
  }

  #spend(cost: number, nowMs: number): void {
    this.#tokens -= cost
    if (this.#tokens >= 0) return
    const carriedFrames = this.#carried.carriedFrames()
    const earned = (carriedFrames - this.#framesSeen) * refillPerFrame + this.#sessionsMade * refillPerSession
    this.#tokens = Math.min(
      floodBurst - cost,
      this.#tokens + earned + ((nowMs - this.#filledAtMs) / 1000) * refillPerSecond,
    )
    this.#framesSeen = carriedFrames
    this.#sessionsMade = 0
    this.#filledAtMs = nowMs
    if (this.#tokens >= 0) return
    this.#tokens = 0
    throw new ProtocolError(
      'ERR_FLOOD',
      'The peer sends far more frames that carry nothing than the values of this link give reason for.',
    )
  }
}
