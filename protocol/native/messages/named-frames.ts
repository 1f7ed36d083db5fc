/**
 * Owns: reading the name, the headers and the payload of a Message or Request, without views of what is not kept.
 * Independent of: lanes, credit, and who gets them.
 */
import { decodeHeaders } from '../../../codec/headers.ts'
import { findNamed, textOf, type NamedOffsets } from '../../../codec/message-frames.ts'

/** Up to this length a loop copies faster than `copy`, which makes a view first. */
const loopCopyLimitBytes = 128
const noHeaders: ReadonlyMap<string, string> = new Map()

export class NamedFrames {
  readonly #bodyBytesMax: number
  readonly #at: NamedOffsets = { nameStart: 0, nameEnd: 0, headersStart: 0, headersEnd: 0 }
  #last: { readonly bytes: Buffer; readonly text: string } = { bytes: Buffer.alloc(0), text: '' }

  /** @param bodyBytesMax the longest payload that this side takes */
  constructor(bodyBytesMax: number) {
    this.#bodyBytesMax = bodyBytesMax
  }

  /** The name of the frame that was read last. */
  get name(): string {
    return this.#last.text
  }

  /**
   * Reads a frame. @param start of the length of its name. Throws ProtocolError.
   * @returns its headers; or why it is refused, as text
   */
  read(buffer: Buffer, start: number, end: number, what: string): ReadonlyMap<string, string> | string {
    const at = this.#at
    findNamed(buffer, start, end, at)
    if (end - at.headersEnd > this.#bodyBytesMax) return tooLongText(end - at.headersEnd, this.#bodyBytesMax)
    if (!this.#isLastName(buffer, at.nameStart, at.nameEnd)) {
      const bytes = Buffer.from(buffer.subarray(at.nameStart, at.nameEnd))
      const text = textOf(bytes)
      if (text === null) return `the name of the ${what} is not UTF-8`
      this.#last = { bytes, text }
    }
    if (at.headersStart === at.headersEnd) return noHeaders
    const headers = decodeHeaders(buffer.subarray(at.headersStart, at.headersEnd))
    return headers ?? `the headers of the ${what} are not a map of strings to strings`
  }

  /** Most frames have the name of the one before: no view, and no text, is made of it. */
  #isLastName(buffer: Buffer, start: number, end: number): boolean {
    const { bytes } = this.#last
    if (bytes.length !== end - start) return false
    for (let at = 0; at < bytes.length; at++) if (bytes[at] !== buffer[start + at]) return false
    return true
  }

  /** The payload of the frame that was read last. @param isOwn nothing else uses the buffer: the block of Pieces */
  payload(buffer: Buffer, end: number, isOwn: boolean): Buffer {
    const start = this.#at.headersEnd
    if (isOwn) return buffer.subarray(start, end)
    const copy = Buffer.allocUnsafe(end - start)
    if (copy.length > loopCopyLimitBytes) buffer.copy(copy, 0, start, end)
    else for (let at = 0; at < copy.length; at++) copy[at] = buffer[start + at]!
    return copy
  }
}

export function tooLongText(lengthBytes: number, mostBytes: number): string {
  return `longer than this side takes: ${lengthBytes} bytes, and limits.messageBytesMax is ${mostBytes}`
}
