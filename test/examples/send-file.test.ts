/**
 * Owns: both programs of examples/send-file as processes: whole files, interruptions, refusals, exit codes; and what a
 * peer with a program of its own can make the receiver do.
 * Independent of: how streams travel.
 */
import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createNetwork, Identity } from '../../index.ts'
import type { Network } from '../../index.ts'
import { fileProtocol, offsetRequest } from '../../examples/send-file/wire.ts'
import { within } from '../support/bounded-wait.ts'
import { killPrograms, pathOf, Program } from '../support/running-program.ts'

const program = 'examples/send-file/main.js'
const folder = mkdtempSync(path.join(tmpdir(), 'sw-send-file-'))
const keys = { alice: path.join(folder, 'alice.pem'), bob: path.join(folder, 'bob.pem') }
const [alice, bob] = [Identity.generate(), Identity.generate()]
/** Made by the first program that needs it. */
const keyFile = path.join(tmpdir(), 'sw-send-file-key.pem')
/** Enough for the slowest wait of these programs. */
const waitMs = 30_000
/** At this limit per second a file of 4 MiB takes long enough to be interrupted. */
const slow = ['--limit', '2M']
const fileBytes = 4 * 1024 * 1024

/** A disk that becomes full is a small one, mounted for the receiver alone. Linux lets most users do that. */
const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).status === 0

beforeAll(async () => {
  await alice.save(keys.alice)
  await bob.save(keys.bob)
})
afterAll(() => {
  rmSync(folder, { recursive: true })
  rmSync(keyFile, { force: true })
})

/** Of one test. */
let place = ''
let dir = ''
let file = ''
let content = Buffer.alloc(0)
beforeEach(() => {
  place = mkdtempSync(path.join(folder, 'test-'))
  dir = path.join(place, 'in')
  mkdirSync(dir)
  file = path.join(place, 'photo.bin')
  writeFileSync(file, (content = randomBytes(fileBytes)))
})
afterEach(killPrograms)

function inDir(listen = 'tls://127.0.0.1:0'): string[] {
  return ['receive', '--dir', dir, '--key', keys.bob, '--peer', alice.id, '--listen', listen]
}

/** @returns the receiver, and where it is */
async function receive(listen?: string): Promise<[Program, string]> {
  const receiver = new Program(program, ...inDir(listen))
  const [, url = ''] = await receiver.shows(/you are \w+@(\S+)/)
  return [receiver, url]
}

function send(url: string, ...more: string[]): Program {
  return new Program(program, 'send', file, `${bob.id}@${url}`, '--key', keys.alice, ...more)
}

const received = (): Buffer => readFileSync(path.join(dir, 'photo.bin'))
const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

