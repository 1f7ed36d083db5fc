/**
 * Owns: the framing of a native connection after its hello: which descriptor is allowed on which lane, and where each
 * frame ends. A frame over its limit is rejected before anything is allocated.
 * Independent of: what bodies mean, whether a lane is open, credit and counters.
 *
 * The lengths of three frames, Open, Want and Goodbye, are not in the 9 bytes that the assembler keeps as a header. If
 * such a frame lies whole in a chunk, it is delivered in place like any other. If it spans chunks, it is read in parts
 * of known length and joined here. All are short and rare.
 */
import {
  describeDescriptor,
  frameHeaderLengthBytes,
  lengthFieldLengthBytes,
  lengthPrefixedHeaderLengthBytes,
  maxUint32,
} from './constants.ts'
import { ProtocolError, StatewireError } from './errors.ts'
import { messageRestLengthBytesMin, requestRestLengthBytesMin, responseRestLengthBytesMin } from './message-frames.ts'
import { FrameAssembler, lengthNotKnownYet, type FrameSink } from './frame-assembler.ts'
import {
  bodyKindBitCount,
  bodyKindByteLength,
  bodyKindUnknown,
  maxFixedBodyLengthBytes,
  readUint32,
} from './frame-length.ts'
import type { SpareMemory } from './spare-memory.ts'
import {
  bodyKindGoodbye,
  bodyKindMessage,
  bodyKindOpen,
  bodyKindPiece,
  bodyKindRequest,
  bodyKindReset,
  bodyKindResponse,
  bodyKindStreamBytes,
  bodyKindWant,
  isAllowedBeyondLinkZero,
  laneKindOf,
  laneTables,
  nativeDescriptors,
  openExtraLengthBytesMax,
  pieceLengthBytesMax,
  protocolNameLengthBytesMax,
  reasonLengthBytesMax,
  sessionLanesEnd,
  streamFrameLengthBytesMax,
} from './native-frames.ts'

export interface NativeFrameReaderOptions {
  /**
   * The limit from this side's hello: the most bytes after the 9-byte header of a value, Message, Request or Response.
   */
  readonly maxMessageLengthBytes: number
  /** Messages, requests and responses, and two of the set-up frames, are on link 0 only. */
  readonly linkIndex: number
  /** Memory for frames that span chunks, shared with other readers. */
  readonly spares?: SpareMemory | undefined
}

const sessionTable = laneTables.session
const textHeaderLengthBytes = 4
/** header, window u32, name length u16 */
const openHeadLengthBytes = frameHeaderLengthBytes + 4 + 2
/** header, code u16, next u64, received u64, reason length u16: a Goodbye without a reason is complete with these */
const goodbyeHeadLengthBytes = frameHeaderLengthBytes + 2 + 8 + 8 + 2
/** header, k u32, call id u64, count u16, name length u8: a Want with an empty name is complete with these */
const wantHeadLengthBytes = frameHeaderLengthBytes + 4 + 8 + 2 + 1

/**
 * Parses native frames. Same interface as FrameReader: `push`, `stop`, `resume`, `reset`.
 * @throws ProtocolError ERR_UNKNOWN_DESCRIPTOR (from 5 bytes: no such descriptor on this lane, or no such lane),
 *   ERR_MESSAGE_TOO_LONG, ERR_LONG_FRAME_WHOLE, and ERR_VALUE_TRUNCATED for a length too short for its fields
 */
export class NativeFrameReader extends FrameAssembler {
  private readonly maxMessageLengthBytes: number
  private readonly isLinkZero: boolean
  private readonly sink: FrameSink
  /** The parts so far of an Open, Want or Goodbye that spans chunks. */
  private parts: Buffer | undefined = undefined
  private nextPartLengthBytes = 0
  /** A wrong length between two parts: as final as one in a header. */
  private partFailure: ProtocolError | undefined = undefined

