/**
 * Owns: the rules of frames in Pieces that a peer can break, each broken once on a session.
 * Independent of: sockets, and who sends the bytes (live-wire.test.ts).
 */
import type { ErrorCode } from '../../codec/errors.ts'
import * as messages from '../../codec/message-frames.ts'
import * as frames from '../../codec/native-frames.ts'
import { frame } from '../codec/frame-examples.ts'
import { maxMessageLengthBytes } from './wire-rows.ts'
import type { WireRow } from './wire-rows.ts'

const d = frames.nativeDescriptors
const session = true
const whole = frames.pieceLengthBytesMax

/** Descriptor and body of a value with this many bytes after its length field. */
function value(descriptor: number, lengthBytes: number): Buffer {
  const content = Buffer.alloc(5 + lengthBytes, 0x61)
  content[0] = descriptor
  content.writeUInt32LE(lengthBytes, 1)
  return content
}

const piece = (lane: number, content: Buffer): Buffer =>
  Buffer.concat([frames.encodePieceHeader(lane, content.length), content])

/** Content cut at these lengths, and what is left as the last Piece. */
function cut(content: Buffer, ...lengths: number[]): Buffer {
  const parts: Buffer[] = []
  let at = 0
  for (const length of [...lengths, content.length]) {
    const part = content.subarray(at, Math.min(content.length, at + length))
    if (part.length > 0) parts.push(piece(0, part))
    at += length
  }
  return Buffer.concat(parts)
}

const long = value(0x0c, 140_000)
const breaks = (code: ErrorCode, rule: string, ...bytes: Buffer[]): WireRow => ({
  rule,
  bytes: Buffer.concat(bytes),
  end: { protocol: code },
  session,
})
/** A first Piece of full length, which begins with this descriptor. */
const beginsWith = (descriptor: number): Buffer => piece(0, value(descriptor, 140_000).subarray(0, whole))
const first = piece(0, long.subarray(0, whole))

const payload = Buffer.alloc(140_000)
const header = { name: 'ask', payloadLengthBytes: payload.length }
/** The lanes without sessions, each with a long frame of its own. */
const others = [
  ['messages', Buffer.concat([messages.encodeMessageHeader(header), payload])],
  ['requests', Buffer.concat([messages.encodeRequestHeader({ ...header, nonce: 1, timeLeftMs: null }), payload])],
  ['responses', Buffer.concat([messages.encodeResponseHeader(1, payload.length), payload])],
] as const

const otherRows: readonly WireRow[] = others.flatMap(([name, frameInOne]): WireRow[] => {
  const lane = frameInOne.readUInt32LE(0)
  const content = frameInOne.subarray(4)
  const begin = piece(lane, content.subarray(0, whole))
  const ends = (code: ErrorCode, rule: string, ...bytes: Buffer[]): WireRow => ({
    rule: `${rule} on the ${name} lane`,
    bytes: Buffer.concat(bytes),
    end: { protocol: code },
  })
  const short = Buffer.from(content.subarray(0, 200))
  short.writeUInt32LE(195, 1)
  const tooLong = Buffer.from(content.subarray(0, whole))
  tooLong.writeUInt32LE(maxMessageLengthBytes + 1, 1)
  return [
    ends('ERR_PIECE_BEGINS', 'the first Piece begins no value', piece(lane, long.subarray(0, whole))),
    ends('ERR_PIECE_BEGINS', 'the first Piece begins no Cancel', piece(lane, Buffer.alloc(whole, d.Cancel))),
    ends('ERR_PIECE_SHORT_FRAME', 'a short frame is sent whole', piece(lane, short)),
    ends('ERR_MESSAGE_TOO_LONG', 'the first Piece keeps the longest message of the hello', piece(lane, tooLong)),
    ends('ERR_PIECE_SIZE', 'the first Piece has 65,536 bytes', piece(lane, content.subarray(0, whole - 1))),
    ends('ERR_PIECE_SIZE', 'the second Piece of three has 65,536 bytes', begin, piece(lane, Buffer.alloc(1))),
    ends('ERR_PIECE_INTERRUPTED', 'no frame comes between Pieces', begin, frameInOne.subarray(0, 4), short),
  ]
})

export const pieceRows: readonly WireRow[] = [
  breaks('ERR_PIECE_BEGINS', 'the first Piece on a session begins no Message', beginsWith(d.Message)),
  breaks('ERR_PIECE_BEGINS', 'the first Piece begins no frame of fixed length', beginsWith(0x01)),
  breaks('ERR_PIECE_BEGINS', 'the first Piece begins no Credit', beginsWith(d.Credit)),
  breaks('ERR_PIECE_BEGINS', 'the first Piece begins no Reset', beginsWith(d.Reset)),
  breaks('ERR_PIECE_BEGINS', 'the first Piece begins no Piece', beginsWith(d.Piece)),
  breaks('ERR_PIECE_BEGINS', 'the first Piece begins no unknown frame', beginsWith(0x99)),
  breaks('ERR_PIECE_SHORT_FRAME', 'a frame of 65,536 bytes is sent whole', cut(value(0x0c, whole), whole)),
  breaks('ERR_PIECE_SHORT_FRAME', 'a frame of 1 byte is sent whole', piece(0, value(0x0c, 1))),
  breaks(
    'ERR_MESSAGE_TOO_LONG',
    'the first Piece keeps the longest message of the hello',
    piece(0, value(0x0c, maxMessageLengthBytes + 1).subarray(0, whole)),
  ),
  breaks('ERR_PIECE_SIZE', 'the first Piece of two has 65,536 bytes', cut(long, whole - 1)),
  breaks('ERR_PIECE_SIZE', 'the first Piece has the whole header of its frame', cut(long, 4)),
  breaks('ERR_PIECE_SIZE', 'a Piece in the middle has 65,536 bytes', cut(long, whole, 1)),
  breaks(
    'ERR_PIECE_SIZE',
    'the last Piece goes no further than its frame',
    first,
    first,
    piece(0, long.subarray(0, 8934)),
  ),
  breaks('ERR_PIECE_SIZE', 'the last Piece goes as far as its frame', first, first, piece(0, long.subarray(0, 8932))),
  breaks('ERR_PIECE_INTERRUPTED', 'no value comes between the Pieces of a frame', first, frame(0, 0x02)),
  breaks(
    'ERR_CREDIT_EXCEEDED',
    'no Piece comes on a session whose credit is used up',
    frame(0, 0x0c, '00000100' + '61'.repeat(65_536)),
    first,
  ),
  breaks('ERR_SESSION_UNKNOWN', 'no Piece comes on a session that was never made', piece(5, long.subarray(0, whole))),
  {
    rule: 'a value in Pieces whose elements do not fill it ends its session',
    bytes: cut(value(0x06, 65_537), whole),
    end: { badValue: 'ERR_VECTOR_LENGTH_NOT_MULTIPLE' },
    session,
  },
  {
    rule: 'a Credit may come between the Pieces of a frame, and a Reset drops it',
    bytes: Buffer.concat([first, frames.encodeCredit(0, 1), frames.encodeReset(0, { code: 0, reason: '' })]),
    end: { dropped: 0 },
    session,
  },
  ...otherRows,
  {
    rule: 'a Request in Pieces that no handler serves is answered with no-handler',
    bytes: Buffer.concat(
      [0, 1, 2].map((index) =>
        piece(frames.requestsLane, others[1][1].subarray(4).subarray(index * whole, (index + 1) * whole)),
      ),
    ),
    end: { response: 'no-handler' },
  },
]
