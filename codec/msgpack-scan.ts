/**
 * Owns: the MessagePack scan over the bytes of a value before they are decoded (docs/protocol.md, native).
 * Independent of: decoding, and what a value means.
 *
 * One pass, no recursion, no allocation. A value that passes contains as many elements as it declares, is at most 32
 * containers deep, has only valid text, and costs its reader at most msgpackCostMax. So it can be decoded at any later
 * time without an error.
 *
 * A finding is a value, not an exception: a bad value ends its lane and not the connection.
 */
import { msgpackCostMax, msgpackCosts, msgpackDepthMax, msgpackTextLengthBytesMax } from './msgpack-limits.ts'
import { isUtf8 } from './utf8.ts'

export type MsgPackRule =
  | 'truncated'
  | 'trailing-bytes'
  | 'depth'
  | 'length'
  | 'ext'
  | 'timestamp'
  | 'reserved'
  | 'text'
  | 'key-type'
  | 'key-forbidden'
  | 'cost'

export interface MsgPackFault {
  readonly rule: MsgPackRule
  /** Offset of the wrong byte from the start of the value. */
  readonly offset: number
}

export type MsgPackScan =
  | { readonly fault: MsgPackFault }
  /** `cost`: what decoding allocates, as estimated by msgpackCosts. */
  | { readonly fault: null; readonly cost: number }

const forbiddenKeys = ['__proto__', 'constructor', 'prototype'].map((key) => Buffer.from(key, 'latin1'))

const no = -1

/** Lookup table by head byte. A byte array, because an object with keys from c0 on would use a hash table. */
function byHead(lengths: Readonly<Record<number, number>>): Int8Array {
  const table = new Int8Array(256).fill(no)
  for (const [head, lengthBytes] of Object.entries(lengths)) table[Number(head)] = lengthBytes
  return table
}

// What follows the head byte c0 … df: a payload of fixed length, a length field of 1, 2 or 4 bytes, or a count.
const fixedPayloadLengthBytes = byHead({
  0xc0: 0,
  0xc2: 0,
  0xc3: 0,
  0xca: 4,
  0xcb: 8,
  0xcc: 1,
  0xcd: 2,
  0xce: 4,
  0xcf: 8,
  0xd0: 1,
  0xd1: 2,
  0xd2: 4,
  0xd3: 8,
})
const lengthFieldBytes = byHead({ 0xc4: 1, 0xc5: 2, 0xc6: 4, 0xd9: 1, 0xda: 2, 0xdb: 4 })
const extLengthFieldBytes = byHead({ 0xc7: 1, 0xc8: 2, 0xc9: 4 })
const fixedExtLengthBytes = byHead({ 0xd4: 1, 0xd5: 2, 0xd6: 4, 0xd7: 8, 0xd8: 16 })
const timestampType = 0xff
export const nanosecondsMax = 999_999_999
/** Dates end this many milliseconds before and after 1970. */
export const dateMsMax = 8.64e15

/** Scans `buffer[start, end)`, which must be exactly one value. */
export function scanMsgPack(buffer: Uint8Array, start: number, end: number): MsgPackScan {
  return new Scan(buffer, start, end).run()
}

/**
 * One pass. For each open container: how many values are missing, and whether it is a map (then every second is a key).
 */
class Scan {
  readonly #buffer: Uint8Array
  readonly #start: number
  readonly #end: number
  #offset: number
  /** Missing values of all open containers together: each needs one of the remaining bytes. */
  #owed = 0
  #depth = 0
  readonly #missing = new Float64Array(msgpackDepthMax)
  readonly #isMap = new Uint8Array(msgpackDepthMax)
  /** The text that was skipped last. */
  #textLengthBytes = 0
  #cost = 0

  constructor(buffer: Uint8Array, start: number, end: number) {
    this.#buffer = buffer
    this.#start = start
    this.#end = end
    this.#offset = start
  }

