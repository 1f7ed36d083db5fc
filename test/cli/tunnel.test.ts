/**
 * Owns: `statewire tunnel expose`, `open` and `run` as processes: what goes through, what they print, how they fail and
 * stop.
 * Independent of: how a tunnel works (test/tunnel/), and of the control socket (tunnel-attach.test.ts).
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Identity } from '../../actors/tls/identity.ts'
import { loadPeerConfig } from '../../cli/peer-config.ts'
import { help, run } from '../../cli/run.ts'
import { within } from '../support/bounded-wait.ts'
import { killPrograms, pathOf, Program } from '../support/running-program.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'sw-tun-'))
const inFolder = (name: string): string => path.join(folder, name)
const servers: net.Server[] = []
const openers: { key: string; id: string }[] = []
const openersInAll = 16
let exposing: Program
let exposingId = ''
let url = ''
let refusingPort = 0

async function serve(listener: (socket: net.Socket) => void, where: string | number = 0): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    listener(socket)
  })
  servers.push(server)
  await new Promise<void>((resolve) =>
    typeof where === 'number' ? server.listen(where, '127.0.0.1', resolve) : server.listen(where, resolve),
  )
  return typeof where === 'number' ? (server.address() as net.AddressInfo).port : 0
}

const echo = (socket: net.Socket): void => void socket.pipe(socket)

async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** The bytes that come back when `text` is sent. */
async function ask(where: net.NetConnectOpts, text: string): Promise<string> {
  const socket = net.connect(where)
  socket.end(text)
  let answer = ''
  for await (const chunk of socket.setEncoding('utf8') as AsyncIterable<string>) answer += chunk
  return answer
}

interface Stdio {
  readonly child: ReturnType<typeof spawnStdio>
  readonly ended: Promise<{ code: number | null; out: string; err: string }>
  readonly outEnded: Promise<unknown>
}

/** @param before a command that runs the command */
function spawnStdio(args: readonly string[], before: readonly string[]) {
  const [program = '', ...all] = [...before, process.execPath, pathOf('cli/main.js'), 'tunnel', 'open', ...args]
  return spawn(program, all, { stdio: ['pipe', 'pipe', 'pipe'] })
}

const pipes = new Set<ReturnType<typeof spawnStdio>>()

function stdio(address: string, network: readonly string[], before: readonly string[] = []): Stdio {
  const child = spawnStdio([address, '--stdio', ...network], before)
  pipes.add(child)
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
  child.stdin.on('error', () => {})
  return {
    child,
    outEnded: within(new Promise((resolve) => child.stdout.once('end', resolve)), 'standard output ends', 20_000),
    ended: within(
      new Promise((resolve) => child.once('close', (code) => resolve({ code, out, err }))),
      'the program ends',
      20_000,
    ),
  }
}

/** Each process has a key of its own. */
function opener(): string[] {
  const { key } = openers.pop()!
  return ['--key', key, '--peer', `${exposingId}@${url}`]
}

async function open(name: string, ...args: string[]): Promise<{ program: Program; port: number }> {
  const program = new Program('cli/main.js', 'tunnel', 'open', `${exposingId}/${name}`, ...opener(), ...args)
  const [, port] = await program.shows(/^listening at \S+?:(\d+)? ?/m)
  return { program, port: Number(port) }
}

beforeAll(async () => {
  const exposingKey = Identity.generate()
  exposingId = exposingKey.id
  await exposingKey.save(inFolder('exposing.pem'))
  for (let number = 0; number < openersInAll; number++) {
    const key = Identity.generate()
    await key.save(inFolder(`${number}.pem`))
    openers.push({ key: inFolder(`${number}.pem`), id: key.id })
  }
  refusingPort = await freePort()
  const echoPort = await serve(echo)
  const greeter = await serve((socket) => socket.end('bye\n'))
  await serve(echo, inFolder('echo.sock'))
  const config = {
    key: 'exposing.pem',
    listen: 'tls://127.0.0.1:0',
    peers: openers.map(({ id }) => ({ id })),
    tunnels: [
      { expose: `127.0.0.1:${echoPort}`, name: 'echo', allow: 'all' },
      { expose: `127.0.0.1:${greeter}`, name: 'greeter', allow: openers.map(({ id }) => id) },
      { expose: `127.0.0.1:${echoPort}`, name: 'private', allow: [openers[0]!.id] },
      { expose: `127.0.0.1:${refusingPort}`, name: 'refusing', allow: 'all' },
      { expose: `127.0.0.1:${echoPort}`, name: 'proxied', allow: 'all', proxyProtocol: true },
      { expose: `unix:${inFolder('echo.sock')}`, name: 'unix', allow: 'all' },
    ],
  }
  writeFileSync(inFolder('exposing.json'), JSON.stringify(config))
  exposing = new Program('cli/main.js', 'tunnel', 'run', '--config', inFolder('exposing.json'))
  ;[, url = ''] = await exposing.shows(/^(tls:\S+)$/m)
  await exposing.shows(/^exposing \S+ as unix to all peers$/m)
})
afterEach(() => {
  for (const child of pipes) child.kill('SIGKILL')
  pipes.clear()
})
afterAll(() => {
  killPrograms()
  for (const server of servers) server.close()
  rmSync(folder, { recursive: true })
})

