/**
 * Owns: frames of the link's own that wait for room in the retransmit buffer as values do, in order.
 * Independent of: what they say, and when there is room.
 */
export class HeldFrames {
  readonly #frames = new Set<() => void>()
  readonly #mayWrite: () => boolean

  constructor(mayWrite: () => boolean) {
    this.#mayWrite = mayWrite
  }

  /**
   * Calls `write`, which writes one frame, once there is room, now or later. The returned function takes it back, if it
   * still waits.
   */
  add(write: () => void): () => boolean {
    this.#frames.add(write)
    this.writeAll()
    return () => this.#frames.delete(write)
  }

  /** There may be room. */
  writeAll(): void {
    for (const write of this.#frames) {
      if (!this.#mayWrite()) return
      this.#frames.delete(write)
      write()
    }
  }

  clear(): void {
    this.#frames.clear()
  }
}
