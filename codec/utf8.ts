/**
 * Owns: UTF-8 without loss: which bytes are valid, how many bytes a string needs, and whether it can be written at all.
 * Independent of: what the text is for.
 */

/** Strings up to this many UTF-16 units are handled by a loop, which is faster than a call into the runtime. */
export const loopLengthMax = 64

/** Whether `buffer[start, end)` is valid UTF-8: no over-long forms, no surrogates, nothing above U+10FFFF. */
export function isUtf8(buffer: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end;) {
    const first = buffer[at++]!
    if (first < 0x80) continue
    if (first < 0xc2 || first > 0xf4) return false
    const more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3
    if (end - at < more) return false
    const second = buffer[at]!
    if (second < secondMin(first) || second > secondMax(first)) return false
    for (let index = 1; index < more; index += 1) if ((buffer[at + index]! & 0xc0) !== 0x80) return false
    at += more
  }
  return true
}

function secondMin(first: number): number {
  if (first === 0xe0) return 0xa0
  return first === 0xf0 ? 0x90 : 0x80
}

function secondMax(first: number): number {
  if (first === 0xed) return 0x9f
  return first === 0xf4 ? 0x8f : 0xbf
}

/** Bytes of `text` in UTF-8, or -1 if it has half of a surrogate pair and so has no UTF-8 form. */
export function utf8Length(text: string): number {
  const { length } = text
  if (length > loopLengthMax)
    return (text as string & { isWellFormed(): boolean }).isWellFormed() ? Buffer.byteLength(text, 'utf8') : -1
  let lengthBytes = length
  for (let index = 0; index < length; index += 1) {
    const unit = text.charCodeAt(index)
    if (unit < 0x80) continue
    lengthBytes += unit < 0x800 ? 1 : 2
    if (unit < 0xd800 || unit > 0xdfff) continue
    // A pair is 4 bytes: two units, and one more for each.
    const next = text.charCodeAt(index + 1)
    if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return -1
    index += 1
  }
  return lengthBytes
}
