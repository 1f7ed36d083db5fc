/**
 * Owns: the memory that one lane holds for what it may receive: its window, and what is beyond it while a value longer
 * than the window arrives or is unread.
 * Independent of: values and credit; and where the memory comes from.
 */
import type { LinkMemory } from './node-memory.ts'

export class LaneMemory {
  readonly #link: LinkMemory
  #windowBytes: number
  #frameBytes = 0
  #isOver = false

  /** @param windowBytes the first window, which the link has reserved */
  constructor(link: LinkMemory, windowBytes: number) {
    this.#link = link
    this.#windowBytes = windowBytes
  }

  /** Reserved beyond the window. */
  get frameBytes(): number {
    return this.#frameBytes
  }

  readonly grow = (bytes: number): boolean => {
    if (this.#isOver || !this.#link.growWindow(bytes)) return false
    this.#windowBytes += bytes
    return true
  }

  /** This much was reserved for a frame of this lane. */
  addFrame(bytes: number): void {
    if (this.#isOver) this.#link.releaseFrame(bytes)
    else this.#frameBytes += bytes
  }

  /** More arrived than the window holds. If the length was known in time, the memory is reserved already. */
  overdraw(lackBytes: number): void {
    if (lackBytes <= this.#frameBytes) return
    this.#link.takeFrame(lackBytes - this.#frameBytes)
    this.#frameBytes = lackBytes
  }

  /** Only this much is beyond the window now. */
  settle(lackBytes: number): void {
    if (this.#isOver || lackBytes >= this.#frameBytes) return
    const excessBytes = this.#frameBytes - lackBytes
    this.#frameBytes = lackBytes
    this.#link.releaseFrame(excessBytes)
  }

  /** Nothing more arrives. What is unread belongs to the application from here on. */
  end(): void {
    if (this.#isOver) return
    this.settle(0)
    this.#isOver = true
    this.#link.closeWindow(this.#windowBytes)
    this.#windowBytes = 0
  }
}
