/**
 * Owns: the limits of MessagePack values, and the estimate of what a value costs its reader. Both sides apply them, so
 * nothing is sent that the other side refuses.
 * Independent of: how a value is scanned, read and written.
 *
 * One byte of MessagePack can become a hundred bytes of objects: 64 MiB of nil took 8.8 s and 1.2 GiB to decode. So the
 * objects are estimated, and a value that needs too many is refused before anything is allocated. The contents of texts
 * and binaries are left out: they cost at most twice their bytes, which the length limit bounds.
 */

/** A container inside this many containers is rejected. */
export const msgpackDepthMax = 32

/**
 * The most that a value may cost by {@link msgpackCosts}: 128 MiB, twice the default maxMessageLength. That is 16
 * million small integers, 4 million texts, or a million map entries.
 */
export const msgpackCostMax = 128 * 1024 * 1024

/**
 * The longest text, in bytes of UTF-8: 256 MiB, half of what a string of V8 may have in characters. Longer ones could
 * be scanned and not decoded.
 */
export const msgpackTextLengthBytesMax = 256 * 1024 * 1024

/**
 * What each part of a value counts in bytes, from measurements of Node 20 rounded up. A key counts `key` alone; its
 * value counts like any other.
 */
export const msgpackCosts = {
  /** nil, booleans, integers of up to 16 bits or of the form int 32 */
  small: 8,
  /** floats, uint 32, and integers of 64 bits */
  number: 32,
  text: 32,
  key: 104,
  array: 64,
  map: 104,
  binary: 216,
  timestamp: 128,
} as const

export function isForbiddenKey(key: string): boolean {
  return key === '__proto__' || key === 'constructor' || key === 'prototype'
}
