/**
 * Owns: tunnels in the network of a running peer: `--attach`, `tunnel ps` and `tunnel kill` as processes.
 * Independent of: tables (tunnel-table.test.ts), and tunnels with a network of their own (tunnel.test.ts).
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Identity } from '../../actors/tls/identity.ts'
import { isOurs } from '../../cli/running-peers.ts'
import { run } from '../../cli/run.ts'
import type { ConnectionRow } from '../../cli/tunnel-board.ts'
import { runProgram } from '../support/run-program.ts'
import type { Finished } from '../support/run-program.ts'
import { within } from '../support/bounded-wait.ts'
import { killPrograms, pathOf, Program } from '../support/running-program.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'sw-att-'))
const inFolder = (name: string): string => path.join(folder, name)
// Only the peers of this test are running peers.
process.env['XDG_RUNTIME_DIR'] = folder

const servers: net.Server[] = []
let [exposing, opening]: Program[] = []
let [exposingId, openingId] = ['', '']
let echoPort = 0

async function serve(listener: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as net.AddressInfo).port
}

const tunnel = (...args: string[]): Program => new Program('cli/main.js', 'tunnel', ...args)
const once = (...args: string[]): Promise<Finished> => runProgram('cli/main.js', ['tunnel', ...args])

interface Listing {
  readonly tunnels: readonly { readonly name: string; readonly side: string; readonly refused: number }[]
  readonly connections: readonly (ConnectionRow & { readonly bytesPerSecond: number })[]
}

async function listing(side: 'exposing' | 'opening'): Promise<Listing> {
  const { stdout } = await once('ps', '--json', '--config', inFolder(`${side}.json`))
  return JSON.parse(stdout) as Listing
}

/** A connection through the tunnel `echo`, and the program that listens for it. */
async function connected(): Promise<{ program: Program; socket: net.Socket; port: number }> {
  const program = tunnel('open', `${exposingId}/echo`, '--attach', inFolder('opening.sock'))
  const [, port] = await program.shows(/^listening at 127\.0\.0\.1:(\d+) /m)
  const socket = net.connect(Number(port)).on('error', () => {})
  socket.write('hello')
  await within(new Promise((resolve) => socket.once('data', resolve)), 'the bytes come back', 20_000)
  return { program, socket, port: Number(port) }
}

function closeOf(socket: net.Socket): Promise<string> {
  let error = ''
  socket.on('error', ({ code }: NodeJS.ErrnoException) => (error = code ?? ''))
  socket.resume()
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(error)))
  return within(closed, 'the connection is closed', 20_000)
}

/** Nobody listens there any more. A client that is accepted before is reset. */
async function closed(port: number): Promise<void> {
  let code = ''
  while (code !== 'ECONNREFUSED') code = await closeOf(net.connect(port))
}

function pipe(name: string, attach: string): { child: ReturnType<typeof spawnPipe>; ended: Promise<Finished> } {
  const child = spawnPipe([`${exposingId}/${name}`, '--stdio', '--attach', attach])
  let [stdout, stderr] = ['', '']
  child.stdin.on('error', () => {})
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const ended = new Promise<Finished>((resolve) =>
    child.once('close', (code) => resolve({ code: code ?? -1, stdout, stderr })),
  )
  return { child, ended: within(ended, 'the program ends', 20_000) }
}

