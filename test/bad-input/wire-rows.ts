/**
 * Owns: the frame rules of the native dialect that a peer can break with one frame or a few, each broken once: the rule
 * as a sentence, the bytes, and how it ends.
 * Independent of: sockets, and who sends the bytes (live-wire.test.ts).
 */
import type { ErrorCode } from '../../codec/errors.ts'
import * as messages from '../../codec/message-frames.ts'
import * as frames from '../../codec/native-frames.ts'
import { encodeSetupFrame, type RefuseReason } from '../../codec/setup-frames.ts'
import { frame } from '../codec/frame-examples.ts'

export type End =
  /** Goodbye `protocol`, and the connection ends. */
  | { readonly protocol: ErrorCode }
  /** Counted frames that are dropped, and nothing else happens. */
  | { readonly dropped: number }
  /** One session ends, and nothing else. */
  | { readonly badValue: ErrorCode }
  | { readonly response: messages.ErrorStatus }
  | { readonly refuse: RefuseReason }

export interface WireRow {
  readonly rule: string
  /** A function: this side has called `makeSessions`, and `k` is the number of its Want. */
  readonly bytes: Buffer | ((k: number) => Buffer)
  readonly end: End
  /** The other side has the lesser id. Default: the greater one. */
  readonly isLesser?: true
  readonly linkIndex?: number
  /** What the other side grants on the messages, requests and responses lanes. */
  readonly laneWindowBytes?: number
  /** Session 0 is open on both sides, with 64 KiB of credit, and its reader takes nothing. */
  readonly session?: true
  /** This side has called `makeSessions` with a count of 1. */
  readonly calls?: true
}

const { messagesLane, requestsLane, responsesLane, setupLane, firstStreamLane, controlLane } = frames
const d = frames.nativeDescriptors
export const maxMessageLengthBytes = 1 << 20

const u32 = (value: number): string => Buffer.from(Uint32Array.of(value).buffer).toString('hex')
const u16 = (value: number): string => u32(value).slice(0, 4)
/** The length of the rest, and the rest. */
const rest = (hex: string): string => u32(hex.replaceAll(' ', '').length / 2) + hex
const text = (lengthBytes: number): string => '61'.repeat(lengthBytes)

const breaks = (code: ErrorCode, rule: string, bytes: Buffer, more: Partial<WireRow> = {}): WireRow => ({
  rule,
  bytes,
  end: { protocol: code },
  ...more,
})
const drops = (dropped: number, rule: string, bytes: Buffer, more: Partial<WireRow> = {}): WireRow => ({
  rule,
  bytes,
  end: { dropped },
  ...more,
})

/** Only the first 5 bytes are sent: no more are needed to tell. */
const laneRow = (rule: string, lane: number, descriptor: number, more: Partial<WireRow> = {}): WireRow =>
  breaks('ERR_UNKNOWN_DESCRIPTOR', rule, frame(lane, descriptor), more)

export const laneRows: readonly WireRow[] = [
  laneRow('a session takes no Message', 0, d.Message),
  laneRow('a session takes no Fin', 0, d.Fin),
  laneRow('a session takes no Ping', 0, d.Ping),
  laneRow('a session takes no descriptor 0x00', 0, 0x00),
  laneRow('a session takes no descriptor 0x22', 0, 0x22),
  laneRow('the last session id takes no Open', frames.sessionLanesEnd - 1, d.Open),
  laneRow('the id after the last session is no lane', frames.sessionLanesEnd, d.Credit),
  laneRow('the id before the responses lane is no lane', responsesLane - 1, d.Response),
  laneRow('the responses lane takes no Request', responsesLane, d.Request),
  laneRow('the responses lane takes no Reset', responsesLane, d.Reset),
  laneRow('the messages lane takes no Bytes', messagesLane, 0x0c),
  laneRow('the messages lane takes no Request', messagesLane, d.Request),
  laneRow('the messages lane takes no Reset', messagesLane, d.Reset),
  laneRow('the requests lane takes no Message', requestsLane, d.Message),
  laneRow('the requests lane takes no Response', requestsLane, d.Response),
  laneRow('the requests lane takes no MessagePack value', requestsLane, d.MsgPack),
  laneRow('the set-up lane takes no Credit', setupLane, d.Credit),
  laneRow('the set-up lane takes no Piece', setupLane, d.Piece),
  laneRow('the set-up lane takes no Cancel', setupLane, d.Cancel),
  laneRow('the set-up lane takes no descriptor after the last', setupLane, d.Agree + 1),
  laneRow('a stream takes no value but Bytes', firstStreamLane, 0x01),
  laneRow('a stream takes no Piece', firstStreamLane, d.Piece),
  laneRow('the last stream takes no Message', controlLane - 1, d.Message),
  laneRow('link control takes no Credit', controlLane, d.Credit),
  laneRow('link control takes no Bytes', controlLane, 0x0c),
  laneRow('messages live on link 0', messagesLane, d.Message, { linkIndex: 1 }),
  laneRow('requests live on link 0', requestsLane, d.Request, { linkIndex: 1 }),
  laneRow('Cancels live on link 0', requestsLane, d.Cancel, { linkIndex: 1 }),
  laneRow('responses live on link 0', responsesLane, d.Response, { linkIndex: 1 }),
  laneRow('credit for messages lives on link 0', messagesLane, d.Credit, { linkIndex: 1 }),
  laneRow('Pieces of messages live on link 0', messagesLane, d.Piece, { linkIndex: 1 }),
  laneRow('a Want lives on link 0', setupLane, d.Want, { linkIndex: 1 }),
  laneRow('an Agree lives on link 0', setupLane, d.Agree, { linkIndex: 1 }),
]

