/**
 * Owns: the bodies of the native dialect's own frames (docs/protocol.md) as typed objects, and the rules that
 * their lengths do not cover, such as no Credit of 0. Those of set-up, messages, requests and responses are read in
 * codec/.
 * Independent of: framing (codec/native-frame-reader.ts has checked every length), lanes, and what follows from a
 * frame.
 *
 * A counter above 2^53 - 1 is read as 2^53, one more than any counter can be: it is above every `next` and equal to no
 * count, so every rule about counters refuses it. Text that is not UTF-8 is replaced.
 */
import { lengthFieldLengthBytes } from '../../codec/constants.ts'
import { ProtocolError } from '../../codec/errors.ts'
import { readUint32 } from '../../codec/frame-length.ts'
import { windowBytesMax } from '../../codec/hello.ts'
import { applicationResetCodesBegin, goodbyeCodes, resetCodes } from '../../codec/native-frames.ts'

const uncountable = Number.MAX_SAFE_INTEGER + 1
const resetCodeMax = Math.max(...Object.values(resetCodes))

export interface PongBody {
  readonly echo: bigint
  readonly received: number
}
export interface GoodbyeBody {
  readonly code: number
  readonly next: number
  readonly received: number
  readonly reason: string
}
export interface OpenBody {
  readonly windowBytes: number
  readonly protocol: string
  /** A view. */
  readonly extra: Buffer
}
export interface ResetBody {
  readonly code: number
  readonly reason: string
}

// Every function takes `buffer` with the offsets of a FrameSink; only those that need the end take it.

export function decodePing(buffer: Buffer, start: number): bigint {
  return buffer.readBigUInt64LE(start)
}

export function decodePong(buffer: Buffer, start: number): PongBody {
  return { echo: buffer.readBigUInt64LE(start), received: readCounter(buffer, start + 8) }
}

export function decodeAck(buffer: Buffer, start: number): number {
  return readCounter(buffer, start)
}

export function decodeGoodbye(buffer: Buffer, start: number, end: number): GoodbyeBody {
  const code = buffer.readUInt16LE(start)
  return {
    code: code === goodbyeCodes.protocol ? code : goodbyeCodes.normal,
    next: readCounter(buffer, start + 2),
    received: readCounter(buffer, start + 10),
    reason: buffer.toString('utf8', start + 20, end),
  }
}

/** Throws ProtocolError ERR_CREDIT_ZERO. */
export function decodeCredit(buffer: Buffer, start: number): number {
  const creditBytes = readUint32(buffer, start)
  if (creditBytes === 0) throw new ProtocolError('ERR_CREDIT_ZERO', 'A Credit of 0 bytes arrived.')
  return creditBytes
}

/** Throws ProtocolError ERR_CREDIT_OVERFLOW for a window above 2^31 - 1. */
export function decodeOpen(buffer: Buffer, start: number, end: number): OpenBody {
  const nameEnd = start + 6 + buffer.readUInt16LE(start + 4)
  return {
    windowBytes: readWindow(buffer, start),
    protocol: buffer.toString('utf8', start + 6, nameEnd),
    extra: buffer.subarray(nameEnd + 4, end),
  }
}

/** The acceptor's window. Throws ProtocolError ERR_CREDIT_OVERFLOW. */
export function decodeAccept(buffer: Buffer, start: number): number {
  return readWindow(buffer, start)
}

export function decodeReset(buffer: Buffer, start: number, end: number): ResetBody {
  const code = buffer.readUInt16LE(start)
  const isKnown = code <= resetCodeMax || code >= applicationResetCodesBegin
  return { code: isKnown ? code : resetCodes.application, reason: buffer.toString('utf8', start + 4, end) }
}

/** The part of a long frame that a Piece carries, as a view. */
export function decodePiece(buffer: Buffer, start: number, end: number): Buffer {
  return buffer.subarray(start + lengthFieldLengthBytes, end)
}

function readCounter(buffer: Buffer, offset: number): number {
  const low = readUint32(buffer, offset)
  const high = readUint32(buffer, offset + 4)
  return high > 0x1f_ffff ? uncountable : high * 0x1_0000_0000 + low
}

function readWindow(buffer: Buffer, offset: number): number {
  const windowBytes = readUint32(buffer, offset)
  if (windowBytes > windowBytesMax)
    throw new ProtocolError(
      'ERR_CREDIT_OVERFLOW',
      `A window of ${windowBytes} bytes was announced; it is at most 2^31 - 1.`,
    )
  return windowBytes
}
