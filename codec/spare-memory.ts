/**
 * Owns: memory for frames that span chunks, kept for reuse by all readers that share it.
 * Independent of: frames and readers.
 *
 * Fresh memory is cold in every cache and becomes garbage, which costs a third of the speed of long values. Shared,
 * because a thousand idle links must not hold a buffer each; bounded, because a rare long frame may never come again.
 */

/** Shorter memory comes from Node's pool just as fast. */
const shareFromLengthBytes = 4 * 1024
/** A value that its reader keeps must not hold much more than its own bytes; as for chunks, protocol/kept-views.ts. */
const heldPerByteMax = 4
/** Memory for a long frame is counted by its declared length, so that its block may be this much longer at most. */
export const heldPerLongFrameByteMax = 1.25

export class SpareMemory {
  #heldBytesMax: number
  readonly #spares: Buffer[] = []
  #heldBytes = 0

  /** @param heldBytesMax the most unused memory kept here; a longer frame gets fresh memory each time */
  constructor(heldBytesMax: number) {
    this.#heldBytesMax = heldBytesMax
  }

  /** Changes the bound, and releases memory beyond it. */
  resize(heldBytesMax: number): void {
    this.#heldBytesMax = heldBytesMax
    this.#trim()
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  /**
   * Takes the most recent buffer that is long enough and not far too long; undefined if there is none. It belongs to
   * the caller.
   */
  take(lengthBytes: number, heldPerByte = heldPerByteMax): Buffer | undefined {
    if (lengthBytes < shareFromLengthBytes) return undefined
    for (let index = this.#spares.length - 1; index >= 0; index--) {
      const spare = this.#spares[index] as Buffer
      if (spare.length < lengthBytes || spare.length > lengthBytes * heldPerByte) continue
      this.#spares.splice(index, 1)
      this.#heldBytes -= spare.length
      return spare
    }
    return undefined
  }

  /** Returns a buffer that nothing refers to any more. If the bound is exceeded, the oldest are released. */
  give(memory: Buffer): void {
    if (memory.length < shareFromLengthBytes || memory.length > this.#heldBytesMax) return
    this.#spares.push(memory)
    this.#heldBytes += memory.length
    this.#trim()
  }

  #trim(): void {
    while (this.#heldBytes > this.#heldBytesMax) this.#heldBytes -= (this.#spares.shift() as Buffer).length
  }
}