const tooLong = 'ERR_MESSAGE_TOO_LONG'
const truncated = 'ERR_VALUE_TRUNCATED'
const payingLanes = [
  ['a session', 0],
  ['messages', messagesLane],
  ['requests', requestsLane],
  ['responses', responsesLane],
] as const
const open = (lane: number, windowBytes = 1): Buffer =>
  frames.encodeOpen(lane, { windowBytes, protocol: 'x', extra: Buffer.alloc(0) })

export const fieldRows: readonly WireRow[] = [
  ...payingLanes.flatMap(([name, lane]) => [
    breaks(truncated, `a Piece of ${name} is not empty`, frame(lane, d.Piece, u32(0))),
    breaks(tooLong, `a Piece of ${name} has at most 65,536 bytes`, frame(lane, d.Piece, u32(65_537))),
  ]),
  ...payingLanes.map(([name, lane]) =>
    breaks(
      'ERR_CREDIT_ZERO',
      `a Credit for ${name} is not 0`,
      frame(lane, d.Credit, u32(0)),
      lane === 0 ? { session: true } : {},
    ),
  ),
  ...payingLanes
    .filter(([, lane]) => lane !== 0)
    .map(([name, lane]) =>
      breaks(
        'ERR_CREDIT_OVERFLOW',
        `a balance for ${name} is at most 2^31 - 1`,
        frame(lane, d.Credit, u32(2 ** 31 - 1)),
      ),
    ),
  breaks(tooLong, 'a value keeps the longest message of the hello', frame(0, 0x0c, u32(maxMessageLengthBytes + 1))),
  breaks(
    tooLong,
    'a MessagePack value keeps the longest message of the hello',
    frame(0, d.MsgPack, u32(maxMessageLengthBytes + 1)),
  ),
  breaks(
    tooLong,
    'packed bits keep the longest message of the hello',
    frame(0, 0x0f, u32(8 * maxMessageLengthBytes + 1)),
  ),
  breaks(
    tooLong,
    'a Message keeps the longest message of the hello',
    frame(messagesLane, d.Message, u32(maxMessageLengthBytes + 1)),
  ),
  breaks(
    tooLong,
    'a Request keeps the longest message of the hello',
    frame(requestsLane, d.Request, u32(maxMessageLengthBytes + 1)),
  ),
  breaks(
    tooLong,
    'a Response keeps the longest message of the hello',
    frame(responsesLane, d.Response, u32(maxMessageLengthBytes + 1)),
  ),
  breaks(truncated, 'the rest of a Message has at least 3 bytes', frame(messagesLane, d.Message, u32(2))),
  breaks(truncated, 'the rest of a Request has at least 11 bytes', frame(requestsLane, d.Request, u32(10))),
  breaks(truncated, 'the rest of a Response has at least 5 bytes', frame(responsesLane, d.Response, u32(4))),
  breaks(
    truncated,
    'the rest of a Response with an error has at least 8 bytes',
    frame(responsesLane, d.Response, rest('01000000 02 00 00')),
  ),
  breaks(truncated, 'the name of a Message fits its frame', frame(messagesLane, d.Message, rest('02 61 0000'))),
  breaks(truncated, 'the headers of a Message fit their frame', frame(messagesLane, d.Message, rest('00 0100'))),
  breaks(
    tooLong,
    'the headers of a Message have at most 8 KiB',
    frame(messagesLane, d.Message, rest(`00 ${u16(8193)} ${'80'.repeat(8193)}`)),
  ),
  breaks(
    truncated,
    'the name of a Request fits its frame',
    frame(requestsLane, d.Request, rest('01000000 00000000 02 61 0000')),
  ),
  breaks(
    truncated,
    'the headers of a Request fit their frame',
    frame(requestsLane, d.Request, rest('01000000 00000000 00 0100')),
  ),
  breaks(
    tooLong,
    'the headers of a Request have at most 8 KiB',
    frame(requestsLane, d.Request, rest(`01000000 00000000 00 ${u16(8193)} ${'80'.repeat(8193)}`)),
  ),
  breaks(
    'ERR_RESPONSE_STATUS',
    'the status of a Response is one of six',
    frame(responsesLane, d.Response, rest('01000000 06 00 0000')),
  ),
  breaks(
    tooLong,
    'the code of an error has at most 64 bytes',
    frame(responsesLane, d.Response, rest(`01000000 01 41 ${text(65)} 0000`)),
  ),
  breaks(
    tooLong,
    'the message of an error has at most 1,024 bytes',
    frame(responsesLane, d.Response, rest(`01000000 01 00 ${u16(1025)} ${text(1025)}`)),
  ),
  breaks(
    truncated,
    'the code of an error fits its frame',
    frame(responsesLane, d.Response, rest('01000000 01 02 61 0000')),
  ),
  breaks(
    truncated,
    'the message of an error fits its frame',
    frame(responsesLane, d.Response, rest('01000000 01 00 0200 61')),
  ),
  breaks(tooLong, 'the reason of a Reset has at most 256 bytes', frame(0, d.Reset, u16(0) + u16(257))),
  breaks(
    tooLong,
    'the reason of a Goodbye has at most 256 bytes',
    frame(controlLane, d.Goodbye, '00'.repeat(18) + u16(257)),
  ),
  breaks(truncated, 'an Open names a protocol', frame(firstStreamLane + 1, d.Open, u32(1) + u16(0))),
  breaks(
    tooLong,
    'the protocol name of an Open has at most 255 bytes',
    frame(firstStreamLane + 1, d.Open, u32(1) + u16(256)),
  ),
  breaks(
    tooLong,
    'the extra bytes of an Open are at most 64 KiB',
    frame(firstStreamLane + 1, d.Open, u32(1) + u16(1) + text(1) + u32(65_537)),
  ),
  breaks(truncated, 'Bytes of a stream are not empty', frame(firstStreamLane + 1, 0x0c, u32(0))),
  breaks(tooLong, 'Bytes of a stream have at most 64 KiB', frame(firstStreamLane + 1, 0x0c, u32(65_537))),
]

