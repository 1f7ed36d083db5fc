/**
 * Owns: `statewire peer` and `statewire ctl` as processes: the configuration file, the control socket, signals and exit
 * codes.
 * Independent of: how a network works.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { Identity } from '../../actors/tls/identity.ts'
import { defaultControl, loadPeerConfig } from '../../cli/peer-config.ts'

const main = fileURLToPath(new URL('../../build/cli/main.js', import.meta.url))
const folder = mkdtempSync(path.join(tmpdir(), 'sw-peer-'))
afterAll(() => rmSync(folder, { recursive: true }))
const running = new Set<ChildProcess>()
afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
})
let number = 0

interface Program {
  readonly child: ChildProcess
  out: string
  err: string
  readonly ended: Promise<number | null>
  said(pattern: RegExp): Promise<RegExpExecArray>
}

function start(...args: string[]): Program {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  const looks = new Set<() => void>()
  const program: Program = {
    child,
    out: '',
    err: '',
    ended: new Promise((resolve) => child.on('close', (code) => (running.delete(child), resolve(code)))),
    said: (pattern) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = pattern.exec(program.out)
          if (found !== null && looks.delete(look)) resolve(found)
        }
        looks.add(look)
        look()
      }),
  }
  child.stdout.on('data', (chunk: Buffer) => {
    program.out += chunk.toString()
    for (const look of looks) look()
  })
  child.stderr.on('data', (chunk: Buffer) => (program.err += chunk.toString()))
  return program
}

async function ctl(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const program = start('ctl', ...args)
  const code = await program.ended
  return { code, out: program.out, err: program.err }
}

async function configured(config: object): Promise<{ file: string; id: string }> {
  const key = Identity.generate()
  const name = `p${number++}`
  await key.save(path.join(folder, `${name}.pem`))
  const file = path.join(folder, `${name}.json`)
  writeFileSync(file, JSON.stringify({ key: `${name}.pem`, ...config }))
  return { file, id: key.id }
}

async function pair(): Promise<{ a: Program; b: Program; fileA: string; fileB: string; idA: string; idB: string }> {
  const first = await configured({ listen: 'tls://127.0.0.1:0', peers: [] })
  const a = start('peer', '--config', first.file)
  const [, url] = await a.said(/^(tls:\S+)$/m)
  await a.said(/^control socket/m)
  const second = await configured({ peers: [{ id: first.id, urls: url }] })
  const added = await ctl('add', `peer=${second.id}`, '--config', first.file)
  expect(added).toMatchObject({ code: 0, err: '' })
  const b = start('peer', '--config', second.file)
  await b.said(/peer\.connected/)
  return { a, b, fileA: first.file, fileB: second.file, idA: first.id, idB: second.id }
}

describe('a running peer', () => {
  it('two peers connect; ctl shows them, sends, and says why a request failed; SIGINT drains with exit code 0', async () => {
    const { a, b, fileA, fileB, idA, idB } = await pair()
    const peers = await ctl('peers', '--config', fileB)
    expect(JSON.parse(peers.out)).toMatchObject([{ id: idA, state: 'connected' }])
    expect(JSON.parse((await ctl('status', '--config', fileA)).out)).toMatchObject({ id: idA, connected: 1 })
    expect(await ctl('send', `peer=${idA}`, 'text=hi', 'name=n', '--config', fileB)).toMatchObject({
      code: 0,
      out: 'null\n',
    })
    const asked = await ctl('request', `peer=${idA}`, 'text=hi', 'name=n', '--config', fileB)
    expect(asked).toMatchObject({ code: 1, err: expect.stringContaining('ERR_NO_HANDLER') })
    expect(await ctl('disconnect', `peer=${idB}`, '--config', fileA)).toMatchObject({ code: 0 })
    expect(JSON.parse((await ctl('peers', '--config', fileA)).out)).toMatchObject([{ state: 'disconnected' }])
    expect(await ctl('connect', `peer=${idB}`, '--config', fileA)).toMatchObject({ code: 0 })
    b.child.kill('SIGINT')
    expect(await b.ended).toBe(0)
    expect(b.out).toContain('network.stopped')
    expect(await ctl('shutdown', '--config', fileA)).toMatchObject({ code: 0 })
    expect(await a.ended).toBe(0)
    expect(existsSync(defaultControl(fileA))).toBe(false)
  })

  it('only its owner may use the control socket, each line is answered, and a bad one changes nothing', async () => {
    const { file } = await configured({ peers: [], listen: 'tls://127.0.0.1:0' })
    const program = start('peer', '--config', file, '--json')
    await program.said(/"network\.ready"/)
    // The socket is opened right after, and nobody else may use it at any moment.
    while (!existsSync(defaultControl(file))) await new Promise((resolve) => setImmediate(resolve))
    expect(statSync(defaultControl(file)).mode & 0o777).toBe(0o600)
    const socket = net.connect(defaultControl(file)).setEncoding('utf8')
    socket.write(
      'nonsense\n[]\n{"command":"nope","id":1}\n{"command":"peers","id":2,"x":1}\n{"command":"peers","id":3}\n',
    )
    let text = ''
    for await (const chunk of socket as AsyncIterable<string>) {
      text += chunk
      if (text.split('\n').length > 5) break
    }
    const answers = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { id?: number; ok: boolean })
    expect(answers.filter(({ ok }) => ok)).toHaveLength(1)
    expect(answers.find(({ id }) => id === 3)).toMatchObject({ ok: true, result: [] })
    program.child.kill('SIGTERM')
    expect(await program.ended).toBe(0)
    expect(
      program.out
        .trim()
        .split('\n')
        .every((line) => typeof JSON.parse(line) === 'object'),
    ).toBe(true)
  })

  it('a second peer on the same control socket says so, and leaves the first alone', async () => {
    const { file } = await configured({ peers: [], listen: 'tls://127.0.0.1:0' })
    const first = start('peer', '--config', file)
    await first.said(/^control socket/m)
    const second = start('peer', '--config', file)
    expect(await second.ended).toBe(1)
    expect(second.err).toContain('a running peer uses it already')
    expect(await ctl('status', '--config', file)).toMatchObject({ code: 0 })
    first.child.kill('SIGINT')
    await first.ended
  })
})

describe('wrong usage', () => {
  it.each([
    [['peer'], 2, '--config'],
    [['peer', '--config', 'missing.json'], 1, 'cannot be read'],
    [['ctl', '--config', 'x.json'], 2, 'needs a command'],
    [['ctl', 'status'], 2, '--control'],
    [['ctl', 'status', '--control', '/nowhere.sock'], 1, 'no peer answers'],
    [['ctl', 'status', 'peer', '--control', '/nowhere.sock'], 2, 'name=value'],
  ] as [string[], number, string][])('statewire %j exits with %i and says %s', async (args, code, said) => {
    const program = start(...args)
    expect(await program.ended).toBe(code)
    expect(program.err).toContain(said)
  })

  it.each<[string, string]>([
    ['{', 'is not JSON'],
    ['[]', 'must be an object'],
    ['{"key":"a.pem","lisen":"x"}', 'lisen'],
    ['{"listen":"tls://127.0.0.1:0"}', 'key of'],
    ['{"key":"no-such.pem"}', 'no-such.pem'],
  ])('the configuration %s is refused with a sentence', async (text, said) => {
    const file = path.join(folder, `bad-${number++}.json`)
    writeFileSync(file, text)
    await expect(loadPeerConfig(file)).rejects.toThrow(said)
  })
})
