/**
 * Owns: the SHA-256 of the first bytes of an open file.
 * Independent of: why somebody wants it.
 */
import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'

/** Large enough that reading costs little beside hashing. */
const readBytes = 256 * 1024

/** @throws Error if the file is shorter. @returns the hash, to be continued */
export async function hashFirst(handle: FileHandle, bytes: number, signal: AbortSignal): Promise<Hash> {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(Math.min(readBytes, Math.max(1, bytes)))
  for (let position = 0; position < bytes;) {
    signal.throwIfAborted()
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, bytes - position), position)
    if (bytesRead === 0) throw new Error('the file has become shorter')
    hash.update(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
  return hash
}

/** The digest so far; the hash can go on. */
export function digestOf(hash: Hash): Buffer {
  return hash.copy().digest()
}
