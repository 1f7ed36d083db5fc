/**
 * Owns: how many frames without content a peer may send (docs/protocol.md): Ping, Ack, Credit, Reset and frames
 * that are not served, in proportion to the frames that carry something for an application.
 * Independent of: what any frame says; clocks (time is passed in).
 *
 * A token bucket. A frame without content costs one token; frames with content, both ways, and time give tokens back.
 * It is refilled only when it is empty, so that the usual case is one subtraction. It outlives connections and epochs,
 * so reconnecting does not refill it.
 */
import { ProtocolError } from '../../../codec/errors.ts'

/** Burst allowance: 8 for each of 1,024 sessions. */
export const floodBurst = 8_192
/** At this rate a peer costs this side less than a hundredth of its time. */
const refillPerSecond = 1_000
/** A value justifies a Credit or an Ack, and a Ping if the application flushes it. Twice that, as a margin. */
const refillPerFrame = 4
/** Making and closing a session takes a Credit and a Reset. */
const refillPerSession = 8
/** A record of one byte costs this side as much as one of a thousand bytes. */
const shortChunkLengthBytes = 256
const shortChunkCost = 1 / 8
/** Bytes that are not served cost too. A frame costs at most 64 tokens, because it may be a late one. */
const bytesPerToken = 1024
const maxFrameCost = 64
/** A frame that this side must answer costs more: the answer is held until it is acknowledged. */
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
  /** Credit that the peer had on sessions when this side closed them: what was in flight is not a flood. */
  #lateBytes = 0
  /** A frame of any size may be sent while there is credit: one a session. */
  #lateLongFrames = 0

  constructor(carried: Carried, nowMs: number) {
    this.#carried = carried
    this.#filledAtMs = nowMs
  }

  sessionMade(): void {
    this.#sessionsMade += 1
  }

  /** This side closes a session on which the peer may still send this many bytes. */
  sessionClosed(creditBytes: number): void {
    if (creditBytes <= 0) return
    this.#lateBytes += creditBytes
    this.#lateLongFrames += 1
  }

  /** Throws ProtocolError ERR_FLOOD, as do all calls below. */
  chunk(lengthBytes: number, nowMs: number): void {
    if (lengthBytes < shortChunkLengthBytes) this.#spend(shortChunkCost, nowMs)
  }

  /** A frame without content. */
  frame(nowMs: number): void {
    this.#spend(1, nowMs)
  }

  /** A frame that is not served, such as a message without a handler. */
  unwanted(lengthBytes: number, nowMs: number): void {
    this.#spend(1 + Math.min(maxFrameCost, lengthBytes / bytesPerToken), nowMs)
  }

  /** A frame that this side answers, in addition to the cost of the frame itself. */
  answer(nowMs: number): void {
    this.#spend(answerCost, nowMs)
  }

  /** A value on a session that has ended. */
  late(lengthBytes: number, nowMs: number): void {
    if (lengthBytes <= this.#lateBytes) this.#lateBytes -= lengthBytes
    else if (this.#lateLongFrames > 0) this.#lateLongFrames -= 1
    else this.unwanted(lengthBytes, nowMs)
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
      'The peer sends control frames faster than the limit for the data transferred.',
    )
  }
}