const asks = (nonce: number): Buffer =>
  messages.encodeRequestHeader({ nonce, timeLeftMs: null, name: 'ask', payloadLengthBytes: 0 })
const many = (count: number, of: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => of(index)))

export const messageRows: readonly WireRow[] = [
  breaks('ERR_REQUEST_NONCE', 'a nonce is not 0', frame(requestsLane, d.Request, rest('00000000 00000000 00 0000'))),
  breaks('ERR_REQUEST_NONCE', 'a nonce in use is not used again', Buffer.concat([asks(1), asks(2), asks(2)]), {
    laneWindowBytes: 1,
  }),
  breaks(
    'ERR_REQUEST_LIMIT',
    'at most 1,024 Requests are not answered',
    many(1026, (index) => asks(index + 1)),
    {
      laneWindowBytes: 1,
    },
  ),
  drops(1, 'a Response that nobody waits for is counted and dropped', messages.encodeResponseHeader(9, 0)),
  drops(1, 'a Response with the nonce 0 is counted and dropped', messages.encodeResponseHeader(0, 0)),
  drops(1, 'a Cancel of a nonce that is not under way is counted and dropped', messages.encodeCancel(9)),
  drops(
    1,
    'a Message whose name is not handled is counted and dropped',
    messages.encodeMessage({ name: 'news', bytes: Buffer.from('x') }),
  ),
  drops(
    1,
    'a Message whose name is not UTF-8 is counted and dropped',
    frame(messagesLane, d.Message, rest('01 ff 0000')),
  ),
  drops(
    1,
    'a Message whose headers are no map of strings is counted and dropped',
    frame(messagesLane, d.Message, rest('00 0100 c1')),
  ),
  {
    rule: 'a Request that no handler serves is answered with no-handler',
    bytes: asks(1),
    end: { response: 'no-handler' },
  },
  {
    rule: 'a Request whose name is not UTF-8 is answered with refused',
    bytes: frame(requestsLane, d.Request, rest('01000000 00000000 01 ff 0000')),
    end: { response: 'refused' },
  },
  {
    rule: 'a Request whose headers are no map of strings is answered with refused',
    bytes: frame(requestsLane, d.Request, rest('01000000 00000000 00 0300 81a101')),
    end: { response: 'refused' },
  },
]