describe('a tunnel between two processes', () => {
  it('prints the free port that it took, carries the bytes both ways, and logs both ends of a connection', async () => {
    const { program, port } = await open('echo')
    expect(await ask({ port }, 'hello')).toBe('hello')
    const [, own] = await program.shows(/tunnel\.opened id=1 side=open name=echo peer=(\w+)/)
    expect(own).toBe(exposingId)
    await program.shows(/tunnel\.closed id=1 .* how=ended by=both .* bytesSent=5 bytesReceived=5/)
    await exposing.shows(/tunnel\.closed .* name=echo .* how=ended .* bytesSent=5 bytesReceived=5/)
    program.kill('SIGINT')
    expect(await program.ended()).toBe(0)
  })

  it('leads from a unix socket to a unix socket', async () => {
    const { program } = await open('unix', '--listen', `unix:${inFolder('own.sock')}`)
    expect(await ask({ path: inFolder('own.sock') }, 'hello')).toBe('hello')
    program.kill('SIGTERM')
    expect(await program.ended()).toBe(0)
  })

  it('gives the target the address of the client in a header of the PROXY protocol', async () => {
    const { program, port } = await open('proxied')
    const socket = net.connect(port)
    socket.end()
    const header = Buffer.concat(await socket.toArray())
    expect(header.subarray(0, 14).toString('hex')).toBe('0d0a0d0a000d0a515549540a2111')
    expect(header.readUInt16BE(26)).toBe(port)
    program.kill('SIGINT')
    expect(await program.ended()).toBe(0)
  })

  it('after the first signal it takes no further client, and ends when its open connection has ended', async () => {
    const { program, port } = await open('echo')
    const socket = net.connect(port).setEncoding('utf8')
    socket.write('before ')
    const first = await new Promise<string>((resolve) => socket.once('data', (text) => resolve(String(text))))
    program.kill('SIGINT')
    await program.shows(/stopping: 1 open connection is given 10 s to end/)
    let why = ''
    // One that comes right now is reset.
    while (why !== 'ECONNREFUSED') why = await ask({ port }, 'late').catch(({ code }: { code: string }) => code)
    socket.end('after')
    expect(first + (await socket.toArray()).join('')).toBe('before after')
    expect(await program.ended()).toBe(0)
  })

  it('prints only JSON lines with --json, and the free port is in one of them', async () => {
    const address = `${exposingId}/echo`
    const program = new Program('cli/main.js', 'tunnel', 'open', address, '--json', ...opener())
    const [, port] = await program.shows(/"tunnel\.started".*"address":"127\.0\.0\.1:(\d+)"/)
    expect(await ask({ port: Number(port) }, 'x')).toBe('x')
    await program.shows(/"tunnel\.closed"/)
    program.kill('SIGINT')
    expect(await program.ended()).toBe(0)
    const types = program.text
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { type: string }).type)
    expect(types).toEqual(expect.arrayContaining(['tunnel.started', 'tunnel.opened', 'tunnel.closed']))
  })
})