  /** @throws StatewireError ERR_INVALID_OPTION */
  constructor(options: NativeFrameReaderOptions, sink: FrameSink) {
    super(options.spares)
    const limit = options.maxMessageLengthBytes
    if (!Number.isInteger(limit) || limit < 0 || limit > maxUint32) {
      throw new StatewireError(
        'ERR_INVALID_OPTION',
        `maxMessageLengthBytes must be an integer from 0 to ${String(maxUint32)}; it is ${String(limit)}.`,
      )
    }
    this.maxMessageLengthBytes = limit
    this.isLinkZero = options.linkIndex === 0
    this.sink = sink
  }

  override get bufferedBytes(): number {
    return super.bufferedBytes + (this.parts?.length ?? 0)
  }

  override reset(): void {
    super.reset()
    this.parts = undefined
    this.partFailure = undefined
  }

  protected override measure(buffer: Buffer, start: number, end: number): number {
    if (this.parts !== undefined) return this.nextPartLengthBytes
    if (this.partFailure !== undefined) throw this.partFailure
    const available = end - start
    if (available < frameHeaderLengthBytes) return lengthNotKnownYet
    const descriptor = buffer[start + frameHeaderLengthBytes - 1]!
    const kind = this.bodyKindOf(readUint32(buffer, start), descriptor)
    if (kind <= maxFixedBodyLengthBytes) return frameHeaderLengthBytes + kind
    if (available < lengthPrefixedHeaderLengthBytes) return lengthNotKnownYet
    const body = start + frameHeaderLengthBytes
    switch (kind) {
      case bodyKindReset:
        return (
          frameHeaderLengthBytes +
          textHeaderLengthBytes +
          checkedLength(descriptor, readUint16(buffer, body + 2), 0, reasonLengthBytesMax)
        )
      case bodyKindGoodbye:
        if (available < goodbyeHeadLengthBytes) return goodbyeHeadLengthBytes
        return wholeOrPart(
          goodbyeHeadLengthBytes,
          goodbyeHeadLengthBytes + goodbyeReasonLength(buffer, start),
          available,
        )
      case bodyKindOpen:
        return measureOpen(buffer, start, available)
      case bodyKindWant:
        if (available < wantHeadLengthBytes) return wantHeadLengthBytes
        return wholeOrPart(wantHeadLengthBytes, wantLength(buffer, start), available)
      default:
        return this.begun(
          buffer,
          start,
          available,
          descriptor,
          lengthPrefixedHeaderLengthBytes + this.declaredLength(descriptor, kind, readUint32(buffer, body)),
        )
    }
  }

  protected override deliver(buffer: Buffer, start: number, end: number): boolean {
    if (this.parts === undefined && !isPart(buffer, start, end)) return this.handOver(buffer, start, end)
    // A copy: the assembler reuses its buffer for the next frame.
    const part = Buffer.from(buffer.subarray(start, end))
    const whole = this.parts === undefined ? part : Buffer.concat([this.parts, part])
    // Cleared first, so that a sink that throws or resets, and a wrong length, find no partial state.
    this.parts = undefined
    const length = this.lengthOrFail(whole)
    if (length > whole.length) {
      this.nextPartLengthBytes = length - whole.length
      this.parts = whole
      return true
    }
    this.handOver(whole, 0, whole.length)
    return true
  }

  /** The header of a Piece has 9 bytes. One that lies whole in a chunk is not placed: it is copied once anyway. */
  protected override placeFor(header: Buffer, frameLengthBytes: number): Buffer | undefined {
    if (header[frameHeaderLengthBytes - 1] !== nativeDescriptors.Piece || this.parts !== undefined) return undefined
    return this.sink.placeFor?.(readUint32(header, 0), frameLengthBytes - lengthPrefixedHeaderLengthBytes) ?? undefined
  }

  protected override deliverPlaced(header: Buffer, place: Buffer): void {
    this.sink.onFrame(readUint32(header, 0), nativeDescriptors.Piece, place, -lengthFieldLengthBytes, place.length)
  }

