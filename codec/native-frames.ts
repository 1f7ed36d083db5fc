/**
 * Owns: the frames that only the native dialect has (docs/protocol.md, native): their numbers, which lane each may use,
 * and their limits; and how those of link control, of credit and of streams are written. Frames of the set-up lane are
 * in setup-frames.ts, messages, requests and responses in message-frames.ts.
 * Independent of: links, credit, counters, and what the bodies mean (protocol/native/frame-bodies.ts reads them).
 */
import { frameHeaderLengthBytes, lengthFieldLengthBytes, maxUint32 } from './constants.ts'
import { writeUint32 } from './encode-value.ts'
import { InvalidValueError } from './errors.ts'
import { bodyKindByteLength, bodyKinds, bodyKindUnknown } from './frame-length.ts'
import { cutUtf8 } from './hello.ts'

/** The descriptors of the native dialect, besides those of the values. */
export const nativeDescriptors = {
  MsgPack: 0x20,
  Piece: 0x21,
  Ping: 0x30,
  Pong: 0x31,
  Ack: 0x32,
  Goodbye: 0x33,
  Credit: 0x34,
  Open: 0x35,
  Accept: 0x36,
  Reset: 0x37,
  Fin: 0x38,
  Message: 0x39,
  Request: 0x3a,
  Response: 0x3b,
  Cancel: 0x3c,
  Want: 0x3d,
  Make: 0x3e,
  Made: 0x3f,
  Refuse: 0x40,
  Agree: 0x41,
} as const

/** Sessions are the lanes 0 … 0x3fff_ffff. */
export const sessionLanesEnd = 0x4000_0000
/** Responses, messages and requests have a lane each, on link 0 only. */
export const responsesLane = 0x7fff_fffc
export const messagesLane = 0x7fff_fffd
/** Set-up of sessions, on every link. */
export const setupLane = 0x7fff_fffe
export const requestsLane = 0x7fff_ffff
/** Streams are the lanes 0x8000_0000 … 0xffff_fffe, on any link. */
export const firstStreamLane = 0x8000_0000
/** Link control: never counted, never replayed. */
export const controlLane = 0xffff_ffff

export type LaneKind = 'session' | 'setup' | 'messages' | 'requests' | 'responses' | 'stream' | 'control' | 'unassigned'

export function laneKindOf(lane: number): LaneKind {
  if (lane < sessionLanesEnd) return 'session'
  if (lane >= firstStreamLane) return lane === controlLane ? 'control' : 'stream'
  switch (lane) {
    case responsesLane:
      return 'responses'
    case messagesLane:
      return 'messages'
    case setupLane:
      return 'setup'
    case requestsLane:
      return 'requests'
    default:
      return 'unassigned'
  }
}

/** Protocol name of an Open, in UTF-8 bytes; it has at least 1. */
export const protocolNameLengthBytesMax = 255
/** Extra bytes of an Open. */
export const openExtraLengthBytesMax = 64 * 1024
/** Reason of a Reset or a Goodbye, in UTF-8 bytes. */
export const reasonLengthBytesMax = 256
/** The longest frame of a stream, so that streams share a link fairly. */
export const streamFrameLengthBytesMax = 64 * 1024
/**
 * A frame with more bytes than this after its length field is a long frame: it is sent as Pieces of exactly this many
 * bytes, the last one excepted.
 */
export const pieceLengthBytesMax = 65_536

/** Codes of a Reset; an unknown code below 0x100 is read as 0. */
export const resetCodes = {
  application: 0,
  protocol: 1,
  'no-such-protocol': 2,
  refused: 3,
  limit: 4,
  'bad-value': 5,
  'no-such-lane': 6,
  'time-out': 7,
} as const
/** Codes of a Reset from this one on are the application's own. */
export const applicationResetCodesBegin = 0x100
/** Codes of a Goodbye; an unknown code is read as 0. */
export const goodbyeCodes = { normal: 0, protocol: 1 } as const

