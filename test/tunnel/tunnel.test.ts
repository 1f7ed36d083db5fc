/**
 * Owns: tunnels between two networks over TLS, with real sockets at their ends: bytes, ends, failures, refusals.
 * Independent of: the command line, and of single headers (proxy-protocol.test.ts).
 */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { PassThrough } from 'node:stream'
import type { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { Tunnels } from '../../tunnel/index.ts'
import type { TunnelEvent } from '../../tunnel/index.ts'
import { resetLocally } from '../../tunnel/local-address.ts'
import { play, rejectionOf } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'

interface Ends {
  readonly scene: NativeScene
  readonly alice: NativeMember
  readonly bob: NativeMember
  /** Clients are at alice's, the target is at bob's. */
  readonly opening: Tunnels
  readonly exposing: Tunnels
  readonly seen: TunnelEvent[]
  readonly seenByBob: TunnelEvent[]
  /** A target on a free port. */
  readonly target: (serve: (socket: net.Socket) => void) => Promise<string>
  readonly connect: (address: string) => Promise<net.Socket>
}

/** Everything local is closed at the end. */
function withTunnels(play1: (ends: Ends) => Promise<void>, closes = true): Promise<void> {
  return play({ on: 'tls' }, async (scene) => {
    const [alice, bob] = await scene.pair()
    await bob.network.ready({ peers: 'all' })
    await scene.until('the other end', () => alice.network.peer(bob.id)?.state === 'connected')
    const seen: TunnelEvent[] = []
    const seenByBob: TunnelEvent[] = []
    const opening = new Tunnels(alice.network, { onEvent: (event) => void seen.push(event) })
    const exposing = new Tunnels(bob.network, { onEvent: (event) => void seenByBob.push(event) })
    const servers: net.Server[] = []
    const sockets = new Set<net.Socket>()
    const track = (socket: net.Socket): net.Socket => {
      sockets.add(socket)
      socket.on('error', () => {})
      return socket
    }
    try {
      await play1({
        scene,
        alice,
        bob,
        opening,
        exposing,
        seen,
        seenByBob,
        target: async (serve) => {
          const server = net.createServer({ allowHalfOpen: true }, (socket) => serve(track(socket)))
          servers.push(server)
          server.listen(0, '127.0.0.1')
          await once(server, 'listening')
          return `127.0.0.1:${(server.address() as net.AddressInfo).port}`
        },
        connect: async (address) => {
          const where = address.startsWith('unix:')
            ? { path: address.slice(5) }
            : { host: '127.0.0.1', port: Number(address.split(':').pop()) }
          const socket = track(net.connect({ ...where, allowHalfOpen: true }))
          await once(socket, 'connect')
          return socket
        },
      })
    } finally {
      for (const socket of sockets) socket.destroy()
      for (const server of servers) server.close()
      if (closes) await Promise.all([opening.close({ timeoutMs: 1000 }), exposing.close({ timeoutMs: 1000 })])
    }
  })
}

/** Unlike `for await`, it leaves the other direction open. */
async function bytesOf(socket: Readable): Promise<Buffer> {
  const parts: Buffer[] = []
  socket.on('data', (part: Buffer) => void parts.push(part))
  await once(socket, 'end')
  return Buffer.concat(parts)
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
const echo = (socket: net.Socket): void => void socket.pipe(socket)
const errorCodeOf = async (socket: net.Socket): Promise<string | undefined> => {
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  return error.code
}
const endsIn = (events: readonly TunnelEvent[]): object[] =>
  events.flatMap((event) => (event.type === 'tunnel.closed' ? [event.end] : []))
const refusalsIn = (events: readonly TunnelEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'tunnel.refused' ? [`${event.code}: ${event.message}`] : []))

describe('a tunnel', () => {
  it('carries bytes both ways and each end of writing on its own, and says at both sides that it ended', () =>
    withTunnels(async ({ scene, alice, bob, opening, exposing, seen, seenByBob, target, connect }) => {
      const question = randomBytes(300_000)
      const answer = randomBytes(200_000)
      let asked = ''
      // It answers after the end of the question.
      const address = await target((socket) => {
        void bytesOf(socket).then((bytes) => {
          asked = sha256(bytes)
          socket.end(answer)
        })
      })
      exposing.expose({ name: 'db', target: address, allow: [alice.id] })
      const opened = await opening.open({ peer: bob.id, name: 'db' })
      expect(opened.address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/)
      const client = await connect(opened.address)
      client.end(question)
      expect(sha256(await bytesOf(client))).toBe(sha256(answer))
      expect(asked).toBe(sha256(question))
      await scene.until('both ends', () => endsIn(seen).length + endsIn(seenByBob).length === 2)
      const end = { how: 'ended', by: 'both', message: 'both sides are done' }
      expect(endsIn(seen)).toEqual([{ ...end, bytesSent: 300_000, bytesReceived: 200_000 }])
      expect(endsIn(seenByBob)).toEqual([{ ...end, bytesSent: 200_000, bytesReceived: 300_000 }])
      expect([opening.connections, exposing.connections]).toEqual([[], []])
      expect(exposing.tunnels).toEqual([
        { side: 'expose', name: 'db', peer: null, address, connections: 0, served: 1, refused: 0 },
      ])
    }))

  it('loses and changes no byte while the sockets that carry it are killed', () =>
    withTunnels(async ({ scene, alice, bob, opening, exposing, target, connect }) => {
      exposing.expose({ name: 'echo', target: await target(echo), allow: 'all' })
      const { address } = await opening.open({ peer: bob.id, name: 'echo' })
      const client = await connect(address)
      const bytes = randomBytes(8 * 1024 * 1024)
      let kills = 0
      let killAt = 1024 * 1024
      let received = 0
      client.on('data', (part: Buffer) => {
        received += part.length
        if (received < killAt) return
        killAt += 1024 * 1024
        kills++
        alice.kill()
      })
      client.end(bytes)
      expect(sha256(await bytesOf(client))).toBe(sha256(bytes))
      expect(kills).toBeGreaterThan(5)
      await scene.until('the end', () => opening.connections.length === 0)
      expect(alice.eventsOf('link.reset')).toEqual([])
    }))

  it('is exposed and opened at unix sockets that only their owner may use', () =>
    withTunnels(async ({ alice, bob, opening, exposing, target, connect }) => {
      const folder = await mkdtemp(path.join(tmpdir(), 'sw-tunnel-'))
      try {
        const first = await opening.open({
          peer: bob.id,
          name: 'one',
          listen: `unix:${path.join(folder, 'one.sock')}`,
        })
        expect((await stat(path.join(folder, 'one.sock'))).mode & 0o777).toBe(0o600)
        exposing.expose({ name: 'one', target: await target(echo), allow: [alice.id] })
        // The target of the second is the socket of the first, at the other side.
        const back = new Tunnels(alice.network)
        back.expose({ name: 'two', target: first.address, allow: [bob.id] })
        const second = await new Tunnels(bob.network).open({ peer: alice.id, name: 'two' })
        const client = await connect(second.address)
        client.end('there and back')
        expect((await bytesOf(client)).toString()).toBe('there and back')
        first.close()
        second.close()
      } finally {
        await rm(folder, { recursive: true })
      }
    }))

  it('closes a client at a unix socket, which cannot be reset, when its stream is refused', () =>
    withTunnels(async ({ bob, opening, seen, connect }) => {
      const folder = await mkdtemp(path.join(tmpdir(), 'statewire-'))
      const { address } = await opening.open({ peer: bob.id, name: 'none', listen: `unix:${folder}/s` })
      await once((await connect(address)).resume(), 'end')
      expect(refusalsIn(seen)).toHaveLength(1)
      await rm(folder, { recursive: true })
    }))

  it('carries one connection over a pair of streams', () =>
    withTunnels(async ({ bob, opening, exposing, target }) => {
      exposing.expose({ name: 'ssh', target: await target(echo), allow: 'all' })
      const [input, output] = [new PassThrough(), new PassThrough()]
      const ended = opening.pipe({ peer: bob.id, name: 'ssh', input, output })
      input.end('hello')
      expect((await bytesOf(output)).toString()).toBe('hello')
      expect(await ended).toMatchObject({ how: 'ended', bytesSent: 5, bytesReceived: 5 })
    }))

  it('sends the first bytes of the target, which may speak first', () =>
    withTunnels(async ({ bob, opening, exposing, target, connect }) => {
      exposing.expose({ name: 'smtp', target: await target((socket) => socket.end('220 ready')), allow: 'all' })
      const client = await connect((await opening.open({ peer: bob.id, name: 'smtp' })).address)
      expect((await bytesOf(client)).toString()).toBe('220 ready')
      client.end()
    }))

  it('tells the target its client by the PROXY protocol', () =>
    withTunnels(async ({ bob, opening, exposing, target, connect }) => {
      exposing.expose({ name: 'web', target: await target(echo), allow: 'all', proxyProtocol: true })
      const { address } = await opening.open({ peer: bob.id, name: 'web' })
      const client = await connect(address)
      const { localPort } = client
      client.end('GET /')
      const bytes = await bytesOf(client)
      expect(bytes.subarray(0, 16).toString('hex')).toBe('0d0a0d0a000d0a515549540a2111000c')
      expect([...bytes.subarray(16, 24)]).toEqual([127, 0, 0, 1, 127, 0, 0, 1])
      expect([bytes.readUInt16BE(24), bytes.readUInt16BE(26)]).toEqual([localPort, Number(address.split(':')[1])])
      expect(bytes.subarray(28).toString()).toBe('GET /')
    }))
})

describe('an end that fails', () => {
  it('resets the other end, and both sides say why', () =>
    withTunnels(async ({ scene, bob, opening, exposing, seen, seenByBob, target, connect }) => {
      const sockets: net.Socket[] = []
      exposing.expose({ name: 'db', target: await target((socket) => void sockets.push(socket)), allow: 'all' })
      const client = await connect((await opening.open({ peer: bob.id, name: 'db' })).address)
      client.write('x')
      await scene.until('the target', () => sockets.length === 1)
      // Node takes a RST that comes together with bytes for an end (libuv, uv__stream_io).
      await once(sockets[0]!, 'data')
      const failed = errorCodeOf(sockets[0]!)
      resetLocally(client)
      expect(await failed).toBe('ECONNRESET')
      await scene.until('both ends', () => endsIn(seen).length + endsIn(seenByBob).length === 2)
      const message = expect.stringContaining('ECONNRESET') as string
      expect(endsIn(seen)).toMatchObject([{ how: 'reset', by: 'local', message }])
      expect(endsIn(seenByBob)).toMatchObject([{ how: 'reset', by: 'peer', message }])
    }))

  it('resets the client when the target is reset', () =>
    withTunnels(async ({ bob, opening, exposing, target, connect }) => {
      const reset = (socket: net.Socket): void => void socket.once('data', () => resetLocally(socket))
      exposing.expose({ name: 'db', target: await target(reset), allow: 'all' })
      const client = await connect((await opening.open({ peer: bob.id, name: 'db' })).address)
      const failed = errorCodeOf(client)
      client.resume()
      client.write('x')
      expect(await failed).toBe('ECONNRESET')
    }))

  it('kill resets one connection at both sides, with the reason, and leaves the others', () =>
    withTunnels(async ({ scene, bob, opening, exposing, seen, seenByBob, target, connect }) => {
      exposing.expose({ name: 'db', target: await target(echo), allow: 'all' })
      const { address } = await opening.open({ peer: bob.id, name: 'db' })
      const clients = [await connect(address), await connect(address)]
      await scene.until('both', () => opening.connections.length === 2 && exposing.connections.length === 2)
      const failed = errorCodeOf(clients[0]!)
      clients[0]!.resume()
      const [first] = opening.connections
      expect([opening.kill(first!.id, 'enough'), opening.kill(999)]).toEqual([true, false])
      expect(await failed).toBe('ECONNRESET')
      await scene.until('both ends', () => endsIn(seen).length + endsIn(seenByBob).length === 2)
      expect(endsIn(seen)).toMatchObject([{ how: 'killed', by: 'local', message: 'enough' }])
      expect(endsIn(seenByBob)).toMatchObject([{ how: 'killed', by: 'peer', message: 'enough' }])
      clients[1]!.end('still here')
      expect((await bytesOf(clients[1]!)).toString()).toBe('still here')
    }))

  it('a reset of the link ends the connections at both sides, with the reason', () =>
    withTunnels(async ({ scene, alice, bob, opening, exposing, seen, seenByBob, target, connect }) => {
      exposing.expose({ name: 'db', target: await target(echo), allow: 'all' })
      const client = await connect((await opening.open({ peer: bob.id, name: 'db' })).address)
      await scene.until('the connection', () => exposing.connections.length === 1)
      const failed = errorCodeOf(client)
      client.resume()
      await alice.network.peer(bob.id)!.disconnect({ reason: 'lunch' })
      expect(await failed).toBe('ECONNRESET')
      await scene.until('both ends', () => endsIn(seen).length + endsIn(seenByBob).length === 2)
      expect(endsIn(seen)).toMatchObject([{ how: 'lost' }])
      expect(endsIn(seenByBob)).toMatchObject([{ how: 'lost', message: expect.stringContaining('lunch') as string }])
    }))

  it('close waits for open connections, and resets those that last', () =>
    withTunnels(async ({ bob, opening, exposing, seen, target, connect }) => {
      exposing.expose({ name: 'db', target: await target(echo), allow: 'all' })
      const { address } = await opening.open({ peer: bob.id, name: 'db' })
      const [brief, long] = [await connect(address), await connect(address)]
      brief.write('x')
      long.write('x')
      await Promise.all([once(brief, 'data'), once(long, 'data')])
      const failed = errorCodeOf(long)
      const closing = opening.close({ timeoutMs: 300 })
      brief.end()
      await bytesOf(brief)
      expect(await failed).toBe('ECONNRESET')
      await closing
      expect(endsIn(seen).map((end) => (end as { how: string }).how)).toEqual(['ended', 'killed'])
      await expect(opening.open({ peer: bob.id, name: 'db' })).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    }))

  it('a listener that throws disturbs no connection', () =>
    withTunnels(async ({ alice, bob, exposing, target, connect }) => {
      exposing.expose({ name: 'db', target: await target(echo), allow: 'all' })
      const warned = once(process, 'warning')
      const opening = new Tunnels(alice.network, {
        onEvent: () => {
          throw new Error('a mistake of the application')
        },
      })
      const client = await connect((await opening.open({ peer: bob.id, name: 'db' })).address)
      client.end('hello')
      expect((await bytesOf(client)).toString()).toBe('hello')
      expect(String(await warned)).toContain('a mistake of the application')
      await opening.close()
    }))
})

describe('a connection that is refused', () => {
  it.each<[string, (ends: Ends) => Promise<void>, RegExp]>([
    ['a name that is not exposed', async () => {}, /^ERR_NO_PROTOCOL: \S+ exposes no tunnel "db"$/],
    [
      'a peer that is not allowed',
      async ({ exposing, bob, target }) =>
        void exposing.expose({ name: 'db', target: await target(echo), allow: [bob.id] }),
      /^ERR_STREAM_REFUSED: \S+ does not allow this side to use its tunnel "db"$/,
    ],
    [
      'a target that refuses',
      async ({ exposing, target }) => {
        const server = net.createServer().listen(0, '127.0.0.1')
        await once(server, 'listening')
        const { port } = server.address() as net.AddressInfo
        server.close()
        await once(server, 'close')
        void target
        exposing.expose({ name: 'db', target: `127.0.0.1:${port}`, allow: 'all' })
      },
      /^ERR_STREAM_REFUSED: \S+ refused a connection of its tunnel "db": the target refuses connections \(ECONNREFUSED\)$/,
    ],
    [
      'a target that does not exist',
      async ({ exposing }) => void exposing.expose({ name: 'db', target: 'unix:/nowhere/at/all.sock', allow: 'all' }),
      /^ERR_STREAM_REFUSED: .*the target cannot be reached \(ENOENT\)$/,
    ],
  ])('%s is told by name, to pipe, to the listener and to the client', (_what, prepare, says) =>
    withTunnels(async (ends) => {
      const { bob, opening, seen, connect } = ends
      await prepare(ends)
      const error = await rejectionOf(
        opening.pipe({ peer: bob.id, name: 'db', input: new PassThrough(), output: new PassThrough() }),
      )
      expect(`${error.code}: ${error.message}`).toMatch(says)
      const client = await connect((await opening.open({ peer: bob.id, name: 'db' })).address)
      client.resume()
      expect(await errorCodeOf(client)).toBe('ECONNRESET')
      expect(refusalsIn(seen)).toEqual([expect.stringMatching(says)])
      expect(opening.tunnels).toMatchObject([{ served: 0, refused: 1 }])
    }),
  )

  it('connections over the limit are refused at once, at the opening and at the exposing side', () =>
    withTunnels(async ({ scene, bob, opening, exposing, seen, target, connect }) => {
      exposing.expose({ name: 'db', target: await target(echo), allow: 'all', connectionsMax: 1 })
      const few = await opening.open({ peer: bob.id, name: 'db', connectionsMax: 2 })
      await connect(few.address)
      await scene.until('the first', () => exposing.connections.length === 1)
      const second = await connect(few.address)
      second.resume()
      expect(await errorCodeOf(second)).toBe('ECONNRESET')
      expect(refusalsIn(seen)).toEqual([expect.stringMatching(/^ERR_STREAM_OVERLOADED: .*1 streams of this protocol/)])
    }))

  it('a port in use is an error of open that names it', () =>
    withTunnels(async ({ bob, opening, target }) => {
      const address = await target(echo)
      await expect(opening.open({ peer: bob.id, name: 'db', listen: address })).rejects.toMatchObject({
        code: 'ERR_LISTEN_FAILED',
        message: `the tunnel cannot listen at ${address}: it is in use already; choose another port, or 0 for a free one`,
      })
    }))
})