  run(): MsgPackScan {
    do {
      const at = this.#offset
      const rule = (this.#isKeyNext() ? this.#key() : this.#value()) ?? (this.#cost > msgpackCostMax ? 'cost' : null)
      if (rule !== null) return { fault: { rule, offset: at - this.#start } }
    } while (this.#closeFull())
    if (this.#offset < this.#end) return { fault: { rule: 'trailing-bytes', offset: this.#offset - this.#start } }
    return { fault: null, cost: this.#cost }
  }

  /** Leaves the containers that are complete. @returns whether another value is expected */
  #closeFull(): boolean {
    while (this.#depth > 0 && this.#missing[this.#depth - 1] === 0) this.#depth -= 1
    return this.#depth > 0
  }

  #isKeyNext(): boolean {
    return this.#depth > 0 && this.#isMap[this.#depth - 1] === 1 && this.#missing[this.#depth - 1]! % 2 === 0
  }

  #key(): MsgPackRule | null {
    if (this.#offset >= this.#end) return 'truncated'
    const head = this.#buffer[this.#offset]!
    if (!(head >= 0xa0 && head <= 0xbf) && !(head >= 0xd9 && head <= 0xdb))
      return head === 0xc1 ? 'reserved' : 'key-type'
    const rule = this.#value()
    if (rule !== null) return rule
    this.#cost += msgpackCosts.key - msgpackCosts.text
    // The value has just been skipped, so its bytes end here.
    for (const key of forbiddenKeys) if (this.#isText(key)) return 'key-forbidden'
    return null
  }

  /** Whether the text just skipped is `key`. */
  #isText(key: Uint8Array): boolean {
    if (this.#textLengthBytes !== key.length) return false
    const textStart = this.#offset - key.length
    for (let index = 0; index < key.length; index += 1) if (this.#buffer[textStart + index] !== key[index]) return false
    return true
  }

  /** Reads one value's head; enters a container, skips anything else. */
  #value(): MsgPackRule | null {
    if (this.#offset >= this.#end) return 'truncated'
    const head = this.#buffer[this.#offset]!
    this.#offset += 1
    if (this.#depth > 0) {
      this.#missing[this.#depth - 1]! -= 1
      this.#owed -= 1
    }
    if (head <= 0x7f || head >= 0xe0) {
      this.#cost += msgpackCosts.small
      return null
    }
    if (head <= 0x8f) return this.#enter(head & 0x0f, true)
    if (head <= 0x9f) return this.#enter(head & 0x0f, false)
    if (head <= 0xbf) return this.#skipText(head & 0x1f)
    return this.#longHead(head)
  }

  #longHead(head: number): MsgPackRule | null {
    if (head === 0xc1) return 'reserved'
    if (head >= 0xdc) return this.#container(head)
    const fixed = fixedPayloadLengthBytes[head]!
    if (fixed !== no) {
      this.#cost += fixed >= 4 && head !== 0xd2 ? msgpackCosts.number : msgpackCosts.small
      return this.#skip(fixed)
    }
    const field = lengthFieldBytes[head]!
    if (field !== no) {
      const length = this.#readLength(field)
      if (length < 0) return 'truncated'
      if (head >= 0xd9) return this.#skipText(length)
      this.#cost += msgpackCosts.binary
      return this.#skip(length)
    }
    return this.#ext(head)
  }

  #container(head: number): MsgPackRule | null {
    const count = this.#readLength(head === 0xdc || head === 0xde ? 2 : 4)
    return count < 0 ? 'truncated' : this.#enter(count, head >= 0xde)
  }

  #enter(count: number, isMap: boolean): MsgPackRule | null {
    if (this.#depth === msgpackDepthMax) return 'depth'
    const values = isMap ? 2 * count : count
    if (values > this.#end - this.#offset - this.#owed) return 'length'
    this.#cost += isMap ? msgpackCosts.map : msgpackCosts.array
    this.#missing[this.#depth] = values
    this.#isMap[this.#depth] = isMap ? 1 : 0
    this.#depth += 1
    this.#owed += values
    return null
  }

  #ext(head: number): MsgPackRule | null {
    const field = extLengthFieldBytes[head]!
    const length = field === no ? fixedExtLengthBytes[head]! : this.#readLength(field)
    if (length < 0 || this.#offset >= this.#end) return 'truncated'
    if (this.#buffer[this.#offset] !== timestampType || (length !== 4 && length !== 8 && length !== 12)) return 'ext'
    this.#cost += msgpackCosts.timestamp
    const payload = this.#offset + 1
    const rule = this.#skip(1 + length)
    return rule ?? (this.#isDate(payload, length) ? null : 'timestamp')
  }

  #isDate(at: number, lengthBytes: number): boolean {
    if (lengthBytes === 4) return true
    const first = readUint32BE(this.#buffer, at)
    if (lengthBytes === 8) return first >>> 2 <= nanosecondsMax
    const seconds = (readUint32BE(this.#buffer, at + 4) | 0) * 0x1_0000_0000 + readUint32BE(this.#buffer, at + 8)
    return first <= nanosecondsMax && Math.abs(seconds * 1000 + Math.floor(first / 1_000_000)) <= dateMsMax
  }

  #skipText(lengthBytes: number): MsgPackRule | null {
    this.#textLengthBytes = lengthBytes
    this.#cost += msgpackCosts.text
    const start = this.#offset
    const rule = this.#skip(lengthBytes)
    if (rule !== null) return rule
    return lengthBytes <= msgpackTextLengthBytesMax && isUtf8(this.#buffer, start, this.#offset) ? null : 'text'
  }

  #skip(lengthBytes: number): MsgPackRule | null {
    if (lengthBytes > this.#end - this.#offset) return 'truncated'
    this.#offset += lengthBytes
    return null
  }

  /** A big-endian length of 1, 2 or 4 bytes, or -1 if it is truncated. */
  #readLength(fieldBytes: number): number {
    if (fieldBytes > this.#end - this.#offset) return -1
    let length = 0
    for (let index = 0; index < fieldBytes; index += 1) length = length * 256 + this.#buffer[this.#offset + index]!
    this.#offset += fieldBytes
    return length
  }
}

/** Big-endian u32 at `offset`; four bytes must be available. */
export function readUint32BE(buffer: Uint8Array, offset: number): number {
  return (
    ((buffer[offset]! << 24) | (buffer[offset + 1]! << 16) | (buffer[offset + 2]! << 8) | buffer[offset + 3]!) >>> 0
  )
}
