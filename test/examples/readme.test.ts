/**
 * Owns: that the code in README.md runs: the first example as it stands, and the section on streams as part of
 * examples/streams.
 * Independent of: what the page says about it.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, expect, it } from 'vitest'

const fileOf = (name: string): URL => new URL(`../../${name}`, import.meta.url)
const folder = mkdtempSync(path.join(tmpdir(), 'statewire-readme-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** The first block of TypeScript under a heading. */
function codeUnder(heading: string): string {
  const section = readFileSync(fileOf('README.md'), 'utf8').split(`\n${heading}\n`)[1] ?? ''
  return /```ts\n([^]*?)```/.exec(section)?.[1] ?? ''
}

function run(program: string): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)(process.execPath, [program], { timeout: 20_000 })
}

it('the first example of README.md runs as it stands', async () => {
  const program = path.join(folder, 'example.mjs')
  const code = codeUnder('## Example')
  expect(code).toContain("from 'statewire'")
  writeFileSync(program, code.replace("'statewire'", JSON.stringify(fileOf('build/index.js').href)))
  const { stdout, stderr } = await run(program)
  expect(stderr).toBe('')
  expect(stdout).toMatch(/says hello\n/)
  expect(stdout).toContain('\n42\n')
  expect(stdout).toMatch(/\{ type: 'VecRing32', value: Uint32Array\(3\) \[ 1, 2, 3 \] \}\n$/)
})

it('README.md shows streams and channels exactly as examples/streams uses them', () => {
  const source = readFileSync(fileOf('examples/streams/main.ts'), 'utf8')
  const imports = source.match(/^import .* from 'node:.*'$/gm) ?? []
  const used = /\/\/ README from here\n([^]*?)\/\/ to here\n/.exec(source)?.[1]
  expect(codeUnder('## Streams and channels')).toBe(`${imports.join('\n')}\n\n${used?.trimEnd()}\n`)
})

it('the example of streams and channels gets its bytes and values back, and its process ends by itself', async () => {
  expect(await run(fileURLToPath(fileOf('build/examples/streams/main.js')))).toEqual({
    stdout: '6000 finished\n[ 2, 4, 6 ]\n',
    stderr: '',
  })
})
