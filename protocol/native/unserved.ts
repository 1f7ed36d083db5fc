/**
 * Owns: the answers to what this release does not serve (messages, requests, streams), each as the protocol has it; and what
 * a Reset of a session means to its application.
 * Refuses to know: links and lanes.
 */
import { ProtocolError, StatewireError } from '../../codec/errors.ts'
import { encodeReset, encodeResponseHeader, endpointLane, nativeDescriptors, resetCodes, responseStatuses } from '../../codec/native-frames.ts'
import { decodeRequest } from './frame-bodies.ts'

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

export function resetError(peer: string, id: number, reset: { readonly code: number; readonly reason: string }): StatewireError {
  const name = Object.entries(resetCodes).find(([, code]) => code === reset.code)?.[0] ?? 'application'
  return new StatewireError('ERR_SESSION_RESET', `${peer} reset session ${id} (${name})${reset.reason === '' ? '' : `: ${JSON.stringify(reset.reason)}`}`)
}
