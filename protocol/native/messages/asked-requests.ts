/**
 * Owns: the requests that this side has asked: their nonces, how many may be unanswered, and how each ends, once.
 * Independent of: handlers, timers and promises; what arrives on other lanes.
 */
import type { StatewireError } from '../../../codec/errors.ts'
import { encodeCancel, encodeRequestHeader, setTimeLeft, type ResponseBody } from '../../../codec/message-frames.ts'
import { requestsLane } from '../../../codec/native-frames.ts'
import { maxUint32 } from '../../../codec/constants.ts'
import type { Answer, LostOutcome, OutgoingRequest, SentRequest } from '../../exchange.ts'
import { SendCredit } from '../lanes/credit.ts'
import type { NativeOutbox } from '../lanes/native-outbox.ts'
import type { LinkMemory } from '../memory/node-memory.ts'
import { EpochLane } from './epoch-lane.ts'
import { preparedFrames, type PreparedFrame } from './prepared-frames.ts'

/** Requests of one peer that are not answered. One more is a protocol error. */
export const unansweredRequestsMax = 1024

/** Only so many Requests may be unanswered. Others wait, as for credit; the Pieces of one that has begun go on. */
class RequestCredit extends SendCredit {
  readonly #lane: EpochLane
  readonly #answered: () => number

  constructor(bytes: number, lane: EpochLane, answered: () => number) {
    super(bytes)
    this.#lane = lane
    this.#answered = answered
  }

  override get canSend(): boolean {
    const { encoded, long } = this.#lane
    return super.canSend && (long !== null || encoded - this.#answered() < unansweredRequestsMax)
  }
}

class Asked implements SentRequest {
  readonly nonce: number
  readonly request: OutgoingRequest
  readonly #owner: AskedRequests
  /** It is in the write batch, or was handed over, completely. */
  isSent = false
  isCancelled = false
  /** Null once it does not wait any more. */
  withdraw: (() => boolean) | null = null

  constructor(nonce: number, request: OutgoingRequest, owner: AskedRequests) {
    this.nonce = nonce
    this.request = request
    this.#owner = owner
  }

  cancel(): boolean {
    return this.#owner.cancel(this)
  }

  end(answer: Answer): void {
    if (this.isCancelled) return
    this.isCancelled = true
    this.request.onAnswer(answer)
  }
}

export class AskedRequests {
  readonly lane: EpochLane
  readonly #outbox: NativeOutbox
  /** By nonce, in the order in which they were asked. */
  readonly #asked = new Map<number, Asked>()
  #lastNonce = 0
  /** Nonces of requests that were given up while another one was being sent in Pieces. */
  readonly #heldCancels: number[] = []
  /** Of the Requests that were encoded in this epoch. */
  #answered = 0