describe('send-file', () => {
  it('a file arrives whole under its name, both sides show its SHA-256, and sending it again sends nothing', async () => {
    const [receiver, url] = await receive()
    const sender = send(url)
    expect(await sender.ended()).toBe(0)
    expect(received().equals(content)).toBe(true)
    await receiver.shows(new RegExp(`received photo.bin: .*${digestOf(content)}`))
    expect(sender.text).toMatch(new RegExp(`sent photo.bin: 4.0 MiB in .*${digestOf(content)}`))
    const again = send(url)
    expect(await again.ended()).toBe(0)
    expect(again.text).toContain('photo.bin is there already, with the same SHA-256')
    expect(readdirSync(dir)).toEqual(['photo.bin'])
    receiver.kill('SIGINT')
    expect(await receiver.ended()).toBe(0)
  })

  it('an empty file arrives', async () => {
    truncateSync(file)
    const [, url] = await receive()
    expect(await send(url).ended()).toBe(0)
    expect(received()).toHaveLength(0)
  })

  it('after the sender is killed in the middle, the same command goes on where it stopped', async () => {
    const [receiver, url] = await receive()
    const first = send(url, ...slow)
    await first.shows(/photo.bin: [2-9]\d%/)
    first.kill('SIGKILL')
    expect(await first.ended()).toBe('SIGKILL')
    const second = send(url)
    expect(await second.ended()).toBe(0)
    expect(second.text).toMatch(/resuming photo.bin to \w+ at \S+ .iB: 4.0 MiB/)
    expect(received().equals(content)).toBe(true)
    expect(receiver.text).toMatch(/stopped photo.bin at .*: the other side was restarted/)
  })

  it('after the receiver is killed in the middle and started again, the sender goes on by itself', async () => {
    const [first, url] = await receive()
    const sender = send(url, ...slow)
    await sender.shows(/photo.bin: [2-9]\d%/)
    first.kill('SIGKILL')
    expect(await first.ended()).toBe('SIGKILL')
    const partBytes = statSync(path.join(dir, 'photo.bin.part')).size
    expect(partBytes).toBeGreaterThan(0)
    const [second] = await receive(url)
    expect(await sender.ended()).toBe(0)
    expect(second.text).toMatch(/resuming photo.bin from \w+ at/)
    expect(received().equals(content)).toBe(true)
  })

  it('a file that was changed between attempts is recognized by its hash and sent from the start', async () => {
    const [, url] = await receive()
    const first = send(url, ...slow)
    await first.shows(/photo.bin: [2-9]\d%/)
    first.kill('SIGKILL')
    await first.ended()
    content[0] = content[0]! ^ 1
    writeFileSync(file, content)
    const second = send(url)
    expect(await second.ended()).toBe(0)
    expect(second.text).toContain('the part at the receiver is of other content: sending from the start')
    expect(received().equals(content)).toBe(true)
  })

  it('a file that changes while it is sent fails, and does not get its name', async () => {
    const [, url] = await receive()
    const sender = send(url, ...slow)
    await sender.shows(/photo.bin: [2-9]\d%/)
    writeFileSync(file, content.subarray(0, 1_000))
    expect(await sender.ended()).toBe(1)
    expect(sender.text).toContain('the file became shorter while it was sent')
    expect(existsSync(path.join(dir, 'photo.bin'))).toBe(false)
  })

  it('a file of which a byte changes while it is sent fails, and the next attempt sends it from the start', async () => {
    const [, url] = await receive()
    const sender = send(url, ...slow)
    await sender.shows(/photo.bin: [2-9]\d%/)
    content[0] = content[0]! ^ 1
    const handle = openSync(file, 'r+')
    writeSync(handle, content, 0, 1, 0)
    closeSync(handle)
    expect(await sender.ended()).toBe(1)
    expect(sender.text).toContain('the file changed while it was sent')
    expect(readdirSync(dir)).toEqual(['photo.bin.part'])
    const second = send(url)
    expect(await second.ended()).toBe(0)
    expect(second.text).toContain('sending from the start')
    expect(received().equals(content)).toBe(true)
  })

  it.each(['SIGINT', 'SIGTERM'] as const)(
    '%s stops either side in the middle, and both say how to go on',
    async (signal) => {
      const [receiver, url] = await receive()
      const sender = send(url, ...slow)
      await sender.shows(/photo.bin: [2-9]\d%/)
      sender.kill(signal)
      expect(await sender.ended()).toBe(130)
      expect(sender.text).toMatch(/stopped: \S+ .iB were sent. Run the same command again to go on/)
      await receiver.shows(/stopped photo.bin at .*: the sender was stopped/)
      const second = send(url, ...slow)
      await second.shows(/photo.bin: [4-9]\d%/)
      receiver.kill(signal)
      expect(await receiver.ended()).toBe(130)
      expect(receiver.text).toContain('photo.bin.part is kept: start the receiver again with this --dir to go on')
      await second.shows(/interrupted: the receiver was stopped/)
      await receive(url)
      expect(await second.ended()).toBe(0)
      expect(received().equals(content)).toBe(true)
    },
  )
})

