/**
 * Owns: that each rule of the hello, broken once on a real socket, is answered with its refusal or with the end of the
 * socket, and that a connection that works is not touched by it.
 * Independent of: networks that break no rule (test/native/), and who may connect (test/security/).
 */
import net from 'node:net'
import tls from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createNetwork, Identity } from '../../index.ts'
import type { Network, NetworkEvent } from '../../index.ts'
import { encodeHello, encodeRefusal, helloLengthBytes, HelloReader } from '../../codec/hello.ts'
import type { Hello, RefusalName } from '../../codec/hello.ts'
import { helloOf } from '../bars/security/identity-bar.ts'
import { until } from '../support/bounded-wait.ts'
import { RawSocket } from '../support/raw-socket.ts'

const [own, peer, stranger] = [Identity.generate(), Identity.generate(), Identity.generate()]
const links = 2

/** Changes of a valid hello, or of its bytes: offset, then bytes. */
type Broken = Partial<Hello> | readonly [offset: number, ...bytes: number[]]
type Rule = readonly [name: string, broken: Broken, answer: RefusalName | 'closed']

const u32 = (offset: number, value: number): Broken => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return [offset, ...bytes]
}
const u64 = (offset: number, value: bigint): Broken => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return [offset, ...bytes]
}

const ownRules: readonly Rule[] = [
  ...[0, 1, 2, 3].map((offset): Rule => [`a wrong byte ${offset} of the magic`, [offset, 0x78], 'closed']),
  ...[0, 3, 255].map((kind): Rule => [`kind ${kind}`, [4, kind], 'closed']),
  ...[0, 2, 255].map((version): Rule => [`version ${version}`, [5, version], 'version']),
  ['maxMessageLength 65,535', u32(12, 65_535), 'bad-hello'],
  ['maxMessageLength 2^30 + 1', u32(12, 2 ** 30 + 1), 'bad-hello'],
  ['lane window 0', u32(16, 0), 'bad-hello'],
  ['lane window 2^31', u32(16, 2 ** 31), 'bad-hello'],
  ['resume time-out 0', u32(20, 0), 'bad-hello'],
  ['boot id 0', u64(24, 0n), 'bad-hello'],
  ['boot id 2^53', u64(24, 2n ** 53n), 'bad-hello'],
  ['epoch 0', u64(32, 0n), 'bad-hello'],
  ['next epoch 0', u64(40, 0n), 'bad-hello'],
  ['received 2^53', u64(56, 2n ** 53n), 'bad-hello'],
  ['first 2^53', u64(64, 2n ** 53n), 'bad-hello'],
  ['next 2^53', u64(72, 2n ** 53n), 'bad-hello'],
  ['hello number 0', u64(112, 0n), 'bad-hello'],
  ['hello number 2^53', u64(112, 2n ** 53n), 'bad-hello'],
  ['number of links 0', [120, 0, 0], 'bad-hello'],
  ['replay window 0', u32(122, 0), 'bad-hello'],
  ['stream limit 0', u32(126, 0), 'bad-hello'],
  ['the key of the side that reads it', { publicKey: own.publicKey }, 'self'],
]

const epochRules: readonly Rule[] = [
  ['another maxMessageLength than its epoch began with', { maxMessageLengthBytes: 1 << 21 }, 'bad-hello'],
  ['another lane window than its epoch began with', { laneWindowBytes: 1 << 17 }, 'bad-hello'],
  ['another resume time-out than its epoch began with', { resumeTimeoutMs: 1 }, 'bad-hello'],
  ['another number of links than its epoch began with', { links: 3 }, 'bad-hello'],
  ['another replay window than its epoch began with', { replayWindowBytes: 1 << 20 }, 'bad-hello'],
  ['another stream limit than its epoch began with', { streamsMax: 1 }, 'bad-hello'],
]