  private lengthOrFail(parts: Buffer): number {
    try {
      return lengthFromParts(parts)
    } catch (error) {
      if (error instanceof ProtocolError) this.partFailure = error
      throw error
    }
  }

  private handOver(buffer: Buffer, start: number, end: number): boolean {
    const body = start + frameHeaderLengthBytes
    return this.sink.onFrame(readUint32(buffer, start), buffer[body - 1]!, buffer, body, end)
  }

  /** The lane rules of docs/protocol.md, native, from the first 5 bytes. */
  private bodyKindOf(lane: number, descriptor: number): number {
    // Session lanes first, without determining the lane kind: there are millions of these frames per second.
    if (lane < sessionLanesEnd && sessionTable[descriptor] !== bodyKindUnknown) return sessionTable[descriptor]!
    const laneKind = laneKindOf(lane)
    const kind = laneTables[laneKind][descriptor]!
    const isElsewhere = !this.isLinkZero && !isAllowedBeyondLinkZero(laneKind, descriptor)
    if (kind !== bodyKindUnknown && !isElsewhere) return kind
    const where = isElsewhere ? ` of a link other than 0` : ''
    throw new ProtocolError(
      'ERR_UNKNOWN_DESCRIPTOR',
      `A frame with the descriptor ${describeDescriptor(descriptor)} is not allowed on lane ` +
        `0x${lane.toString(16)}, a lane of kind ${laneKind}${where}.`,
    )
  }

  /** Rejects a frame that cannot be accepted before it is buffered. */
  private begun(buffer: Buffer, start: number, available: number, descriptor: number, length: number): number {
    if (length > available && this.sink.mayBegin !== undefined)
      this.sink.mayBegin(readUint32(buffer, start), descriptor)
    return length
  }

  /** Bytes after the length field. */
  private declaredLength(descriptor: number, kind: number, declared: number): number {
    switch (kind) {
      case bodyKindByteLength:
        return this.longLength(descriptor, declared, 0)
      case bodyKindBitCount:
        return this.longLength(descriptor, Math.ceil(declared / 8), 0)
      case bodyKindMessage:
        return this.longLength(descriptor, declared, messageRestLengthBytesMin)
      case bodyKindRequest:
        return this.longLength(descriptor, declared, requestRestLengthBytesMin)
      case bodyKindResponse:
        return this.longLength(descriptor, declared, responseRestLengthBytesMin)
      case bodyKindPiece:
        return checkedLength(descriptor, declared, 1, pieceLengthBytesMax)
      case bodyKindStreamBytes:
        return checkedLength(descriptor, declared, 1, Math.min(streamFrameLengthBytesMax, this.maxMessageLengthBytes))
      default:
        throw new StatewireError('ERR_INTERNAL', `No length is known for bodies of the kind 0x${kind.toString(16)}.`)
    }
  }

  /** Checks the length of a frame that is sent in Pieces if it is long. */
  private longLength(descriptor: number, declared: number, least: number): number {
    const lengthBytes = checkedLength(descriptor, declared, least, this.maxMessageLengthBytes)
    if (lengthBytes <= pieceLengthBytesMax) return lengthBytes
    throw new ProtocolError(
      'ERR_LONG_FRAME_WHOLE',
      `A frame with the descriptor ${describeDescriptor(descriptor)} has ${String(lengthBytes)} bytes and was not sent ` +
        `in Pieces; up to ${String(pieceLengthBytesMax)} are allowed.`,
    )
  }
}

/** For an Open that lies whole in the chunk: its length. Otherwise the length of its first part. */
function measureOpen(buffer: Buffer, start: number, available: number): number {
  if (available < openHeadLengthBytes) return openHeadLengthBytes
  const extraField = openHeadLengthBytes + openNameLength(buffer, start)
  if (available < extraField + lengthFieldLengthBytes) return openHeadLengthBytes
  return wholeOrPart(
    openHeadLengthBytes,
    extraField + lengthFieldLengthBytes + openExtraLength(buffer, start + extraField),
    available,
  )
}

