/**
 * Owns: memory in which frames that spanned chunks were put together, kept for the next such frames of all readers that share it.
 * Refuses to know: frames and readers.
 *
 * Fresh memory is cold in every cache, and garbage: for values of 64 KiB and 1 MiB over TLS it costs a third of the speed of both
 * ends (bench, rows 64KiB and 1MiB). Shared, because a thousand idle links must not hold a piece each; bounded, because what
 * came once may never come again.
 */

/** What is shorter comes from Node's pool, and is there as quickly. */
const shareFromLengthBytes = 4 * 1024
/** A value that its reader keeps must not hold much more than its own bytes: as for chunks, protocol/kept-views.ts. */
const heldPerByteMax = 4

export class SpareMemory {
  #heldBytesMax: number
  readonly #spares: Buffer[] = []
  #heldBytes = 0

  /** @param heldBytesMax what lies here unused is never more; a frame that is longer has fresh memory each time */
  constructor(heldBytesMax: number) {
    this.#heldBytesMax = heldBytesMax
  }

  /** Changes the bound; what is beyond a smaller one is let go. */
  resize(heldBytesMax: number): void {
    this.#heldBytesMax = heldBytesMax
    this.#trim()
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  /** The piece that was given last, of those that are long enough and not far too long; undefined if there is none. It is the caller's now. */
  take(lengthBytes: number): Buffer | undefined {
    if (lengthBytes < shareFromLengthBytes) return undefined
    for (let index = this.#spares.length - 1; index >= 0; index--) {
      const spare = this.#spares[index] as Buffer
      if (spare.length < lengthBytes || spare.length > lengthBytes * heldPerByteMax) continue
      this.#spares.splice(index, 1)
      this.#heldBytes -= spare.length
      return spare
    }
    return undefined
  }

  /** Nobody has a view of it any more. Where it does not fit, the oldest go. */
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