// Kinds of bodies whose length is not fixed and not a plain length field; the other kinds are in frame-length.ts.
export const bodyKindReset = 0xf0
export const bodyKindGoodbye = 0xf1
export const bodyKindOpen = 0xf2
export const bodyKindWant = 0xf3
export const bodyKindMessage = 0xf4
export const bodyKindRequest = 0xf5
export const bodyKindResponse = 0xf6
export const bodyKindStreamBytes = 0xf7
export const bodyKindPiece = 0xf8

const { Accept, Ack, Agree, Cancel, Credit, Fin, Goodbye, Made, Make, Message, MsgPack, Open } = nativeDescriptors
const { Piece, Ping, Pong, Refuse, Request, Reset, Response, Want } = nativeDescriptors
const descriptorBytes = 0x0c

/** By lane kind, the kind of body of each descriptor; {@link bodyKindUnknown} where the descriptor is not allowed. */
export const laneTables: Readonly<Record<LaneKind, Uint8Array>> = {
  session: table(
    [
      [MsgPack, bodyKindByteLength],
      [Piece, bodyKindPiece],
      [Credit, 4],
      [Reset, bodyKindReset],
    ],
    bodyKinds,
  ),
  setup: table([
    [Want, bodyKindWant],
    [Make, 20],
    [Made, 8],
    [Refuse, 7],
    [Agree, 12],
  ]),
  messages: table([
    [Piece, bodyKindPiece],
    [Credit, 4],
    [Message, bodyKindMessage],
  ]),
  requests: table([
    [Piece, bodyKindPiece],
    [Credit, 4],
    [Request, bodyKindRequest],
    [Cancel, 4],
  ]),
  responses: table([
    [Piece, bodyKindPiece],
    [Credit, 4],
    [Response, bodyKindResponse],
  ]),
  stream: table([
    [descriptorBytes, bodyKindStreamBytes],
    [Credit, 4],
    [Open, bodyKindOpen],
    [Accept, 4],
    [Reset, bodyKindReset],
    [Fin, 0],
  ]),
  control: table([
    [Ping, 8],
    [Pong, 16],
    [Ack, 8],
    [Goodbye, bodyKindGoodbye],
  ]),
  unassigned: table([]),
}

function table(entries: [descriptor: number, bodyKind: number][], base?: Uint8Array): Uint8Array {
  const kinds = base === undefined ? new Uint8Array(256).fill(bodyKindUnknown) : Uint8Array.from(base)
  for (const [descriptor, bodyKind] of entries) kinds[descriptor] = bodyKind
  return kinds
}

/** Whether a frame that is allowed on link 0 is allowed on the other links as well. */
export function isAllowedBeyondLinkZero(laneKind: LaneKind, descriptor: number): boolean {
  switch (laneKind) {
    case 'messages':
    case 'requests':
    case 'responses':
      return false
    case 'setup':
      return descriptor !== Want && descriptor !== Agree
    default:
      return true
  }
}

/**
 * Values on sessions, Bytes on streams, Message, Request, Response and the Pieces of these come from the application:
 * they cost credit. The other frames are the link's own.
 */
export function isPaying(laneKind: LaneKind, descriptor: number): boolean {
  switch (laneKind) {
    case 'session':
      return descriptor !== Credit && descriptor !== Reset
    case 'stream':
      return descriptor === descriptorBytes
    case 'messages':
    case 'requests':
    case 'responses':
      return descriptor !== Credit && descriptor !== Cancel
    default:
      return false
  }
}

/** `echo` is any u64, for the Pong to repeat. */
export function encodePing(echo: bigint): Buffer {
  const { frame, body } = frameOf(controlLane, Ping, 8)
  frame.writeBigUInt64LE(echo, body)
  return frame
}

/** @param received counted frames received so far on this link: a Pong is an Ack too */
export function encodePong(echo: bigint, received: number): Buffer {
  const { frame, body } = frameOf(controlLane, Pong, 16)
  frame.writeBigUInt64LE(echo, body)
  writeCounter(frame, body + 8, received)
  return frame
}

export function encodeAck(received: number): Buffer {
  const { frame, body } = frameOf(controlLane, Ack, 8)
  writeCounter(frame, body, received)
  return frame
}

