/**
 * Owns: what streams carry in a simulation: bytes of which each follows from its stream, its side and its place, and
 * values of channels that carry theirs; and the question of an Open.
 * Independent of: streams.
 */

/** The number of the stream, as the first bytes of `extra`, or of what an opener writes. */
export const numberBytes = 4

function byteAt(number: number, side: 0 | 1, place: number): number {
  return (Math.imul(place + 1, 0x9e3779b1) ^ Math.imul(2 * number + side + 1, 0x85ebca6b)) >>> 24
}

/** @param isNumbered the first bytes are the number */
export function bytesOf(number: number, side: 0 | 1, from: number, lengthBytes: number, isNumbered: boolean): Buffer {
  const bytes = Buffer.alloc(lengthBytes)
  for (let at = 0; at < lengthBytes; at += 1) {
    const place = from + at
    bytes[at] = isNumbered && place < numberBytes ? (number >>> (8 * place)) & 0xff : byteAt(number, side, place)
  }
  return bytes
}

/** @returns the place of the first byte that is another one; null if all are right */
export function wrongPlace(
  bytes: Buffer,
  number: number,
  side: 0 | 1,
  from: number,
  isNumbered: boolean,
): number | null {
  const right = bytesOf(number, side, from, bytes.length, isNumbered)
  if (right.equals(bytes)) return null
  return from + right.findIndex((byte, at) => bytes[at] !== byte)
}

export interface StreamValue {
  readonly number: number
  readonly side: number
  readonly place: number
  readonly bytes: Uint8Array
}

export function valueOfStream(number: number, side: 0 | 1, place: number, lengthBytes: number): StreamValue {
  return { number, side, place, bytes: bytesOf(number, side, place, lengthBytes, false) }
}

export function isValueAt(value: unknown, number: number, side: 0 | 1, place: number): boolean {
  const found = value as Partial<StreamValue>
  if (found.number !== number || found.side !== side || found.place !== place) return false
  const { bytes } = found
  return bytes instanceof Uint8Array && wrongPlace(Buffer.from(bytes), number, side, place, false) === null
}

export function extraOf(number: number, lengthBytes: number): Buffer {
  return bytesOf(number, 0, 0, Math.max(numberBytes, lengthBytes), true)
}

/** @returns null for what was not made here, or was changed */
export function numberOf(extra: Buffer): number | null {
  if (extra.length < numberBytes) return null
  const number = extra.readUInt32LE(0)
  return wrongPlace(extra, number, 0, 0, true) === null ? number : null
}