const inboundRules: readonly Rule[] = [
  ...ownRules,
  ...epochRules,
  ['kind 2, a refusal', [4, 2], 'closed'],
  ['the key of a stranger', { publicKey: stranger.publicKey }, 'not-allowed'],
  ['a link beyond the number of the side that reads it', { connectionId: links, links: 9 }, 'no-such-link'],
  ['a link beyond its own number', { connectionId: 1, links: 1, epoch: 5n }, 'no-such-link'],
  ['the hello number of the one before', { helloNumber: 10 }, 'stale'],
  ['an earlier boot id', { bootId: 1n }, 'stale'],
  ['an earlier boot id, on a link without a hello', { bootId: 1n, connectionId: 1 }, 'stale'],
]

function bytesOf(hello: Hello, broken: Broken): Buffer {
  if (!Array.isArray(broken)) return encodeHello({ ...hello, ...(broken as Partial<Hello>) })
  const [offset, ...bytes] = broken as [number, ...number[]]
  const patched = encodeHello(hello)
  patched.set(bytes, offset)
  return patched
}

/** What the other side answered before it ended: the name of its refusal, or `closed` if it sent nothing. */
async function answerOf(socket: RawSocket): Promise<{ name: string; staleBootId: bigint }> {
  await socket.end()
  socket.close()
  if (socket.received.length === 0) return { name: 'closed', staleBootId: 0n }
  const step = new HelloReader('dialer').feed(socket.received)
  if (step.kind !== 'refusal') return { name: step.kind, staleBootId: 0n }
  expect(step.rest).toHaveLength(0)
  return { name: step.refusal.name ?? '', staleBootId: step.refusal.staleBootId }
}

function listening(security: 'plaintext' | 'tls'): Network {
  return createNetwork({
    identity: own,
    security,
    listen: `${security === 'tls' ? 'tls' : 'tcp'}://127.0.0.1:0`,
    peers: [{ id: peer.id }],
    connectionParallelism: links,
    limits: { connectBurst: 1000, pendingInboundPerAddressMax: 64, backoffMinMs: 1, backoffMaxMs: 20 },
  })
}

describe('a hello to a listening side that has a connection with the peer', () => {
  const network = listening('plaintext')
  const first = helloOf(peer.publicKey, { helloNumber: 10, links })
  const next = { ...first, helloNumber: 11 }
  let working: RawSocket

  const answerTo = async (bytes: Buffer): Promise<{ name: string; staleBootId: bigint }> => {
    const socket = await RawSocket.dial(network.url as string)
    socket.write(bytes)
    return answerOf(socket)
  }

  beforeAll(async () => {
    await network.ready()
    network.makeSessions({ count: 1, timeoutMs: 300_000 }).catch(() => {})
    working = await RawSocket.dial(network.url as string)
    working.write(encodeHello(first))
    expect(new HelloReader('dialer').feed(await working.read(helloLengthBytes)).kind).toBe('hello')
  })
  afterAll(async () => {
    working.close()
    await network.shutdown()
  })

  it.each(inboundRules)('with %s gets its answer, and the connection goes on', async (_, broken, answer) => {
    const rejected = new Promise<NetworkEvent>((resolve) => void network.on('connection.rejected', resolve))
    expect(await answerTo(bytesOf(next, broken))).toEqual({ name: answer, staleBootId: 0n })
    expect(working.isOver).toBe(false)
    // A late hello of the same process is no event.
    if (answer !== 'stale' || !('helloNumber' in broken)) expect(await rejected).toMatchObject({ cause: {} })
  })

  it('that is stale gets the boot id of the current process once the connection is gone', async () => {
    const lost = new Promise((resolve) => void network.on('connection.lost', resolve))
    working.close()
    await lost
    expect(await answerTo(bytesOf(next, { bootId: 1n }))).toEqual({ name: 'stale', staleBootId: first.bootId })
  })

  it('without a fault is answered after all of this, and goes on with what the first one began', async () => {
    const socket = await RawSocket.dial(network.url as string)
    socket.write(encodeHello(next))
    const step = new HelloReader('dialer').feed(await socket.read(helloLengthBytes))
    expect(step.kind === 'hello' && [step.hello.known, step.hello.connectionId]).toEqual([first.epoch, 0])
    socket.close()
  })
})