  constructor(outbox: NativeOutbox, memory: LinkMemory) {
    this.#outbox = outbox
    this.lane = new EpochLane(requestsLane, memory, (lane, bytes) => {
      return new RequestCredit(bytes, lane, () => this.#answered)
    })
  }

  get outstanding(): number {
    return this.#asked.size
  }

  /** Throws ERR_INVALID_VALUE, and why the link accepts nothing new. */
  ask(request: OutgoingRequest): SentRequest {
    const nonce = this.#nextNonce()
    const asked = new Asked(nonce, request, this)
    const { name, headers, bytes } = request.message
    const head = encodeRequestHeader({
      nonce,
      timeLeftMs: request.timeLeftMs(),
      name,
      headers,
      payloadLengthBytes: bytes.length,
    })
    const frame: PreparedFrame = { head, payload: bytes, ownership: 'copy' }
    // Before the call, which may write and find that the epoch has ended.
    asked.isSent = true
    this.#asked.set(nonce, asked)
    try {
      // One in Pieces always waits: its last Piece says when it is sent.
      asked.isSent = this.#outbox.trySendFrame(this.lane, preparedFrames, frame, false, true)
    } catch (error) {
      this.#asked.delete(nonce)
      throw error
    }
    if (!asked.isSent) this.#wait(asked, { ...frame, refresh: () => setTimeLeft(head, request.timeLeftMs()) })
    return asked
  }

  #wait(asked: Asked, frame: PreparedFrame): void {
    const onSent = (): void => {
      asked.withdraw = null
      asked.isSent = true
      this.#writeCancels()
      // Given up between its Pieces: the peer has the whole Request now.
      if (asked.isCancelled) this.#writeCancel(asked.nonce)
    }
    const onFailed = (error: Error): void => {
      asked.withdraw = null
      this.#asked.delete(asked.nonce)
      asked.end({ status: 'lost', outcome: 'notSent', error })
    }
    let withdraw: () => boolean
    try {
      withdraw = this.#outbox.waitToSend(this.lane, preparedFrames, frame, onSent, onFailed)
    } catch (error) {
      this.#asked.delete(asked.nonce)
      throw error
    }
    if (!asked.isSent && this.#asked.has(asked.nonce)) asked.withdraw = withdraw
  }

  /** @returns whether it was withdrawn */
  cancel(asked: Asked): boolean {
    if (asked.isCancelled) return false
    asked.isCancelled = true
    if (asked.withdraw?.() === true) {
      asked.withdraw = null
      this.#asked.delete(asked.nonce)
      return true
    }
    // The nonce stays in use until the Response comes.
    if (asked.isSent) this.#writeCancel(asked.nonce)
    return false
  }

  /** Not between two Pieces of another Request: there the peer takes only Credit. */
  #writeCancel(nonce: number): void {
    if (this.lane.long === null) this.#outbox.writeOwn(encodeCancel(nonce))
    else this.#heldCancels.push(nonce)
  }

  #writeCancels(): void {
    if (this.#heldCancels.length === 0 || this.lane.long !== null) return
    for (const nonce of this.#heldCancels.splice(0))
      if (this.#asked.has(nonce)) this.#outbox.writeOwn(encodeCancel(nonce))
  }

  /** @returns whether somebody waited for it. @param ownBytes the payload in memory of its own */
  onResponse(response: ResponseBody, ownBytes: Buffer): boolean {
    const asked = this.#asked.get(response.nonce)
    if (asked === undefined || !asked.isSent) return false
    this.#asked.delete(response.nonce)
    this.#oneAnswered()
    if (response.status === 'ok') asked.end({ status: 'ok', bytes: ownBytes })
    else {
      const { status, code, message } = response
      asked.end({ status, code, message, bytes: ownBytes })
    }
    return true
  }

  #oneAnswered(): void {
    const wasFull = this.lane.encoded - this.#answered >= unansweredRequestsMax
    this.#answered++
    if (wasFull && this.lane.waiting.length > 0) this.#outbox.sendWaiting()
  }

  /**
   * The epoch has ended: every request that was sent in it ends. Those that waited were rejected.
   * @param notSent Requests of the epoch, the last ones, that the peer certainly does not have
   */
  epochEnded(notSent: number, errorOf: (outcome: LostOutcome) => Error): void {
    const sent = [...this.#asked.values()].filter(({ isSent }) => isSent)
    this.#answered = 0
    this.#heldCancels.length = 0
    for (const [index, asked] of sent.entries()) {
      this.#asked.delete(asked.nonce)
      const outcome = index >= sent.length - notSent ? 'notSent' : 'unknown'
      asked.end({ status: 'lost', outcome, error: errorOf(outcome) })
    }
  }

  /** The link has ended for good. */
  close(error: StatewireError | Error): void {
    this.lane.end = error
    this.#outbox.rejectWaiting(this.lane, error)
    this.epochEnded(0, () => error)
  }

  #nextNonce(): number {
    do this.#lastNonce = this.#lastNonce >= maxUint32 ? 1 : this.#lastNonce + 1
    while (this.#asked.has(this.#lastNonce))
    return this.#lastNonce
  }
}
