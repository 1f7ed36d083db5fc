/**
 * Owns: MessagePack bytes -> values, for bytes that the scan has accepted.
 * Independent of: what is refused (msgpack-scan.ts), frames and lanes.
 *
 * Checks nothing: every length fits, every text is UTF-8, and containers are at most 32 deep. Binaries are copies, so a
 * value keeps no chunk of a connection alive.
 */
import { scratchHalves, scratchWords } from './byte-order.ts'
import { lengthFieldLengthBytes } from './constants.ts'
import { ProtocolError, type ErrorCode } from './errors.ts'
import { msgpackCostMax, msgpackDepthMax } from './msgpack-limits.ts'
import { readUint32BE, scanMsgPack, type MsgPackRule } from './msgpack-scan.ts'
import type { MsgPackData, MsgPackValue } from './values.ts'

const faults: Readonly<Record<MsgPackRule, readonly [code: ErrorCode, what: string]>> = {
  truncated: ['ERR_MSGPACK_TRUNCATED', 'ends before it is complete'],
  'trailing-bytes': ['ERR_MSGPACK_TRAILING_BYTES', 'has bytes left over after it'],
  depth: ['ERR_MSGPACK_DEPTH', `has a container inside ${String(msgpackDepthMax)} containers`],
  length: ['ERR_MSGPACK_LENGTH', 'has a container that declares more than the remaining bytes can hold'],
  ext: ['ERR_MSGPACK_EXT', 'has an extension that is not a timestamp of 4, 8 or 12 bytes'],
  timestamp: ['ERR_MSGPACK_TIMESTAMP', 'has a timestamp with too many nanoseconds, or outside the range of Date'],
  reserved: ['ERR_MSGPACK_RESERVED', 'contains the reserved byte c1'],
  text: ['ERR_MSGPACK_TEXT', 'has a text that is not UTF-8, or is longer than 256 MiB'],
  'key-type': ['ERR_MSGPACK_KEY_TYPE', 'has a key that is not a string'],
  'key-forbidden': ['ERR_MSGPACK_KEY_FORBIDDEN', 'has the key __proto__, constructor or prototype'],
  cost: ['ERR_MSGPACK_COST', `has more parts than ${String(msgpackCostMax)} bytes of memory may hold`],
}

/** @throws ProtocolError with one of the codes ERR_MSGPACK_… unless `buffer[start, end)` is exactly one valid value */
export function checkMsgPack(buffer: Uint8Array, start: number, end: number): void {
  const { fault } = scanMsgPack(buffer, start, end)
  if (fault === null) return
  const [code, what] = faults[fault.rule]
  throw new ProtocolError(
    code,
    `A MessagePack value of ${String(end - start)} bytes ${what}, at byte ${String(fault.offset)}.`,
  )
}

/** Scans and decodes `buffer[start, end)`. @throws as {@link checkMsgPack} */
export function decodeMsgPack(buffer: Uint8Array, start: number, end: number): MsgPackData {
  checkMsgPack(buffer, start, end)
  return decodeCheckedMsgPack(buffer, start)
}

/** For bytes that {@link checkMsgPack} has accepted. */
export function decodeCheckedMsgPack(buffer: Uint8Array, start: number): MsgPackData {
  const bytes = Buffer.isBuffer(buffer) ? buffer : Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength)
  return new Decoding(bytes, start).value()
}

/** The body of a frame, length field included, that {@link checkMsgPack} has accepted. */
export function decodeMsgPackBody(buffer: Uint8Array, bodyStart: number): MsgPackValue {
  return { type: 'MsgPack', value: decodeCheckedMsgPack(buffer, bodyStart + lengthFieldLengthBytes) }
}

/** The value may be a number in JavaScript without loss: within ±2^53. */
function isExactInteger(high: number, low: number): boolean {
  return (high >= -0x20_0000 && high < 0x20_0000) || (high === 0x20_0000 && low === 0)
}

class Decoding {
  readonly #buffer: Buffer
  #offset: number

  constructor(buffer: Buffer, start: number) {
    this.#buffer = buffer
    this.#offset = start
  }