function spawnPipe(args: readonly string[]) {
  return spawn(process.execPath, [pathOf('cli/main.js'), 'tunnel', 'open', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

beforeAll(async () => {
  const keys = [Identity.generate(), Identity.generate()] as const
  ;[exposingId, openingId] = [keys[0].id, keys[1].id]
  await keys[0].save(inFolder('exposing.pem'))
  await keys[1].save(inFolder('opening.pem'))
  echoPort = await serve((socket) => void socket.on('error', () => {}).pipe(socket))
  writeFileSync(
    inFolder('exposing.json'),
    JSON.stringify({
      key: 'exposing.pem',
      listen: 'tls://127.0.0.1:0',
      peers: [{ id: openingId }],
      tunnels: [
        { expose: `127.0.0.1:${echoPort}`, name: 'echo', allow: [openingId] },
        { expose: `unix:${inFolder('nothing.sock')}`, name: 'refusing', allow: 'all' },
      ],
    }),
  )
  exposing = new Program('cli/main.js', 'peer', '--config', inFolder('exposing.json'))
  const [, url] = await exposing.shows(/^(tls:\S+)$/m)
  await exposing.shows(/ as refusing to all peers$/m)
  const peers = [{ id: exposingId, urls: url }]
  writeFileSync(inFolder('opening.json'), JSON.stringify({ key: 'opening.pem', peers }))
  opening = new Program('cli/main.js', 'peer', '--config', inFolder('opening.json'))
  await opening.shows(/peer\.connected/)
  await opening.shows(/^control socket/m)
})
afterAll(() => {
  killPrograms()
  for (const server of servers) server.close()
  rmSync(folder, { recursive: true })
})

describe('a tunnel that is attached to a running peer', () => {
  it('exposes and opens in the networks of running peers, by socket and by process id, and ends with its command', async () => {
    const pid = String(exposing?.pid)
    const target = `127.0.0.1:${echoPort}`
    const exposer = tunnel('expose', target, '--name', 'mine', '--allow', openingId, '--attach', pid)
    await exposer.shows(/^exposing 127\.0\.0\.1:\d+ as mine to /m)
    const opener = tunnel('open', `${exposingId}/mine`, '--attach', inFolder('opening.sock'))
    const [, port] = await opener.shows(/^listening at 127\.0\.0\.1:(\d+) /m)
    const socket = net.connect(Number(port))
    socket.end('hello')
    expect(String(Buffer.concat(await socket.toArray()))).toBe('hello')
    await opener.shows(/tunnel\.closed .* name=mine .* how=ended/)
    await exposer.shows(/tunnel\.closed .* name=mine .* how=ended/)
    exposer.kill('SIGINT')
    expect(await exposer.ended()).toBe(0)
    const late = net.connect(Number(port))
    await closeOf(late)
    await opener.shows(/tunnel\.refused .* exposes no tunnel/)
    opener.kill('SIGINT')
    expect(await opener.ended()).toBe(0)
    await closed(Number(port))
  })

  it('a signal lets its open connection end, and the listing is empty afterwards', async () => {
    const { program, socket, port } = await connected()
    program.kill('SIGINT')
    await program.shows(/stopping: open connections are given 10 s/)
    await closed(port)
    socket.end('after')
    expect(String(Buffer.concat(await socket.toArray()))).toBe('after')
    expect(await program.ended()).toBe(0)
    expect(await listing('opening')).toEqual({ tunnels: [], connections: [] })
  })

  it('a program that is killed takes its tunnel with it', async () => {
    const { program, socket, port } = await connected()
    program.kill('SIGKILL')
    await program.ended()
    socket.end()
    await closeOf(socket)
    await closed(port)
    expect((await listing('opening')).tunnels).toEqual([])
  })

  it('carries only the bytes over standard input and output, and exits with code 0 at their end', async () => {
    const { child, ended } = pipe('echo', String(opening?.pid))
    child.stdin.end('hello')
    expect(await ended).toEqual({ code: 0, stdout: 'hello', stderr: '' })
    expect(readdirSync(path.join(folder, 'statewire')).filter((name) => name.endsWith('.sock'))).toEqual([])
  })

  it.each([
    ['missing', /exposes no tunnel "missing" \(ERR_NO_PROTOCOL\)/],
    ['refusing', /the target cannot be reached \(ENOENT\) \(ERR_STREAM_REFUSED\)/],
  ])('over standard input and output, it says why the tunnel %s cannot be used', async (name, said) => {
    const { code, stdout, stderr } = await pipe(name, String(opening?.pid)).ended
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(said)
    expect(await listing('opening')).toEqual({ tunnels: [], connections: [] })
  })

  it('says that the port is in use, that the peer is unknown, and that nobody answers at a socket', async () => {
    const attach = ['--attach', inFolder('opening.sock')]
    const listen = ['--listen', `127.0.0.1:${echoPort}`]
    const [taken, unknown, nobody, noPid] = await Promise.all([
      once('open', `${exposingId}/echo`, ...listen, ...attach),
      once('open', `${openingId}/echo`, ...attach),
      once('open', `${exposingId}/echo`, '--attach', inFolder('nobody.sock')),
      once('open', `${exposingId}/echo`, '--attach', '999999999'),
    ])
    expect([taken.code, unknown.code, nobody.code, noPid.code]).toEqual([1, 1, 1, 1])
    expect(taken.stderr).toMatch(/in use already.*ERR_LISTEN_FAILED/)
    expect(unknown.stderr).toMatch(/is not a peer of this network.*ERR_UNKNOWN_PEER/)
    expect(nobody.stderr).toContain('no peer answers at')
    expect(noPid.stderr).toMatch(/no running peer has the process id 999999999.*running: \d+ \(/)
  })

  it.each([[[]], [['--stdio']]])(
    'a tunnel with the configuration of a running peer says how to use its network, and leaves it alone: %j',
    async (more) => {
      const args = [`${exposingId}/echo`, ...more, '--config', inFolder('opening.json')]
      const { code, stdout, stderr } = await once('open', ...args)
      expect([code, stdout]).toEqual([1, ''])
      expect(stderr).toContain(`give --attach ${inFolder('opening.sock')}`)
      expect(opening?.text).not.toContain('peer.duplicate')
    },
  )
})

describe('tunnel ps and tunnel kill', () => {
  it('list the tunnels and connections of a peer, and end one at both ends with the reason in both logs', async () => {
    const { program, socket } = await connected()
    const [own, other] = [await listing('opening'), await listing('exposing')]
    expect(own.connections).toMatchObject([
      { name: 'echo', side: 'open', peer: exposingId, bytesSent: 5, state: 'open' },
    ])
    expect(other.connections).toMatchObject([{ name: 'echo', side: 'expose', peer: openingId, bytesReceived: 5 }])
    const table = await once('ps', '--config', inFolder('opening.json'))
    const id = String(own.connections[0]?.id)
    expect(table.stdout).toMatch(new RegExp(`^ID +NAME .*\\n *${id}  echo  open  ${exposingId.slice(0, 8)}… `, 'm'))
    const reset = closeOf(socket)
    const killed = await once('kill', id, '--reason', 'for a test', '--config', inFolder('opening.json'))
    expect(killed).toEqual({ code: 0, stdout: `connection ${id} was reset at both ends\n`, stderr: '' })
    expect(await reset).toBe('ECONNRESET')
    await program.shows(/tunnel\.closed .* how=killed by=local reason="for a test"/)
    await exposing?.shows(/tunnel\.closed .* how=killed by=peer reason="for a test"/)
    const again = await once('kill', id, '--config', inFolder('opening.json'))
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining(`no connection ${id} is open`) })
    program.kill('SIGINT')
    expect(await program.ended()).toBe(0)
  })

  it('with --watch, and without a terminal, a line for each connection comes every second', async () => {
    const { program, socket } = await connected()
    const watch = tunnel('ps', '--watch', '--config', inFolder('opening.json'))
    await watch.shows(/^[\d:]{8} {2}\d+ {2}echo {2}open .* 0 B\/s {2}open\n[\d:]{8} {2}\d+ {2}echo/m)
    expect(watch.text).not.toContain('\u001b')
    watch.kill('SIGINT')
    expect(await watch.ended()).toBe(0)
    socket.destroy()
    program.kill('SIGINT')
    expect(await program.ended()).toBe(0)
  })

  it('need the name of a peer when several are running, and list them', async () => {
    const { code, stderr } = await once('ps')
    expect(code).toBe(1)
    expect(stderr).toMatch(/there are several peers: name one with --attach/)
    for (const program of [exposing, opening]) expect(stderr).toContain(`${program?.pid} (`)
  })

  it('find a tunnel that has a network of its own by its process id, and nothing is left when it has ended', async () => {
    const key = Identity.generate()
    await key.save(inFolder('own.pem'))
    const own = ['--key', inFolder('own.pem'), '--listen-peer', 'tls://127.0.0.1:0', '--allow', openingId]
    const program = tunnel('expose', '127.0.0.1:1', '--name', 'own', ...own)
    await program.shows(/^exposing/m)
    const { code, stdout } = await once('ps', '--attach', String(program.pid))
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^own +expose +- +127\.0\.0\.1:1 /m)])
    program.kill('SIGINT')
    expect(await program.ended()).toBe(0)
    const left = readdirSync(path.join(folder, 'statewire'))
    expect(left.filter((name) => name.startsWith(String(program.pid)))).toEqual([])
  })

  it.each([
    [['kill'], 'tunnel kill needs the ID of a connection'],
    [['kill', 'x'], '"x" is not the ID of a connection'],
    [['ps', 'x'], 'one argument too many'],
    [['ps', '--attach', 'a', '--config', 'b'], 'both name the running peer'],
    [['open', 'a/b', '--attach', 'a', '--peer', 'x'], 'go with --key'],
    [['open', 'a/b', '--attach', 'a', '--config', 'b'], 'needs one network'],
  ])('statewire tunnel %j exits with code 2 and says %s', async (args, said) => {
    let err = ''
    const code = await run(['tunnel', ...args], { out: () => {}, err: (text) => (err += text) })
    expect([code, err.split('\n\n')[0]]).toEqual([2, expect.stringContaining(said)])
  })
})

describe('the folder of running peers', () => {
  it.runIf(process.getuid !== undefined)('is not trusted when others may write there', () => {
    const [own, open] = [inFolder('own'), inFolder('open')]
    expect(isOurs(own)).toBe(true)
    mkdirSync(open, { mode: 0o755 })
    expect(isOurs(open)).toBe(false)
    expect(existsSync(open)).toBe(true)
  })
})
