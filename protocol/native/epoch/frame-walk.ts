/**
 * Owns: a walk over encoded frames whose lengths are known: the lane and the descriptor of each, whether it ends a
 * value, and its length.
 * Independent of: what frames mean, and who holds them.
 */
import { readUint32 } from '../../../codec/frame-length.ts'
import { frameHeaderLengthBytes } from '../../../codec/constants.ts'

/**
 * @param index from 0, or the sequence of a held frame; @param endsValue false for a Piece that is not the last of its
 *   value
 */
export type FrameVisitor = (
  index: number,
  lane: number,
  descriptor: number,
  endsValue: boolean,
  lengthBytes: number,
) => void

/**
 * @param offset where the first frame begins in the first part
 * @param lengthOf the length of a frame; negative if it is a Piece that is not the last of its value
 */
export function forEachFrame(
  parts: readonly Buffer[],
  offset: number,
  lengthOf: (index: number) => number,
  count: number,
  visit: FrameVisitor,
): void {
  let part = 0
  for (let index = 0; index < count; index += 1) {
    while (offset >= parts[part]!.length) {
      offset -= parts[part]!.length
      part += 1
    }
    const header = headerAt(parts, part, offset)
    const lengthBytes = lengthOf(index)
    visit(index, readUint32(header, 0), header[4]!, lengthBytes > 0, Math.abs(lengthBytes))
    offset += Math.abs(lengthBytes)
  }
}

/** The header of a frame, which a gathered write may have cut anywhere. */
function headerAt(parts: readonly Buffer[], part: number, offset: number): Uint8Array {
  const buffer = parts[part]!
  if (offset + frameHeaderLengthBytes <= buffer.length) return buffer.subarray(offset, offset + frameHeaderLengthBytes)
  const header = new Uint8Array(frameHeaderLengthBytes)
  for (let index = 0, at = offset, from = part; index < frameHeaderLengthBytes; index += 1, at += 1) {
    while (at >= parts[from]!.length) {
      at -= parts[from]!.length
      from += 1
    }
    header[index] = parts[from]![at]!
  }
  return header
}
