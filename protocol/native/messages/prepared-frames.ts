/**
 * Owns: how frames with a head and a payload are written: Message, Request and Response.
 * Independent of: what the head says, credit and lanes.
 */
import { FrameInPieces } from '../../../codec/frame-in-pieces.ts'
import type { EncodedFrame } from '../../../codec/frame-writer.ts'
import { largeFrameThresholdBytes } from '../../../codec/limits.ts'
import { transferPayload } from '../../../codec/transfer.ts'
import type { Ownership } from '../../exchange.ts'
import type { FrameEncoder } from '../lanes/sending-lane.ts'

/** A frame in two parts. */
export interface PreparedFrame {
  /** Lane id, descriptor, length field, and all fields before the payload. */
  readonly head: Buffer
  readonly payload: Uint8Array
  readonly ownership: Ownership
  /** Called when a frame that had to wait is about to be sent. */
  readonly refresh?: (() => void) | undefined
}

/** A frame that several links send: a short one is laid out once, a longer one keeps its payload where it is. */
export function sharedFrame(head: Buffer, payload: Uint8Array): PreparedFrame {
  return payload.length < largeFrameThresholdBytes - head.length
    ? { head: Buffer.concat([head, payload]), payload: nothing, ownership: 'shared' }
    : { head, payload, ownership: 'shared' }
}

const nothing = new Uint8Array(0)

export const preparedFrames: FrameEncoder<PreparedFrame> = {
  lengthBytes: ({ head, payload }) => head.length + payload.length,
  write: (writer, _lane, frame) =>
    isCopied(frame) ? writer.writeParts(frame.head, frame.payload) : writer.writeEncoded(encoded(frame)),
  encode: (_writer, _lane, frame) => encoded(frame),
  encodeLong: (_writer, lane, frame) => FrameInPieces.ofParts(lane, frame.head, ownPayload(frame), frame.refresh),
}

/** A short payload costs less to copy than a gathered write. */
function isCopied({ ownership, payload }: PreparedFrame): boolean {
  return ownership === 'copy' || (ownership === 'shared' && payload.length < largeFrameThresholdBytes)
}

function encoded(frame: PreparedFrame): EncodedFrame {
  const { head, payload, refresh } = frame
  return { parts: [head, ownPayload(frame)], lengthBytes: head.length + payload.length, block: null, refresh }
}

/** The payload in memory that does not change. Throws ERR_NOT_TRANSFERABLE. */
function ownPayload({ payload, ownership }: PreparedFrame): Buffer {
  if (ownership === 'transfer') return transferPayload({ type: 'Bytes', value: payload })
  if (ownership === 'shared') return Buffer.from(payload.buffer, payload.byteOffset, payload.length)
  const copy = Buffer.allocUnsafeSlow(payload.length)
  copy.set(payload)
  return copy
}
