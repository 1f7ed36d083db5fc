/**
 * Owns: that docs/errors.md matches the table in codec/errors.ts, and that the table holds exactly the codes that the
 * sources use.
 * Independent of: what any code means.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { errorCodes } from '../codec/errors.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const script = path.join(root, 'scripts', 'generate-errors.mjs')
const folders = ['codec', 'protocol', 'machines', 'actors', 'cli', 'testing']

/** Where a code is used without being spelled out: its class names it. */
const namedByClass: Readonly<Record<string, string>> = { ERR_INVALID_VALUE: 'new InvalidValueError(' }

/** Codes of parts that are not connected to the runtime yet: nothing throws them so far. */
const ahead = ['ERR_MEMORY_BUDGET']

const sources = folders.flatMap((folder) =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && path.join(folder, name) !== path.join('codec', 'errors.ts'))
    .map((name) => readFileSync(path.join(root, folder, name), 'utf8')),
)

/** OpenSSL and Node have codes of the same form; they are the keys of one table. */
const isForeign = (code: string): boolean => /^ERR_O?SSL_/.test(code)

describe('docs/errors.md', () => {
  const page = readFileSync(path.join(root, 'docs', 'errors.md'), 'utf8')
  const rows = [...page.matchAll(/^\| `(ERR_\w+)` \| (.*) \| (yes|no) \| (yes|no) \|$/gm)]

  it('docs/errors.md has a row for every code, in the order of the table, with its meaning and its two flags', () => {
    const said = rows.map(([, code, meaning, retryable, fatal]) => ({
      code,
      meaning,
      retryable: retryable === 'yes',
      fatal: fatal === 'yes',
    }))
    expect(said).toEqual(
      Object.entries(errorCodes).map(([code, { meaning, retryable, fatal }]) => ({ code, meaning, retryable, fatal })),
    )
  })

  it('docs/errors.md is what its script generates', () => {
    expect(execFileSync(process.execPath, [script, '--check'], { encoding: 'utf8' })).toBe(
      'docs/errors.md is up to date\n',
    )
  })

  it('docs/errors.md is linked from the readme and from the architecture page', () => {
    expect(readFileSync(path.join(root, 'README.md'), 'utf8')).toContain('(docs/errors.md)')
    expect(readFileSync(path.join(root, 'docs', 'ARCHITECTURE.md'), 'utf8')).toContain('(errors.md)')
  })
})

describe('the table of errors', () => {
  const used = new Set(
    sources.flatMap((text) => [...text.matchAll(/'(ERR_[A-Z0-9_]+)'/g)].map((match) => match[1] as string)),
  )

  it('the table of errors holds every code that the sources use', () => {
    expect(used.size).toBeGreaterThan(60)
    expect([...used].filter((code) => !(code in errorCodes) && !isForeign(code))).toEqual([])
  })

  it('the table of errors holds no unused code', () => {
    const isUsed = (code: string): boolean =>
      used.has(code) || (code in namedByClass && sources.some((text) => text.includes(namedByClass[code] as string)))
    expect(Object.keys(errorCodes).filter((code) => !isUsed(code) && !ahead.includes(code))).toEqual([])
  })
})

describe('the script that writes docs/errors.md', () => {
  it('the script that writes docs/errors.md refuses an unknown option and lists the known ones', () => {
    const { status, stderr } = spawnSync(process.execPath, [script, '--chekc'], { encoding: 'utf8' })
    expect(status).toBe(2)
    expect(stderr).toContain('--chekc is not an option')
    expect(stderr).toContain('--check')
  })
})