  value(): MsgPackData {
    const head = this.#buffer[this.#offset++]!
    if (head <= 0x7f) return head
    if (head >= 0xe0) return head - 0x100
    if (head <= 0x8f) return this.#map(head & 0x0f)
    if (head <= 0x9f) return this.#array(head & 0x0f)
    if (head <= 0xbf) return this.#text(head & 0x1f)
    switch (head) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xca:
        return this.#buffer.readFloatBE(this.#skip(4))
      case 0xcb:
        return this.#buffer.readDoubleBE(this.#skip(8))
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#unsigned(1 << (head - 0xcc))
      case 0xcf:
        return this.#wide(false)
      case 0xd0:
        return (this.#unsigned(1) << 24) >> 24
      case 0xd1:
        return (this.#unsigned(2) << 16) >> 16
      case 0xd2:
        return this.#unsigned(4) | 0
      case 0xd3:
        return this.#wide(true)
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#unsigned(1 << (head - 0xd9)))
      case 0xdc:
      case 0xdd:
        return this.#array(this.#unsigned(head === 0xdc ? 2 : 4))
      case 0xde:
      case 0xdf:
        return this.#map(this.#unsigned(head === 0xde ? 2 : 4))
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#binary(this.#unsigned(1 << (head - 0xc4)))
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.#timestamp(this.#unsigned(1 << (head - 0xc7)))
      default: // the fixed lengths of a timestamp
        return this.#timestamp(head === 0xd6 ? 4 : 8)
    }
  }

  /** @returns where the skipped bytes begin */
  #skip(lengthBytes: number): number {
    const at = this.#offset
    this.#offset = at + lengthBytes
    return at
  }

  #unsigned(lengthBytes: number): number {
    const at = this.#skip(lengthBytes)
    const buffer = this.#buffer
    if (lengthBytes === 1) return buffer[at]!
    return lengthBytes === 2 ? (buffer[at]! << 8) | buffer[at + 1]! : readUint32BE(buffer, at)
  }

  #wide(isSigned: boolean): number | bigint {
    const unsigned = this.#unsigned(4)
    const low = this.#unsigned(4)
    const high = isSigned ? unsigned | 0 : unsigned
    if (isExactInteger(high, low)) return high * 0x1_0000_0000 + low
    scratchHalves[0] = low
    scratchHalves[1] = unsigned
    const word = scratchWords[0]!
    return isSigned ? BigInt.asIntN(64, word) : word
  }

  #text(lengthBytes: number): string {
    const at = this.#skip(lengthBytes)
    // Keeps a byte-order mark, unlike TextDecoder.
    return this.#buffer.toString('utf8', at, at + lengthBytes)
  }

  #binary(lengthBytes: number): Uint8Array {
    const at = this.#skip(lengthBytes)
    const bytes = new Uint8Array(lengthBytes)
    bytes.set(this.#buffer.subarray(at, at + lengthBytes))
    return bytes
  }

  #timestamp(lengthBytes: number): Date {
    this.#offset += 1
    if (lengthBytes === 4) return new Date(this.#unsigned(4) * 1000)
    const first = this.#unsigned(4)
    if (lengthBytes === 8) return dateOf((first & 0x3) * 0x1_0000_0000 + this.#unsigned(4), first >>> 2)
    const high = this.#unsigned(4) | 0
    return dateOf(high * 0x1_0000_0000 + this.#unsigned(4), first)
  }

  #array(count: number): MsgPackData[] {
    const list: MsgPackData[] = new Array<MsgPackData>(count) // oxlint-disable-line no-new-array -- its memory at once
    for (let index = 0; index < count; index += 1) list[index] = this.value()
    return list
  }

  #map(count: number): Record<string, MsgPackData> {
    const map: Record<string, MsgPackData> = {}
    let isSparse = false
    for (let index = 0; index < count; index += 1) {
      const key = this.#key()
      if (!isSparse && isLikeIndex(key)) {
        makeSparse(map)
        isSparse = true
      }
      set(map, key, this.value())
    }
    return map
  }

  #key(): string {
    const head = this.#buffer[this.#offset++]!
    return this.#text(head <= 0xbf ? head & 0x1f : this.#unsigned(1 << (head - 0xd9)))
  }
}

/** Milliseconds are all that a Date holds: what is below them is cut off. */
function dateOf(seconds: number, nanoseconds: number): Date {
  return new Date(seconds * 1000 + Math.floor(nanoseconds / 1_000_000))
}

function isLikeIndex(key: string): boolean {
  const first = key.charCodeAt(0)
  return first >= 0x30 && first <= 0x39
}

/**
 * V8 keeps properties like "1023" in an array, of 12 KiB for this one alone. An index beyond every array moves the map
 * to a table for good.
 */
function makeSparse(map: Record<string, MsgPackData>): void {
  map['4294967294'] = null
  delete map['4294967294']
}

const empty: object = {}

/** An application that has frozen Object.prototype cannot assign to a property that has the name of a method. */
function set(map: Record<string, MsgPackData>, key: string, value: MsgPackData): void {
  if (key in empty) Object.defineProperty(map, key, { value, writable: true, enumerable: true, configurable: true })
  else map[key] = value
}
