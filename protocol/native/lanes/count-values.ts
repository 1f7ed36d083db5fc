/**
 * Owns: how many paying frames of each lane are in a run of encoded frames.
 * Independent of: who sends them.
 */
import { NativeFrameReader } from '../../../codec/native-frame-reader.ts'
import { isPaying, laneKindOf } from '../../../codec/native-frames.ts'

/** Costs a walk over all frames. */
export function countValues(batch: readonly Buffer[]): Map<number, number> {
  const counts = new Map<number, number>()
  const count = (lane: number, descriptor: number): boolean => {
    if (isPaying(laneKindOf(lane), descriptor)) counts.set(lane, (counts.get(lane) ?? 0) + 1)
    return false
  }
  const reader = new NativeFrameReader({ maxMessageLengthBytes: 0xffff_ffff, linkIndex: 0 }, { onFrame: count })
  for (const part of batch) reader.push(part)
  return counts
}
