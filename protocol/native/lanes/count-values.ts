/**
 * Owns: how many values of each lane end in a run of encoded frames, and how many bytes of streams it carries.
 * Independent of: who sends them.
 */
import { isPaying, laneKindOf } from '../../../codec/native-frames.ts'
import { forEachFrame } from '../epoch/frame-walk.ts'
import { payloadBytes, type PendingFrames } from '../epoch/outcomes.ts'

/** A value in Pieces counts with its last. Costs a walk over all frames. */
export function countValues(
  batch: readonly Buffer[],
  lengthOf: (index: number) => number,
  frames: number,
): PendingFrames & { readonly values: Map<number, number> } {
  const values = new Map<number, number>()
  const streamBytes = new Map<number, number>()
  forEachFrame(batch, 0, lengthOf, frames, (_index, lane, descriptor, endsValue, lengthBytes) => {
    const laneKind = laneKindOf(lane)
    if (!endsValue || !isPaying(laneKind, descriptor)) return
    values.set(lane, (values.get(lane) ?? 0) + 1)
    if (laneKind === 'stream') streamBytes.set(lane, (streamBytes.get(lane) ?? 0) + payloadBytes(lengthBytes))
  })
  return { values, streamBytes }
}
