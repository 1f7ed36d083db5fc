/**
 * Owns: reading the headers of a Message or Request (docs/protocol.md, native): a MessagePack map of strings to
 * strings.
 * Independent of: frames, and what headers mean.
 */
import { textOf } from './message-frames.ts'
import { scanMsgPack } from './msgpack-scan.ts'

const noHeaders: ReadonlyMap<string, string> = new Map()

/**
 * Of two entries with one key the last counts. 0 bytes are no headers.
 * @returns null for bytes that are anything else than a map of strings to strings, or that the MessagePack scan refuses
 */
export function decodeHeaders(bytes: Buffer): ReadonlyMap<string, string> | null {
  if (bytes.length === 0) return noHeaders
  const { fault } = scanMsgPack(bytes, 0, bytes.length)
  if (fault !== null) return null
  const reader = new HeaderReader(bytes)
  let missing = reader.entries()
  const headers = new Map<string, string>()
  for (; missing > 0; missing -= 1) {
    const key = reader.text()
    const value = reader.text()
    if (key === null || value === null) return null
    headers.set(key, value)
  }
  return missing === 0 ? headers : null
}

/** Reads what the scan has found to be one whole value. */
class HeaderReader {
  readonly #bytes: Buffer
  #offset = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** @returns -1 if the value is no map */
  entries(): number {
    const head = this.#bytes[this.#offset++]!
    if (head >= 0x80 && head <= 0x8f) return head & 0x0f
    if (head === 0xde) return this.#number(2)
    return head === 0xdf ? this.#number(4) : -1
  }

  /** @returns null if the next value is no string, or no UTF-8; then nothing more can be read */
  text(): string | null {
    const head = this.#bytes[this.#offset++]!
    let length: number
    if (head >= 0xa0 && head <= 0xbf) length = head & 0x1f
    else if (head === 0xd9) length = this.#number(1)
    else if (head === 0xda) length = this.#number(2)
    else if (head === 0xdb) length = this.#number(4)
    else return null
    this.#offset += length
    return textOf(this.#bytes.subarray(this.#offset - length, this.#offset))
  }

  #number(lengthBytes: 1 | 2 | 4): number {
    this.#offset += lengthBytes
    return this.#bytes.readUIntBE(this.#offset - lengthBytes, lengthBytes)
  }
}
