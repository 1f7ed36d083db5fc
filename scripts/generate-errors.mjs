#!/usr/bin/env node
/**
 * Writes docs/errors.md from the table of codec/errors.ts. Owns the words around the table and its order.
 * Independent of: any code by name: the comments of the source are the headings.
 *
 * Reads the source as text, so that nothing has to be compiled first. The test that the document is up to date compares
 * with the table as it runs, so a row that this reading missed would be seen.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const help = `node scripts/generate-errors.mjs [--check] [--help]

Writes docs/errors.md from codec/errors.ts.

  --check   write nothing; say whether the document is up to date
  --help

Exits 0 if all is well, 1 if the document is out of date, 2 for wrong options.`

const source = fileURLToPath(new URL('../codec/errors.ts', import.meta.url))
const target = fileURLToPath(new URL('../docs/errors.md', import.meta.url))

/** Sections in the order of the source: `{ title, rows: [{ code, kind, meaning }] }`. */
export function readErrorTable(text = readFileSync(source, 'utf8')) {
  // The formatter breaks a row that is too long after its parenthesis.
  const lines = text.replace(/\(\n +(['"].*['"]),\n +\),$/gm, '($1),').split('\n')
  const start = lines.findIndex((line) => line.startsWith('export const errorCodes'))
  const end = lines.findIndex((line, index) => index > start && line.startsWith('}'))
  const sections = []
  for (const line of lines.slice(start + 1, end)) {
    const comment = /^ {2}\/\/ (.*?)\.?$/.exec(line)
    const row = /^ {2}(ERR_\w+): (transient|permanent|fatal)\((['"])(.*)\3\),$/.exec(line)
    if (comment !== null) sections.push({ title: comment[1].split('. ')[0], rows: [] })
    else if (row !== null && sections.length > 0)
      sections.at(-1).rows.push({ code: row[1], kind: row[2], meaning: row[4].replaceAll(String.raw`\'`, "'") })
    else throw new Error(`codec/errors.ts has a line in its table that is neither a comment nor a row: ${line.trim()}`)
  }
  return sections
}

const yesIf = (holds) => (holds ? 'yes' : 'no')

/** A bar within a meaning would end its cell. */
function rowOf(code, kind, meaning) {
  return [
    '',
    `\`${String(code)}\``,
    String(meaning).replaceAll('|', String.raw`\|`),
    yesIf(kind === 'transient'),
    yesIf(kind === 'fatal'),
    '',
  ]
    .join(' | ')
    .trim()
}

export function errorsDocument(sections = readErrorTable()) {
  const parts = [
    '# Error codes',
    '',
    '<!-- Made by `npm run docs:errors` from codec/errors.ts. Change it there. -->',
    '',
    'Every error of this package is a `StatewireError` with a stable `code`; its message is one sentence for people and may change.',
    'The same flags stand on the error as `error.retryable` and `error.fatal`.',
    '',
    '- **Retryable**: the same call may succeed later without any change.',
    '- **Fatal**: trying again is pointless until configuration or code changes; the runtime stops by itself.',
    '',
    'A code that is neither says that this one call, value, session or connection is over.',
  ]
  for (const { title, rows } of sections) {
    if (rows.length === 0) continue
    parts.push('', `## ${title}`, '', '| Code | Meaning | Retryable | Fatal |', '|---|---|---|---|')
    for (const { code, kind, meaning } of rows) parts.push(rowOf(code, kind, meaning))
  }
  return `${parts.join('\n')}\n`
}

export function isUpToDate() {
  try {
    return readFileSync(target, 'utf8') === errorsDocument()
  } catch {
    return false
  }
}

function main(args) {
  const unknown = args.find((arg) => arg !== '--check' && arg !== '--help')
  if (unknown !== undefined) {
    console.error(`${unknown} is not an option\n\n${help}`)
    return 2
  }
  if (args.includes('--help')) {
    console.log(help)
    return 0
  }
  if (args.includes('--check')) {
    const isCurrent = isUpToDate()
    console.log(isCurrent ? 'docs/errors.md is up to date' : 'docs/errors.md is out of date: run npm run docs:errors')
    return isCurrent ? 0 : 1
  }
  writeFileSync(target, errorsDocument())
  console.log(`wrote docs/errors.md: ${readErrorTable().reduce((sum, { rows }) => sum + rows.length, 0)} codes`)
  return 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = main(process.argv.slice(2))
