/**
 * Owns: the answers to what this release does not serve (messages, requests, streams), as the protocol has them, and
 * the credit of the messages, requests and responses lanes.
 * Independent of: links and sessions.
 */
import { frameHeaderLengthBytes } from '../../../codec/constants.ts'
import { ProtocolError } from '../../../codec/errors.ts'
import { decodeHeaders } from '../../../codec/headers.ts'
import {
  decodeMessage,
  decodeRequest,
  decodeResponse,
  encodeErrorResponseHeader,
  textOf,
} from '../../../codec/message-frames.ts'
import type { ErrorStatus } from '../../../codec/message-frames.ts'
import {
  encodeCredit,
  encodeReset,
  laneKindOf,
  messagesLane,
  nativeDescriptors,
  requestsLane,
  resetCodes,
  responsesLane,
} from '../../../codec/native-frames.ts'
import type { LinkCounters } from '../../link-core.ts'
import type { EpochEnd, OutcomeCounts } from '../epoch/outcomes.ts'
import { decodeAccept, decodeCredit, decodeOpen, decodePiece } from '../frame-bodies.ts'
import { ReceiveWindow, SendCredit } from './credit.ts'
import type { FloodGuard } from './flood-guard.ts'
import { LaneKindWithoutState, type AdoptedWindows } from './lane-kind.ts'
import { interrupted, LongFrameSizes } from './long-frame.ts'
import { PeerStreamIds } from './peer-stream-ids.ts'

/** Requests of one peer that are not answered. One more is a protocol error. */
export const unansweredRequestsMax = 1024

interface UnservedRequest {
  readonly nonce: number
  readonly status: ErrorStatus
}

export interface UnservedLanesOptions {
  readonly guard: FloodGuard
  readonly counters: LinkCounters
  /** The peer has the greater id. */
  readonly isPeerGreater: boolean
  readonly maxMessageLengthBytes: number
}

const lanesWithWindows = [messagesLane, requestsLane, responsesLane]

/** Frames are dropped at once, so they count as taken. More than was granted is a protocol error all the same. */
export class UnservedLanes extends LaneKindWithoutState {
  readonly #write: (frame: Buffer) => void
  readonly #guard: FloodGuard
  readonly #counters: LinkCounters
  readonly #options: UnservedLanesOptions
  #streamIds: PeerStreamIds
  readonly #windows = new Map<number, ReceiveWindow>()
  readonly #credits = new Map<number, SendCredit>()
  /** By nonce, in order: the answers that wait for credit on the responses lane. */
  readonly #answers = new Map<number, ErrorStatus>()
  /** By lane: the frame whose Pieces arrive. */
  readonly #longFrames = new Map<number, { readonly sizes: LongFrameSizes; readonly request: UnservedRequest | null }>()

  constructor(write: (frame: Buffer) => void, options: UnservedLanesOptions) {
    super()
    this.#write = write
    this.#guard = options.guard
    this.#counters = options.counters
    this.#options = options
    this.#streamIds = new PeerStreamIds(options.isPeerGreater)
  }

  override adopted({ receiveBytes, sendBytes }: AdoptedWindows): void {
    for (const lane of lanesWithWindows) {
      if (receiveBytes !== null)
        this.#windows.set(lane, new ReceiveWindow({ windowBytes: receiveBytes, mayGrow: () => false }))
      if (sendBytes !== null) this.#credits.set(lane, new SendCredit(sendBytes))
    }
  }

  override epochEnded(end: EpochEnd, pending: ReadonlyMap<number, number>, leaving: Error | null): OutcomeCounts {
    this.#answers.clear()
    this.#longFrames.clear()
    this.#streamIds = new PeerStreamIds(this.#options.isPeerGreater)
    return super.epochEnded(end, pending, leaving)
  }

  /**
   * Throws ProtocolError ERR_CREDIT_EXCEEDED, ERR_CREDIT_OVERFLOW, ERR_FLOOD, ERR_STREAM_ID,
   * ERR_REQUEST_NONCE, ERR_REQUEST_LIMIT, for Pieces that
   * belong to no frame, and for a body that breaks a rule.
   */
  onFrame(
    laneId: number,
    descriptor: number,
    buffer: Buffer,
    bodyStart: number,
    bodyEnd: number,
    nowMs: number,
  ): boolean {
    this.#guard.unwanted(bodyEnd - bodyStart, nowMs)
    const window = this.#windows.get(laneId)
    const isBetweenPieces = descriptor === nativeDescriptors.Piece || descriptor === nativeDescriptors.Credit
    if (!isBetweenPieces && this.#longFrames.has(laneId)) throw interrupted(laneId, descriptor)
    switch (descriptor) {
      case nativeDescriptors.Credit:
        this.#credits.get(laneId)?.grant(decodeCredit(buffer, bodyStart))
        break
      case nativeDescriptors.Cancel:
        break
      default:
        if (window !== undefined) this.#takePaying(laneId, window, bodyEnd - bodyStart + frameHeaderLengthBytes, nowMs)
    }
    this.#answer(laneId, descriptor, buffer, bodyStart, bodyEnd, nowMs)
    this.#counters.framesDropped++
    return false
  }

  #takePaying(laneId: number, window: ReceiveWindow, frameLengthBytes: number, nowMs: number): void {
    window.arrive(frameLengthBytes)
    const creditBytes = window.take(frameLengthBytes, nowMs, null)
    if (creditBytes > 0) this.#write(encodeCredit(laneId, creditBytes))
  }

