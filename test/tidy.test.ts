/**
 * Owns: the checkable rules of this repository: which folder may import which, what each folder may use of the
 * platform, and the small ones (headers, lengths, no skipped tests).
 * Independent of: what any code does: it reads text and never imports it.
 *
 * A rule is a function from one file to its violations, and carries an example that violates it, so that a check that
 * can no longer fail is noticed.
 */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

interface File {
  /** Relative to the root, with forward slashes. */
  path: string
  text: string
}

interface Rule {
  name: string
  problems: (file: File) => string[]
  violation: File
}

const root = fileURLToPath(new URL('..', import.meta.url))
const ignoredFolders = new Set(['node_modules', 'build', 'dist', '.git', '.tmp', 'coverage'])
const linesMax = 400

/** A file that is longer than the limit, with the length it may not grow beyond. Lower a figure whenever you can. */
const ratchet: Record<string, number> = {}

/** Which folders a folder may import from. `test/` may import everything; `index.ts` is the root's entry. */
const arrow: Record<string, readonly string[]> = {
  codec: ['codec'],
  protocol: ['codec', 'protocol'],
  machines: ['machines'],
  actors: ['codec', 'protocol', 'machines', 'actors'],
  'index.ts': ['codec', 'protocol', 'machines', 'actors'],
  testing: ['codec', 'protocol', 'machines', 'actors', 'testing', 'index.ts'],
  inspector: ['codec', 'protocol', 'machines', 'actors', 'inspector', 'index.ts'],
  tunnel: ['codec', 'protocol', 'machines', 'actors', 'tunnel', 'index.ts'],
  cli: ['codec', 'protocol', 'machines', 'actors', 'inspector', 'tunnel', 'cli', 'index.ts'],
  examples: ['codec', 'protocol', 'machines', 'actors', 'testing', 'inspector', 'examples', 'index.ts'],
  bench: ['codec', 'protocol', 'machines', 'actors', 'testing', 'inspector', 'bench', 'index.ts'],
}

/** Folders whose sub-folders are layers, lowest first. */
const layers: Record<string, readonly string[]> = {
  actors: [
    'base',
    'statechart',
    'transport',
    'tls',
    'config',
    'connection',
    'link',
    'session',
    'messaging',
    'services',
    'streams',
    'network',
  ],
  'protocol/native': ['handshake', 'memory', 'epoch', 'setup', 'lanes', 'messages', 'link'],
}

const sourceFolders = new Set([...Object.keys(arrow), 'test', 'scripts'])

/** 'codec/frame.ts' is in 'codec', 'index.ts' in 'index.ts'. */
function folderOf(file: string): string {
  return file.split('/')[0] ?? ''
}

function isSource(file: File): boolean {
  return /\.(ts|mjs|js)$/.test(file.path) && sourceFolders.has(folderOf(file.path))
}

