/**
 * Owns: how many values of each lane end in a run of encoded frames.
 * Independent of: who sends them.
 */
import { isPaying, laneKindOf } from '../../../codec/native-frames.ts'
import { forEachFrame } from '../epoch/frame-walk.ts'

/** A value in Pieces counts with its last. Costs a walk over all frames. */
export function countValues(
  batch: readonly Buffer[],
  lengthOf: (index: number) => number,
  frames: number,
): Map<number, number> {
  const counts = new Map<number, number>()
  forEachFrame(batch, 0, lengthOf, frames, (_index, lane, descriptor, endsValue) => {
    if (endsValue && isPaying(laneKindOf(lane), descriptor)) counts.set(lane, (counts.get(lane) ?? 0) + 1)
  })
  return counts
}