/**
 * The assembler asks again with 9 bytes only if the frame does not lie whole in the chunk: then it needs the length of
 * the part.
 */
function wholeOrPart(partLengthBytes: number, wholeLengthBytes: number, available: number): number {
  return wholeLengthBytes <= available ? wholeLengthBytes : partLengthBytes
}

/** Whether these bytes are only the first part of an Open, Want or Goodbye. */
function isPart(buffer: Buffer, start: number, end: number): boolean {
  const length = end - start
  if (length !== openHeadLengthBytes && length !== goodbyeHeadLengthBytes && length !== wantHeadLengthBytes)
    return false
  switch (kindOf(buffer, start)) {
    case bodyKindOpen:
      return length === openHeadLengthBytes
    case bodyKindGoodbye:
      return length === goodbyeHeadLengthBytes
    case bodyKindWant:
      return length === wantHeadLengthBytes
    default:
      return false
  }
}

/**
 * Length of the frame as far as its parts show: an Open has three, and the second contains the length of the third.
 */
function lengthFromParts(parts: Buffer): number {
  const kind = kindOf(parts, 0)
  if (kind === bodyKindGoodbye) return goodbyeHeadLengthBytes + goodbyeReasonLength(parts, 0)
  if (kind === bodyKindWant) return wantLength(parts, 0)
  const extraField = openHeadLengthBytes + openNameLength(parts, 0)
  if (parts.length < extraField + lengthFieldLengthBytes) return extraField + lengthFieldLengthBytes
  return extraField + lengthFieldLengthBytes + openExtraLength(parts, extraField)
}

function kindOf(buffer: Buffer, start: number): number {
  return laneTables[laneKindOf(readUint32(buffer, start))][buffer[start + frameHeaderLengthBytes - 1]!]!
}

/** A u8 length of a name is never over its limit. */
function wantLength(buffer: Buffer, start: number): number {
  return wantHeadLengthBytes + buffer[start + wantHeadLengthBytes - 1]!
}

function goodbyeReasonLength(buffer: Buffer, start: number): number {
  return checkedLength(
    buffer[start + frameHeaderLengthBytes - 1]!,
    readUint16(buffer, start + goodbyeHeadLengthBytes - 2),
    0,
    reasonLengthBytesMax,
  )
}

function openNameLength(buffer: Buffer, start: number): number {
  return checkedLength(
    buffer[start + frameHeaderLengthBytes - 1]!,
    readUint16(buffer, start + openHeadLengthBytes - 2),
    1,
    protocolNameLengthBytesMax,
  )
}

function openExtraLength(buffer: Buffer, fieldOffset: number): number {
  const length = readUint32(buffer, fieldOffset)
  if (length <= openExtraLengthBytesMax) return length
  throw new ProtocolError(
    'ERR_MESSAGE_TOO_LONG',
    `An Open declares ${String(length)} extra bytes; ${String(openExtraLengthBytesMax)} are allowed.`,
  )
}

function checkedLength(descriptor: number, length: number, lengthMin: number, lengthMax: number): number {
  if (length > lengthMax) {
    throw new ProtocolError(
      'ERR_MESSAGE_TOO_LONG',
      `A frame with the descriptor ${describeDescriptor(descriptor)} declares ${String(length)} bytes; ` +
        `${String(lengthMax)} are allowed.`,
    )
  }
  if (length < lengthMin) {
    throw new ProtocolError(
      'ERR_VALUE_TRUNCATED',
      `A frame with the descriptor ${describeDescriptor(descriptor)} declares ${String(length)} bytes; it has at ` +
        `least ${String(lengthMin)}.`,
    )
  }
  return length
}

function readUint16(buffer: Uint8Array, offset: number): number {
  return buffer[offset]! | (buffer[offset + 1]! << 8)
}
