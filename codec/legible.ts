/**
 * Owns: what becomes of a text before it stands in an error or in a log: one line, of bounded length, without the two kinds of
 * secrets that are known by their looks.
 * Refuses to know: where the text comes from. Peers and applications choose many of the words in our sentences.
 */

/** Longer than any sentence of ours whose names have an ordinary length. */
export const sentenceLengthMax = 1_000
/** What is looked at of a text: enough to find a key that begins in what is kept. */
const lookedAtLength = 16 * 1024

/**
 * Line ends forge lines, escapes (7 and 8 bits wide) drive terminals, and marks of direction turn a line around. Written out
 * they do nothing.
 */
const unprintable = /[\p{Cc}\p{Cs}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu
/** To its end, or as far as there is text: a key that was cut off is a key. */
const privateKey = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[^]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g
/** User and password in front of a host. */
const userInfo = /(\w:\/\/)[^\s/@]*@/g

/** The text in one line of bounded length, without private keys and without passwords in URLs. */
export function legible(text: string, lengthMax: number = sentenceLengthMax): string {
  const clean = text
    .slice(0, lookedAtLength)
    .replace(privateKey, '<private key>')
    .replace(userInfo, '$1…@')
    .replace(unprintable, codeUnit)
  return clean.length > lengthMax ? `${clean.slice(0, lengthMax - 1)}…` : clean
}

/** Without the bound, and without a look for secrets: for a text that is shown in part. */
export function escaped(text: string): string {
  return text.replace(unprintable, codeUnit)
}

function codeUnit(character: string): string {
  return String.raw`\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** The same for every text in plain data, names of fields too: for a line in a log. */
export function legibleData(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return legible(value)
  if (typeof value !== 'object' || value === null || depth > 4) return value
  if (Array.isArray(value)) return value.map((item) => legibleData(item, depth + 1))
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [legible(name), legibleData(inner, depth + 1)]))
}
