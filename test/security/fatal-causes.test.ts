/**
 * Owns: that calls fail at once, with the real cause, when a peer will not be connected until something is changed.
 * Independent of: how each cause is found (tls-handshake, tls-ampc, wrong-protocol) and of causes that may resolve.
 */
import { createServer } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { createServer as createTcpServer } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { PeerConnectionBuilder } from '../../actors/index.ts'
import type { AmpcConfig } from '../../actors/index.ts'
import { createNetwork, Identity } from '../../index.ts'
import type { Network, NetworkConfig } from '../../index.ts'
import { nextEvent, rejection, within } from '../support/bounded-wait.ts'
import { issue } from './test-authority.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
  vi.restoreAllMocks()
})

function keep(network: Network): Network {
  cleanups.push(() => network.shutdown())
  return network
}

async function portOf(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => new Promise((resolve) => server.close(resolve)))
  return (server.address() as AddressInfo).port
}

async function listening(config: NetworkConfig): Promise<number> {
  const network = keep(createNetwork(config))
  await network.ready()
  return Number(new URL(network.url as string).port)
}

const listen = 'tls://127.0.0.1:0'
const [own, other, third] = [1, 2, 3].map(() => Identity.generate()) as [Identity, Identity, Identity]
const httpPort = (): Promise<number> => portOf(createServer((_, response) => response.end()))
/** Closes each client after a few words of its own, as mail and shell servers do. */
const bannerPort = (): Promise<number> =>
  portOf(
    createTcpServer((socket) =>
      socket
        .on('error', () => {})
        .resume()
        .end('SSH-2.0-OpenSSH_9.6\r\n'),
    ),
  )

const rootOf = {
  alice: issue({ name: 'alice root', isAuthority: true }),
  bob: issue({ name: 'bob root', isAuthority: true }),
  mallory: issue({ name: 'mallory root', isAuthority: true }),
}
type Name = keyof typeof rootOf
const tlsOf = (name: Name, trusts: Partial<Record<Name, Name>>): NonNullable<AmpcConfig['tls']> => {
  const leaf = issue({ name, issuer: rootOf[name], hosts: ['127.0.0.1'], purposes: ['client', 'server'] })
  return {
    key: leaf.keyPem,
    certificate: leaf.pem,
    roots: Object.fromEntries(Object.entries(trusts).map(([peer, root]) => [peer, rootOf[root].pem])),
  }
}
const alice = (tls: NonNullable<AmpcConfig['tls']>): AmpcConfig => ({
  identity: 'alice',
  security: 'tls',
  tls,
  listen,
  peers: [{ id: 'bob' }],
})

const native = (port: number): NetworkConfig => ({
  identity: own,
  peers: [{ id: other.id, urls: `tls://127.0.0.1:${port}` }],
})
const ampc = (port: number): AmpcConfig => ({
  identity: 'bob',
  security: 'tls',
  tls: tlsOf('bob', { alice: 'alice' }),
  peers: [{ id: 'alice', urls: `tls://127.0.0.1:${port}` }],
})

interface Cause {
  readonly port: () => Promise<number>
  readonly config: (port: number) => NetworkConfig
  readonly code: string
  readonly word: string
}

