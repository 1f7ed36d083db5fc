/**
 * Owns: small unread values, as the bytes they came in, packed one after the other into one piece of memory.
 * Independent of: lanes, and whether the values are read.
 *
 * Credit counts bytes on the wire. An empty value is 9 bytes there but 200 bytes as objects: 64 KiB of such values
 * would be 1.5 MB. Packed, they cost what credit counts.
 */
import { msgPackDescriptor } from '../codec/constants.ts'
import { decodeBody } from '../codec/decode-value.ts'
import { encodedLength, writeCheckedValue } from '../codec/encode-value.ts'
import { decodeMsgPackBody } from '../codec/msgpack-decode.ts'
import type { NetworkValue } from '../codec/values.ts'

/** Descriptor and body. A longer value costs little more as an object than its own bytes. */
const packedLengthBytesMax = 255

/** By the length of its body, before it is decoded. */
export function isPackableBody(bodyLengthBytes: number): boolean {
  return bodyLengthBytes < packedLengthBytesMax
}

/** @param costBytes is close to its length, so that long lists are not walked through */
export function isPackable(value: NetworkValue, costBytes: number): boolean {
  return costBytes <= 2 * packedLengthBytesMax && encodedLength(value) <= packedLengthBytesMax
}

/** Room for the longest value. */
const firstLengthBytes = 512
/** A value that is taken out keeps all of the memory that it was packed in alive. */
const grownLengthBytes = 4 * 1024
/** The length of the value, and what it costs its link. */
const headLengthBytes = 1 + 2

export class WaitingValues {
  readonly #memory: Buffer
  /** Including those before it. */
  readonly #sumLengthBytes: number
  #start = 0
  #end = 0
  #values = 0

  /** @param before the one that is full and that this one continues */
  constructor(before?: WaitingValues) {
    // As much again as there is already.
    const lengthBytes = before === undefined ? firstLengthBytes : Math.min(grownLengthBytes, before.#sumLengthBytes)
    this.#memory = Buffer.allocUnsafeSlow(lengthBytes)
    this.#sumLengthBytes = (before === undefined ? 0 : before.#sumLengthBytes) + lengthBytes
  }

  get values(): number {
    return this.#values
  }

  /**
   * @param value {@link isPackable}
   * @param isMsgPack the value is the bytes of a MessagePack value that was checked
   * @returns false if there is no room left
   */
  add(value: NetworkValue, costBytes: number, isMsgPack = false): boolean {
    const lengthBytes = encodedLength(value)
    const at = this.#end
    if (at + headLengthBytes + lengthBytes > this.#memory.length) return false
    this.#memory[at] = lengthBytes
    this.#memory[at + 1] = costBytes
    this.#memory[at + 2] = costBytes >>> 8
    this.#end = writeCheckedValue(value, this.#memory, at + headLengthBytes)
    if (isMsgPack) this.#memory[at + headLengthBytes] = msgPackDescriptor
    this.#values++
    return true
  }

  /** The oldest. Undefined if there is none. */
  take(): { readonly value: NetworkValue; readonly costBytes: number } | undefined {
    if (this.#values === 0) return undefined
    const at = this.#start
    const memory = this.#memory
    const start = at + headLengthBytes
    const end = start + (memory[at] as number)
    this.#start = end
    this.#values--
    return {
      value:
        memory[start] === msgPackDescriptor
          ? decodeMsgPackBody(memory, start + 1)
          : decodeBody(memory[start] as number, memory, start + 1, end),
      costBytes: (memory[at + 1] as number) | ((memory[at + 2] as number) << 8),
    }
  }
}
