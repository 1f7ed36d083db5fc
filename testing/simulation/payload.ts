/**
 * Owns: values that carry their life and position, and that reveal a changed byte or a missing part; what an
 * application does with their memory.
 * Independent of: sessions.
 */
import type { NetworkValue } from '../../codec/values.ts'

/** Life, position and length: the first bytes of a value. */
const payloadBytesMin = 16

/** In every value of MessagePack: a byte-order mark, and a character of four bytes. */
const text = '\ufeffé𝄞'

export function valueOf(life: number, place: number, lengthBytes: number): NetworkValue {
  if (lengthBytes < payloadBytesMin) return { type: 'RingElement64', value: (BigInt(life) << 32n) | BigInt(place) }
  const kind = (life + place) % 7
  // Elements of up to 8 bytes.
  const bytes = new Uint8Array(kind < 3 ? lengthBytes & ~7 : lengthBytes).fill(fillOf(life, place))
  const view = new DataView(bytes.buffer)
  view.setUint32(0, life, true)
  view.setUint32(4, place, true)
  view.setUint32(8, bytes.length, true)
  if (kind === 0) return { type: 'VecRing16', value: new Uint16Array(bytes.buffer) }
  if (kind === 1) return { type: 'VecRing32', value: new Uint32Array(bytes.buffer) }
  if (kind === 2) return { type: 'VecRing64', value: new BigUint64Array(bytes.buffer) }
  return kind === 3 ? { type: 'MsgPack', value: [text, { bytes }] } : { type: 'Bytes', value: bytes }
}

/** @returns null for a value that was not made here, or that was changed */
export function placeOf(value: NetworkValue): { readonly life: number; readonly place: number } | null {
  if (value.type === 'RingElement64')
    return { life: Number(value.value >> 32n), place: Number(value.value & 0xffff_ffffn) }
  const bytes = bytesOf(value)
  if (bytes === null || bytes.length < payloadBytesMin) return null
  const life = bytes.readUInt32LE(0)
  const place = bytes.readUInt32LE(4)
  if (bytes.readUInt32LE(8) !== bytes.length) return null
  const fill = fillOf(life, place)
  for (let at = payloadBytesMin; at < bytes.length; at += 1) if (bytes[at] !== fill) return null
  return { life, place }
}

/** The memory of a value; null if it has none. */
export function bytesOf(value: NetworkValue): Buffer | null {
  const view = value.type === 'MsgPack' ? viewIn(value.value) : isTransferable(value) ? value.value : null
  return view === null ? null : Buffer.from(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength)
}

type Transferable = NetworkValue & { readonly type: 'Bytes' | 'VecRing16' | 'VecRing32' | 'VecRing64' }

/** Whether its memory can be handed over. */
export function isTransferable(value: NetworkValue): value is Transferable {
  return ['Bytes', 'VecRing16', 'VecRing32', 'VecRing64'].includes(value.type)
}

function viewIn(value: unknown): Uint8Array | null {
  if (!Array.isArray(value) || value[0] !== text) return null
  const { bytes } = value[1] as { readonly bytes: unknown }
  return bytes instanceof Uint8Array ? bytes : null
}

/** What an application may do with its memory once a call of `send` has returned. */
export type Reuse = 'kept' | 'overwritten' | 'detached'

export function reuse(value: NetworkValue, how: Reuse): void {
  const bytes = how === 'kept' ? null : bytesOf(value)
  if (bytes === null) return
  if (how === 'overwritten') bytes.fill(0xee)
  else structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] })
}

export function isDetached(value: NetworkValue): boolean {
  return isTransferable(value) && value.value.byteLength === 0
}

function fillOf(life: number, place: number): number {
  return (life * 31 + place * 7 + 1) & 0xff
}
