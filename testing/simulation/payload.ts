/**
 * Owns: values that say which life they belong to and which place they have in it, and that show when a byte of them changed.
 * Refuses to know: sessions.
 */
import type { NetworkValue } from '../../codec/values.ts'

/** Life and place: what a value of bytes begins with. */
const payloadBytesMin = 8

export function valueOf(life: number, place: number, lengthBytes: number): NetworkValue {
  if (lengthBytes < payloadBytesMin) return { type: 'RingElement64', value: (BigInt(life) << 32n) | BigInt(place) }
  const bytes = Buffer.alloc(lengthBytes, fillOf(life, place))
  bytes.writeUInt32LE(life, 0)
  bytes.writeUInt32LE(place, 4)
  return { type: 'Bytes', value: bytes }
}

/** @returns null for a value that was not made here, or that is not as it was made */
export function placeOf(value: NetworkValue): { readonly life: number; readonly place: number } | null {
  if (value.type === 'RingElement64') return { life: Number(value.value >> 32n), place: Number(value.value & 0xffff_ffffn) }
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