/** A reason longer than 256 bytes is cut at a character boundary, as in a Reset. */
export function encodeGoodbye(goodbye: { code: number; next: number; received: number; reason: string }): Buffer {
  const reason = cutUtf8(goodbye.reason, reasonLengthBytesMax)
  const { frame, body } = frameOf(controlLane, Goodbye, 20 + reason.length)
  frame.writeUInt16LE(goodbye.code, body)
  writeCounter(frame, body + 2, goodbye.next)
  writeCounter(frame, body + 10, goodbye.received)
  frame.writeUInt16LE(reason.length, body + 18)
  frame.set(reason, body + 20)
  return frame
}

/** @throws InvalidValueError for 0 bytes, which the peer would treat as a protocol error */
export function encodeCredit(lane: number, creditBytes: number): Buffer {
  if (!Number.isInteger(creditBytes) || creditBytes < 1 || creditBytes > maxUint32) {
    throw new InvalidValueError(
      `A Credit must have 1 to ${String(maxUint32)} bytes; this one has ${String(creditBytes)}.`,
    )
  }
  const { frame, body } = frameOf(lane, Credit, 4)
  frame.writeUInt32LE(creditBytes, body)
  return frame
}

/** @throws InvalidValueError if the name is not 1 to 255 bytes long, or `extra` is longer than 64 KiB */
export function encodeOpen(lane: number, open: { windowBytes: number; protocol: string; extra: Uint8Array }): Buffer {
  const name = Buffer.from(open.protocol, 'utf8')
  if (name.length < 1 || name.length > protocolNameLengthBytesMax) {
    throw new InvalidValueError(
      `The name of a protocol must have 1 to 255 bytes of UTF-8; this one has ${String(name.length)}.`,
    )
  }
  if (open.extra.length > openExtraLengthBytesMax) {
    throw new InvalidValueError(
      `The extra bytes of an Open must be at most ${String(openExtraLengthBytesMax)}; these are ` +
        `${String(open.extra.length)}.`,
    )
  }
  const { frame, body } = frameOf(lane, Open, 10 + name.length + open.extra.length)
  frame.writeUInt32LE(open.windowBytes, body)
  frame.writeUInt16LE(name.length, body + 4)
  frame.set(name, body + 6)
  frame.writeUInt32LE(open.extra.length, body + 6 + name.length)
  frame.set(open.extra, body + 10 + name.length)
  return frame
}

export function encodeAccept(lane: number, windowBytes: number): Buffer {
  const { frame, body } = frameOf(lane, Accept, 4)
  frame.writeUInt32LE(windowBytes, body)
  return frame
}

export function encodeReset(lane: number, reset: { code: number; reason: string }): Buffer {
  const reason = cutUtf8(reset.reason, reasonLengthBytesMax)
  const { frame, body } = frameOf(lane, Reset, 4 + reason.length)
  frame.writeUInt16LE(reset.code, body)
  frame.writeUInt16LE(reason.length, body + 2)
  frame.set(reason, body + 4)
  return frame
}

export function encodeFin(lane: number): Buffer {
  return frameOf(lane, Fin, 0).frame
}

/** Encodes a Piece up to its bytes, which follow in their own memory. */
export function encodePieceHeader(lane: number, lengthBytes: number): Buffer {
  const { frame, body } = frameOf(lane, Piece, lengthFieldLengthBytes)
  frame.writeUInt32LE(lengthBytes, body)
  return frame
}

/** An empty frame with its lane and descriptor; its body begins at `body`. */
export function frameOf(lane: number, descriptor: number, bodyLengthBytes: number): { frame: Buffer; body: number } {
  const frame = Buffer.alloc(frameHeaderLengthBytes + bodyLengthBytes)
  frame[writeUint32(frame, 0, lane)] = descriptor
  return { frame, body: frameHeaderLengthBytes }
}

function writeCounter(frame: Buffer, offset: number, counter: number): void {
  frame.writeBigUInt64LE(BigInt(counter), offset)
}
