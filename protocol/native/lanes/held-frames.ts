/**
 * Owns: frames of the link's own that wait for room in the retransmit buffer as values do, in order.
 * Independent of: what they say, and when there is room.
 */
export class HeldFrames {
  readonly #frames = new Set<Buffer>()
  readonly #mayWrite: () => boolean
  readonly #write: (frame: Buffer) => void

  constructor(mayWrite: () => boolean, write: (frame: Buffer) => void) {
    this.#mayWrite = mayWrite
    this.#write = write
  }

  /** Writes the frame once there is room, now or later. The returned function takes it back, if it still waits. */
  add(frame: Buffer): () => boolean {
    this.#frames.add(frame)
    this.writeAll()
    return () => this.#frames.delete(frame)
  }

  /** There may be room. */
  writeAll(): void {
    for (const frame of this.#frames) {
      if (!this.#mayWrite()) return
      this.#frames.delete(frame)
      this.#write(frame)
    }
  }

  clear(): void {
    this.#frames.clear()
  }
}
