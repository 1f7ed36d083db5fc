/**
 * Owns: the memory that the window of one lane holds. A frame may overdraw it by its own length; memory for long frames
 * is reserved apart from it (lanes/long-frames.ts).
 * Independent of: values and credit; and where the memory comes from.
 */
import type { LinkMemory } from './node-memory.ts'

export class LaneMemory {
  readonly #link: LinkMemory
  #windowBytes: number
  #isOver = false

  /** @param windowBytes the first window, which the link has reserved */
  constructor(link: LinkMemory, windowBytes: number) {
    this.#link = link
    this.#windowBytes = windowBytes
  }

  /** The link has reserved its first window. */
  opened(windowBytes: number): void {
    this.#windowBytes = windowBytes
  }

  readonly grow = (bytes: number): boolean => {
    if (this.#isOver || !this.#link.growWindow(bytes)) return false
    this.#windowBytes += bytes
    return true
  }

  /** Nothing more arrives. What is unread belongs to the application from here on. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#link.closeWindow(this.#windowBytes)
    this.#windowBytes = 0
  }
}
