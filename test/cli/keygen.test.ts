/**
 * Owns: what the command line prints and writes, and its exit codes.
 * Independent of: how keys are made.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { Identity } from '../../actors/tls/identity.ts'
import { help, run } from '../../cli/run.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'statewire-keygen-'))
afterAll(() => rmSync(folder, { recursive: true }))
let number = 0
const fresh = (): string => path.join(folder, `key-${number++}.pem`)

async function cli(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', '']
  const code = await run(args, { out: (text) => (out += text), err: (text) => (err += text) })
  return { code, out, err }
}

describe('keygen', () => {
  it('keygen with --out writes a key file that only its owner can read, and prints only the id', async () => {
    const file = fresh()
    const { code, out, err } = await cli('keygen', '--out', file)
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/^[0-9a-v]{52}\n$/)
    expect(`${(await Identity.load(file)).id}\n`).toBe(out)
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  it('keygen without --out prints the key on stdout and the id on stderr', async () => {
    const { code, out, err } = await cli('keygen')
    expect(code).toBe(0)
    expect(`${Identity.fromPem(out).id}\n`).toBe(err)
  })

  it('keygen overwrites a file only with --force', async () => {
    const file = fresh()
    const first = await cli('keygen', '--out', file)
    const kept = readFileSync(file, 'utf8')
    const second = await cli('keygen', `--out=${file}`)
    expect([second.code, second.out]).toEqual([1, ''])
    expect(second.err).toContain(JSON.stringify(file))
    expect(second.err).toMatch(/exists already.*--force.*ERR_KEY_FILE_EXISTS/)
    expect(readFileSync(file, 'utf8')).toBe(kept)
    const third = await cli('keygen', '--force', '--out', file)
    expect(third.code).toBe(0)
    expect(third.out).not.toBe(first.out)
    expect(`${(await Identity.load(file)).id}\n`).toBe(third.out)
  })

  it('keygen exits with code 1 and leaves no file when it cannot write the key', async () => {
    const { code, out, err } = await cli('keygen', '--out', path.join(folder, 'no', 'such', 'folder'))
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/ENOENT.*ERR_KEY_FILE_UNUSABLE/)
    expect(existsSync(path.join(folder, 'no'))).toBe(false)
    const before = readdirSync(folder).length
    expect((await cli('keygen', '--force', '--out', folder)).code).toBe(1)
    expect(readdirSync(folder).length).toBe(before)
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith(`${path.basename(folder)}.`))).toEqual([])
  })

  it.each([[false], [true]])(
    'keygen names the missing folder and says to create it (--force: %s)',
    async (isForced) => {
      const { err } = await cli(
        'keygen',
        '--out',
        path.join(folder, 'missing', 'key.pem'),
        ...(isForced ? ['--force'] : []),
      )
      expect(err).toContain(
        `the folder ${JSON.stringify(path.join(folder, 'missing'))} does not exist; create it first`,
      )
    },
  )

  it.each([[false], [true]])('keygen refuses a folder as the key file (--force: %s)', async (isForced) => {
    const { code, err } = await cli('keygen', '--out', folder, ...(isForced ? ['--force'] : []))
    expect(code).toBe(1)
    expect(err).toContain(`${JSON.stringify(folder)} is a folder: name a file in it`)
  })

  it('keygen with --id prints the id of an existing key and changes nothing', async () => {
    const file = fresh()
    const made = await cli('keygen', '--out', file)
    const kept = readFileSync(file, 'utf8')
    expect(await cli('keygen', '--id', file)).toEqual({ code: 0, out: made.out, err: '' })
    expect(readFileSync(file, 'utf8')).toBe(kept)
  })

  it('keygen with --id exits with code 1 when there is no key file, and creates none', async () => {
    const file = fresh()
    const { code, out, err } = await cli('keygen', '--id', file)
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain(`the key file ${JSON.stringify(file)} does not exist`)
    expect(existsSync(file)).toBe(false)
  })

  it.each([['--out'], ['--force'], ['--id']])('the help of keygen describes %s', (flag) => {
    expect(help).toContain(`  ${flag}`)
  })

  it.each([
    [[]],
    [['nonsense']],
    [['keygen', '--unknown']],
    [['keygen', 'file']],
    [['keygen', '--out']],
    [['keygen', '--out', '']],
    [['keygen', '--force']],
    [['keygen', '--id']],
    [['keygen', '--id', '']],
    [['keygen', '--id', 'a', '--out', 'b']],
    [['keygen', '--id', 'a', '--force']],
  ])('keygen exits with code 2 for the arguments %j, gives the reason, and prints the help', async (args) => {
    const { code, out, err } = await cli(...args)
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(/^statewire: .+\n\nstatewire keygen/)
  })

  it.each([['--help'], ['-h'], ['keygen', '--help']])('the command line prints its help for %s', async (...args) => {
    expect(await cli(...args)).toEqual({ code: 0, out: help, err: '' })
  })
})

function packageVersion(): string {
  const manifest = fileURLToPath(new URL('../../package.json', import.meta.url))
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
}

describe('the version', () => {
  it.each(['--version', '-v'])('%s prints only the version', async (flag) => {
    expect(await cli(flag)).toEqual({ code: 0, out: `${packageVersion()}\n`, err: '' })
  })
})

describe('the program file', () => {
  const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))
  const compiled = fileURLToPath(new URL('../../build/cli/main.js', import.meta.url))

  it('the program file begins with the line that makes it executable', () => {
    expect(readFileSync(main, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
  })

  it.runIf(existsSync(compiled))('the program exits with the code of its command and uses its streams', () => {
    const file = fresh()
    writeFileSync(file, 'kept')
    const program = (...args: string[]) => spawnSync(process.execPath, [compiled, ...args], { encoding: 'utf8' })
    expect(program('--version')).toMatchObject({ status: 0, stdout: `${packageVersion()}\n`, stderr: '' })
    const [good, refused, wrong] = [program('keygen'), program('keygen', '--out', file), program('keygen', '--what')]
    expect([good.status, refused.status, wrong.status]).toEqual([0, 1, 2])
    expect(`${Identity.fromPem(good.stdout).id}\n`).toBe(good.stderr)
    expect(readFileSync(file, 'utf8')).toBe('kept')
  })
})
