/**
 * Owns: runs of the built examples/embed: networks inside an application's machine, and everything that an inspector is
 * shown.
 * Independent of: the code of the application.
 */
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'

const program = fileURLToPath(new URL('../../build/examples/embed/main.js', import.meta.url))

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function run(args: string[], nodeArgs: string[] = []): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...nodeArgs, program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    let err = ''
    child.stdout.on('data', (text: Buffer) => (out += text.toString()))
    child.stderr.on('data', (text: Buffer) => (err += text.toString()))
    child.on('error', reject).on('close', (code) => resolve({ code, out, err }))
  })
}

async function listen(): Promise<{ port: number; close: () => Promise<void> }> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const close = (): Promise<void> =>
    new Promise((resolve) => void (server.listening ? server.close(() => resolve()) : resolve()))
  stops.push(close)
  return { port: (server.address() as AddressInfo).port, close }
}

describe('the embed example', () => {
  it.each([
    ['native', [], /peer:[0-9a-v]{7}… active$/, 'link:0'],
    ['ampc', ['--dialect', 'ampc'], /peer:bob active$/, 'link:group:0.0'],
  ] as const)(
    'the embed example lets two networks talk, prints the tree of their actors, and leaves none (%s)',
    async (_, args, peer, link) => {
      const { code, out, err } = await run([...args])
      expect({ code, err }).toEqual({ code: 0, err: '' })
      expect(out).toContain('alice asks bob for 6 times 7; bob answers 42')
      const tree = out
        .split('\n')
        .filter((line) => /^(application|[├│└ ])/.test(line))
        .map((line) => line.replace(/ +\(.*$/, '').replace(/ +/g, ' '))
      expect(tree.slice(0, 12)).toEqual([
        'application connected.idle',
        '├─ alice running',
        '│ ├─ reconnector granting',
        '│ ├─ peers running',
        expect.stringMatching(peer) as string,
        `│ │ └─ ${link} up.stable`,
        expect.stringMatching(/^│ │ ├─ connection:0\.\d+ open$/) as string,
        '│ │ ├─ forwarder:out open.flowing',
        '│ │ └─ forwarder:in open.flowing',
        '│ ├─ groups running',
        '│ │ └─ group:0 open',
        '│ └─ listener listening',
      ])
      expect(tree[12]).toBe('└─ bob running')
      expect(out).toMatch(/\d+ actors were created, 0 are left/)
    },
  )

  it('the embed example gets a port in use as an error of the actor, and exits with code 1', async () => {
    const { port } = await listen()
    const { code, out, err } = await run(['--port', String(port)])
    expect(code).toBe(1)
    expect(err).toContain('the application failed')
    expect(err).toContain('EADDRINUSE')
    expect(out).toMatch(/\d+ actors were created, 0 are left/)
  })

  it.each([
    ['--port', 'ninety'],
    ['--port', '65536'],
    ['--dialect', 'rust'],
    ['--nonsense'],
    ['--inspect', '--inspect-url', 'http://localhost:1'],
  ])('the embed example exits with code 2 for %s %s', async (...args) => {
    expect(await run(args)).toMatchObject({ code: 2, out: '' })
  })

  it.each(['--help', '-h'])('the embed example prints its help for %s', async (flag) => {
    expect(await run([flag])).toMatchObject({ code: 0, out: expect.stringContaining('--inspect-url') as string })
  })
})

describe('the --inspect option of the embed example', () => {
  it('--inspect sends the actors of the application and of its networks to a WebSocket server', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    stops.push(() => new Promise((resolve) => server.close(resolve)))
    const messages: { type: string; name?: string; definition?: string; snapshot?: { value?: unknown } }[] = []
    server.on('connection', (socket) =>
      socket.on('message', (data) => messages.push(JSON.parse((data as Buffer).toString()) as never)),
    )
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    const { code, err } = await run(['--inspect', '--inspect-url', `ws://127.0.0.1:${port}`])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const names = messages.filter(({ type }) => type === '@xstate.actor').map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['application', 'alice', 'bob', 'forwarder:in']))
    const peers = names.filter((name) => /^peer:[0-9a-v]{52}$/.test(name ?? ''))
    expect(new Set(peers).size).toBe(2)
    expect(JSON.stringify(messages)).not.toContain('PRIVATE KEY')
    expect(messages.find(({ type, name }) => type === '@xstate.actor' && name === peers[0])?.definition).toContain(
      '"states"',
    )
    expect(
      messages.filter(({ type }) => type === '@xstate.snapshot').map(({ snapshot }) => snapshot?.value),
    ).toContainEqual({ up: 'stable' })
  })

  it('--inspect with --hold announces every living actor again for a late viewer, and exits on a signal', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    stops.push(() => new Promise((resolve) => server.close(resolve)))
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    const child = spawn(process.execPath, [program, '--inspect', '--inspect-url', `ws://127.0.0.1:${port}`, '--hold'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    stops.push(() => child.kill('SIGKILL'))
    let out = ''
    let isLate = false
    const seen = new Map<string, unknown>()
    const isAllSeen = new Promise<void>((resolve) => {
      server.on('connection', (socket) =>
        socket.on('message', (data) => {
          const message = JSON.parse((data as Buffer).toString()) as {
            type: string
            name: string
            sessionId: string
            snapshot: { value?: unknown }
          }
          // The events that the inspector got before this viewer attached.
          if (!isLate) return
          if (message.type === '@xstate.actor') seen.set(message.sessionId, message.name)
          const names = [...seen.values()]
          if (['application', 'alice', 'bob', 'link:0', 'forwarder:in'].every((name) => names.includes(name))) resolve()
        }),
      )
    })
    child.stdout.on('data', (text: Buffer) => {
      out += text.toString()
      if (out.includes('Ctrl-C to leave')) isLate = true
    })
    await isAllSeen
    child.kill('SIGINT')
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0)
    expect(out).toMatch(/\d+ actors were created, 0 are left/)
  })

  it('--inspect says what to start when nothing listens at its address, and exits with code 2', async () => {
    const { port, close } = await listen()
    await close()
    const { code, err } = await run(['--inspect', '--inspect-url', `ws://127.0.0.1:${port}`])
    expect(code).toBe(2)
    expect(err).toContain(`nothing listens at ws://127.0.0.1:${port}`)
  })

  it('--inspect says what to install when the official inspector is missing, and exits with code 2', async () => {
    const hooks = `export function resolve(name, context, next) {
      if (name.startsWith('@statelyai/')) throw Object.assign(new Error('not there'), { code: 'ERR_MODULE_NOT_FOUND' })
      return next(name, context)
    }`
    const hide = `import { register } from 'node:module'; register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hooks)}`)})`
    const hidden = ['--import', `data:text/javascript,${encodeURIComponent(hide)}`]
    const { code, err } = await run(['--inspect'], hidden)
    expect(code).toBe(2)
    expect(err).toContain('npm install @statelyai/inspect')
    // Without the inspector everything else works.
    expect(await run([], hidden)).toMatchObject({ code: 0, err: '' })
  })
})