  #answer(laneId: number, descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number, nowMs: number): void {
    if (laneKindOf(laneId) === 'stream') {
      this.#onStreamFrame(laneId, descriptor, buffer, bodyStart, bodyEnd, nowMs)
      return
    }
    if (descriptor === nativeDescriptors.Piece) this.#onPiece(laneId, decodePiece(buffer, bodyStart, bodyEnd), nowMs)
    else this.#asked(read(descriptor, buffer, bodyStart, bodyEnd), nowMs)
    this.#sendAnswers()
  }

  /** Nothing of a long frame is kept but what its answer needs. */
  #onPiece(laneId: number, piece: Buffer, nowMs: number): void {
    let frame = this.#longFrames.get(laneId)
    if (frame === undefined) {
      const sizes = new LongFrameSizes(laneKindOf(laneId), piece, this.#options.maxMessageLengthBytes)
      // All fields before the payload lie in the first Piece.
      frame = { sizes, request: read(sizes.descriptor, piece, 1, piece.length) }
      this.#longFrames.set(laneId, frame)
    }
    frame.sizes.arrive(piece.length)
    if (!frame.sizes.isWhole) return
    this.#longFrames.delete(laneId)
    this.#asked(frame.request, nowMs)
  }

  /** Every stream is over as soon as it is opened. */
  #onStreamFrame(
    laneId: number,
    descriptor: number,
    buffer: Buffer,
    bodyStart: number,
    bodyEnd: number,
    nowMs: number,
  ): void {
    if (descriptor !== nativeDescriptors.Open) {
      this.#streamIds.checkOver(laneId)
      if (descriptor === nativeDescriptors.Credit) decodeCredit(buffer, bodyStart)
      else if (descriptor === nativeDescriptors.Accept) decodeAccept(buffer, bodyStart)
      return
    }
    this.#streamIds.opened(laneId, false)
    decodeOpen(buffer, bodyStart, bodyEnd)
    this.#guard.answer(nowMs)
    this.#write(encodeReset(laneId, { code: resetCodes['no-such-protocol'], reason: 'this side serves no streams' }))
  }

  #asked(request: UnservedRequest | null, nowMs: number): void {
    if (request === null) return
    const { nonce, status } = request
    if (this.#answers.has(nonce))
      throw new ProtocolError('ERR_REQUEST_NONCE', `A Request has the nonce ${nonce}, which is not answered yet.`)
    if (this.#answers.size === unansweredRequestsMax)
      throw new ProtocolError('ERR_REQUEST_LIMIT', `${unansweredRequestsMax} Requests of the peer are not answered.`)
    this.#guard.answer(nowMs)
    this.#answers.set(nonce, status)
  }

  /** As far as the peer gives credit for Responses. */
  #sendAnswers(): void {
    const credit = this.#credits.get(responsesLane)
    if (credit === undefined) return
    for (const [nonce, status] of this.#answers) {
      if (!credit.canSend) return
      this.#answers.delete(nonce)
      const message = status === 'refused' ? 'its name or headers are malformed' : 'this side serves no requests'
      const frame = encodeErrorResponseHeader({ nonce, status, code: '', message, payloadLengthBytes: 0 })
      credit.spend(frame.length)
      this.#write(frame)
    }
  }
}

/** Throws ProtocolError for a body that breaks a rule. @returns what is asked, if it is a Request */
function read(descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number): UnservedRequest | null {
  switch (descriptor) {
    case nativeDescriptors.Message:
      decodeMessage(buffer, bodyStart, bodyEnd)
      return null
    case nativeDescriptors.Response:
      decodeResponse(buffer, bodyStart, bodyEnd)
      return null
    case nativeDescriptors.Request: {
      const { nonce, name, headers } = decodeRequest(buffer, bodyStart, bodyEnd)
      const isSound = textOf(name) !== null && decodeHeaders(headers) !== null
      return { nonce, status: isSound ? 'no-handler' : 'refused' }
    }
    default:
      return null
  }
}