/** The text with comments blanked, lines kept. Strings stay: imports are in them. */
function codeOf(text: string): string {
  // Alternatives in order: strings and templates are kept whole, so that `//` in a URL is not a comment.
  const pattern = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[^]|[^`\\])*`|\/\*[^]*?\*\/|\/\/[^\n]*/g
  return text.replace(pattern, (found) => (found.startsWith('/') ? found.replace(/[^\n]/g, ' ') : found))
}

function importsOf(text: string): string[] {
  const found = codeOf(text).matchAll(/(?:\bfrom|\bimport)\s*\(?\s*(['"])([^'"\n]+)\1/g)
  return [...found].map((match) => match[2] ?? '')
}

/** Matching lines of code, as 'line 3: the text'. */
function linesThat(text: string, pattern: RegExp): string[] {
  return text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`line ${index + 1}: ${line.trim()}`] : []))
}

const columnsMax = 120
/** Strings, templates, regular expressions and URLs, which the formatter does not break. */
const longText =
  /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[^]|[^`\\])*`|\/(?![*/ ])(?:\\.|[^/\\\n])+\/|https?:\S+/g

// Spelled in parts, or this file would violate its own rules.
const unfinishedWords = ['TO-DO', 'FIX-ME', 'XX-X'].map((word) => word.replace('-', ''))
const unfinished = new RegExp(String.raw`\b(?:${unfinishedWords.join('|')})\b`)
const leftOut = new RegExp(String.raw`\b(?:it|test|describe|suite|bench)(?:\.\w+)*\.(?:only|skip|todo)\b`)
const machinePath = /(?<![\w.])\/(?:work|root|home\/\w+|Users\/\w+)\//

/**
 * The platform's clock and random numbers. A method of that name on a clock (`clock.setTimeout(`) is allowed, and a
 * typed parameter (`setTimeout(callback: …`) is a declaration.
 */
const unrepeatable =
  /\b(?:Date\.now|Math\.random|performance\.now|process\.nextTick|globalThis\.set\w+)\b|(?<![.\w#])(?:setTimeout|setInterval|setImmediate)\s*\((?!\s*\w+\??\s*:)/

/** What actors, snapshots and systems of XState have and do not document; Node's handles have a `_parent` as well. */
const privateOfXState = /\._(?:clock|deferred|nodes|process|relay|send|sendInspectionEvent|snapshot|transitions)\b/

const rules: Rule[] = [
  {
    name: 'imports follow the order of the folders',
    problems: ({ path: file, text }) => {
      const allowed = arrow[folderOf(file)]
      if (allowed === undefined || !file.endsWith('.ts')) return []
      return importsOf(text)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => path.posix.join(path.posix.dirname(file), specifier))
        .filter((target) => !allowed.includes(folderOf(target)))
        .map((target) => `imports ${target}`)
    },
    violation: { path: 'codec/frame.ts', text: "/** A frame. */\nimport { link } from '../protocol/link.ts'\n" },
  },
  {
    name: 'imports between the sub-folders of a layered folder go downwards',
    problems: ({ path: file, text }) => {
      const folder = Object.keys(layers).find((each) => file.startsWith(`${each}/`))
      if (folder === undefined) return []
      const order = layers[folder] as readonly string[]
      const layerOf = (target: string): number => order.indexOf(target.slice(folder.length + 1).split('/')[0] ?? '')
      return importsOf(text)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => path.posix.join(path.posix.dirname(file), specifier))
        .filter((target) => target.startsWith(`${folder}/`) && layerOf(target) > layerOf(file) && layerOf(file) >= 0)
        .map((target) => `imports ${target}`)
    },
    violation: {
      path: 'protocol/native/epoch/a.ts',
      text: "/** A. */\nimport { link } from '../link/native-link.ts'\n",
    },
  },
  {
    name: 'relative imports end in .ts',
    problems: (file) => {
      if (!isSource(file) || !file.path.endsWith('.ts')) return []
      return importsOf(file.text).filter((specifier) => /^\.\.?(\/|$)/.test(specifier) && !specifier.endsWith('.ts'))
    },
    violation: { path: 'actors/link/link.ts', text: ['export { a }', "'./a.js'"].join(' from ') },
  },
  {
    name: 'codec, protocol and machines import nothing from the platform',
    problems: ({ path: file, text }) => {
      if (!['codec', 'protocol', 'machines'].includes(folderOf(file))) return []
      return importsOf(text).filter((specifier) => specifier.startsWith('node:'))
    },
    violation: { path: 'machines/link.ts', text: "import { randomBytes } from 'node:crypto'\n" },
  },
  {
    name: 'only actors open sockets',
    problems: ({ path: file, text }) => {
      // A benchmark's baseline, an example and a test may hold a bare socket; what users import from us may not.
      if (!['codec', 'protocol', 'machines', 'testing', 'index.ts', 'inspector', 'cli'].includes(folderOf(file)))
        return []
      // The control socket of `statewire peer` and standard output are local, and carry nothing of a network.
      const isLocal = ['control-server', 'control-client', 'ctl', 'standard-streams', 'tunnel-attach']
      if (isLocal.some((name) => file === `cli/${name}.ts`)) return []
      return importsOf(text).filter((specifier) => /^(node:)?(net|tls)$/.test(specifier))
    },
    violation: { path: 'testing/memory.ts', text: "import net from 'node:net'\n" },
  },
  {
    name: 'only machines/xstate.ts imports XState',
    problems: ({ path: file, text }) => {
      if (
        !['codec', 'protocol', 'machines', 'actors', 'testing', 'index.ts'].includes(folderOf(file)) ||
        file === 'machines/xstate.ts'
      )
        return []
      return importsOf(text).filter((specifier) => /^xstate(\/|$)/.test(specifier))
    },
    violation: { path: 'actors/link/link.ts', text: "import { createActor } from 'xstate'\n" },
  },
  {
    name: 'only actors/statechart/xstate-internals.ts uses private names of XState',
    problems: ({ path: file, text }) => {
      if (!['machines', 'actors'].includes(folderOf(file))) return []
      return file === 'actors/statechart/xstate-internals.ts' ? [] : linesThat(codeOf(text), privateOfXState)
    },
    violation: { path: 'actors/link/link.ts', text: 'const nodes = ref.getSnapshot()._nodes\n' },
  },
  {
    name: "only the environment uses the platform's clock and random numbers",
    problems: ({ path: file, text }) => {
      if (
        !['codec', 'protocol', 'machines', 'actors'].includes(folderOf(file)) ||
        file === 'actors/config/system-environment.ts'
      )
        return []
      return linesThat(codeOf(text), unrepeatable)
    },
    violation: { path: 'actors/link/link.ts', text: 'const timer = setTimeout(() => close(), 5)\n' },
  },
  {
    name: 'every source file begins with a header comment',
    problems: (file) => {
      if (!isSource(file)) return []
      return /^(?:#![^\n]*\n)?\s*\/[/*]/.test(file.text) ? [] : ['has no header comment']
    },
    violation: { path: 'codec/frame.ts', text: 'export const frame = 1\n' },
  },
  {
    name: `no file is longer than ${linesMax} lines`,
    problems: (file) => {
      if (!isSource(file)) return []
      const lines = file.text.split('\n').length - 1
      const allowed = ratchet[file.path] ?? linesMax
      return lines > allowed ? [`has ${lines} lines, ${allowed} are allowed`] : []
    },
    violation: { path: 'codec/frame.ts', text: `/** Long. */\n${'\n'.repeat(linesMax)}` },
  },
  {
    name: `no line is longer than ${columnsMax} columns, a long text aside`,
    problems: (file) => {
      if (!isSource(file)) return []
      // Line ends stay, so that the numbers of lines do.
      const shortened = file.text.replace(longText, (found) => found.replace(/[^\n]/g, ''))
      return shortened
        .split('\n')
        .flatMap((line, index) => (line.length > columnsMax ? [`line ${index + 1}: ${line.trim()}`] : []))
    },
    violation: { path: 'codec/frame.ts', text: `/** ${'Long words. '.repeat(11)}*/\n` },
  },
  {
    name: 'no test is skipped',
    problems: (file) => (isSource(file) && folderOf(file.path) === 'test' ? linesThat(codeOf(file.text), leftOut) : []),
    violation: { path: 'test/a.test.ts', text: ['it', "only('works', () => {})\n"].join('.') },
  },
  {
    name: 'nothing is marked as unfinished',
    problems: (file) => (isSource(file) || file.path.endsWith('.md') ? linesThat(file.text, unfinished) : []),
    violation: { path: 'codec/frame.ts', text: `// ${unfinishedWords[0]}: the rest\n` },
  },
  {
    name: 'a document has one title',
    problems: ({ path: file, text }) => {
      if (!file.endsWith('.md')) return []
      const prose = text.replace(/^(`{3,}|~{3,})[^]*?^\1/gm, '')
      const titles = prose.match(/^# .+$/gm) ?? []
      return titles.length === 1 ? [] : [`has ${titles.length} titles`]
    },
    violation: { path: 'docs/a.md', text: '# One\n\n```sh\n# a comment\n```\n\n# Two\n' },
  },
  {
    name: 'no file contains a path of the machine it was written on',
    problems: (file) => (isSource(file) || file.path.endsWith('.md') ? linesThat(file.text, machinePath) : []),
    violation: { path: 'README.md', text: ['# A\n\nSee ', 'home', 'someone', 'notes.\n'].join('/') },
  },
]

function readFiles(folder: string): File[] {
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = path.posix.join(folder, entry.name)
    if (entry.isDirectory()) return ignoredFolders.has(entry.name) ? [] : readFiles(name)
    return /\.(ts|mjs|js|md)$/.test(entry.name)
      ? [{ path: name, text: readFileSync(path.join(root, name), 'utf8') }]
      : []
  })
}

describe('the rules of this repository', () => {
  const files = readFiles('')

  it('the check reads the whole repository', () => {
    expect(files.map((file) => file.path)).toContain('test/tidy.test.ts')
  })

  describe.each(rules)('$name', ({ name, problems, violation }) => {
    it(`the repository follows the rule: ${name}`, () => {
      expect(files.flatMap((file) => problems(file).map((problem) => `${file.path}: ${problem}`))).toEqual([])
    })

    it(`the check finds a violation of the rule: ${name}`, () => {
      expect(problems(violation)).toHaveLength(1)
    })
  })

  it('the ratchet lists only files that are still too long', () => {
    const lengths = new Map(files.map((file) => [file.path, file.text.split('\n').length - 1]))
    expect(Object.keys(ratchet).filter((file) => (lengths.get(file) ?? 0) <= linesMax)).toEqual([])
  })

  it('the check distinguishes comments from strings that contain a URL', () => {
    expect(importsOf("// from 'a'\n/* import 'b' */\nconst c = 'tls://c' // import 'd'\nimport e from 'e'\n")).toEqual([
      'e',
    ])
  })

  it('the check allows calls and declarations of a clock', () => {
    const text = 'interface Clock {\n  setTimeout(callback: () => void): void\n}\nclock.setTimeout(run, 5)\n'
    expect(linesThat(text, unrepeatable)).toEqual([])
  })
})
