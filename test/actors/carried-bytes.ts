/**
 * Owns: recognisable values for sessions to carry, and the search for them in anything, in every encoding.
 * Independent of: networks and inspectors.
 */
import type { NetworkValue } from '../../index.ts'

/** 24 bytes that occur nowhere else, and as words: what sessions carry below. */
export const marker = Buffer.from('6d61726b65722d81fe93c7b0aa5de4f29c8871ec5b3fd06a', 'hex')
const words = Array.from({ length: 6 }, (_, index) => marker.readUInt32LE(index * 4))
const halfWords = Array.from({ length: 12 }, (_, index) => marker.readUInt16LE(index * 2))

function vector<T extends { buffer: ArrayBufferLike }>(type: new (buffer: ArrayBuffer) => T): T {
  return new type(Uint8Array.from(marker).buffer)
}

export const carried: NetworkValue[] = [
  { type: 'Bytes', value: marker },
  { type: 'RingElement32', value: words[1] as number },
  { type: 'RingElement48', value: (words[1] as number) * 4096 },
  { type: 'RingElement64', value: marker.readBigUInt64LE(8) },
  { type: 'VecRing16', value: vector(Uint16Array) },
  { type: 'VecRing32', value: vector(Uint32Array) },
  { type: 'VecRing64', value: vector(BigUint64Array) },
  { type: 'VecRingBit', value: { bits: marker.length * 8, packed: marker } },
  { type: 'PrfCheck', value: marker.readBigUInt64LE(0) << 16n },
  { type: 'StateChecksum', value: { irises: marker.readBigUInt64LE(0), graph: marker.readBigUInt64LE(8) } },
  { type: 'PrfKey', value: marker.subarray(0, 16) },
  {
    type: 'NetworkVec',
    value: [
      { type: 'Bytes', value: marker },
      { type: 'VecRing32', value: vector(Uint32Array) },
    ],
  },
  // Above the size that is copied: it travels by reference.
  { type: 'Bytes', value: Buffer.concat(Array.from({ length: 1000 }, () => marker)) },
]

/** Every form in which a byte, a word or a long word of the marker could be written. */
const spellings: string[] = [
  marker.toString('hex').slice(0, 16),
  marker.toString('hex').slice(16),
  // Base64 differs with the alignment, which is one of three; the inner characters do not depend on neighbours.
  ...[0, 1, 2].map((skip) => marker.subarray(skip, skip + 9).toString('base64')),
  ...[0, 1, 2].map((skip) => marker.subarray(skip, skip + 9).toString('base64url')),
  marker.subarray(0, 8).join(','),
  marker.subarray(8, 16).join(','),
  [...marker.subarray(0, 8)].map((byte, index) => `"${index}":${byte}`).join(','),
  halfWords.slice(0, 4).join(','),
  halfWords
    .slice(0, 4)
    .map((word, index) => `"${index}":${word}`)
    .join(','),
  marker.subarray(0, 7).toString('latin1'),
  marker.subarray(8).toString('latin1').slice(0, 6),
  ...words.slice(1).map(String),
  marker.readBigUInt64LE(0).toString(),
  marker.readBigUInt64LE(8).toString(),
  (marker.readBigUInt64LE(0) << 16n).toString(),
  ((words[1] as number) * 4096).toString(),
]

export function spelt(text: string): string[] {
  return spellings.filter((spelling) => text.includes(spelling))
}

/** What console.log or a careless serializer could reach: all own properties, `toJSON` or not. */
export function bytesReachable(root: unknown): boolean {
  const seen = new Set<object>()
  const pending = [root]
  while (pending.length > 0) {
    const next = pending.pop()
    if (typeof next === 'bigint' && spelt(next.toString()).length > 0) return true
    if (typeof next !== 'object' || next === null || seen.has(next)) continue
    seen.add(next)
    if (ArrayBuffer.isView(next)) {
      const bytes = Buffer.from(next.buffer, next.byteOffset, next.byteLength)
      if (bytes.includes(marker.subarray(0, 8)) || bytes.includes(marker.subarray(8, 16))) return true
      continue
    }
    if (next instanceof Map || next instanceof Set) pending.push(...next)
    for (const key of Reflect.ownKeys(next)) pending.push(Object.getOwnPropertyDescriptor(next, key)?.value)
  }
  return false
}