describe('a tunnel over standard input and output', () => {
  it('puts only the bytes of the connection on standard output, and exits with code 0 at its end', async () => {
    const program = stdio(`${exposingId}/echo`, opener())
    program.child.stdin.end('hello')
    expect(await program.ended).toEqual({ code: 0, out: 'hello', err: '' })
  })

  it('ends standard output when the target has ended, while standard input is still open', async () => {
    const program = stdio(`${exposingId}/greeter`, opener())
    await program.outEnded
    expect(program.child.exitCode).toBe(null)
    program.child.stdin.end()
    expect(await program.ended).toEqual({ code: 0, out: 'bye\n', err: '' })
  })

  it('closes a pipe at standard output when the target has ended, so that ssh and others see the end', async () => {
    const program = stdio(`${exposingId}/greeter`, opener(), ['sh', '-c', '"$0" "$@" | { cat; echo ended; }'])
    await new Promise<void>((resolve) =>
      program.child.stdout.on('data', (text: Buffer) => (text.includes('ended') ? resolve() : undefined)),
    )
    expect(program.child.exitCode).toBe(null)
    program.child.stdin.end()
    expect(await program.ended).toEqual({ code: 0, out: 'bye\nended\n', err: '' })
  })

  it.each<[string, RegExp]>([
    ['missing', /exposes no tunnel "missing" \(ERR_NO_PROTOCOL\)/],
    ['private', /does not allow .* "private" \(ERR_STREAM_REFUSED\)/],
    ['refusing', /"refusing": the target refuses connections \(ECONNREFUSED\) \(ERR_STREAM_REFUSED\)/],
  ])('says on standard error why the tunnel %s cannot be used, and exits with code 1', async (name, said) => {
    const program = stdio(`${exposingId}/${name}`, opener())
    const { code, out, err } = await program.ended
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(said)
    expect(err.trim().split('\n')).toHaveLength(1)
  })

  it('a hangup, as ssh sends it to its ProxyCommand, gives the connection 2 s to end and then resets both ends', async () => {
    const program = stdio(`${exposingId}/echo`, opener())
    program.child.stdin.write('hello')
    await new Promise((resolve) => program.child.stdout.once('data', resolve))
    program.child.kill('SIGHUP')
    expect(await program.ended).toMatchObject({ code: 1, out: 'hello' })
    await exposing.shows(/tunnel\.closed .* name=echo .* how=reset by=peer reason="the tunnel was closed/)
  })
})

describe('a tunnel that cannot be', () => {
  it('logs at both ends why a client was refused, and goes on', async () => {
    const { program, port } = await open('refusing')
    const socket = net.connect(port).on('error', () => {})
    await new Promise<void>((resolve) => socket.once('close', () => resolve()))
    await program.shows(/tunnel\.refused side=open name=refusing .*the target refuses connections/)
    await exposing.shows(/tunnel\.refused side=expose name=refusing .*the target refuses connections/)
    program.kill('SIGINT')
    expect(await program.ended()).toBe(0)
  })

  it('exits with code 1 when its port is in use, and says so', async () => {
    const port = await serve(echo)
    const listen = `127.0.0.1:${port}`
    const address = `${exposingId}/echo`
    const program = new Program('cli/main.js', 'tunnel', 'open', address, '--listen', listen, ...opener())
    expect(await program.ended()).toBe(1)
    expect(program.text).toMatch(new RegExp(`^statewire: .*${listen}.* in use already.*ERR_LISTEN_FAILED`, 'm'))
  })

  it('exits with code 1 when an allowed peer is not a peer of the configuration', async () => {
    writeFileSync(inFolder('few.json'), JSON.stringify({ key: '0.pem', listen: 'tls://127.0.0.1:0', peers: [] }))
    const args = ['127.0.0.1:1', '--name', 'x', '--allow', exposingId, '--config', inFolder('few.json')]
    const program = new Program('cli/main.js', 'tunnel', 'expose', ...args)
    expect(await program.ended()).toBe(1)
    expect(program.text).toContain(`"${exposingId}", which is allowed to use the tunnel "x", is not a peer`)
  })

  const id = 'v'.repeat(51) + 'g'
  const own = ['--key', 'k.pem', '--peer', `${id}@tls://127.0.0.1:1`]
  it.each<[string[], string]>([
    [[], 'tunnel needs a command: expose, open, run, ps, kill'],
    [['close'], 'there is no command tunnel "close"'],
    [['expose'], 'tunnel expose needs TARGET'],
    [['expose', 'a:1', 'b:2', '--name', 'n', '--allow', id], '"b:2" is one argument too many'],
    [['expose', 'a:1', '--allow', id, ...own], 'needs --name'],
    [['expose', 'a:1', '--name', '', '--allow', id, ...own], '--name needs a value'],
    [['expose', 'a:1', '--name', 'n', ...own], 'needs --allow'],
    [['expose', 'a:1', '--name', 'n', '--allow', id], 'a tunnel needs one network: --config FILE, --key FILE'],
    [
      ['expose', 'a:1', '--name', 'n', '--allow', id, '--key', 'k', '--config', 'c'],
      'a tunnel needs one network: --config FILE, --key FILE',
    ],
    [['expose', 'a:1', '--name', 'n', '--allow', id, '--key', 'k'], 'has no address: give --peer ID@URL'],
    [['expose', 'a:1', '--name', 'n', '--allow', 'all', '--key', 'k', '--listen-peer', 'x'], 'has no peer'],
    [['open', ...own], 'tunnel open needs PEER/NAME'],
    [['open', `${id}/n`, '--config', 'c', '--peer', id], '--peer and --listen-peer go with --key'],
    [['open', `${id}/n`, '--stdio', '--listen', ':0', ...own], '--stdio is one connection'],
    [['open', `${id}/n`, '--stdio', '--json', ...own], 'leave --json out'],
    [['open', `${id}/n`, '--lisen', ':0', ...own], '--lisen'],
    [['run'], 'tunnel run needs --config'],
  ])('statewire tunnel %j exits with code 2 and says %s', async (args, said) => {
    let [out, err] = ['', '']
    const code = await run(['tunnel', ...args], { out: (text) => (out += text), err: (text) => (err += text) })
    expect([code, out]).toEqual([2, ''])
    expect(err.split('\n\n')[0]).toContain(said)
  })

  it('the address PEER/NAME without a name is refused', async () => {
    let err = ''
    const output = { out: () => {}, err: (text: string) => (err += text) }
    expect(await run(['tunnel', 'open', id, '--key', inFolder('0.pem'), '--peer', `${id}@tls://a:1`], output)).toBe(1)
    expect(err).toContain('must be PEER/NAME')
  })

  it.each<[unknown, string]>([
    [{}, 'tunnels of .* must be a list'],
    [['x'], String.raw`tunnels of .*\[0\] must be an object`],
    [[{ name: 'n' }], 'must have either expose'],
    [[{ expose: 'a:1', open: 'b/c' }], 'must have either expose'],
    [[{ expose: 'a:1', allow: 'all' }], 'name is missing'],
    [[{ expose: 'a:1', name: 'n' }], 'allow is missing'],
    [[{ expose: 'a:1', name: 'n', alow: 'all' }], 'alow'],
    [[{ open: 'n' }], 'must be PEER/NAME'],
    [[{ open: 'p/' }], 'must be PEER/NAME'],
    [[{ open: 'p/n', listn: ':0' }], 'did you mean listen'],
  ])('the list of tunnels %j in a configuration is refused with a sentence', async (tunnels, said) => {
    writeFileSync(inFolder('bad.json'), JSON.stringify({ key: '0.pem', tunnels }))
    await expect(loadPeerConfig(inFolder('bad.json'))).rejects.toThrow(new RegExp(said))
  })
})

describe('statewire peer', () => {
  it('runs the tunnels of its configuration, with the free port in its output, and logs their connections', async () => {
    const { key } = openers.pop()!
    const config = {
      key,
      peers: [{ id: exposingId, urls: url }],
      tunnels: [{ open: `${exposingId}/echo` }, { open: `${exposingId}/greeter`, listen: '127.0.0.1:0' }],
    }
    writeFileSync(inFolder('peer.json'), JSON.stringify(config))
    const program = new Program('cli/main.js', 'peer', '--config', inFolder('peer.json'))
    const [, port] = await program.shows(/listening at 127\.0\.0\.1:(\d+) for \w+\/echo$/m)
    const [, other] = await program.shows(/listening at 127\.0\.0\.1:(\d+) for \w+\/greeter$/m)
    expect(await ask({ port: Number(port) }, 'hello')).toBe('hello')
    expect(await ask({ port: Number(other) }, '')).toBe('bye\n')
    await program.shows(/tunnel\.closed id=2 .* name=greeter .* bytesReceived=4/)
    program.kill('SIGINT')
    expect(await program.ended()).toBe(0)
  })
})

describe('the help of the tunnel', () => {
  it.each(['expose TARGET', '--allow ID', '--proxy-protocol', '--listen ADDRESS', '--stdio', '--listen-peer URL'])(
    'describes %s',
    (text) => expect(help).toContain(text),
  )
})
