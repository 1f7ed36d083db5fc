/**
 * Owns: values that carry their life and their position in it, and that reveal a changed byte.
 * Independent of: sessions.
 */
import type { NetworkValue } from '../../codec/values.ts'

/** Life and position: the first bytes of a value. */
const payloadBytesMin = 8

export function valueOf(life: number, place: number, lengthBytes: number): NetworkValue {
  if (lengthBytes < payloadBytesMin) return { type: 'RingElement64', value: (BigInt(life) << 32n) | BigInt(place) }
  const bytes = Buffer.alloc(lengthBytes, fillOf(life, place))
  bytes.writeUInt32LE(life, 0)
  bytes.writeUInt32LE(place, 4)
  return { type: 'Bytes', value: bytes }
}

/** @returns null for a value that was not made here, or that was changed */
export function placeOf(value: NetworkValue): { readonly life: number; readonly place: number } | null {
  if (value.type === 'RingElement64')
    return { life: Number(value.value >> 32n), place: Number(value.value & 0xffff_ffffn) }
  if (value.type !== 'Bytes' || value.value.length < payloadBytesMin) return null
  const bytes = Buffer.from(value.value.buffer, value.value.byteOffset, value.value.length)
  const life = bytes.readUInt32LE(0)
  const place = bytes.readUInt32LE(4)
  const fill = fillOf(life, place)
  for (let at = payloadBytesMin; at < bytes.length; at += 1) if (bytes[at] !== fill) return null
  return { life, place }
}

function fillOf(life: number, place: number): number {
  return (life * 31 + place * 7 + 1) & 0xff
}
