/**
 * Owns: the framing of sessions in both dialects (session u32 LE, descriptor, body), and rejecting frames that are too
 * long.
 * Independent of: what a body means, who owns the sessions, where chunks come from.
 */
import { frameHeaderLengthBytes, lengthFieldLengthBytes, maxUint32 } from './constants.ts'
import { ProtocolError, StatewireError } from './errors.ts'
import { FrameAssembler, lengthNotKnownYet, type FrameSink } from './frame-assembler.ts'
import { bodyKinds, bodyLength, maxFixedBodyLengthBytes, readUint32 } from './frame-length.ts'

export type { FrameSink } from './frame-assembler.ts'

export interface FrameReaderOptions {
  /** The most bytes that may follow the 9-byte header of a frame. Integer, 0 … 2^32 - 1. */
  readonly maxMessageLengthBytes: number
}

/**
 * Parses session frames from a byte stream. For `push`, `stop`, `resume` and the rest see FrameAssembler. Does not
 * parse bodies; decodeBody does.
 * @throws ProtocolError ERR_UNKNOWN_DESCRIPTOR and ERR_MESSAGE_TOO_LONG (from the 9-byte header alone, before anything
 *   is allocated)
 */
export class FrameReader extends FrameAssembler {
  private readonly maxMessageLengthBytes: number
  private readonly sink: FrameSink

  /** @throws StatewireError ERR_INVALID_OPTION */
  constructor(options: FrameReaderOptions, sink: FrameSink) {
    super()
    const limit = options.maxMessageLengthBytes
    if (!Number.isInteger(limit) || limit < 0 || limit > maxUint32) {
      throw new StatewireError(
        'ERR_INVALID_OPTION',
        `maxMessageLengthBytes must be an integer from 0 to ${String(maxUint32)}; it is ${String(limit)}.`,
      )
    }
    this.maxMessageLengthBytes = limit
    this.sink = sink
  }

  protected override measure(buffer: Buffer, start: number, end: number): number {
    const available = end - start
    if (available < frameHeaderLengthBytes) return lengthNotKnownYet
    const descriptorOffset = start + frameHeaderLengthBytes - 1
    const kind = bodyKinds[buffer[descriptorOffset]!]!
    if (kind <= maxFixedBodyLengthBytes) return frameHeaderLengthBytes + kind
    const length = bodyLength(buffer, descriptorOffset, end - descriptorOffset)
    if (length === lengthNotKnownYet) return lengthNotKnownYet
    if (length - lengthFieldLengthBytes > this.maxMessageLengthBytes) {
      throw new ProtocolError(
        'ERR_MESSAGE_TOO_LONG',
        `A frame declares ${String(length - lengthFieldLengthBytes)} bytes; maxMessageLengthBytes is ` +
          `${String(this.maxMessageLengthBytes)}.`,
      )
    }
    return frameHeaderLengthBytes + length
  }

  protected override deliver(buffer: Buffer, start: number, end: number): boolean {
    return this.sink.onFrame(
      readUint32(buffer, start),
      buffer[start + frameHeaderLengthBytes - 1]!,
      buffer,
      start + frameHeaderLengthBytes,
      end,
    )
  }
}
