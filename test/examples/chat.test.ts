/**
 * Owns: the chat and the gossip node as processes: what their terminals show, and that they stop.
 * Independent of: how a network works.
 */
import { spawn } from 'node:child_process'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { History, parseLine } from '../../examples/chat/history.ts'

const build = fileURLToPath(new URL('../../build/examples/', import.meta.url))
const folder = mkdtempSync(path.join(tmpdir(), 'sw-chat-'))
afterAll(() => rmSync(folder, { recursive: true }))
const running = new Set<ChildProcessWithoutNullStreams>()
afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
})

class Terminal {
  readonly #child: ChildProcessWithoutNullStreams
  readonly ended: Promise<number | null>
  text = ''
  readonly #looks = new Set<() => void>()

  constructor(program: string, ...args: string[]) {
    const child = (this.#child = spawn(process.execPath, [path.join(build, program), ...args]))
    running.add(child)
    this.ended = new Promise((resolve) => child.on('close', (code) => (running.delete(child), resolve(code))))
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        this.text += chunk.toString()
        for (const look of this.#looks) look()
      })
  }

  type(line: string): void {
    this.#child.stdin.write(`${line}\n`)
  }

  interrupt(): void {
    this.#child.kill('SIGINT')
  }

  shows(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = pattern.exec(this.text)
        if (found !== null && this.#looks.delete(look)) resolve(found)
      }
      this.#looks.add(look)
      look()
    })
  }
}

const key = (name: string): string => path.join(folder, `${name}.pem`)

describe('the chat', () => {
  it('a line reaches the others with its name, and who joins late gets what was said before', async () => {
    const chat = (name: string, ...more: string[]): Terminal =>
      new Terminal('chat/main.js', '--name', name, '--key', key(name), ...more)
    const alice = chat('alice', '--listen', 'tls://127.0.0.1:0')
    const [, address = ''] = await alice.shows(/you are (\S+@\S+)/)
    alice.type('before anybody')
    await alice.shows(/nobody is here yet/)
    const bob = chat('bob', '--peer', address)
    const [, ofBob = ''] = await bob.shows(/you are (\S+)/)
    alice.type(`/add ${ofBob}`)
    await bob.shows(/alice is here[\s\S]*alice before anybody/)
    bob.type('hello alice')
    await alice.shows(/bob hello alice/)
    alice.type('/who')
    await alice.shows(/bob +connected/)
    bob.type('/quit')
    expect(await bob.ended).toBe(0)
    await alice.shows(/bob is gone/)
    alice.interrupt()
    expect(await alice.ended).toBe(0)
  })

  it.each([
    [['chat/main.js', '--help'], 0, 'example:chat'],
    [['chat/main.js'], 2, '--name is missing'],
    [['gossip-node/main.js', '--help'], 0, 'example:gossip'],
    [['gossip-node/main.js'], 2, '--key is missing'],
  ] as [string[], number, string][])('%j exits with %i and says %s', async ([program = '', ...args], code, said) => {
    const terminal = new Terminal(program, ...args)
    expect(await terminal.ended).toBe(code)
    expect(terminal.text).toContain(said)
  })

  it('the history keeps each line once, in order, and the last thousand', () => {
    const history = new History()
    const line = (number: number): Parameters<History['add']>[0] => ({
      id: `a.${number}`,
      name: 'a',
      text: 'x',
      atMs: number,
    })
    expect([history.add(line(2)), history.add(line(1)), history.add(line(2))]).toEqual([true, true, false])
    expect(history.all.map(({ atMs }) => atMs)).toEqual([1, 2])
    for (let number = 3; number <= 1_002; number++) history.add(line(number))
    expect([history.all.length, history.all[0]?.atMs]).toEqual([1_000, 3])
    expect(parseLine({ id: 'x', name: 'a\u001b[2J', text: 'b\n', atMs: 1 })).toEqual({
      id: 'x',
      name: 'a [2J',
      text: 'b ',
      atMs: 1,
    })
    expect([parseLine(null), parseLine({ id: 1 }), parseLine('x')]).toEqual([null, null, null])
  })
})

describe('the gossip node', () => {
  it('a rumour reaches nodes that are not connected to its source, once; the allow-list cuts off; Ctrl-C is graceful', async () => {
    const node = (name: string, ...more: string[]): Terminal =>
      new Terminal('gossip-node/main.js', '--key', key(`node-${name}`), '--listen', 'tls://127.0.0.1:0', ...more)
    const a = node('a')
    const [, atA = '', idA = ''] = await a.shows(/node ((\w+)@\S+)/)
    const b = node('b', '--peer', atA)
    const [, atB = '', idB = ''] = await b.shows(/node ((\w+)@\S+)/)
    const c = node('c', '--peer', atB)
    const [, , idC = ''] = await c.shows(/node ((\w+)@\S+)/)
    a.type(`/allow ${idB}`)
    b.type(`/allow ${idA} ${idC}`)
    await b.shows(new RegExp(`connected ${idA.slice(0, 8)}`))
    await b.shows(new RegExp(`connected ${idC.slice(0, 8)}`))
    a.type('the bees dance')
    await c.shows(/rumour "the bees dance" from \w+ after 2 hops/)
    b.type(`/allow ${idA}`)
    await c.shows(new RegExp(`disconnected ${idB.slice(0, 8)}: goodbye by peer`))
    for (const one of [a, b, c]) one.interrupt()
    expect(await Promise.all([a.ended, b.ended, c.ended])).toEqual([0, 0, 0])
    expect(c.text.match(/rumour/g)).toHaveLength(1)
    expect(a.text).toContain('stopped: 0 errors, 0 tasks unfinished')
  })
})