describe('what send-file refuses', () => {
  it.each([
    [['--help'], 0, 'npm run example:send-file -- receive'],
    [[], 2, 'say `receive` or `send` first'],
    [['receive', '--key', 'k'], 2, '--dir is missing'],
    [['receive', '--key', 'k', '--dir', '.'], 2, '--peer is missing'],
    [['send', 'x', 'id'], 2, '--key is missing'],
    [['send', '--key', 'k'], 2, 'send needs a FILE and an ID[@URL]'],
    [['send', 'x', 'id', '--key', 'k'], 2, 'id has no @URL, so it has to dial this side'],
    [['send', 'x', 'id@tls://a:1', '--key', 'k', '--limit', '0'], 2, '--limit takes bytes per second'],
    [['send', 'x', 'id@tls://a:1', '--key', 'k', '--wait', 'x'], 2, '--wait takes seconds'],
    [['send', 'x', 'id@tls://a:1', '--key', 'k', '--dir', '.'], 2, 'send has no option --dir'],
    [['send', 'no-such-file', 'id@tls://a:1', '--key', 'k'], 1, 'no-such-file does not exist'],
    [['send', '.', 'id@tls://a:1', '--key', 'k'], 1, '. is not a regular file'],
    [['receive', '--dir', 'no-such-dir', '--key', 'k', '--peer', 'x'], 1, 'no-such-dir is not a directory'],
    [['receive', '--dir', '/proc/self/fd', '--key', 'k', '--peer', alice.id], 1, '/proc/self/fd is not'],
    [['send', 'package.json', 'id@tls://a:1', '--key', keyFile], 2, 'peers[0].id must have 52 characters'],
  ] as [string[], number, string][])('%j exits with %i and says: %s', async (args, code, said) => {
    const it = new Program(program, ...args)
    expect(await it.ended()).toBe(code)
    expect(it.text).toContain(said)
  })

  it('without a connection the sender gives up after --wait and says why', async () => {
    const [receiver, url] = await receive()
    receiver.kill('SIGKILL')
    await receiver.ended()
    const sender = send(url, '--wait', '0.5')
    expect(await sender.ended()).toBe(1)
    expect(sender.text).toMatch(/no connection for 0.5 s: .*Run the same command again to go on/)
  })

  it('a peer that runs another program is reported as such', async () => {
    const other = createNetwork({ identity: bob, listen: 'tls://127.0.0.1:0', peers: [{ id: alice.id }] })
    await other.ready()
    const sender = send(String(other.url))
    expect(await sender.ended()).toBe(1)
    expect(sender.text).toContain('the peer does not receive files')
    await other.shutdown()
  })

  it('a file that does not fit on the disk of the receiver is refused before a byte is sent', async () => {
    const { bavail, bsize } = statfsSync(dir)
    truncateSync(file, bavail * bsize + 2 ** 30)
    const [receiver, url] = await receive()
    const sender = send(url)
    expect(await sender.ended()).toBe(1)
    for (const { text } of [sender, receiver])
      expect(text).toMatch(/the disk of the receiver is full: .* needed, .* free/)
  })

  it.skipIf(!canMount)('a disk that becomes full in the middle stops the transfer, and both sides say so', async () => {
    const mount = 'mount -t tmpfs -o size=6m tmpfs "$0" && exec "$@"'
    const receiver = new Program(
      'unshare',
      '-rm',
      'sh',
      '-c',
      mount,
      dir,
      process.execPath,
      pathOf(program),
      ...inDir(),
    )
    const [, url = ''] = await receiver.shows(/you are \w+@(\S+)/)
    const sender = send(url, ...slow)
    await sender.shows(/photo.bin: [2-9]\d%/)
    const filler = path.join('/proc', String(receiver.pid), 'root', dir, 'filler')
    expect(() => writeFileSync(filler, Buffer.alloc(2 * fileBytes))).toThrow('ENOSPC')
    expect(await sender.ended()).toBe(1)
    expect(sender.text).toContain('send-file: the disk of the receiver is full')
    await receiver.shows(/stopped photo.bin at .*: the disk of the receiver is full/)
    unlinkSync(filler)
    const second = send(url)
    expect(await second.ended()).toBe(0)
    expect(second.text).toContain('resuming photo.bin')
  })

  it.each([
    ['a shorter', 'mine'],
    ['a longer', 'mine'.repeat(fileBytes)],
    ['another', 'm'.repeat(fileBytes)],
  ])('%s file of that name is not overwritten, and nothing is sent', async (_, mine) => {
    writeFileSync(path.join(dir, 'photo.bin'), mine)
    const [receiver, url] = await receive()
    const sender = send(url)
    expect(await sender.ended()).toBe(1)
    expect(sender.text).toContain('the receiver has another file "photo.bin"')
    expect(receiver.text).not.toContain('receiving')
    expect(received().equals(Buffer.from(mine))).toBe(true)
  })

  it.each(['photo.bin', 'photo.bin.part'])('a link named %s leads nowhere', async (name) => {
    const target = path.join(place, 'target')
    writeFileSync(target, 'mine')
    symlinkSync(target, path.join(dir, name))
    const [, url] = await receive()
    const sender = send(url)
    expect(await sender.ended()).toBe(1)
    expect(sender.text).toContain('at the receiver a link has this name')
    expect(readFileSync(target, 'utf8')).toBe('mine')
    expect(lstatSync(path.join(dir, name)).isSymbolicLink()).toBe(true)
  })

  it('a directory in the place of the part is refused', async () => {
    mkdirSync(path.join(dir, 'photo.bin.part'))
    const [, url] = await receive()
    const sender = send(url)
    expect(await sender.ended()).toBe(1)
    expect(sender.text).toContain('at the receiver something that is no file has this name')
  })

  it('a name with a slash is refused on the command line of the sender, too', async () => {
    const [, url] = await receive()
    const sender = send(url, '--as', '../photo.bin')
    expect(await sender.ended()).toBe(1)
    expect(sender.text).toContain('the name "../photo.bin" is refused: it has a slash')
    expect(readdirSync(place).sort()).toEqual(['in', 'photo.bin'])
  })
})

