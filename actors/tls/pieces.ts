/**
 * Owns: how much leaves in one write under TLS, and the cut of a batch into such pieces.
 * Refuses to know: sockets, frames: a piece may end anywhere.
 */

/**
 * A value of 1 MiB in one write is encrypted whole before the kernel gets a byte of it, and then comes at the other end faster
 * than it can be decrypted there. The kernel sets a connection's receive buffer by how much is read in the time in which a
 * window fills; so it often stayed small, and the two ends waited for each other (CPU: wake-ups). Measured, 1 MiB values: in one
 * write 920 to 1,490 MiB/s in twelve runs, in two 1,360 to 1,560 (later also 927); in one write with the buffer set by sysctl, 1,340 to 1,510 at
 * 4 MiB and 800 to 1,040 at 256 KiB. Each piece is a turn: 384 KiB and 700 KiB are nearly as good, 256 KiB is not.
 */
export const pieceBytes = 512 * 1024

export function lengthOf(bytes: readonly Buffer[]): number {
  let sum = 0
  for (const { length } of bytes) sum += length
  return sum
}

/** A batch that is a little longer than a piece is one: eight values of 64 KiB and their headers, for one. */
function pieceCount(lengthBytes: number): number {
  return Math.max(1, Math.round(lengthBytes / pieceBytes))
}

/** Whether a batch is so long that it leaves in more than one piece. */
export function isLong(bytes: readonly Buffer[]): boolean {
  return pieceCount(lengthOf(bytes)) > 1
}

/** Views of the same memory, in order, in pieces that are alike but for some bytes of the last, which has one at least. */
export function inPieces(bytes: readonly Buffer[]): Buffer[][] {
  const lengthBytes = lengthOf(bytes)
  const eachBytes = Math.ceil(lengthBytes / pieceCount(lengthBytes))
  const pieces: Buffer[][] = []
  let piece: Buffer[] = []
  let room = eachBytes
  for (const buffer of bytes) {
    for (let at = 0; at < buffer.length;) {
      if (room === 0) {
        pieces.push(piece)
        piece = []
        room = eachBytes
      }
      const part = buffer.subarray(at, at + room)
      piece.push(part)
      at += part.length
      room -= part.length
    }
  }
  pieces.push(piece)
  return pieces
}
