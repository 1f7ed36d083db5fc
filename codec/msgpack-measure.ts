/**
 * Owns: the checks of a MessagePack value that an application passes in, and its length: whatever passes arrives as it
 * was, and is accepted by the scan of the other side.
 * Independent of: writing it (msgpack-encode.ts), frames and lanes.
 */
import { InvalidValueError } from './errors.ts'
import {
  isForbiddenKey,
  msgpackCostMax,
  msgpackCosts,
  msgpackDepthMax,
  msgpackTextLengthBytesMax,
} from './msgpack-limits.ts'
import { utf8Length } from './utf8.ts'
import type { MsgPackData } from './values.ts'

const root = 'MsgPack.value'
const uint64Max = 2n ** 64n - 1n
const int64Min = -(2n ** 63n)
/** Seconds of a timestamp of 8 bytes. */
export const seconds34Max = 0x3_ffff_ffff

/**
 * Checks a value, and returns its length in bytes and its cost by msgpackCosts.
 * @throws InvalidValueError ERR_INVALID_VALUE, which names the place in the value
 */
export function measureMsgPack(value: MsgPackData): { lengthBytes: number; cost: number } {
  const measuring = new Measuring(value)
  return { lengthBytes: measuring.value(value, 0), cost: measuring.cost }
}

class Measuring {
  readonly #root: unknown
  cost = 0
  /** The keys and indexes that lead to the value in hand. */
  readonly #path: (string | number)[] = []

  constructor(value: unknown) {
    this.#root = value
  }

  value(value: unknown, depth: number): number {
    const lengthBytes = this.#measure(value, depth)
    if (this.cost > msgpackCostMax)
      throw new InvalidValueError(
        `${root} has too many parts: its reader would need over ${String(msgpackCostMax)} bytes of memory for them. ` +
          'Send Bytes or a vector, or several smaller values.',
      )
    return lengthBytes
  }

