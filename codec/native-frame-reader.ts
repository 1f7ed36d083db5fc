/**
 * Owns: the framing of a native connection after its hello: which descriptor is allowed on which lane, and where each
 * frame ends. A frame over its limit is rejected before anything is allocated.
 * Independent of: what bodies mean, whether a lane is open, credit and counters.
 *
 * The lengths of two frames, Open and Goodbye, are not in the 9 bytes that the assembler keeps as a header. If such a
 * frame lies whole in a chunk, it is delivered in place like any other. If it spans chunks, it is read in parts of
 * known length and joined here. Both are short and rare.
 */
import {
  describeDescriptor,
  frameHeaderLengthBytes,
  lengthFieldLengthBytes,
  lengthPrefixedHeaderLengthBytes,
  maxUint32,
} from './constants.ts'
import { ProtocolError, StatewireError } from './errors.ts'
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
  bodyKindOpen,
  bodyKindRequest,
  bodyKindReset,
  bodyKindResponse,
  bodyKindStreamBytes,
  laneKindOf,
  laneTables,
  openExtraLengthBytesMax,
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
  /** Streams and the endpoint lane exist on connection id 0 only. */
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

/**
 * Parses native frames. Same interface as FrameReader: `push`, `stop`, `resume`, `reset`.
 * @throws ProtocolError ERR_UNKNOWN_DESCRIPTOR (from 5 bytes: no such descriptor on this lane, or no such lane),
 *   ERR_MESSAGE_TOO_LONG, and ERR_VALUE_TRUNCATED for a length too short for its fields
 */
export class NativeFrameReader extends FrameAssembler {
  private readonly maxMessageLengthBytes: number
  private readonly isLinkZero: boolean
  private readonly sink: FrameSink
  /** The parts so far of an Open or a Goodbye that spans chunks. */
  private pieces: Buffer | undefined = undefined
  private nextPieceLengthBytes = 0
  /** A wrong length between two parts: as final as one in a header. */
  private pieceFailure: ProtocolError | undefined = undefined

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
    return super.bufferedBytes + (this.pieces?.length ?? 0)
  }

  override reset(): void {
    super.reset()
    this.pieces = undefined
    this.pieceFailure = undefined
  }

  protected override measure(buffer: Buffer, start: number, end: number): number {
    if (this.pieces !== undefined) return this.nextPieceLengthBytes
    if (this.pieceFailure !== undefined) throw this.pieceFailure
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
        return wholeOrPiece(
          goodbyeHeadLengthBytes,
          goodbyeHeadLengthBytes + goodbyeReasonLength(buffer, start),
          available,
        )
      case bodyKindOpen:
        return measureOpen(buffer, start, available)
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
    if (this.pieces === undefined && !isPiece(buffer, start, end)) return this.handOver(buffer, start, end)
    // A copy: the assembler reuses its buffer for the next frame.
    const piece = Buffer.from(buffer.subarray(start, end))
    const whole = this.pieces === undefined ? piece : Buffer.concat([this.pieces, piece])
    // Cleared first, so that a sink that throws or resets, and a wrong length, find no partial state.
    this.pieces = undefined
    const length = this.lengthOrFail(whole)
    if (length > whole.length) {
      this.nextPieceLengthBytes = length - whole.length
      this.pieces = whole
      return true
    }
    this.handOver(whole, 0, whole.length)
    return true
  }

  private lengthOrFail(pieces: Buffer): number {
    try {
      return lengthFromPieces(pieces)
    } catch (error) {
      if (error instanceof ProtocolError) this.pieceFailure = error
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
    const isElsewhere = !this.isLinkZero && (laneKind === 'stream' || laneKind === 'endpoint')
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
        return checkedLength(descriptor, declared, 0, this.maxMessageLengthBytes)
      case bodyKindBitCount:
        return checkedLength(descriptor, Math.ceil(declared / 8), 0, this.maxMessageLengthBytes)
      case bodyKindRequest:
        return checkedLength(descriptor, declared, 4, this.maxMessageLengthBytes)
      case bodyKindResponse:
        return checkedLength(descriptor, declared, 5, this.maxMessageLengthBytes)
      case bodyKindStreamBytes:
        return checkedLength(descriptor, declared, 1, Math.min(streamFrameLengthBytesMax, this.maxMessageLengthBytes))
      default:
        throw new StatewireError('ERR_INTERNAL', `No length is known for bodies of the kind 0x${kind.toString(16)}.`)
    }
  }
}

/** For an Open that lies whole in the chunk: its length. Otherwise the length of its first part. */
function measureOpen(buffer: Buffer, start: number, available: number): number {
  if (available < openHeadLengthBytes) return openHeadLengthBytes
  const extraField = openHeadLengthBytes + openNameLength(buffer, start)
  if (available < extraField + lengthFieldLengthBytes) return openHeadLengthBytes
  return wholeOrPiece(
    openHeadLengthBytes,
    extraField + lengthFieldLengthBytes + openExtraLength(buffer, start + extraField),
    available,
  )
}

/**
 * The assembler asks again with 9 bytes only if the frame does not lie whole in the chunk: then it needs the length of
 * the part.
 */
function wholeOrPiece(pieceLengthBytes: number, wholeLengthBytes: number, available: number): number {
  return wholeLengthBytes <= available ? wholeLengthBytes : pieceLengthBytes
}

/** Whether these bytes are only the first part of an Open or a Goodbye. */
function isPiece(buffer: Buffer, start: number, end: number): boolean {
  const length = end - start
  if (length !== openHeadLengthBytes && length !== goodbyeHeadLengthBytes) return false
  const kind = laneTables[laneKindOf(readUint32(buffer, start))][buffer[start + frameHeaderLengthBytes - 1]!]
  return (kind === bodyKindOpen && length === openHeadLengthBytes) || kind === bodyKindGoodbye
}

/**
 * Length of the frame as far as its parts show: an Open has three, and the second contains the length of the third.
 */
function lengthFromPieces(pieces: Buffer): number {
  const kind = laneTables[laneKindOf(readUint32(pieces, 0))][pieces[frameHeaderLengthBytes - 1]!]
  if (kind === bodyKindGoodbye) return goodbyeHeadLengthBytes + goodbyeReasonLength(pieces, 0)
  const extraField = openHeadLengthBytes + openNameLength(pieces, 0)
  if (pieces.length < extraField + lengthFieldLengthBytes) return extraField + lengthFieldLengthBytes
  return extraField + lengthFieldLengthBytes + openExtraLength(pieces, extraField)
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
