/**
 * Owns: what one attached program may do to the control socket and to others: its lines, its commands at once, what it
 * leaves unread; and the mode of the socket's file.
 * Independent of: what the commands do (peer.test.ts).
 */
import { mkdtempSync, statSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { listenAtPath } from '../../actors/transport/unix-path.ts'
import { ControlServer } from '../../cli/control-server.ts'
import { TunnelBoard } from '../../cli/tunnel-board.ts'

const path = (): string => join(mkdtempSync(join(tmpdir(), 'sw-')), 's')
const closing: (() => void)[] = []
afterEach(() => closing.splice(0).forEach((close) => close()))

/** A control server whose events come from the test. */
async function open(): Promise<{ socket: net.Socket; emit: (event: object) => void; lines: () => Promise<object> }> {
  const listeners: ((event: object) => void)[] = []
  const ref = {
    on: (_: string, listener: (event: object) => void) => {
      listeners.push(listener)
      return { unsubscribe: () => void listeners.splice(listeners.indexOf(listener), 1) }
    },
  }
  const at = path()
  const server = await ControlServer.open(new TunnelBoard({ ref, peers: [] } as never), at, () => {})
  const socket = net.connect(at).setEncoding('utf8')
  closing.push(() => {
    socket.destroy()
    server.close()
  })
  const iterator = linesOf(socket)
  return {
    socket,
    emit: (event) => listeners.forEach((listener) => listener(event)),
    lines: async () => JSON.parse((await iterator.next()).value as string) as object,
  }
}

async function* linesOf(socket: net.Socket): AsyncGenerator<string, undefined> {
  let text = ''
  for await (const chunk of socket as AsyncIterable<string>) {
    text += chunk
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    yield* lines
  }
}

describe('the control socket', () => {
  it('has the mode of its owner from the first moment on, whatever the mask of the process is', async () => {
    const mask = process.umask(0)
    try {
      const at = path()
      const server = net.createServer()
      const listening = listenAtPath(server, at)
      expect(statSync(at).mode & 0o777).toBe(0o600)
      await listening
      expect(process.umask()).toBe(0)
      server.close()
    } finally {
      process.umask(mask)
    }
  })

  it('follows the events once on each connection', async () => {
    const { socket, emit, lines } = await open()
    socket.write('{"command":"events","id":1}\n{"command":"events","id":2}\n')
    expect([await lines(), await lines()]).toMatchObject([
      { id: 1, ok: true },
      { id: 2, ok: false, code: 'ERR_INVALID_OPTION' },
    ])
    emit({ type: 'a' })
    emit({ type: 'b' })
    expect([await lines(), await lines()]).toEqual([{ type: 'a' }, { type: 'b' }])
  })

  it('a program that does not read misses events, and is told how many', async () => {
    const { socket, emit, lines } = await open()
    socket.write('{"command":"events"}\n')
    await lines()
    const sent = 40_000
    for (let number = 0; number < sent; number++) emit({ number, text: 'x'.repeat(100) })
    // What was kept arrives; then the next event is written after the number of those that were not.
    const counts = { read: 0, missed: 0 }
    const takeOne = async (): Promise<void> => {
      const line = await lines()
      if ('count' in line) counts.missed += line.count as number
      else counts.read++
    }
    for (let lines = 0; lines < 1000; lines++) await takeOne()
    for (let tries = 0; tries < sent && counts.missed === 0; tries++) {
      emit({ last: true })
      await takeOne()
    }
    expect(counts.missed).toBeGreaterThan(0)
    expect(counts.read + counts.missed).toBeLessThanOrEqual(2 * sent)
  })

  it('more commands than may run at once wait, and all are answered', async () => {
    const { socket, lines } = await open()
    const all = 500
    for (let id = 0; id < all; id++) socket.write(`{"command":"peers","id":${id}}\n`)
    const ids = new Set<unknown>()
    for (let count = 0; count < all; count++) ids.add(((await lines()) as { id: number }).id)
    expect(ids.size).toBe(all)
  })
})
