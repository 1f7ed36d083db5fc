/**
 * Owns: how a wrong value is shown in an error message: one short line, no control characters, no keys.
 * Independent of: what was expected. Never throws for any value.
 */

import { escapeControls } from './sanitize.ts'

/** Including escapes: a megabyte, or a text of control characters only, is shown as one short line. */
const shownLengthMax = 160

/** `"text"`, `7`, `a function`, `a list of 3`, `a Uint8Array of 32 bytes`, `an Identity`. */
export function formatValue(value: unknown): string {
  if (typeof value === 'string') return showText(value)
  if (typeof value === 'bigint') return cut(`${value}n`)
  if (typeof value === 'symbol') return cut(String(value))
  if (typeof value === 'function') return 'a function'
  return typeof value === 'object' && value !== null ? showObject(value) : String(value)
}

/** What was thrown, as text for an error message. Applications and name services may throw anything. */
export function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown)
  } catch {
    return `${formatValue(thrown)} that has no text`
  }
}

/** A step in the path to an option: unquoted if it is a plain name. */
export function formatName(name: string): string {
  return /^[\w$]{1,64}$/.test(name) ? name : formatValue(name)
}

function showText(text: string): string {
  // A caller may pass the key itself instead of its id or file.
  if (text.includes('-----BEGIN')) return 'a text in PEM'
  return `"${cut(text)}"`
}

function cut(text: string): string {
  let shown = ''
  for (const character of text.slice(0, shownLengthMax + 1)) {
    const next = escapeControls(JSON.stringify(character).slice(1, -1))
    if (shown.length + next.length > shownLengthMax) return `${shown}…`
    shown += next
  }
  return shown
}

/** Of bytes only their number: they may be a key. */
function showObject(value: object): string {
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (value instanceof Uint8Array) return `a Uint8Array of ${value.length} bytes`
  const name = className(value)
  return name === 'Object' ? 'an object' : `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}`
}

function className(value: object): string {
  try {
    const name: unknown = (value.constructor as { name?: unknown } | undefined)?.name
    return typeof name === 'string' && /^[A-Za-z]\w{0,63}$/.test(name) ? name : 'Object'
  } catch {
    return 'Object'
  }
}