const causes: Record<string, Cause> = {
  'native: another key at the only address': {
    port: () => listening({ identity: third, listen, peers: [{ id: own.id }] }),
    config: native,
    code: 'ERR_UNEXPECTED_PEER',
    word: third.id,
  },
  'native: the peer does not let this side in': {
    port: () => listening({ identity: other, listen, peers: [{ id: own.id }], admit: () => false }),
    config: native,
    code: 'ERR_NOT_ALLOWED',
    word: 'not-allowed',
  },
  'native: an HTTP server': { port: httpPort, config: native, code: 'ERR_TLS_PROTOCOL', word: 'does not speak TLS' },
  'native: a server with a banner': {
    port: bannerPort,
    config: native,
    code: 'ERR_TLS_PROTOCOL',
    word: 'does not speak TLS',
  },
  'native without TLS: another key': {
    port: () =>
      listening({ identity: third, listen: 'tcp://127.0.0.1:0', security: 'plaintext', peers: [{ id: own.id }] }),
    config: (port) => ({
      identity: own,
      security: 'plaintext',
      peers: [{ id: other.id, urls: `tcp://127.0.0.1:${port}` }],
    }),
    code: 'ERR_UNEXPECTED_PEER',
    word: third.id,
  },
  'ampc: a certificate of a wrong authority': {
    port: () => listening(alice(tlsOf('mallory', { bob: 'bob' }))),
    config: ampc,
    code: 'ERR_CERTIFICATE_REJECTED',
    word: 'not valid for "alice"',
  },
  'ampc: the certificate of another party': {
    port: () => listening(alice(tlsOf('mallory', { bob: 'bob' }))),
    config: (port) => ({ ...ampc(port), tls: tlsOf('bob', { alice: 'alice', mallory: 'mallory' }) }) as NetworkConfig,
    code: 'ERR_CERTIFICATE_REJECTED',
    word: 'not valid for "alice"',
  },
  'ampc: an HTTP server': { port: httpPort, config: ampc, code: 'ERR_TLS_PROTOCOL', word: 'does not speak TLS' },
}