const odd = firstStreamLane + 1
const streamId = 'ERR_STREAM_ID'
export const streamRows: readonly WireRow[] = [
  breaks(streamId, 'the side with the greater id opens no even stream', open(firstStreamLane)),
  breaks(streamId, 'the side with the lesser id opens no odd stream', open(odd), { isLesser: true }),
  breaks(streamId, 'an Open is ahead of the last one', Buffer.concat([open(odd + 2), open(odd)])),
  breaks(streamId, 'an Open does not repeat the last one', Buffer.concat([open(odd), open(odd)])),
  breaks(streamId, 'an Open is at most 2^29 steps ahead', Buffer.concat([open(odd), open(odd + 2 ** 30 + 2)])),
  breaks(streamId, 'Bytes arrive for no stream that was never opened', frame(odd, 0x0c, `${u32(1)}61`)),
  breaks(streamId, 'a Credit arrives for no stream that was never opened', frames.encodeCredit(odd, 1)),
  breaks(
    streamId,
    'an Accept arrives for no stream of this side that it never opened',
    frames.encodeAccept(odd - 1, 1),
  ),
  breaks(streamId, 'a Fin arrives for no stream that was never opened', frames.encodeFin(odd)),
  breaks(streamId, 'a Reset arrives for no stream ahead of the last', Buffer.concat([open(odd), reset(odd + 2)])),
  breaks('ERR_CREDIT_OVERFLOW', 'the window of an Open is at most 2^31 - 1', open(odd, 2 ** 31)),
  breaks(
    'ERR_CREDIT_OVERFLOW',
    'the window of an Accept is at most 2^31 - 1',
    Buffer.concat([open(odd), frames.encodeAccept(odd, 2 ** 31)]),
  ),
  breaks('ERR_CREDIT_ZERO', 'a Credit for a stream is not 0', Buffer.concat([open(odd), frame(odd, d.Credit, u32(0))])),
  drops(2, 'a Reset for a stream that is over is counted and dropped', Buffer.concat([open(odd), reset(odd)])),
  drops(2, 'streams live on every link', Buffer.concat([open(odd), reset(odd)]), { linkIndex: 1 }),
]

function reset(lane: number): Buffer {
  return frames.encodeReset(lane, { code: 0, reason: '' })
}

const ping = frames.encodePing(1n)
const message = messages.encodeMessage({ name: '', bytes: Buffer.alloc(0) })
const goodbye = (next: number): Buffer => frames.encodeGoodbye({ code: 0, next, received: 0, reason: '' })

export const countRows: readonly WireRow[] = [
  breaks('ERR_ACK_OUT_OF_RANGE', 'an Ack names no frame that was never sent', frames.encodeAck(1000)),
  breaks('ERR_ACK_OUT_OF_RANGE', 'a Pong is an Ack too', frames.encodePong(1n, 1000)),
  breaks('ERR_ACK_OUT_OF_RANGE', 'a counter is at most 2^53 - 1', frame(controlLane, d.Ack, 'ffffffffffffffff')),
  breaks('ERR_GOODBYE_MISMATCH', 'a Goodbye names the frames that arrived', Buffer.concat([message, ping, goodbye(0)])),
  breaks('ERR_GOODBYE_MISMATCH', 'a Goodbye names no frames that did not arrive', goodbye(1)),
  // The link ends by the Goodbye before; the event has that cause.
  breaks('ERR_CONNECTION_LOST', 'no counted frame follows a Goodbye', Buffer.concat([goodbye(0), message])),
]

