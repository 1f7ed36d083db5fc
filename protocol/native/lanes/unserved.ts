/**
 * Owns: the answers to what this release does not serve (messages, requests, streams), each as the protocol has it, and the
 * credit of the endpoint lane; what a Reset of a session means to its application.
 * Refuses to know: links and sessions.
 */
import { frameHeaderLengthBytes } from '../../../codec/constants.ts'
import { ProtocolError, StatewireError } from '../../../codec/errors.ts'
import { encodeCredit, encodeReset, encodeResponseHeader, endpointLane, isPaying, nativeDescriptors, resetCodes, responseStatuses } from '../../../codec/native-frames.ts'
import { formatValue } from '../../../codec/format-value.ts'
import { ReceiveWindow } from './credit.ts'
import type { FloodGuard } from './flood-guard.ts'
import { decodeRequest } from '../frame-bodies.ts'

/** What comes is taken at once, since nobody reads it; more than was granted is a breach all the same. */
export class UnservedLanes {
  readonly #write: (frame: Buffer) => void
  readonly #guard: FloodGuard
  #window: ReceiveWindow | null = null

  constructor(write: (frame: Buffer) => void, guard: FloodGuard) {
    this.#write = write
    this.#guard = guard
  }

  /** The peer's balance on the endpoint lane begins with this side's hello. */
  begin(windowBytes: number): void {
    this.#window = new ReceiveWindow({ windowBytes, mayGrow: () => false })
  }

  /** Throws ProtocolError ERR_CREDIT_EXCEEDED, ERR_FLOOD, and for a stream that was never opened. */
  onFrame(laneId: number, descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number, nowMs: number): void {
    this.#guard.unwanted(bodyEnd - bodyStart, nowMs)
    const window = this.#window
    if (laneId === endpointLane && window !== null && isPaying('endpoint', descriptor)) {
      const frameLengthBytes = bodyEnd - bodyStart + frameHeaderLengthBytes
      window.arrive(frameLengthBytes)
      const creditBytes = window.take(frameLengthBytes, nowMs, null)
      if (creditBytes > 0) this.#write(encodeCredit(endpointLane, creditBytes))
    }
    const answer = answerUnserved(laneId, descriptor, buffer, bodyStart, bodyEnd)
    if (answer === null) return
    this.#guard.answer(nowMs)
    this.#write(answer)
  }
}

/** @returns the frame to answer with, or null. Throws ProtocolError for a stream that was never opened. */
export function answerUnserved(laneId: number, descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number): Buffer | null {
  if (laneId === endpointLane) {
    if (descriptor !== nativeDescriptors.Request) return null
    const { nonce } = decodeRequest(buffer, bodyStart, bodyEnd)
    const message = Buffer.from('this side serves no requests')
    return Buffer.concat([encodeResponseHeader(nonce, responseStatuses.error, message.length), message])
  }
  if (descriptor !== nativeDescriptors.Open) throw new ProtocolError('ERR_UNKNOWN_DESCRIPTOR', `A frame arrived for stream ${laneId}, which was never opened.`)
  return encodeReset(laneId, { code: resetCodes['no-such-protocol'], reason: 'this side serves no streams' })
}

/** The peer ended the session. */
export class SessionResetError extends StatewireError {
  /** The peer's application closed it, as opposed to an error there. */
  readonly isOrderly: boolean
  constructor(isOrderly: boolean, message: string) {
    super('ERR_SESSION_RESET', message)
    this.isOrderly = isOrderly
  }
}

export function resetError(peer: string, id: number, reset: { readonly code: number; readonly reason: string }): SessionResetError {
  const name = Object.entries(resetCodes).find(([, code]) => code === reset.code)?.[0] ?? 'application'
  return new SessionResetError(name === 'application', `${peer} reset session ${id} (${name})${reset.reason === '' ? '' : `: ${formatValue(reset.reason)}`}`)
}
