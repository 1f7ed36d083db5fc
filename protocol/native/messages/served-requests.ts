/**
 * Owns: the requests of the peer that are not answered, and their answers: exactly one for each, in the epoch of the
 * request.
 * Independent of: handlers and timers; how requests arrive.
 */
import { InvalidValueError, ProtocolError } from '../../../codec/errors.ts'
import { encodeErrorResponseHeader, encodeResponseHeader, type ErrorStatus } from '../../../codec/message-frames.ts'
import { responsesLane } from '../../../codec/native-frames.ts'
import type { IncomingRequest } from '../../exchange.ts'
import type { NativeOutbox } from '../lanes/native-outbox.ts'
import type { LinkMemory } from '../memory/node-memory.ts'
import { unansweredRequestsMax } from './asked-requests.ts'
import { EpochLane } from './epoch-lane.ts'
import { preparedFrames, type PreparedFrame } from './prepared-frames.ts'

/** The code of an answer that is longer than the asker takes. */
export const tooLongCode = 'too-long'
const nothing = Buffer.alloc(0)

/** What is known of a request before its content is read. */
export interface RequestFacts {
  readonly nonce: number
  readonly timeLeftMs: number | null
  readonly arrivedAtMs: number
}

export class ServedRequest implements IncomingRequest {
  readonly nonce: number
  readonly timeLeftMs: number | null
  readonly arrivedAtMs: number
  name = ''
  headers: ReadonlyMap<string, string> = noHeaders
  bytes: Buffer = nothing
  onCancel: (() => void) | null = null
  isAnswered = false
  readonly #owner: ServedRequests

  constructor({ nonce, timeLeftMs, arrivedAtMs }: RequestFacts, owner: ServedRequests) {
    this.nonce = nonce
    this.timeLeftMs = timeLeftMs
    this.arrivedAtMs = arrivedAtMs
    this.#owner = owner
  }

  answer(bytes: Uint8Array): void {
    this.#owner.answer(this, bytes)
  }

  fail(status: ErrorStatus, code: string, message: string, bytes: Uint8Array = nothing): void {
    this.#owner.fail(this, status, code, message, bytes)
  }
}

const noHeaders: ReadonlyMap<string, string> = new Map()

export class ServedRequests {
  readonly lane: EpochLane
  readonly #outbox: NativeOutbox
  /** By nonce, until the Response is in the write batch: it may wait for credit. */
  readonly #unanswered = new Map<number, ServedRequest>()

  /** Requests whose answer has not left. */
  get unanswered(): number {
    return this.#unanswered.size
  }

  constructor(outbox: NativeOutbox, memory: LinkMemory) {
    this.#outbox = outbox
    this.lane = new EpochLane(responsesLane, memory)
  }

  /** A Request has arrived. Throws ProtocolError ERR_REQUEST_NONCE, ERR_REQUEST_LIMIT. */
  arrived(facts: RequestFacts): ServedRequest {
    if (this.#unanswered.has(facts.nonce))
      throw new ProtocolError('ERR_REQUEST_NONCE', `A Request has the nonce ${facts.nonce}, which is not answered yet.`)
    if (this.#unanswered.size === unansweredRequestsMax)
      throw new ProtocolError('ERR_REQUEST_LIMIT', `${unansweredRequestsMax} Requests of the peer are not answered.`)
    const request = new ServedRequest(facts, this)
    this.#unanswered.set(facts.nonce, request)
    return request
  }

  /** @returns whether the request was under way */
  cancelled(nonce: number): boolean {
    const request = this.#unanswered.get(nonce)
    if (request === undefined || request.isAnswered) return false
    request.onCancel?.()
    return true
  }

  answer(request: ServedRequest, bytes: Uint8Array): void {
    if (!this.#take(request)) return
    const head = encodeResponseHeader(request.nonce, bytes.length)
    this.#send(request, { head, payload: bytes, ownership: 'copy' })
  }

  fail(request: ServedRequest, status: ErrorStatus, code: string, message: string, bytes: Uint8Array): void {
    if (this.#take(request)) this.#sendError(request, status, code, message, bytes)
  }

  #sendError(request: ServedRequest, status: ErrorStatus, code: string, message: string, payload: Uint8Array): void {
    const { nonce } = request
    const head = encodeErrorResponseHeader({ nonce, status, code, message, payloadLengthBytes: payload.length })
    this.#send(request, { head, payload, ownership: 'copy' })
  }

  /** False: it is answered already, or belongs to an epoch that has ended. */
  #take(request: ServedRequest): boolean {
    if (request.isAnswered || this.#unanswered.get(request.nonce) !== request) return false
    request.isAnswered = true
    request.onCancel = null
    return true
  }

  #send(request: ServedRequest, frame: PreparedFrame): void {
    const onSent = (): void => {
      if (this.#unanswered.get(request.nonce) === request) this.#unanswered.delete(request.nonce)
    }
    const onFailed = (error: Error): void => {
      // Otherwise the link ends, and the asker learns that from its own side.
      if (error instanceof InvalidValueError) this.#sendError(request, 'failed', tooLongCode, error.message, nothing)
    }
    try {
      // One in Pieces always waits: its last Piece says when it is sent.
      if (this.#outbox.trySendFrame(this.lane, preparedFrames, frame, false, true)) onSent()
      else this.#outbox.waitToSend(this.lane, preparedFrames, frame, onSent, onFailed)
    } catch (error) {
      onFailed(error as Error)
    }
  }

  /** The epoch has ended: no request of it can be answered any more. */
  epochEnded(): void {
    const lost = [...this.#unanswered.values()]
    this.#unanswered.clear()
    for (const { onCancel } of lost) onCancel?.()
  }

  close(error: Error): void {
    this.lane.end = error
    this.#outbox.rejectWaiting(this.lane, error)
    this.epochEnded()
  }
}
