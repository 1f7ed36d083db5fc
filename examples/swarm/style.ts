/**
 * Owns: colours of the terminal, and whether there are any.
 * Independent of: what is coloured. A styled text is as wide as its plain one; `plainLength` and `cut` count that
 * width.
 */
export interface Style {
  good(text: string): string
  warn(text: string): string
  bad(text: string): string
  dim(text: string): string
  bold(text: string): string
}

const escape = '\u001B['
// oxlint-disable-next-line eslint/no-control-regex -- the escape character is what is looked for
const escapes = /\u001B\[\d+m/y

function paint(code: number): (text: string) => string {
  return (text) => (text === '' ? '' : `${escape}${code}m${text}${escape}0m`)
}

const colours: Style = { good: paint(32), warn: paint(33), bad: paint(31), dim: paint(2), bold: paint(1) }
const same = (text: string): string => text
const plain: Style = { good: same, warn: same, bad: same, dim: same, bold: same }

/** Colours on a terminal, unless NO_COLOR is set. */
export function styleFor(stream: { readonly isTTY?: boolean }): Style {
  return stream.isTTY === true && (process.env['NO_COLOR'] ?? '') === '' ? colours : plain
}

/** Columns of a text, escapes not counted. Everything here is one column wide. */
export function plainLength(text: string): number {
  let length = 0
  for (let at = 0; at < text.length; at = next(text, at).end) length += next(text, at).columns
  return length
}

/** The first `columns` columns; styles that were opened are closed. */
export function cut(text: string, columns: number): string {
  let used = 0
  let at = 0
  while (at < text.length) {
    const { end, columns: wide } = next(text, at)
    if (used + wide > columns) return `${text.slice(0, at)}${text.includes(escape) ? `${escape}0m` : ''}`
    used += wide
    at = end
  }
  return text
}

export function padEnd(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - plainLength(text)))
}

export function padStart(text: string, columns: number): string {
  return ' '.repeat(Math.max(0, columns - plainLength(text))) + text
}

function next(text: string, at: number): { end: number; columns: number } {
  escapes.lastIndex = at
  return escapes.test(text) ? { end: escapes.lastIndex, columns: 0 } : { end: at + 1, columns: 1 }
}
