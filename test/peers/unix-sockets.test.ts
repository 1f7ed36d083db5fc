/**
 * Owns: networks that listen at and dial the path of a unix socket, with TLS over it.
 * Independent of: TLS itself, and links.
 */
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createNetwork } from '../../actors/index.ts'
import { keys, rejectionOf } from '../support/native-scene.ts'

const [alice, bob] = keys as [(typeof keys)[0], (typeof keys)[0]]

async function withPath(body: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'statewire-'))
  try {
    await body(join(folder, 's.sock'))
  } finally {
    await rm(folder, { recursive: true })
  }
}

const listening = (path: string): ReturnType<typeof createNetwork> =>
  createNetwork({ identity: alice, listen: `unix:${path}`, peers: [{ id: bob.id }] })

describe.skipIf(process.platform === 'win32')('unix sockets', () => {
  it('carry TLS between two networks, at a file that only its owner may open', () =>
    withPath(async (path) => {
      const server = listening(path)
      await server.ready()
      const client = createNetwork({ identity: bob, peers: [{ id: alice.id, urls: `unix:${path}` }] })
      try {
        expect((await stat(path)).mode & 0o777).toBe(0o600)
        const received = new Promise((resolve) => server.onMessage('', ({ bytes }) => resolve(bytes.toString())))
        await client.send(alice.id, 'hello')
        expect(await received).toBe('hello')
        expect(client.peers[0]?.urls).toEqual([`unix:${path}`])
      } finally {
        await Promise.all([client.shutdown(), server.shutdown()])
      }
    }))

  it('replace no file at which a process listens', () =>
    withPath(async (path) => {
      const other = net.createServer((socket) => socket.destroy())
      await new Promise<void>((resolve) => other.listen(path, resolve))
      const server = listening(path)
      try {
        expect((await rejectionOf(server.ready())).message).toMatch(/EADDRINUSE|in use/)
        expect((await stat(path)).isSocket()).toBe(true)
      } finally {
        await server.shutdown().catch(() => {})
        await new Promise((resolve) => other.close(resolve))
      }
    }))

  it('replace the file of a process that was killed', () =>
    withPath(async (path) => {
      const program = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
      spawnSync(process.execPath, ['-e', program])
      expect((await stat(path)).isSocket()).toBe(true)
      const server = listening(path)
      await server.ready()
      expect(server.url).toBe(`unix:${path}`)
      await server.shutdown()
    }))
})
