/**
 * Owns: the views that values are of their chunk: how they are made, of which memory, and what unread ones hold of it.
 * Refuses to know: frames, lanes, and whether a value is read in the end.
 *
 * A chunk is lent by its carrier until it has been read. Whoever looks at a value during that time only gets a view of it;
 * the first value that may be kept longer has the whole chunk copied, once, and is a view of the copy.
 *
 * A value of ten bytes that nobody reads must not keep 64 KiB alive, or credit and queues bound nothing. Decided once a
 * chunk: where most of it is unread, the views stay; where little of it is, that little moves to memory of its own length.
 */
import { ChunkViews } from '../codec/chunk-views.ts'
import { decodeBody, isView, isViewed } from '../codec/decode-value.ts'
import type { NetworkValue } from '../codec/values.ts'

export interface UnreadValue {
  value: NetworkValue
  readonly costBytes: number
}

/** Unread values may hold so many times their own bytes. */
const heldPerByteMax = 4

export class KeptViews {
  readonly #views = new ChunkViews()
  #unread: UnreadValue[] = []
  #lent: Buffer | null = null
  #copy: Buffer | null = null

  /** This chunk is lent until `settle`. */
  begin(chunk: Buffer): void {
    this.#lent = chunk
  }

  /** A body becomes a value. @param isBorrowed it is looked at within this chunk only. @throws ProtocolError */
  decode(descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number, isBorrowed: boolean): NetworkValue {
    return decodeBody(
      descriptor,
      isBorrowed || !isViewed(descriptor) ? buffer : this.#keepable(buffer),
      bodyStart,
      bodyEnd,
      this.#views,
    )
  }

  /** The same bytes at the same place, in memory that is not used again. */
  #keepable(buffer: Buffer): Buffer {
    if (buffer !== this.#lent) return buffer
    if (this.#copy === null) {
      // Not from Node's pool, which would be held whole by what is kept of it.
      this.#copy = Buffer.allocUnsafeSlow(buffer.length)
      buffer.copy(this.#copy)
    }
    return this.#copy
  }

  /** A value was queued within this chunk. */
  add(unread: UnreadValue): void {
    if (isView(unread.value)) this.#unread.push(unread)
  }

  /** The chunk has been read. Values that were taken within it are nobody's here any more, and their copies cost little. */
  settle(): void {
    this.#views.forget()
    this.#lent = null
    this.#copy = null
    if (this.#unread.length === 0) return
    const all = this.#unread
    this.#unread = []
    for (let start = 0; start < all.length;) {
      const memory = memoryOf(all[start]!.value)
      let end = start
      let keptBytes = 0
      for (; end < all.length && memoryOf(all[end]!.value) === memory; end++) keptBytes += viewedBytes(all[end]!.value)
      if (memory !== null && keptBytes * heldPerByteMax < memory.byteLength) moveOut(all, start, end, keptBytes)
      start = end
    }
  }
}

function moveOut(all: readonly UnreadValue[], start: number, end: number, keptBytes: number): void {
  const memory = new Uint8Array(keptBytes)
  let at = 0
  const copied = (view: Uint8Array): Buffer => {
    memory.set(view, at)
    at += view.length
    return Buffer.from(memory.buffer, at - view.length, view.length)
  }
  for (let index = start; index < end; index++) all[index]!.value = withViews(all[index]!.value, copied)
}

/** What a value is a view of; null for a list without views. */
function memoryOf(value: NetworkValue): ArrayBufferLike | null {
  switch (value.type) {
    case 'Bytes':
    case 'PrfKey':
      return value.value.buffer
    case 'VecRingBit':
      return value.value.packed.buffer
    case 'NetworkVec': {
      const first = value.value.find(isView)
      return first === undefined ? null : memoryOf(first)
    }
    default:
      return null
  }
}

function viewedBytes(value: NetworkValue): number {
  switch (value.type) {
    case 'Bytes':
    case 'PrfKey':
      return value.value.length
    case 'VecRingBit':
      return value.value.packed.length
    case 'NetworkVec':
      return value.value.reduce((sum, element) => sum + viewedBytes(element), 0)
    default:
      return 0
  }
}

function withViews(value: NetworkValue, copied: (view: Uint8Array) => Buffer): NetworkValue {
  switch (value.type) {
    case 'Bytes':
    case 'PrfKey':
      return { type: value.type, value: copied(value.value) }
    case 'VecRingBit':
      return { type: 'VecRingBit', value: { bits: value.value.bits, packed: copied(value.value.packed) } }
    case 'NetworkVec':
      return {
        type: 'NetworkVec',
        value: value.value.map((element) => withViews(element, copied)) as typeof value.value,
      }
    default:
      return value
  }
}
