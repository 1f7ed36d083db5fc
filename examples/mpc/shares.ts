/**
 * Owns: the arithmetic of the example: fixed-point numbers, replicated shares over Z_2^32, masks from keys.
 * Independent of: networks and the names of parties; a party is its place in the ring, 0, 1 or 2.
 */
import { createCipheriv, randomFillSync } from 'node:crypto'

/**
 * Party `i` holds `x_i` and `x_(i-1)` of a secret `x = x_0 + x_1 + x_2 (mod 2^32)`: any two parties can compute it, one
 * alone learns nothing.
 */
export interface SharePair {
  readonly own: Uint32Array
  readonly previous: Uint32Array
}

export const lengthMax = 100_000

/**
 * The finest fixed point that cannot wrap. Reals in [-1, 1] become integers of at most `2^bits`, a product is at most
 * `4^bits`, a sum of `length` of them at most `length * 4^bits`. That stays below 2^31, so a ring element has one
 * reading as a signed number. 1,000 elements: 10 bits; 100,000: 7 bits.
 */
export function fractionBitsFor(length: number): number {
  if (!Number.isSafeInteger(length) || length < 1 || length > lengthMax)
    throw new RangeError(`the length must be a whole number from 1 to ${lengthMax}, got ${length}`)
  let bits = 15
  while (length * 4 ** bits >= 2 ** 31) bits--
  return bits
}

/** Rounds each to the nearest multiple of `2^-bits`. @throws RangeError for a number outside [-1, 1] */
export function encodeFixed(reals: Float64Array, bits: number): Uint32Array {
  return Uint32Array.from(reals, (real, index) => {
    if (!(real >= -1 && real <= 1)) throw new RangeError(`element ${index} must be in [-1, 1], got ${real}`)
    return Math.round(real * 2 ** bits)
  })
}

/** A ring element as a signed number: 2^31 and above stand for negative ones. */
export function signed(element: number): number {
  return element | 0
}

/** A product of two fixed-point numbers has twice the fraction bits. */
export function decodeProduct(element: number, bits: number): number {
  return signed(element) / 4 ** bits
}

/** Cuts a secret into three random addends, and deals each party its two. */
export function dealShares(secret: Uint32Array): readonly [SharePair, SharePair, SharePair] {
  const first = randomFillSync(new Uint32Array(secret.length))
  const second = randomFillSync(new Uint32Array(secret.length))
  const third = secret.map((element, index) => element - (first[index] ?? 0) - (second[index] ?? 0))
  return [
    { own: first, previous: third },
    { own: second, previous: first },
    { own: third, previous: second },
  ]
}

/**
 * A party's addend of the product: `x_i y_i + x_i y_(i-1) + x_(i-1) y_i`, summed over the elements. Over the three
 * parties each `x_j y_k` occurs once. It needs no message.
 */
export function multiplyAccumulate(x: SharePair, y: SharePair): number {
  let sum = 0
  for (let index = 0; index < x.own.length; index++) {
    const xOwn = x.own[index] ?? 0
    const yOwn = y.own[index] ?? 0
    // imul is the product mod 2^32, and `| 0` keeps the sum in 32 bits.
    sum = (sum + Math.imul(xOwn, (yOwn + (y.previous[index] ?? 0)) | 0) + Math.imul(x.previous[index] ?? 0, yOwn)) | 0
  }
  return sum >>> 0
}

/**
 * The first `count` words of the pseudo-random function: AES-128 in counter mode from zero. Use a key for one call
 * only.
 */
export function maskWords(key: Uint8Array, count: number): Uint32Array {
  const cipher = createCipheriv('aes-128-ctr', key, new Uint8Array(16))
  const stream = cipher.update(new Uint8Array(count * 4))
  return Uint32Array.from({ length: count }, (_, index) => stream.readUInt32LE(index * 4))
}

/** An addend of zero: each key is added by its owner and subtracted by the next party, so the three sum to zero. */
export function zeroShare(
  keys: { readonly mine: Uint8Array; readonly previous: Uint8Array },
  count: number,
): Uint32Array {
  const previous = maskWords(keys.previous, count)
  return maskWords(keys.mine, count).map((word, index) => word - (previous[index] ?? 0))
}

/** The plain result, on the same fixed-point numbers; exact, because it stays below 2^31. */
export function plainDot(x: Uint32Array, y: Uint32Array): number {
  return x.reduce((sum, element, index) => sum + signed(element) * signed(y[index] ?? 0), 0)
}
