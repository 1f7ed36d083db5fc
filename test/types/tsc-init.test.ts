/**
 * Owns: what a new user sees who compiles with the settings that `tsc --init` writes: the examples compile, and the
 * compiler's errors name what is wrong.
 * Independent of: what the programs do when they run.
 */
import { execFile } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  copyFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
const project = mkdtempSync(path.join(tmpdir(), 'statewire-tsc-init-'))

/** A program, what the compiler must report for it, and the name that must not be in that report. */
type Wrong = readonly [what: string, program: string, expected: RegExp, wrong: RegExp]

const wrongs: readonly Wrong[] = [
  [
    'an ampc network over TLS without certificates',
    "createNetwork({ identity: 'alice', security: 'tls', peers: [] })",
    /Property 'tls' is missing .* required in type 'AmpcTlsConfig'/,
    /NativeConfig/,
  ],
  [
    'an ampc network with certificates over plain TCP',
    "createNetwork({ identity: 'alice', security: 'plaintext', peers: [], tls: { key: '', certificate: '', roots: {} } })",
    /AmpcPlaintextConfig|not assignable to type 'undefined'/,
    /NativeConfig/,
  ],
  [
    'an ampc network that does not say whether it is encrypted',
    "createNetwork({ identity: 'alice', peers: [] })",
    /ConfigOf<"alice">[^]*security/,
    /NativeConfig/,
  ],
  [
    'a native network with an option of ampc',
    "createNetwork({ identity, peers: [], onConnectionLost: 'fail' })",
    /'"fail"' is not assignable to type '"resume"/,
    /Ampc/,
  ],
  [
    'a native peer whose url is no string',
    "createNetwork({ identity, peers: [{ id: 'x', urls: 5 }] })",
    /'number' is not assignable to type 'string/,
    /Ampc/,
  ],
  [
    'an ampc peer whose url is null',
    "createNetwork({ identity: 'alice', security: 'plaintext', peers: [{ id: 'x', urls: null }] })",
    /'null' is not assignable to type 'string/,
    /NativeConfig/,
  ],
  ['a misspelt option', "createNetwork({ identity, peers: [], lisen: 'x' })", /Did you mean to write 'listen'/, /Ampc/],
]

/** Every option that may be left out, as undefined. */
const undefinedOptions = `
const listen = process.env['LISTEN']
createNetwork({ identity, listen, peers: [{ id: 'x', urls: listen }], limits: { dialTimeoutMs: undefined }, security: undefined, dialect: undefined, onConnectionLost: undefined, connectionParallelism: undefined, memoryBudgetBytes: undefined, allowAddresses: undefined, admit: undefined })
const network = createNetwork({ identity: 'alice', security: 'plaintext', tls: undefined, listen, peers: [] }, { environment: { log: undefined }, inspect: undefined })
const [session] = await network.makeSessions({ count: 1, peers: undefined, timeoutMs: undefined, signal: undefined, agreePrfKeys: undefined })
await session.receive('bob', { timeoutMs: undefined, signal: undefined })
await network.peer('bob')?.remove({ timeoutMs: undefined, reason: undefined })
`

const examples = ['two-processes', 'two-peers']

/** What the compiler prints; '' if everything compiles. */
async function compile(...args: string[]): Promise<string> {
  const run = promisify(execFile)(process.execPath, [tsc, ...args], { cwd: project })
  const { stdout } = await run.catch((error: unknown) => error as { stdout: string })
  return stdout
}

/** One run of the compiler for all programs; its errors, by file, with the lines that explain them. */
let errors: Map<string, string>

function groupByFile(output: string): Map<string, string> {
  const grouped = new Map<string, string>()
  let file = ''
  for (const line of output.split('\n')) {
    file = /^([\w-]+\.ts)\(/.exec(line)?.[1] ?? file
    if (line !== '') grouped.set(file, `${grouped.get(file) ?? ''}${line}\n`)
  }
  return grouped
}

function writeProgram(file: string, program: string): void {
  const prologue = "import { createNetwork, Identity } from 'statewire'\nconst identity = Identity.generate()\n"
  writeFileSync(path.join(project, file), `${prologue}${program}\n`)
}

beforeAll(async () => {
  const installed = path.join(project, 'node_modules/statewire')
  mkdirSync(installed, { recursive: true })
  copyFileSync(path.join(root, 'package.json'), path.join(installed, 'package.json'))
  for (const name of ['xstate', '@types', 'undici-types']) {
    symlinkSync(path.join(root, 'node_modules', name), path.join(project, 'node_modules', name))
  }
  writeFileSync(path.join(project, 'package.json'), '{ "name": "user", "type": "module" }\n')
  const declarations = ['--emitDeclarationOnly', '--outDir', path.join(installed, 'dist')]
  expect(await compile('-p', path.join(root, 'tsconfig.build.json'), ...declarations)).toBe('')
  await compile('--init')
  for (const example of examples) {
    const folder = path.join(root, 'examples', example)
    for (const file of readdirSync(folder)) {
      const text = readFileSync(path.join(folder, file), 'utf8').replace("'../../index.ts'", "'statewire'")
      writeFileSync(path.join(project, `${example}-${file}`), text)
    }
  }
  writeProgram('undefined-options.ts', undefinedOptions)
  for (const [index, [, program]] of wrongs.entries()) writeProgram(`wrong-${index}.ts`, program)
  errors = groupByFile(await compile('--noEmit'))
}, 60_000)
afterAll(() => rmSync(project, { recursive: true }))

describe('a project set up by tsc --init', () => {
  it('the settings of tsc --init include the strictest compiler options', () => {
    const settings = readFileSync(path.join(project, 'tsconfig.json'), 'utf8')
    for (const option of ['strict', 'exactOptionalPropertyTypes', 'noUncheckedIndexedAccess', 'verbatimModuleSyntax']) {
      expect(settings).toContain(`"${option}": true`)
    }
  })

  it.each(examples)('examples/%s compiles with the settings of tsc --init', (example) => {
    expect([...errors].filter(([file]) => file.startsWith(example))).toEqual([])
  })

  it('every option that may be left out also accepts undefined', () => {
    expect(errors.get('undefined-options.ts')).toBeUndefined()
  })

  it.each(wrongs.map((wrong, index) => [wrong[0], index, wrong] as const))(
    'the compiler refuses %s and names the configuration that was meant',
    (_, index, [, , expected, wrong]) => {
      expect(errors.get(`wrong-${index}.ts`)).toMatch(expected)
      expect(errors.get(`wrong-${index}.ts`)).not.toMatch(wrong)
    },
  )
})
