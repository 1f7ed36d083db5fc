/**
 * Owns: the error of a stream whose link was reset while bytes that had arrived were unread: the application reads them
 * first. For the writer they were delivered.
 * Independent of: why the stream failed, and of writing.
 */
export interface ReadStream {
  readonly readableLength: number
  destroy(error: Error): unknown
}

export class HeldError {
  readonly #stream: ReadStream
  #error: Error | null = null
  /** The peer had finished: the stream fails after its end was read. */
  #hasEnd = false
  /** What was unread when a time began. */
  #unread = 0
  /** How much a channel has taken from the stream, and its application has not read. Null without a channel. */
  unreadInChannel: (() => number) | null = null

  constructor(stream: ReadStream) {
    this.#stream = stream
  }

  get unread(): number {
    return this.#stream.readableLength + (this.unreadInChannel?.() ?? 0)
  }

  hold(error: Error, hasEnd: boolean): void {
    this.#error = error
    this.#hasEnd = hasEnd
    this.#unread = this.unread
  }

  /** The stream was read. A reader that asks for more than will ever come does not wait. */
  afterRead(size: number | undefined, gotNothing: boolean): void {
    if (this.#error === null || this.#hasEnd || this.unreadInChannel !== null || size === 0) return
    if (gotNothing || this.unread === 0) this.#release()
  }

  /** A channel was read. */
  check(): void {
    if (this.#error !== null && !this.#hasEnd && this.unread === 0) this.#release()
  }

  /** A time has passed. Fails the stream unless some of it was read meanwhile. @returns whether an error was held */
  timePassed(): boolean {
    if (this.#error === null) return false
    const { unread } = this
    if (unread === this.#unread) this.#release()
    this.#unread = unread
    return true
  }

  #release(): void {
    const error = this.#error!
    this.#error = null
    this.#stream.destroy(error)
  }
}
