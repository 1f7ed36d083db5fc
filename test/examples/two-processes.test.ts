/**
 * Owns: that the two programs of examples/two-processes, each in a process of its own, pass a value and end.
 * Independent of: their code.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'
import { Identity } from '../../index.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'statewire-two-processes-'))
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

function start(
  name: string,
  ...args: string[]
): { url: Promise<string>; ended: Promise<{ code: number | null; out: string; err: string }> } {
  const program = fileURLToPath(new URL(`../../build/examples/two-processes/${name}.js`, import.meta.url))
  const child = spawn(process.execPath, [program, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  let [out, err] = ['', '']
  child.stdout.on('data', (text: Buffer) => (out += text.toString()))
  const url = new Promise<string>((resolve) => {
    child.stderr.on('data', (text: Buffer) => {
      err += text.toString()
      const found = /listening on (\S+)/.exec(err)?.[1]
      if (found !== undefined) resolve(found)
    })
  })
  const ended = new Promise<{ code: number | null; out: string; err: string }>(
    (resolve) => void child.on('close', (code) => resolve({ code, out, err })),
  )
  return { url, ended }
}

it('the two-processes example passes a value from one process to another, and both end by themselves', async () => {
  const [a, b] = [Identity.generate(), Identity.generate()]
  await a.save(path.join(folder, 'a.pem'))
  await b.save(path.join(folder, 'b.pem'))
  const listener = start('listen', b.id, 'tls://127.0.0.1:0')
  const url = await listener.url
  const dialer = start('dial', a.id, url)
  expect(await dialer.ended).toEqual({ code: 0, out: '', err: '' })
  expect(await listener.ended).toEqual({ code: 0, out: 'hello\n', err: `listening on ${url}\n` })
})
