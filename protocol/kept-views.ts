/**
 * Owns: values that are views of a chunk: how they are made, of which memory, and what memory unread ones hold.
 * Independent of: frames, lanes, and whether a value is read in the end.
 *
 * A chunk is a borrowed read buffer until it has been read. A value that is used during that time only is a view of it.
 * The first value that may be kept longer has the whole chunk copied, once, and is a view of the copy.
 *
 * A value of ten bytes that stays unread must not keep 64 KiB alive, or credit and queues would limit nothing. This is
 * decided once a chunk: if most of it is unread, the views stay; if little of it is, that part moves to memory of its
 * own length.
 */
import { ChunkViews } from '../codec/chunk-views.ts'
import { decodeBody, isView, isViewed } from '../codec/decode-value.ts'
import type { NetworkValue } from '../codec/values.ts'

export interface UnreadValue {
  value: NetworkValue
  readonly costBytes: number
  /** `value` is the bytes of a MessagePack value that was checked; it is decoded when it is read. */
  readonly isMsgPack?: boolean
}

/** Unread values may hold this many times their own bytes. */
const heldPerByteMax = 4

export class KeptViews {
  readonly #views = new ChunkViews()
  #unread: UnreadValue[] = []
  #borrowed: Buffer | null = null
  #copy: Buffer | null = null

  /** This chunk is borrowed until `settle`. */
  begin(chunk: Buffer): void {
    this.#borrowed = chunk
  }

  /** Decodes a body. @param isBorrowed the value is used within this chunk only. @throws ProtocolError */
  decode(descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number, isBorrowed: boolean): NetworkValue {
    return decodeBody(
      descriptor,
      isBorrowed || !isViewed(descriptor) ? buffer : this.#keepable(buffer),
      bodyStart,
      bodyEnd,
      this.#views,
    )
  }

  /** The same bytes at the same place, in memory that is not reused. */
  #keepable(buffer: Buffer): Buffer {
    if (buffer !== this.#borrowed) return buffer
    if (this.#copy === null) {
      // Not from Node's pool: one kept view would hold all of it.
      this.#copy = Buffer.allocUnsafeSlow(buffer.length)
      buffer.copy(this.#copy)
    }
    return this.#copy
  }

  /** A value was queued within this chunk. */
  add(unread: UnreadValue): void {
    if (isView(unread.value)) this.#unread.push(unread)
  }

  /**
   * The chunk has been read. Values that were taken within it belong to the application, and their copies cost little.
   */
  settle(): void {
    this.#views.forget()
    this.#borrowed = null
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

/** The memory that a value is a view of. Null for a list without views. */
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