describe('a sender with a program of its own', () => {
  let network: Network
  beforeEach(async () => {
    const [, url] = await receive()
    network = createNetwork({ identity: alice, peers: [{ id: bob.id, urls: url }] })
  })
  afterEach(() => network.shutdown())

  const ask = (offer: unknown): Promise<unknown> =>
    network.request(bob.id, JSON.stringify(offer), { name: offsetRequest, timeoutMs: waitMs })
  const open = (opening: unknown): ReturnType<Network['getStream']> =>
    network.getStream(bob.id, fileProtocol, { extra: JSON.stringify(opening) })
  const nothing = createHash('sha256').digest('hex')

  it('hostile names are refused, when the offset is asked for and when the stream is opened', async () => {
    const paths = ['', '.', '..', '../x', '/x', 'a/b', 'a\\b', '.bashrc', 'x.part', 'x.PART']
    const characters = ['a\0b', 'a\nb', 'a\u001b[2Jb', 'a\u0085b', 'a\u202eb', '\ud800']
    const tooLong = ['x'.repeat(251), 'ü'.repeat(126)]
    const names: unknown[] = [...paths, ...characters, ...tooLong, 5, null, {}]
    for (const name of names) {
      const of = `name ${JSON.stringify(name)}`
      await expect(ask({ name, size: 1 }), of).rejects.toMatchObject({ remote: { code: 'bad-name' } })
      const opening = { name, size: 1, offset: 0, prefix: nothing }
      await expect(open(opening), of).rejects.toMatchObject({ code: 'ERR_STREAM_REFUSED', streamErrorCode: 257 })
    }
    expect([readdirSync(dir), readdirSync(place).sort()]).toEqual([[], ['in', 'photo.bin']])
    // The longest name is no part of a path, and goes through.
    await ask({ name: 'x'.repeat(250), size: 1 })
  })

  it('nonsense in place of an offer is refused', async () => {
    for (const offer of [null, 5, [], {}, { name: 'x' }, { name: 'x', size: -1 }, { name: 'x', size: 0.5 }])
      await expect(ask(offer)).rejects.toMatchObject({ remote: { message: expect.any(String) as string } })
    await expect(open({ name: 'x', size: 1, offset: 2, prefix: nothing })).rejects.toMatchObject({
      streamErrorCode: 256,
    })
    await expect(open({ name: 'x', size: 1, offset: 0, prefix: nothing })).rejects.toMatchObject({
      streamErrorCode: 261,
    })
    expect(readdirSync(dir)).toEqual([])
  })

  it.each([
    ['with a wrong SHA-256', Buffer.concat([Buffer.from('abc'), Buffer.alloc(32)]), 265, []],
    ['that ends early', Buffer.from('ab'), 256, ['x.part']],
    ['with more bytes than offered', Buffer.alloc(100), 256, ['x.part']],
  ] as const)('a transfer %s does not get its name', async (_, bytes, streamErrorCode, left) => {
    await ask({ name: 'x', size: 3 })
    const stream = await open({ name: 'x', size: 3, offset: 0, prefix: nothing })
    const error = new Promise((resolve) => stream.on('error', resolve))
    stream.end(bytes)
    stream.resume()
    expect(await within(error, 'the error')).toMatchObject({ code: 'ERR_STREAM_RESET', streamErrorCode })
    expect(readdirSync(dir)).toEqual(left)
  })
})
