/**
 * Owns: what arrives on the messages, requests and responses lanes of link 0, and what an ended epoch means for them.
 * Independent of: handlers, timers and promises; sessions, streams and sockets.
 */
import { frameHeaderLengthBytes, lengthFieldLengthBytes } from '../../../codec/constants.ts'
import { InvalidValueError } from '../../../codec/errors.ts'
import {
  decodeCancel,
  decodeMessage,
  decodeRequest,
  decodeResponse,
  encodeMessageHeader,
  requestFields,
} from '../../../codec/message-frames.ts'
import { laneKindOf, messagesLane, nativeDescriptors, requestsLane } from '../../../codec/native-frames.ts'
import type {
  Exchange,
  ExchangeReceiver,
  HeldMessage,
  OutgoingMessage,
  OutgoingRequest,
  Ownership,
  SentRequest,
} from '../../exchange.ts'
import type { LinkCounters } from '../../link-core.ts'
import { laneOutcome, outcomeSum, type EpochEnd, type OutcomeCounts, type PendingFrames } from '../epoch/outcomes.ts'
import { decodeCredit, decodePiece } from '../frame-bodies.ts'
import type { ReceiveWindow } from '../lanes/credit.ts'
import type { FloodGuard } from '../lanes/flood-guard.ts'
import type { AdoptedWindows, LaneKindHandler } from '../lanes/lane-kind.ts'
import { interrupted, type LongFrame } from '../lanes/long-frame.ts'
import type { LongFrames } from '../lanes/long-frames.ts'
import { LinkResetError } from '../lanes/native-lane.ts'
import type { NativeOutbox } from '../lanes/native-outbox.ts'
import { frameArrived, frameTaken, type CreditSource } from '../lanes/receiving-lane.ts'
import type { LinkMemory } from '../memory/node-memory.ts'
import { AskedRequests } from './asked-requests.ts'
import { EpochLane } from './epoch-lane.ts'
import { NamedFrames, tooLongText } from './named-frames.ts'
import { preparedFrames, sharedFrame, type PreparedFrame } from './prepared-frames.ts'
import { ServedRequests, tooLongCode } from './served-requests.ts'
import { TooLongFrames, type TooLongFrame } from './too-long-frames.ts'

const nothing = Buffer.alloc(0)

export interface LinkExchangeOptions {
  readonly peer: string
  readonly outbox: NativeOutbox
  readonly memory: LinkMemory
  readonly credit: CreditSource
  readonly longFrames: LongFrames
  readonly guard: FloodGuard
  readonly counters: LinkCounters
  readonly maxMessageLengthBytes: number
  /** The longest body of a message, request or answer that this side sends or takes. */
  readonly messageBytesMax: number
  readonly isUp: () => boolean
}

/** Where a frame's bytes are: in a chunk that is reused, or in the block of a long frame. */
interface Arrived {
  readonly lane: EpochLane
  readonly wireBytes: number
  readonly frame: LongFrame | null
}

export class LinkExchange implements Exchange, LaneKindHandler {
  readonly #options: LinkExchangeOptions
  readonly #messages: EpochLane
  readonly #asked: AskedRequests
  readonly #served: ServedRequests
  #receiver: ExchangeReceiver | null = null
  readonly #tooLong: TooLongFrames
  readonly #named: NamedFrames
  #carriedFrames = 0
  /** Set while `onMessage` runs. */
  #arriving: Arrived | null = null
  #isHeld = false

  constructor(options: LinkExchangeOptions) {
    this.#options = options
    this.#messages = new EpochLane(messagesLane, options.memory)
    this.#asked = new AskedRequests(options.outbox, options.memory)
    this.#served = new ServedRequests(options.outbox, options.memory)
    this.#named = new NamedFrames(options.messageBytesMax)
    this.#tooLong = new TooLongFrames(options.maxMessageLengthBytes, options.messageBytesMax)
  }

  get isUp(): boolean {
    return this.#options.isUp()
  }

  get roundTripMs(): number | null {
    return this.#options.credit.roundTripMs()
  }

