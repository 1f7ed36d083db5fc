/**
 * Owns: what a new user meets who compiles with the settings that `tsc --init` writes: the examples compile, and the errors of
 * the compiler name what is wrong.
 * Independent of: what the programs do when they run.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync, copyFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
const project = mkdtempSync(path.join(tmpdir(), 'statewire-tsc-init-'))

/** What the compiler prints; '' if the program compiles. */
async function compile(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [tsc, ...args], { cwd: project }).catch((error: unknown) => error as { stdout: string })
  return stdout
}

/** The errors of one program. */
async function errorsOf(source: string): Promise<string> {
  writeFileSync(path.join(project, 'program.ts'), `import { createNetwork, Identity } from 'statewire'\nconst identity = Identity.generate()\n${source}\n`)
  const errors = await compile('--noEmit')
  rmSync(path.join(project, 'program.ts'))
  return errors
}

beforeAll(async () => {
  const installed = path.join(project, 'node_modules/statewire')
  mkdirSync(installed, { recursive: true })
  copyFileSync(path.join(root, 'package.json'), path.join(installed, 'package.json'))
  for (const name of ['xstate', '@msgpack', '@types', 'undici-types']) symlinkSync(path.join(root, 'node_modules', name), path.join(project, 'node_modules', name))
  writeFileSync(path.join(project, 'package.json'), '{ "name": "user", "type": "module" }\n')
  expect(await compile('-p', path.join(root, 'tsconfig.build.json'), '--emitDeclarationOnly', '--outDir', path.join(installed, 'dist'))).toBe('')
  await compile('--init')
}, 60_000)
afterAll(() => rmSync(project, { recursive: true }))

describe('a project that tsc --init has set up', { timeout: 60_000 }, () => {
  it('is as strict as the options of the compiler get', () => {
    const settings = readFileSync(path.join(project, 'tsconfig.json'), 'utf8')
    for (const option of ['strict', 'exactOptionalPropertyTypes', 'noUncheckedIndexedAccess', 'verbatimModuleSyntax']) expect(settings).toContain(`"${option}": true`)
  })

  it.each(['two-processes', 'two-peers'])('compiles examples/%s without a change', async (example) => {
    const folder = path.join(root, 'examples', example)
    const files = readdirSync(folder)
    for (const file of files) writeFileSync(path.join(project, file), readFileSync(path.join(folder, file), 'utf8').replace("'../../index.ts'", "'statewire'"))
    expect(await compile('--noEmit')).toBe('')
    for (const file of files) rmSync(path.join(project, file))
  })

  it('accepts undefined for every option that may be left out', async () => {
    const source = `
      const listen = process.env['LISTEN']
      createNetwork({ identity, listen, peers: [{ id: 'x', url: listen }], limits: { dialTimeoutMs: undefined }, security: undefined, dialect: undefined, onConnectionLost: undefined, connectionParallelism: undefined, memoryBudgetBytes: undefined, allowAddresses: undefined, admit: undefined })
      const network = createNetwork({ identity: 'alice', security: 'plaintext', tls: undefined, listen, peers: [] }, { environment: { log: undefined }, inspect: undefined })
      const [session] = await network.makeSessions({ count: 1, peers: undefined, timeoutMs: undefined, signal: undefined, agreePrfKeys: undefined })
      await session.receive('bob', { timeoutMs: undefined, signal: undefined })
      await network.drain('bob', { timeoutMs: undefined, reason: undefined })`
    expect(await errorsOf(source)).toBe('')
  })

  it.each<[string, string, RegExp, RegExp]>([
    ['an ampc network over TLS without certificates', "createNetwork({ identity: 'alice', security: 'tls', peers: [] })", /Property 'tls' is missing .* required in type 'AmpcTlsConfig'/, /NativeConfig/],
    ['an ampc network with certificates over plain TCP', "createNetwork({ identity: 'alice', security: 'plaintext', peers: [], tls: { key: '', certificate: '', roots: {} } })", /AmpcPlaintextConfig|not assignable to type 'undefined'/, /NativeConfig/],
    ['an ampc network that does not say whether it is encrypted', "createNetwork({ identity: 'alice', peers: [] })", /ConfigOf<"alice">[^]*security/, /NativeConfig/],
    ['a native network with an option of ampc', "createNetwork({ identity, peers: [], onConnectionLost: 'fail' })", /'"fail"' is not assignable to type '"resume"/, /Ampc/],
    ['a native peer whose url is no string', "createNetwork({ identity, peers: [{ id: 'x', url: 5 }] })", /'number' is not assignable to type 'string/, /Ampc/],
    ['an ampc peer whose url is null', "createNetwork({ identity: 'alice', security: 'plaintext', peers: [{ id: 'x', url: null }] })", /'null' is not assignable to type 'string/, /NativeConfig/],
    ['a misspelt option', "createNetwork({ identity, peers: [], lisen: 'x' })", /Did you mean to write 'listen'/, /Ampc/],
  ])('refuses %s, and names the configuration that was meant', async (_, source, expected, wrong) => {
    const errors = await errorsOf(source)
    expect(errors).toMatch(expected)
    expect(errors).not.toMatch(wrong)
  })
})
