/**
 * Owns: the answers to what this release does not serve (messages, requests, streams), as the protocol has them, and
 * the credit of the endpoint lane.
 * Independent of: links and sessions.
 */
import { frameHeaderLengthBytes } from '../../../codec/constants.ts'
import { ProtocolError } from '../../../codec/errors.ts'
import {
  encodeCredit,
  encodeReset,
  encodeResponseHeader,
  endpointLane,
  isPaying,
  nativeDescriptors,
  resetCodes,
  responseStatuses,
} from '../../../codec/native-frames.ts'
import type { LinkCounters } from '../../link-core.ts'
import { ReceiveWindow } from './credit.ts'
import type { FloodGuard } from './flood-guard.ts'
import { decodeRequest } from '../frame-bodies.ts'
import { LaneKindWithoutState, type AdoptedWindows } from './lane-kind.ts'

/** Frames are dropped at once, so they count as taken. More than was granted is a protocol error all the same. */
export class UnservedLanes extends LaneKindWithoutState {
  readonly #write: (frame: Buffer) => void
  readonly #guard: FloodGuard
  readonly #counters: LinkCounters
  #window: ReceiveWindow | null = null

  constructor(write: (frame: Buffer) => void, guard: FloodGuard, counters: LinkCounters) {
    super()
    this.#write = write
    this.#guard = guard
    this.#counters = counters
  }

  override adopted({ receiveBytes }: AdoptedWindows): void {
    if (receiveBytes !== null) this.#window = new ReceiveWindow({ windowBytes: receiveBytes, mayGrow: () => false })
  }

  /** Throws ProtocolError ERR_CREDIT_EXCEEDED, ERR_FLOOD, and for a stream that was never opened. */
  onFrame(
    laneId: number,
    descriptor: number,
    buffer: Buffer,
    bodyStart: number,
    bodyEnd: number,
    nowMs: number,
  ): boolean {
    this.#guard.unwanted(bodyEnd - bodyStart, nowMs)
    const window = this.#window
    if (laneId === endpointLane && window !== null && isPaying('endpoint', descriptor)) {
      const frameLengthBytes = bodyEnd - bodyStart + frameHeaderLengthBytes
      window.arrive(frameLengthBytes)
      const creditBytes = window.take(frameLengthBytes, nowMs, null)
      if (creditBytes > 0) this.#write(encodeCredit(endpointLane, creditBytes))
    }
    const answer = answerUnserved(laneId, descriptor, buffer, bodyStart, bodyEnd)
    if (answer !== null) {
      this.#guard.answer(nowMs)
      this.#write(answer)
    }
    this.#counters.framesDropped++
    return false
  }
}

/** @returns the frame to answer with, or null. Throws ProtocolError for a stream that was never opened. */
export function answerUnserved(
  laneId: number,
  descriptor: number,
  buffer: Buffer,
  bodyStart: number,
  bodyEnd: number,
): Buffer | null {
  if (laneId === endpointLane) {
    if (descriptor !== nativeDescriptors.Request) return null
    const { nonce } = decodeRequest(buffer, bodyStart, bodyEnd)
    const message = Buffer.from('this side serves no requests')
    return Buffer.concat([encodeResponseHeader(nonce, responseStatuses.error, message.length), message])
  }
  if (descriptor !== nativeDescriptors.Open)
    throw new ProtocolError('ERR_UNKNOWN_DESCRIPTOR', `A frame arrived for stream ${laneId}, which was never opened.`)
  return encodeReset(laneId, { code: resetCodes['no-such-protocol'], reason: 'this side serves no streams' })
}