const value = (descriptor: number, hex: string): Buffer => frame(0, descriptor, u32(hex.length / 2) + hex)
const bad = (code: ErrorCode, rule: string, bytes: Buffer): WireRow => ({
  rule,
  bytes,
  end: { badValue: code },
  session: true,
})

export const valueRows: readonly WireRow[] = [
  bad('ERR_VECTOR_LENGTH_NOT_MULTIPLE', 'a VecRing16 has whole elements', value(0x06, text(3))),
  bad('ERR_VECTOR_LENGTH_NOT_MULTIPLE', 'a VecRing32 has whole elements', value(0x07, text(6))),
  bad('ERR_VECTOR_LENGTH_NOT_MULTIPLE', 'a VecRing64 has whole elements', value(0x08, text(12))),
  bad('ERR_VECTOR_LENGTH_NOT_MULTIPLE', 'a VecRing48 has whole elements', value(0x0e, text(8))),
  bad('ERR_NETWORK_VEC_ELEMENT_NOT_ALLOWED', 'a list holds no list', value(0x0a, '0a00000000')),
  bad('ERR_NETWORK_VEC_ELEMENT_NOT_ALLOWED', 'a list holds no key', value(0x0a, `01${text(16)}`)),
  bad('ERR_NETWORK_VEC_LENGTH_MISMATCH', 'a list is filled by its values', value(0x0a, '0361')),
  bad('ERR_UNKNOWN_DESCRIPTOR', 'a list holds no unknown descriptor', value(0x0a, '99')),
]

const msgpack = (hex: string): Buffer => value(d.MsgPack, hex.replaceAll(' ', ''))

export const msgpackRows: readonly WireRow[] = [
  bad('ERR_MSGPACK_DEPTH', 'no container is inside 32 containers', msgpack(`${'91'.repeat(33)}c0`)),
  bad('ERR_MSGPACK_LENGTH', 'a list is no longer than the bytes that remain', msgpack('dd ffffffff c0')),
  bad('ERR_MSGPACK_LENGTH', 'an entry of a map counts 2 bytes', msgpack('82 a161 c0')),
  bad('ERR_MSGPACK_EXT', 'an extension is a timestamp', msgpack('d4 05 00')),
  bad('ERR_MSGPACK_EXT', 'a timestamp has 4, 8 or 12 bytes', msgpack('d5 ff 0000')),
  bad('ERR_MSGPACK_RESERVED', 'the byte c1 is reserved', msgpack('c1')),
  bad('ERR_MSGPACK_KEY_TYPE', 'a key of a map is a string', msgpack('81 01 c0')),
  bad('ERR_MSGPACK_KEY_FORBIDDEN', 'no key is __proto__', msgpack('81 a95f5f70726f746f5f5f c0')),
  bad('ERR_MSGPACK_KEY_FORBIDDEN', 'no key is constructor', msgpack('81 ab636f6e7374727563746f72 c0')),
  bad('ERR_MSGPACK_KEY_FORBIDDEN', 'no key is prototype', msgpack('81 a970726f746f74797065 c0')),
  bad('ERR_MSGPACK_TRAILING_BYTES', 'nothing follows a value', msgpack('c0 c0')),
  bad('ERR_MSGPACK_TRUNCATED', 'a value is complete', msgpack('a261')),
  bad('ERR_MSGPACK_TRUNCATED', 'a value is not empty', msgpack('')),
]

export const creditRows: readonly WireRow[] = [
  breaks(
    'ERR_CREDIT_EXCEEDED',
    'no value arrives on a session without credit',
    Buffer.concat([encodeSetupFrame({ type: 'Make', k: 7, callId: 5n, firstId: 0, windowBytes: 1 }), frame(0, 0x02)]),
  ),
  breaks(
    'ERR_CREDIT_EXCEEDED',
    'no value follows on a session whose credit is used up',
    Buffer.concat([frame(0, 0x0c, u32(65_536) + text(65_536)), frame(0, 0x02)]),
    { session: true },
  ),
]