  get outstanding(): number {
    return this.#asked.outstanding
  }

  /** No request waits for its answer, in either direction. */
  get isIdle(): boolean {
    return this.#asked.outstanding === 0 && this.#served.unanswered === 0
  }

  setReceiver(receiver: ExchangeReceiver | null): void {
    this.#receiver = receiver
  }

  trySend(message: OutgoingMessage, ownership: Ownership): boolean {
    const frame = this.#prepared(message, ownership)
    return this.#options.outbox.trySendFrame(this.#messages, preparedFrames, frame)
  }

  waitToSend(
    message: OutgoingMessage,
    ownership: Ownership,
    resolve: () => void,
    reject: (error: Error) => void,
  ): () => boolean {
    const frame = this.#prepared(message, ownership)
    return this.#options.outbox.waitToSend(this.#messages, preparedFrames, frame, resolve, reject)
  }

  #prepared(message: OutgoingMessage, ownership: Ownership): PreparedFrame {
    if (message.prepared !== undefined) return message.prepared as PreparedFrame
    const { name, headers, bytes } = message
    this.#checkBody(bytes, 'a message')
    const head = encodeMessageHeader({ name, headers, payloadLengthBytes: bytes.length })
    if (ownership !== 'shared') return { head, payload: bytes, ownership }
    const frame = sharedFrame(head, bytes)
    message.prepared = frame
    return frame
  }

  request(request: OutgoingRequest): SentRequest {
    this.#checkBody(request.message.bytes, 'a request')
    return this.#asked.ask(request)
  }

  #checkBody({ length }: Uint8Array, what: string): void {
    const { messageBytesMax } = this.#options
    if (length > messageBytesMax)
      throw new InvalidValueError(
        `${what} of ${length} bytes is longer than limits.messageBytesMax (${messageBytesMax}): ` +
          'send it in a session, or raise the limit on both sides',
      )
  }

  holdMessage(): HeldMessage {
    const arrived = this.#arriving
    this.#isHeld = true
    let isTaken = arrived === null
    const window = arrived?.lane.window
    return {
      taken: () => {
        if (isTaken || arrived === null) return
        isTaken = true
        this.#taken(arrived, window)
      },
    }
  }

  // Receiving.

  get carriedFrames(): number {
    return this.#carriedFrames
  }

  mayBegin(laneId: number): void {
    this.#laneOf(laneId).window.check()
  }

  receiving(laneId: number): EpochLane {
    return this.#laneOf(laneId)
  }

  #laneOf(laneId: number): EpochLane {
    if (laneId === messagesLane) return this.#messages
    return laneId === requestsLane ? this.#asked.lane : this.#served.lane
  }

  onFrame(
    laneId: number,
    descriptor: number,
    buffer: Buffer,
    bodyStart: number,
    bodyEnd: number,
    nowMs: number,
  ): boolean {
    const lane = this.#laneOf(laneId)
    if (descriptor === nativeDescriptors.Credit) {
      this.#options.guard.frame(nowMs)
      const mayContinue = lane.credit.grant(decodeCredit(buffer, bodyStart))
      if (mayContinue && (lane.long !== null || lane.waiting.length > 0)) this.#options.outbox.sendWaiting()
      return false
    }
    const isPiece = descriptor === nativeDescriptors.Piece
    if (!isPiece && (lane.longArriving !== null || this.#tooLong.has(laneId))) throw interrupted(laneId, descriptor)
    if (descriptor === nativeDescriptors.Cancel) {
      this.#options.guard.frame(nowMs)
      if (!this.#served.cancelled(decodeCancel(buffer, bodyStart))) this.#options.counters.framesDropped++
      return false
    }
    const wireBytes = bodyEnd - bodyStart + frameHeaderLengthBytes
    frameArrived(lane, wireBytes)
    if (!isPiece) this.#onWhole(descriptor, buffer, bodyStart, bodyEnd, { lane, wireBytes, frame: null }, nowMs)
    // In the block of the frame already, or anywhere in a chunk.
    else this.#onPiece(lane, bodyStart < 0 ? buffer : decodePiece(buffer, bodyStart, bodyEnd), wireBytes, nowMs)
    return false
  }

  #onPiece(lane: EpochLane, piece: Buffer, wireBytes: number, nowMs: number): void {
    if (lane.longArriving === null && this.#dropTooLong(lane, piece, wireBytes, nowMs)) return
    const frame = this.#options.longFrames.piece(lane, laneKindOf(lane.id), piece)
    if (frame === null) {
      this.#carriedFrames++
      return
    }
    const arrived = { lane, wireBytes: frame.wireBytes, frame }
    this.#onWhole(frame.descriptor, frame.whole, 1, frame.lengthBytes, arrived, nowMs)
  }

  /** @returns whether the Piece is of a frame that is longer than this side takes */
  #dropTooLong(lane: EpochLane, piece: Buffer, wireBytes: number, nowMs: number): boolean {
    const frame = this.#tooLong.piece(lane.id, piece)
    if (frame === null) return false
    this.#options.guard.unwanted(wireBytes, nowMs)
    frameTaken(lane, wireBytes, this.#options.credit)
    if (frame.sizes.isWhole) this.#refuseTooLong(frame, nowMs)
    return true
  }

  #onWhole(
    descriptor: number,
    buffer: Buffer,
    bodyStart: number,
    bodyEnd: number,
    arrived: Arrived,
    nowMs: number,
  ): void {
    this.#carriedFrames++
    if (descriptor === nativeDescriptors.Message) this.#onMessage(buffer, bodyStart, bodyEnd, arrived, nowMs)
    else if (descriptor === nativeDescriptors.Request) this.#onRequest(buffer, bodyStart, bodyEnd, arrived, nowMs)
    else this.#onResponse(decodeResponse(buffer, bodyStart, bodyEnd), arrived)
  }

  #onMessage(buffer: Buffer, bodyStart: number, bodyEnd: number, arrived: Arrived, nowMs: number): void {
    const content = this.#named.read(buffer, bodyStart + lengthFieldLengthBytes, bodyEnd, 'message')
    const receiver = this.#receiver
    if (typeof content === 'string' || receiver === null) {
      this.#options.counters.framesDropped++
      this.#options.guard.unwanted(arrived.wireBytes, nowMs)
      if (typeof content === 'string') receiver?.onBadMessage(content)
      this.#taken(arrived, arrived.lane.window)
      return
    }
    this.#arriving = arrived
    this.#isHeld = false
    const { window } = arrived.lane
    const bytes = this.#named.payload(buffer, bodyEnd, arrived.frame !== null)
    const isHandled = receiver.onMessage(this.#named.name, content, bytes)
    if (!isHandled) this.#options.counters.framesDropped++
    this.#arriving = null
    if (!this.#isHeld) this.#taken(arrived, window)
  }

  #onRequest(buffer: Buffer, bodyStart: number, bodyEnd: number, arrived: Arrived, nowMs: number): void {
    const { nonce, timeLeftMs } = requestFields(buffer, bodyStart)
    const request = this.#served.arrived({ nonce, timeLeftMs, arrivedAtMs: nowMs })
    const { window } = arrived.lane
    const content = this.#named.read(buffer, bodyStart + lengthFieldLengthBytes + 8, bodyEnd, 'request')
    if (typeof content === 'string') {
      this.#options.guard.answer(nowMs)
      request.fail('refused', content.startsWith('longer') ? tooLongCode : 'malformed', content)
    } else if (this.#receiver === null) request.fail('no-handler', '', 'this side serves no requests')
    else {
      request.name = this.#named.name
      request.headers = content
      request.bytes = this.#named.payload(buffer, bodyEnd, arrived.frame !== null)
      this.#receiver.onRequest(request)
    }
    this.#taken(arrived, window)
  }

  #onResponse(response: ReturnType<typeof decodeResponse>, arrived: Arrived): void {
    const { window } = arrived.lane
    const bytes = arrived.frame === null ? Buffer.from(response.bytes) : response.bytes
    const { messageBytesMax } = this.#options
    const isTooLong = bytes.length > messageBytesMax
    const taken = isTooLong
      ? this.#asked.onResponse(tooLongResponse(response.nonce, messageBytesMax), nothing)
      : this.#asked.onResponse(response, bytes)
    if (!taken) this.#options.counters.framesDropped++
    this.#taken(arrived, window)
  }

  #refuseTooLong({ sizes: { descriptor, lengthBytes }, first }: TooLongFrame, nowMs: number): void {
    const { counters, guard, messageBytesMax } = this.#options
    counters.framesDropped++
    if (descriptor === nativeDescriptors.Message) {
      decodeMessage(first, 1, first.length)
      this.#receiver?.onBadMessage(tooLongText(lengthBytes, messageBytesMax))
    } else if (descriptor === nativeDescriptors.Request) {
      const { nonce, timeLeftMs } = decodeRequest(first, 1, first.length)
      guard.answer(nowMs)
      const request = this.#served.arrived({ nonce, timeLeftMs, arrivedAtMs: nowMs })
      request.fail('refused', tooLongCode, tooLongText(lengthBytes, messageBytesMax))
    } else {
      const { nonce } = decodeResponse(first, 1, first.length)
      this.#asked.onResponse(tooLongResponse(nonce, messageBytesMax), nothing)
    }
  }

  /** @param window of the lane when the frame arrived: what is taken in a later epoch gives no credit */
  #taken({ lane, wireBytes, frame }: Arrived, window: ReceiveWindow | undefined): void {
    if (lane.window !== window) return
    if (frame !== null && lane.longReserved === frame) this.#options.longFrames.taken(lane)
    else frameTaken(lane, wireBytes, this.#options.credit)
  }

  // The link.

  adopted(windows: AdoptedWindows): void {
    for (const lane of this.lanes) lane.adopted(windows)
  }

  /** Those of messages, requests and responses. */
  get lanes(): readonly EpochLane[] {
    return [this.#messages, this.#asked.lane, this.#served.lane]
  }

  epochEnded(end: EpochEnd, pending: PendingFrames, leaving: Error | null): OutcomeCounts {
    const { outbox, longFrames, peer } = this.#options
    this.#tooLong.clear()
    let sum: OutcomeCounts = { acked: 0, unknown: 0, notSent: 0 }
    let requests = sum
    // One whose last Piece was never handed over counts as encoded, and is rejected with those that wait.
    const requestInPieces = this.#asked.lane.long === null ? 0 : 1
    for (const lane of this.lanes) {
      const pendingOfLane = pending.values.get(lane.id) ?? 0
      const waiting = pendingOfLane + lane.waiting.length
      const outcomes = laneOutcome(end, lane.id, lane.encoded - pendingOfLane, waiting)
      if (lane.id === requestsLane) requests = { ...outcomes, notSent: outcomes.notSent - lane.waiting.length }
      sum = outcomeSum(sum, outcomes)
    }
    const errorOf = (): Error => leaving ?? new LinkResetError(peer, end.reason, sum)
    for (const lane of this.lanes) {
      outbox.rejectWaiting(lane, errorOf())
      longFrames.laneEnded(lane)
      lane.epochEnded()
    }
    this.#served.epochEnded()
    this.#asked.epochEnded(requests.notSent - requestInPieces, errorOf)
    return sum
  }

  close(error: Error): void {
    this.#messages.end = error
    this.#options.outbox.rejectWaiting(this.#messages, error)
    this.#served.close(error)
    this.#asked.close(error)
    for (const lane of this.lanes) this.#options.longFrames.laneEnded(lane)
    this.#receiver = null
  }
}

function tooLongResponse(nonce: number, mostBytes: number): ReturnType<typeof decodeResponse> {
  const message = `the answer is longer than limits.messageBytesMax (${mostBytes}) of this side`
  return { nonce, status: 'failed', code: tooLongCode, message, bytes: nothing }
}
