/**
 * Owns: how much is written at once under TLS, and cutting a write batch into chunks of that size.
 * Independent of: sockets, frames: a chunk may end anywhere.
 */

/**
 * A long write is encrypted whole before the kernel gets its first byte, and then arrives faster than the other end can
 * decrypt. The kernel's receive buffer often stays small then, and the two ends wait for each other. Chunks of 512 KiB
 * avoid that; the figures are in docs/performance.md. Each chunk costs a tick, so smaller ones are slower.
 */
export const writeChunkBytes = 512 * 1024

export function lengthOf(bytes: readonly Buffer[]): number {
  let sum = 0
  for (const { length } of bytes) sum += length
  return sum
}

/** The number of chunks. A batch slightly over one chunk is one: eight values of 64 KiB with their headers. */
function chunkCount(lengthBytes: number): number {
  return Math.max(1, Math.round(lengthBytes / writeChunkBytes))
}

/** Whether a batch needs more than one chunk. */
export function needsChunks(bytes: readonly Buffer[]): boolean {
  return chunkCount(lengthOf(bytes)) > 1
}

/** Cuts a batch into chunks of nearly equal length, in order. They are views of the same memory. */
export function cutIntoChunks(bytes: readonly Buffer[]): Buffer[][] {
  const lengthBytes = lengthOf(bytes)
  const eachBytes = Math.ceil(lengthBytes / chunkCount(lengthBytes))
  const chunks: Buffer[][] = []
  let chunk: Buffer[] = []
  let room = eachBytes
  for (const buffer of bytes) {
    for (let at = 0; at < buffer.length;) {
      if (room === 0) {
        chunks.push(chunk)
        chunk = []
        room = eachBytes
      }
      const part = buffer.subarray(at, at + room)
      chunk.push(part)
      at += part.length
      room -= part.length
    }
  }
  chunks.push(chunk)
  return chunks
}
