/**
 * Owns: sanitizing text for errors and logs: one line of bounded length, without the two kinds of secrets that can be
 * recognised.
 * Independent of: where the text comes from. Peers and applications choose many of the words in messages.
 */

/** Longer than any message of ours with names of ordinary length. */
export const sentenceLengthMax = 1_000
/** How much of a text is examined: enough to find a key that begins in the part that is kept. */
const lookedAtLength = 16 * 1024

/**
 * Line ends forge log lines, escapes (7 and 8 bits) control terminals, and direction marks reverse a line. They are
 * shown as escapes.
 */
const unprintable = /[\p{Cc}\p{Cs}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu
/** To its end, or to the end of the text: a truncated key is still a secret. */
const privateKey = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[^]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g
/** User and password before a host. */
const userInfo = /(\w:\/\/)[^\s/@]*@/g

/** Returns the text in one line of bounded length, without private keys and without passwords in URLs. */
export function sanitize(text: string, lengthMax: number = sentenceLengthMax): string {
  const clean = text
    .slice(0, lookedAtLength)
    .replace(privateKey, '<private key>')
    .replace(userInfo, '$1…@')
    .replace(unprintable, codeUnit)
  return clean.length > lengthMax ? `${clean.slice(0, lengthMax - 1)}…` : clean
}

/** Escapes only, without the bound and the search for secrets: for a text that is shown in part. */
export function escapeControls(text: string): string {
  return text.replace(unprintable, codeUnit)
}

function codeUnit(character: string): string {
  return String.raw`\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** Sanitizes every text in plain data, field names included: for a log line. */
export function sanitizeData(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return sanitize(value)
  if (typeof value !== 'object' || value === null || depth > 4) return value
  if (Array.isArray(value)) return value.map((item) => sanitizeData(item, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [sanitize(name), sanitizeData(inner, depth + 1)]),
  )
}