  #measure(value: unknown, depth: number): number {
    switch (typeof value) {
      case 'string':
        this.cost += msgpackCosts.text
        return this.#text(value, depth, 'is')
      case 'number':
        return this.#number(value)
      case 'boolean':
        this.cost += msgpackCosts.small
        return 1
      case 'bigint':
        if (value < int64Min || value > uint64Max) throw this.#fault(depth, 'is a bigint of more than 64 bits.')
        this.cost += msgpackCosts.number
        return 9
      case 'object':
        if (value !== null) return this.#object(value, depth)
        this.cost += msgpackCosts.small
        return 1
      default:
        throw this.#fault(depth, `is of type ${typeof value}, which MessagePack does not have.`)
    }
  }

  #number(value: number): number {
    const isInteger = Number.isSafeInteger(value)
    const isShort = isInteger && value >= -0x8000_0000 && value <= 0xffff
    this.cost += isShort ? msgpackCosts.small : msgpackCosts.number
    if (!isInteger) return 9
    if (value >= 0) return value < 0x80 ? 1 : value < 0x100 ? 2 : value < 0x1_0000 ? 3 : value < 0x1_0000_0000 ? 5 : 9
    return value >= -0x20 ? 1 : value >= -0x80 ? 2 : value >= -0x8000 ? 3 : value >= -0x8000_0000 ? 5 : 9
  }

  #text(text: string, depth: number, is: 'is' | 'has a key that is'): number {
    const lengthBytes = utf8Length(text)
    if (lengthBytes < 0)
      throw this.#fault(depth, `${is} not valid text: it has half of a surrogate pair (see String.toWellFormed).`)
    if (lengthBytes > msgpackTextLengthBytesMax)
      throw this.#fault(depth, `${is} a text of ${String(lengthBytes)} bytes; 268435456 are allowed.`)
    return textHeadLength(lengthBytes) + lengthBytes
  }

  #object(value: object, depth: number): number {
    if (value instanceof Uint8Array) return this.#binary(value, depth)
    if (value instanceof Date) {
      if (Number.isNaN(value.getTime())) throw this.#fault(depth, 'is an invalid Date.')
      this.cost += msgpackCosts.timestamp
      return 2 + timestampLength(value)
    }
    if (depth === msgpackDepthMax) throw this.#tooDeep(depth)
    if (Array.isArray(value)) return this.#array(value, depth)
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== null && prototype !== Object.prototype) throw this.#fault(depth, unsupported(value))
    return this.#map(value as Record<string, unknown>, depth)
  }

  #binary(value: Uint8Array, depth: number): number {
    this.cost += msgpackCosts.binary
    const { length } = value
    if (length === 0 && isDetached(value)) throw this.#fault(depth, 'is detached: its memory was transferred.')
    return (length < 0x100 ? 2 : length < 0x1_0000 ? 3 : 5) + length
  }

  #array(list: readonly unknown[], depth: number): number {
    this.cost += msgpackCosts.array
    let lengthBytes = containerHeadLength(list.length)
    // Not `forEach`, which skips holes: they would arrive as null.
    for (let index = 0; index < list.length; index += 1) {
      this.#path[depth] = index
      lengthBytes += this.value(list[index], depth + 1)
    }
    return lengthBytes
  }

  #map(map: Record<string, unknown>, depth: number): number {
    this.cost += msgpackCosts.map
    if (Object.getOwnPropertySymbols(map).length > 0)
      throw this.#fault(depth, 'has a key that is a symbol, which MessagePack does not have.')
    let count = 0
    let lengthBytes = 0
    for (const key of Object.keys(map)) {
      const value = map[key]
      if (value === undefined) continue
      if (isForbiddenKey(key)) throw this.#fault(depth, `has the key ${key}, which the other side refuses.`)
      count += 1
      this.cost += msgpackCosts.key
      lengthBytes += this.#text(key, depth, 'has a key that is')
      this.#path[depth] = key
      lengthBytes += this.value(value, depth + 1)
    }
    return containerHeadLength(count) + lengthBytes
  }

  #tooDeep(depth: number): InvalidValueError {
    const containers: unknown[] = [this.#root]
    for (const step of this.#path.slice(0, depth)) {
      const next = (containers.at(-1) as Record<string | number, unknown>)[step]
      if (containers.includes(next))
        return this.#fault(containers.length, 'is a container that it lies in: a value must not contain itself.')
      containers.push(next)
    }
    return this.#fault(depth, `is a container inside ${String(msgpackDepthMax)} containers, which is the limit.`)
  }

  #fault(depth: number, what: string): InvalidValueError {
    const steps = this.#path.slice(0, depth).map((step) => {
      if (typeof step === 'number') return `[${String(step)}]`
      return /^[A-Za-z_$][\w$]*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`
    })
    return new InvalidValueError(`${root}${steps.join('')} ${what}`)
  }
}

function unsupported(value: object): string {
  if (ArrayBuffer.isView(value))
    return 'is a view other than Uint8Array. Pass new Uint8Array(view.buffer, view.byteOffset, view.byteLength).'
  if (value instanceof ArrayBuffer) return 'is an ArrayBuffer. Pass new Uint8Array(buffer).'
  return 'is not a plain object, array, Uint8Array or Date. Convert it to a plain object first.'
}

function isDetached(view: Uint8Array): boolean {
  try {
    // Node 20 does not have `buffer.detached`.
    void new Uint8Array(view.buffer, 0, 0)
    return false
  } catch {
    return true
  }
}

function textHeadLength(lengthBytes: number): number {
  if (lengthBytes < 0x20) return 1
  return lengthBytes < 0x100 ? 2 : lengthBytes < 0x1_0000 ? 3 : 5
}

function containerHeadLength(count: number): number {
  return count < 0x10 ? 1 : count < 0x1_0000 ? 3 : 5
}

/** Bytes of the payload and, for the longest form, of its length field. */
export function timestampLength(date: Date): 4 | 8 | 13 {
  const ms = date.getTime()
  const seconds = Math.floor(ms / 1000)
  if (seconds < 0 || seconds > seconds34Max) return 13
  return ms % 1000 === 0 && seconds <= 0xffff_ffff ? 4 : 8
}