describe('a fatal cause', () => {
  it.each(Object.entries(causes))(
    'a fatal cause makes makeSessions fail at once with its code (%s)',
    async (_name, { port, config, code, word }) => {
      const network = keep(createNetwork(config(await port())))
      const error = await rejection(network.makeSessions({ count: 1, timeoutMs: 60_000 }), 'makeSessions')
      expect(error).toMatchObject({ code, retryable: false, message: expect.stringContaining(word) as string })
      // A later call fails as well, whether it dials again or not.
      expect(await rejection(network.makeSessions({ count: 1, timeoutMs: 60_000 }), 'the second call')).toMatchObject({
        code,
      })
    },
  )

  it.each(Object.entries(causes).filter(([name]) => name.startsWith('ampc')))(
    'a fatal cause makes build and openControlChannel fail at once with its code (%s)',
    async (_name, { port, config, code, word }) => {
      const at = await port()
      const { peers, ...rest } = config(at) as AmpcConfig
      const builder = new PeerConnectionBuilder({ ...rest, onConnectionLost: 'reconnect' }).includePeer(
        'alice',
        peers[0]?.urls as string,
      )
      expect(await rejection(builder.build({ timeoutMs: 60_000 }), 'build')).toMatchObject({
        code,
        retryable: false,
        message: expect.stringContaining(word) as string,
      })
      const network = keep(createNetwork(config(at)))
      expect(await rejection(network.openControlChannel({ timeoutMs: 60_000 }), 'openControlChannel')).toMatchObject({
        code,
      })
    },
  )

  it('a fatal cause fails every call that waits for the peer, and no call for another peer', async () => {
    const wrong = await listening({ identity: third, listen, peers: [{ id: own.id }] })
    const fourth = Identity.generate()
    const good = keep(createNetwork({ identity: fourth, listen, peers: [{ id: own.id }] }))
    await good.ready()
    const network = keep(
      createNetwork({
        identity: own,
        peers: [
          { id: other.id, urls: `tls://127.0.0.1:${wrong}` },
          { id: fourth.id, urls: good.url as string },
        ],
      }),
    )
    const failing = [{ peers: [other.id] }, { peers: [other.id, fourth.id] }, {}].map((options) =>
      rejection(network.makeSessions({ count: 1, timeoutMs: 60_000, ...options }), 'a call'),
    )
    for (const error of await Promise.all(failing)) expect(error).toMatchObject({ code: 'ERR_UNEXPECTED_PEER' })
    await within(
      Promise.all([network.makeSessions({ count: 1, peers: [fourth.id] }), good.makeSessions({ count: 1 })]),
      'sessions with the other peer',
    )
  })

  it("a fatal cause of this side's dials fails no call if the peer connects by itself", async () => {
    const wrong = await listening({ identity: third, listen, peers: [{ id: own.id }] })
    const network = keep(
      createNetwork({ identity: own, listen, peers: [{ id: other.id, urls: `tls://127.0.0.1:${wrong}` }] }),
    )
    await network.ready()
    const failed = nextEvent(network, 'connection.failed')
    const made = network.makeSessions({ count: 1, timeoutMs: 60_000 })
    expect((await failed).cause.code).toBe('ERR_UNEXPECTED_PEER')
    const peer = keep(createNetwork({ identity: other, peers: [{ id: own.id, urls: network.url as string }] }))
    await within(Promise.all([made, peer.makeSessions({ count: 1 })]), 'sessions')
  })

  it('after a fatal cause, a new call dials again without waiting for the back-off', async () => {
    const wrong = keep(createNetwork({ identity: third, listen, peers: [{ id: own.id }] }))
    await wrong.ready()
    const at = wrong.url as string
    const network = keep(
      createNetwork({
        identity: own,
        peers: [{ id: other.id, urls: at }],
        limits: { backoffMinMs: 600_000, backoffMaxMs: 600_000 },
      }),
    )
    expect(await rejection(network.makeSessions({ count: 1 }), 'makeSessions')).toMatchObject({
      code: 'ERR_UNEXPECTED_PEER',
    })
    await wrong.shutdown()
    const right = keep(createNetwork({ identity: other, listen: at, peers: [{ id: own.id }] }))
    await right.ready()
    await within(Promise.all([network, right].map((each) => each.makeSessions({ count: 1 }))), 'sessions')
  })

  it('after a fatal cause, dials continue and calls succeed once the cause is gone', async () => {
    const wrong = keep(createNetwork({ identity: third, listen, peers: [{ id: own.id }] }))
    await wrong.ready()
    const at = wrong.url as string
    const network = keep(
      createNetwork({
        identity: own,
        peers: [{ id: other.id, urls: at }],
        limits: { backoffMinMs: 1, backoffMaxMs: 50 },
      }),
    )
    expect(await rejection(network.makeSessions({ count: 1 }), 'makeSessions')).toMatchObject({
      code: 'ERR_UNEXPECTED_PEER',
    })
    await wrong.shutdown()
    const opened = nextEvent(network, 'connection.opened')
    const right = keep(createNetwork({ identity: other, listen: at, peers: [{ id: own.id }] }))
    await opened
    await within(Promise.all([network, right].map((each) => each.makeSessions({ count: 1 }))), 'sessions')
  })
})

describe('a process warning', () => {
  const warned = async (prepare: (network: Network) => unknown): Promise<unknown[][]> => {
    const emitWarning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const wrong = await listening({ identity: third, listen, peers: [{ id: own.id }] })
    const network = keep(
      createNetwork({ ...native(wrong), limits: { backoffMinMs: 1, backoffMaxMs: 1 } } as NetworkConfig),
    )
    prepare(network)
    let failures = 0
    const seen = new Promise<void>((resolve) =>
      network.ref.on('connection.failed', () => ++failures === 3 && resolve()),
    )
    await within(seen, 'three dials fail')
    return emitWarning.mock.calls
  }

  it('a fatal cause gives one process warning if nothing listens to connection.failed', async () => {
    const calls = await warned(() => {})
    expect(calls).toEqual([
      [expect.stringContaining(third.id), { type: 'StatewireWarning', code: 'ERR_UNEXPECTED_PEER' }],
    ])
  })

  it.each<[string, (network: Network) => unknown]>([
    ['a listener', (network) => network.on('connection.failed', () => {})],
    ['a reader of events()', (network) => network.events()],
  ])('a fatal cause gives no process warning if there is %s', async (_name, prepare) => {
    expect(await warned(prepare)).toEqual([])
  })
})
