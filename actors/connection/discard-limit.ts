/**
 * Owns: how much a connection reads and discards after this side has ended it.
 * Independent of: pipes, and what happens when the limit is reached.
 */

/**
 * An honest peer may still have its retransmit buffer (4 MiB) and one value of 16 MiB under way. A peer that sends more
 * is ignoring the end, and each byte would be decrypted for nothing.
 */
const discardedLengthBytesMax = 24 * 1024 * 1024
/** Short TLS records cost as much as long ones. Five times the number of full records in those bytes. */
const discardedReadsMax = 8_192

export class DiscardLimit {
  #bytes = 0
  #reads = 0

  /**
   * Counts one read.
   * @returns whether the limit is exceeded
   */
  isExceededBy(lengthBytes: number): boolean {
    this.#bytes += lengthBytes
    this.#reads++
    return this.#bytes > discardedLengthBytesMax || this.#reads > discardedReadsMax
  }
}
