/**
 * Owns: frames of messages, requests and responses, of conversations that set up sessions, and of Pieces, made by the
 * real encoders.
 * Independent of: their weight (corpus.ts), and how they are corrupted.
 */
import { encodeFrame } from '../../../codec/index.ts'
import {
  encodeCancel,
  encodeErrorResponseHeader,
  encodeMessage,
  encodeRequestHeader,
  encodeResponseHeader,
} from '../../../codec/message-frames.ts'
import {
  encodeCredit,
  encodePieceHeader,
  encodeReset,
  messagesLane,
  pieceLengthBytesMax,
  requestsLane,
  responsesLane,
} from '../../../codec/native-frames.ts'
import { encodeSetupFrame } from '../../../codec/setup-frames.ts'
import { encodeMsgPack } from '../../../codec/index.ts'

export function messagesAndRequests(): Buffer[] {
  const headers = Buffer.from(encodeMsgPack({ to: 'all' }))
  const payload = Buffer.from('abc')
  const request = (nonce: number, timeLeftMs: number | null): Buffer =>
    Buffer.concat([encodeRequestHeader({ nonce, timeLeftMs, name: 'ask', headers, payloadLengthBytes: 3 }), payload])
  return [
    ...[messagesLane, requestsLane, responsesLane].map((lane) => encodeCredit(lane, 1000)),
    encodeMessage({ name: '', bytes: payload }),
    encodeMessage({ name: 'news', headers, bytes: payload }),
    request(1, null),
    request(2, 1),
    encodeCancel(1),
    Buffer.concat([encodeResponseHeader(1, 3), payload]),
    Buffer.concat([
      encodeErrorResponseHeader({ nonce: 2, status: 'failed', code: 'E', message: 'no', payloadLengthBytes: 3 }),
      payload,
    ]),
    encodeErrorResponseHeader({ nonce: 2, status: 'too-late', code: '', message: '', payloadLengthBytes: 0 }),
  ]
}

/** What both sides of a pair of calls say, as a peer of either kind would: the order is that of one link. */
export function setupConversations(): Buffer[][] {
  const want = (k: number, count: number, name: string): Buffer =>
    encodeSetupFrame({ type: 'Want', k, callId: BigInt(k + 4), count, name })
  const make = (k: number, firstId: number, windowBytes = 65_536): Buffer =>
    encodeSetupFrame({ type: 'Make', k, callId: 7n, firstId, windowBytes })
  const made = (k: number): Buffer => encodeSetupFrame({ type: 'Made', k, windowBytes: 65_536 })
  const refuse = (k: number, reason: 'withdrawn' | 'counts-differ' | 'limit', ownCount = 0): Buffer =>
    encodeSetupFrame({ type: 'Refuse', k, reason, ownCount })
  const agree = (k: number): Buffer => encodeSetupFrame({ type: 'Agree', k, set: BigInt(k + 4) ^ 7n })
  return [
    [want(1, 2, ''), made(1), agree(1)],
    [want(1, 2, ''), refuse(1, 'withdrawn'), want(2, 2, ''), made(2), agree(2)],
    [want(1, 1, 'a'), want(2, 3, 'n'.repeat(255)), made(2), made(1), agree(2), agree(1)],
    [want(2 ** 31, 1, 'é'), refuse(2 ** 31, 'limit')],
    [make(1, 12), agree(1), encodeFrame(12, { type: 'Bytes', value: Buffer.alloc(3) })],
    [make(1, 12, 1), make(2, 13), encodeReset(12, { code: 0, reason: '' }), agree(2)],
    [refuse(1, 'counts-differ', 3), refuse(2, 'limit'), make(3, 40), agree(3)],
  ]
}

/** One of each kind that is sent in Pieces: values, a Message, a Request, Responses. */
export function longFrames(): Buffer[] {
  const payload = Buffer.alloc(66_000, 1)
  const payloadLengthBytes = payload.length
  return [
    encodeFrame(1, { type: 'Bytes', value: Buffer.alloc(140_000, 0x5a) }),
    encodeFrame(2, { type: 'VecRing64', value: new BigUint64Array(9_000) }),
    encodeFrame(0, { type: 'VecRingBit', value: { bits: 8 * 65_537, packed: new Uint8Array(65_537) } }),
    encodeMessage({ name: 'news', bytes: payload }),
    Buffer.concat([encodeRequestHeader({ nonce: 3, timeLeftMs: 9, name: 'ask', payloadLengthBytes }), payload]),
    Buffer.concat([encodeResponseHeader(1, payloadLengthBytes), payload]),
  ]
}

/** A frame as Pieces on its lane. */
export function inPieces(frame: Buffer): Buffer[] {
  const content = frame.subarray(4)
  const lane = frame.readUInt32LE(0)
  return Array.from({ length: Math.ceil(content.length / pieceLengthBytesMax) }, (_, index) => {
    const part = content.subarray(index * pieceLengthBytesMax, (index + 1) * pieceLengthBytesMax)
    return Buffer.concat([encodePieceHeader(lane, part.length), part])
  })
}
