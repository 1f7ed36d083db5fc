/**
 * Owns: the four messages of the swarm as bytes: offer, piece, want, done. Each names its sender, its lane and its
 * round, so that a value delivered at the wrong place is detected.
 * Independent of: sessions, timers, and how a receiver handles them.
 *
 * A piece is a fixed header and its bytes; the other three are rare and go as MessagePack.
 */
import { decode, Encoder } from '@msgpack/msgpack'

interface Addressed {
  /** Number of the peer that sent it. */
  readonly from: number
  /** Number of the session it travels on; piece n travels on lane n modulo the number of lanes. */
  readonly lane: number
  /** 1, 2, …: each round sends the whole file once. */
  readonly round: number
}

/**
 * Wave 0 announces the round. A later wave asks: all that was wanted so far has been sent on this lane, what is
 * missing?
 */
export interface Offer extends Addressed {
  readonly type: 'offer'
  readonly wave: number
  readonly name: string
  readonly length: number
  readonly pieceBytes: number
  readonly sha256: Uint8Array
}

export interface Piece extends Addressed {
  readonly type: 'piece'
  readonly number: number
  readonly bytes: Uint8Array
}

/**
 * Answers a wave: these pieces of this lane did not arrive. An empty list: the lane is complete, others are not yet.
 */
export interface Want extends Addressed {
  readonly type: 'want'
  readonly wave: number
  readonly missing: readonly number[]
}

/** Answers a wave: the file is complete, and whether its SHA-256 is the one offered. */
export interface Done extends Addressed {
  readonly type: 'done'
  readonly wave: number
  readonly ok: boolean
}

export type Message = Offer | Piece | Want | Done

/** A peer sent bytes that are not a message of the swarm, or a message that makes no sense at this place. */
export class TransferError extends Error {}

const pieceTag = 1
const otherTag = 2
/** tag u8, from u16, lane u16, round u32, number u32 */
const pieceHeaderBytes = 13
/** A want for every piece of the largest file in pieces of the smallest size stays below. */
const wantedMax = 1 << 20
/** Its buffer is reused for the next message. */
const encoder = new Encoder()

export function encodeMessage(message: Message): Uint8Array {
  if (message.type === 'piece') {
    const bytes = Buffer.allocUnsafe(pieceHeaderBytes + message.bytes.length)
    bytes.writeUInt8(pieceTag, 0)
    bytes.writeUInt16BE(message.from, 1)
    bytes.writeUInt16BE(message.lane, 3)
    bytes.writeUInt32BE(message.round, 5)
    bytes.writeUInt32BE(message.number, 9)
    bytes.set(message.bytes, pieceHeaderBytes)
    return bytes
  }
  const body = encoder.encodeSharedRef(message)
  const bytes = Buffer.allocUnsafe(1 + body.length)
  bytes.writeUInt8(otherTag, 0)
  bytes.set(body, 1)
  return bytes
}

/** @throws TransferError if these are not the bytes of a message */
export function decodeMessage(data: Uint8Array): Message {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  if (bytes[0] === pieceTag) {
    if (bytes.length < pieceHeaderBytes)
      throw new TransferError(`a piece of ${bytes.length} bytes is shorter than its header`)
    return {
      type: 'piece',
      from: bytes.readUInt16BE(1),
      lane: bytes.readUInt16BE(3),
      round: bytes.readUInt32BE(5),
      number: bytes.readUInt32BE(9),
      bytes: bytes.subarray(pieceHeaderBytes),
    }
  }
  if (bytes[0] !== otherTag) throw new TransferError(`a message begins with ${String(bytes[0])}`)
  return checked(unpacked(bytes.subarray(1)))
}

function unpacked(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown
  try {
    value = decode(bytes, {
      maxArrayLength: wantedMax,
      maxStrLength: 1024,
      maxBinLength: 32,
      maxMapLength: 16,
      maxExtLength: 0,
    })
  } catch (cause) {
    throw new TransferError('a message is not MessagePack', { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TransferError('a message is not a map')
  return value as Record<string, unknown>
}

function checked(fields: Record<string, unknown>): Message {
  const addressed = {
    from: whole(fields, 'from'),
    lane: whole(fields, 'lane'),
    round: whole(fields, 'round'),
    wave: whole(fields, 'wave'),
  }
  if (fields['type'] === 'offer') {
    const { name, sha256 } = fields
    if (typeof name !== 'string') throw new TransferError('an offer has no name')
    if (!(sha256 instanceof Uint8Array) || sha256.length !== 32) throw new TransferError('an offer has no SHA-256')
    return {
      type: 'offer',
      ...addressed,
      name,
      length: whole(fields, 'length'),
      pieceBytes: whole(fields, 'pieceBytes'),
      sha256,
    }
  }
  if (fields['type'] === 'want') {
    const { missing } = fields
    if (!Array.isArray(missing) || !missing.every((number) => Number.isSafeInteger(number)))
      throw new TransferError('a want has no list of piece numbers')
    return { type: 'want', ...addressed, missing: missing as number[] }
  }
  if (fields['type'] === 'done') {
    if (typeof fields['ok'] !== 'boolean') throw new TransferError('a done does not say whether the file is right')
    return { type: 'done', ...addressed, ok: fields['ok'] }
  }
  throw new TransferError(`unknown message type ${JSON.stringify(fields['type'])}`)
}

function whole(fields: Record<string, unknown>, name: string): number {
  const value = fields[name]
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new TransferError(`${name} of a message is not a whole number`)
  return value
}
