/**
 * Owns: one buffer for a write batch and the control frames after it, if both are adjacent in memory.
 * Independent of: what the bytes are.
 */

/**
 * Control frames follow the batch in the arena, so one buffer holds both: a plain write is faster than a gathered one
 * (docs/performance.md). The retransmit buffer has its own views, without them.
 */
export function joined(batch: Buffer[], tail: Buffer[]): Buffer[] {
  const last = batch.at(-1)
  const first = tail[0]
  if (
    last === undefined ||
    first === undefined ||
    tail.length > 1 ||
    last.buffer !== first.buffer ||
    last.byteOffset + last.length !== first.byteOffset
  )
    return batch.concat(tail)
  batch[batch.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + first.length)
  return batch
}