describe('a hello over TLS', () => {
  it.each<[string, Identity, RefusalName]>([
    ['a peer', peer, 'identity'],
    ['a stranger', stranger, 'identity'],
    ['the side that reads it', own, 'identity'],
  ])('that has the key of %s, which is not the key of the certificate, is refused as identity', async (_, claimed) => {
    const allowed = claimed === peer ? Identity.generate() : peer
    const network = createNetwork({
      identity: own,
      listen: 'tls://127.0.0.1:0',
      peers: [...new Set([peer.id, allowed.id])].map((id) => ({ id })),
    })
    try {
      await network.ready()
      const rejected = new Promise<NetworkEvent>((resolve) => void network.on('connection.rejected', resolve))
      const socket = tls.connect({
        host: '127.0.0.1',
        port: Number(new URL(network.url as string).port),
        rejectUnauthorized: false,
        ALPNProtocols: ['statewire/1'],
        key: allowed.toPem(),
        cert: allowed.certificate,
      })
      const raw = new RawSocket(socket)
      raw.write(encodeHello(helloOf(claimed.publicKey)))
      expect((await answerOf(raw)).name).toBe('identity')
      expect(await rejected).toMatchObject({ peer: null, cause: { code: 'ERR_UNEXPECTED_PEER' } })
    } finally {
      await network.shutdown()
    }
  })
})

describe('an answer to the hello of a dialling side', () => {
  const answers: readonly Rule[] = [
    ...ownRules,
    ['another key', { publicKey: stranger.publicKey }, 'closed'],
    ['another connection id', { connectionId: 1, links }, 'closed'],
  ]

  /** A peer that gives one answer to each connection in turn, then valid ones. */
  async function serve(
    answersInTurn: readonly ((dialled: Hello) => Buffer)[],
    run: (network: Network, sockets: RawSocket[]) => Promise<void>,
  ): Promise<void> {
    const sockets: RawSocket[] = []
    const server = net.createServer((accepted) => {
      const socket = new RawSocket(accepted)
      const answer = answersInTurn[sockets.push(socket) - 1]
      void socket.read(helloLengthBytes).then((bytes) => {
        const step = new HelloReader('acceptor').feed(bytes)
        if (step.kind === 'hello') socket.write(answer?.(step.hello) ?? encodeHello(helloOf(peer.publicKey)))
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as net.AddressInfo
    const network = createNetwork({
      identity: own,
      security: 'plaintext',
      peers: [{ id: peer.id, urls: `tcp://127.0.0.1:${port}` }],
      limits: { backoffMinMs: 1, backoffMaxMs: 20 },
    })
    try {
      network.makeSessions({ count: 1, timeoutMs: 300_000 }).catch(() => {})
      await run(network, sockets)
    } finally {
      for (const socket of sockets) socket.close()
      await network.shutdown()
      server.close()
    }
  }

  const opened = (network: Network): Promise<NetworkEvent> =>
    new Promise((resolve) => void network.on('connection.opened', resolve))

  it.each(answers)('with %s is not answered: the socket is closed, and the next dial connects', (_, broken) =>
    serve([() => bytesOf(helloOf(peer.publicKey), broken)], async (network, sockets) => {
      await opened(network)
      const wrong = sockets[0] as RawSocket
      await wrong.end()
      expect([wrong.received.length, sockets.length]).toEqual([helloLengthBytes, 2])
    }),
  )

  it.each(epochRules)('with %s is not answered: the socket is closed', (_, broken) => {
    const valid = helloOf(peer.publicKey)
    const known = { ...valid, helloNumber: 2 }
    return serve([() => encodeHello(valid), () => bytesOf(known, broken)], async (network, sockets) => {
      await opened(network)
      sockets[0]?.close()
      await until(() => sockets.length > 1, 'a second dial')
      const wrong = sockets[1] as RawSocket
      await wrong.end()
      expect(wrong.received).toHaveLength(helloLengthBytes)
    })
  })

  it('that is a refusal with a text of 257 bytes is not answered: the socket is closed', () => {
    const long = Buffer.concat([encodeRefusal('busy', ''), Buffer.alloc(257, 'a')])
    long.writeUInt16LE(257, 8)
    return serve([() => long], async (network, sockets) => {
      await opened(network)
      const wrong = sockets[0] as RawSocket
      await wrong.end()
      expect(wrong.received).toHaveLength(helloLengthBytes)
    })
  })
})
