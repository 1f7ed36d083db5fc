/**
 * Owns: S9, limits of set-up frames, messages, requests, responses and Pieces, each where it is enforced.
 * Independent of: sockets, actors and time.
 */
import * as messages from '../../../../codec/message-frames.ts'
import { NativeFrameReader } from '../../../../codec/native-frame-reader.ts'
import * as frames from '../../../../codec/native-frames.ts'
import { encodeSetupFrame } from '../../../../codec/setup-frames.ts'
import { StreamIds, streamStepsMax } from '../../../../protocol/native/streams/stream-ids.ts'
import { SessionSetup } from '../../../../protocol/native/setup/session-setup.ts'
import { openWantsMax } from '../../../../protocol/native/setup/setup-peer.ts'
import type { SetupPort } from '../../../../protocol/native/setup/setup-port.ts'
import { unansweredRequestsMax } from '../../../../protocol/native/messages/asked-requests.ts'
import { ServedRequests } from '../../../../protocol/native/messages/served-requests.ts'
import { NodeMemory } from '../../../../protocol/native/memory/node-memory.ts'
import { around } from './case.ts'
import type { LimitCase } from './case.ts'

const fine = 'in order'
const tooLong = 'ERR_MESSAGE_TOO_LONG'
const truncated = 'ERR_VALUE_TRUNCATED'
const invalid = 'ERR_INVALID_VALUE'
const { Message, Piece, Request, Response } = frames.nativeDescriptors

/** A length is refused from its header, before the body. */
function declares(lane: number, descriptor: number, lengthBytes: number): void {
  const header = Buffer.alloc(9)
  header.writeUInt32LE(lane)
  header[4] = descriptor
  header.writeUInt32LE(lengthBytes, 5)
  new NativeFrameReader({ maxMessageLengthBytes: 1 << 20, linkIndex: 0 }, { onFrame: () => true }).push(header)
}

/** A Message whose headers have this many bytes, as any peer can write it. */
function readsHeaders(lengthBytes: number): void {
  const body = Buffer.alloc(4 + 3 + lengthBytes)
  body.writeUInt16LE(lengthBytes, 5)
  messages.decodeMessage(body, 0, body.length)
}

/** A Response with an error whose texts have these lengths. */
function readsError(codeLengthBytes: number, messageLengthBytes: number): void {
  const body = Buffer.alloc(4 + 8 + codeLengthBytes + messageLengthBytes, 97)
  body[8] = messages.responseStatuses.failed
  body[9] = codeLengthBytes
  body.writeUInt16LE(messageLengthBytes, 10 + codeLengthBytes)
  messages.decodeResponse(body, 0, body.length)
}

function readsErrorOf(restLengthBytes: number): void {
  const body = Buffer.alloc(4 + restLengthBytes)
  body[8] = messages.responseStatuses.refused
  messages.decodeResponse(body, 0, body.length)
}

const errorLength = (code: string, message: string): string =>
  `${messages.encodeErrorResponseHeader({ nonce: 1, status: 'failed', code, message, payloadLengthBytes: 0 }).length - 17} bytes`

function wants(count: number): void {
  const setup = new SessionSetup({ randomBits: () => 1n })
  const port = { isGreater: true, links: null, isUp: () => false }
  setup.addPeer('peer', port as unknown as SetupPort<never>)
  for (let k = 0; k < count; k++) setup.onFrame('peer', 0, { type: 'Want', k, callId: 1n, count: 1, name: String(k) })
}

function unanswered(count: number): void {
  const served = new ServedRequests(undefined as never, new NodeMemory().open())
  for (let nonce = 1; nonce <= count; nonce++) served.arrived({ nonce, timeLeftMs: null, arrivedAtMs: 0 })
}

export function nativeFrameCases(): LimitCase[] {
  const name = messages.nameLengthBytesMax
  const headers = messages.headersLengthBytesMax
  const code = messages.errorCodeLengthBytesMax
  const message = messages.errorMessageLengthBytesMax
  return [
    ...around('nameLengthBytesMax', 'kept, sending a Message', name, [fine, fine, invalid], (length) => {
      messages.encodeMessageHeader({ name: 'a'.repeat(length), payloadLengthBytes: 0 })
    }),
    ...around('nameLengthBytesMax', 'kept, sending a Want', name, [fine, fine, invalid], (length) => {
      encodeSetupFrame({ type: 'Want', k: 1, callId: 1n, count: 1, name: 'a'.repeat(length) })
    }),
    ...around('headersLengthBytesMax', 'kept, receiving', headers, [fine, fine, tooLong], readsHeaders),
    ...around('headersLengthBytesMax', 'kept, sending', headers, [fine, fine, invalid], (length) => {
      messages.encodeMessageHeader({ name: '', headers: Buffer.alloc(length), payloadLengthBytes: 0 })
    }),
    ...around('errorCodeLengthBytesMax', 'kept, receiving', code, [fine, fine, tooLong], (length) =>
      readsError(length, 0),
    ),
    ...around('errorCodeLengthBytesMax', 'left out, sending', code, ['63 bytes', '64 bytes', '0 bytes'], (length) =>
      errorLength('a'.repeat(length), ''),
    ),
    ...around('errorMessageLengthBytesMax', 'kept, receiving', message, [fine, fine, tooLong], (length) =>
      readsError(0, length),
    ),
    ...around(
      'errorMessageLengthBytesMax',
      'cut, sending',
      message,
      ['1023 bytes', '1024 bytes', '1024 bytes'],
      (length) => errorLength('', 'a'.repeat(length)),
    ),
    ...around(
      'messageRestLengthBytesMin',
      'kept',
      messages.messageRestLengthBytesMin,
      [truncated, fine, fine],
      (length) => declares(frames.messagesLane, Message, length),
    ),
    ...around(
      'requestRestLengthBytesMin',
      'kept',
      messages.requestRestLengthBytesMin,
      [truncated, fine, fine],
      (length) => declares(frames.requestsLane, Request, length),
    ),
    ...around(
      'responseRestLengthBytesMin',
      'kept',
      messages.responseRestLengthBytesMin,
      [truncated, fine, fine],
      (length) => declares(frames.responsesLane, Response, length),
    ),
    ...around(
      'errorResponseRestLengthBytesMin',
      'kept',
      messages.errorResponseRestLengthBytesMin,
      [truncated, fine, fine],
      readsErrorOf,
    ),
    ...[0, frames.messagesLane, frames.requestsLane, frames.responsesLane].flatMap((lane) =>
      around('pieceLengthBytesMax', 'kept', frames.pieceLengthBytesMax, [fine, fine, tooLong], (length) =>
        declares(lane, Piece, length),
      ),
    ),
    ...around('streamStepsMax', 'kept', streamStepsMax, [fine, fine, 'ERR_STREAM_ID'], (steps) => {
      const ids = new StreamIds(true)
      ids.opened(frames.firstStreamLane + 1, false)
      ids.opened(frames.firstStreamLane + 1 + 2 * steps, false)
    }),
    ...around('openWantsMax', 'kept', openWantsMax, [fine, fine, 'ERR_WANT_LIMIT'], wants),
    ...around('unansweredRequestsMax', 'kept', unansweredRequestsMax, [fine, fine, 'ERR_REQUEST_LIMIT'], unanswered),
  ]
}
