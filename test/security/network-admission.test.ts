/**
 * Owns: who gets into a whole network: the list of addresses, the admit function of the application, and the roots
 * behind names.
 * Independent of: rates and caps (test/protocol/admission.test.ts).
 */
import net from 'node:net'
import tls from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { createNetwork, Identity } from '../../index.ts'
import type { Limits, Network, NetworkEventOf } from '../../index.ts'
import type { AdmitInfo, AmpcConfig } from '../../actors/index.ts'
import { SharedPort } from '../../actors/index.ts'
import { nextEvent, rejection, settle, until, within } from '../support/bounded-wait.ts'
import { issue } from './test-authority.ts'

const limits: Partial<Limits> = {
  backoffMinMs: 1,
  backoffMaxMs: 20,
  connectBurst: 10_000,
  makeSessionsTimeoutMs: 10_000,
}
const networks: Network[] = []

afterEach(async () => {
  for (const network of networks.splice(0)) {
    await network.shutdown()
    expect(network.resources).toMatchObject({ actors: 0, deadlines: 0 })
  }
})

function keep(network: Network): Network {
  networks.push(network)
  return network
}

interface Guarded {
  readonly network: Network
  readonly guest: Network
  readonly guestId: string
}

/** A network with admission options, and a guest that dials it. */
async function meet(guard: {
  allowAddresses?: readonly string[]
  admit?: (info: AdmitInfo) => boolean | Promise<boolean>
  admitTimeoutMs?: number
}): Promise<Guarded> {
  const [own, other] = [Identity.generate(), Identity.generate()]
  const { admitTimeoutMs, ...admission } = guard
  const network = keep(
    createNetwork({
      identity: own,
      listen: 'tls://127.0.0.1:0',
      peers: [{ id: other.id }],
      limits: { ...limits, ...(admitTimeoutMs === undefined ? {} : { admitTimeoutMs }) },
      ...admission,
    }),
  )
  await network.ready()
  const guest = keep(createNetwork({ identity: other, peers: [{ id: own.id, urls: network.url ?? '' }], limits }))
  return { network, guest, guestId: other.id }
}

async function sessionsOf({ network, guest }: Guarded): Promise<void> {
  await within(Promise.all([network.makeSessions({ count: 1 }), guest.makeSessions({ count: 1 })]), 'sessions')
}

describe('allowAddresses', () => {
  it.each(['127.0.0.1', '127.0.0.0/8', '0.0.0.0/0'])(
    'an allowAddresses of %s lets a peer on loopback in',
    async (entry) => {
      await sessionsOf(await meet({ allowAddresses: [entry] }))
    },
  )

  it.each([['10.0.0.0/8'], []])(
    'an address that allowAddresses does not contain is closed at once with a reason',
    async (...entries) => {
      const { network } = await meet({ allowAddresses: entries })
      const event = await nextEvent(network, 'connection.rejected')
      expect(event).toMatchObject({ peer: null, cause: { code: 'ERR_NOT_ALLOWED' } })
    },
  )

  it.each(['127.0.0.1/33', '10.0.0/8', 'localhost', '::1/129', '1.2.3.4/8/9', '1.2.3.4/-1', ''])(
    'allowAddresses refuses the entry %j by name',
    (entry) => {
      const create = (): Network =>
        createNetwork({
          identity: Identity.generate(),
          listen: 'tls://127.0.0.1:0',
          peers: [],
          allowAddresses: ['::1', entry],
        })
      expect(create).toThrow(
        expect.objectContaining({
          code: 'ERR_INVALID_OPTION',
          message: expect.stringContaining('allowAddresses[1]') as string,
        }) as Error,
      )
    },
  )
})

describe('the admit function', () => {
  it('admit is called with the id and the address of a peer, and lets it in', async () => {
    const asked: AdmitInfo[] = []
    const pair = await meet({ admit: (info) => asked.push(info) > 0 })
    await sessionsOf(pair)
    expect(asked).toEqual([
      { peer: pair.guestId, linkIndex: 0, remoteAddress: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string },
    ])
  })

  it('admit may answer asynchronously', async () => {
    await sessionsOf(await meet({ admit: () => new Promise((resolve) => setImmediate(() => resolve(true))) }))
  })

  const noes: [string, () => boolean | Promise<boolean>, string][] = [
    ['returns false', () => false, 'refused'],
    ['returns false later', () => Promise.resolve(false), 'refused'],
    [
      'throws',
      () => {
        throw new Error('a bug')
      },
      'threw',
    ],
    ['rejects', () => Promise.reject(new Error('a bug')), 'threw'],
    ['returns a value that is not true', () => 'yes' as unknown as boolean, 'refused'],
    ['never answers', () => new Promise(() => {}), 'did not answer'],
  ]
  it.each(noes)('a peer is refused with a reason when admit %s', async (_what, admit, word) => {
    const { network, guest, guestId } = await meet({ admit, admitTimeoutMs: 50 })
    const rejected = nextEvent(network, 'connection.rejected')
    const failed = nextEvent(guest, 'connection.failed')
    expect(await rejected).toMatchObject({
      peer: guestId,
      cause: { code: 'ERR_NOT_ALLOWED', message: expect.stringContaining(word) as string },
    })
    expect(((await failed) as NetworkEventOf<'connection.failed'>).cause.message).toContain('not-allowed')
  })
})

describe('failed inbound connections', () => {
  const clients: [string, (port: number) => net.Socket, string, string?][] = [
    [
      'speaks another protocol',
      (port) =>
        net.connect(port, '127.0.0.1', function (this: net.Socket) {
          this.write('GET / HTTP/1.1\r\n\r\n')
        }),
      'HTTP',
    ],
    [
      'speaks TLS with another ALPN',
      (port) => tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] }),
      'ALPN',
    ],
    [
      'hangs up',
      (port) =>
        net.connect(port, '127.0.0.1', function (this: net.Socket) {
          this.end()
        }),
      'closed the connection',
      'ERR_HANDSHAKE_REFUSED',
    ],
  ]
  it.each(clients)(
    'an inbound connection is reported once as rejected when it %s',
    async (_what, connect, word, code = 'ERR_HANDSHAKE_FAILED') => {
      const network = keep(
        createNetwork({ identity: Identity.generate(), listen: 'tls://127.0.0.1:0', peers: [], limits }),
      )
      await network.ready()
      const rejections: NetworkEventOf<'connection.rejected'>[] = []
      network.on('connection.rejected', (event) => void rejections.push(event))
      const rejected = nextEvent(network, 'connection.rejected')
      const socket = connect(Number(new URL(network.url ?? '').port)).on('error', () => {})
      const closed = new Promise((resolve) => socket.on('close', resolve).resume())
      await within(closed, 'the client sees it closed')
      expect(await rejected).toMatchObject({
        peer: null,
        remoteAddress: expect.stringContaining('127.0.0.1:') as string,
        cause: { code, message: expect.stringContaining(word) as string },
      })
      await until(() => network.resources.handles === 1, 'only the listener is left')
      await settle()
      expect(rejections).toHaveLength(1)
    },
  )
})

describe('the ampc dialect over mutual TLS', () => {
  const authority = (name: string): { root: ReturnType<typeof issue>; leaf: ReturnType<typeof issue> } => {
    const root = issue({ name: `${name} root`, isAuthority: true })
    return { root, leaf: issue({ name, issuer: root, purposes: ['client', 'server'] }) }
  }
  const own = { alice: authority('alice'), bob: authority('bob'), mallory: authority('mallory') }
  type Name = keyof typeof own
  const tlsOf = (
    name: Name,
    trusts: readonly Name[],
    roots: Partial<Record<Name, string>> = {},
  ): NonNullable<AmpcConfig['tls']> => ({
    key: own[name].leaf.keyPem,
    certificate: own[name].leaf.pem,
    roots: { ...Object.fromEntries(trusts.map((each) => [each, own[each].root.pem])), ...roots },
    checkHostName: false,
  })

  it('ampc over mutual TLS carries sessions between names whose certificates are anchored in their roots', async () => {
    const alice = keep(
      createNetwork({
        identity: 'alice',
        listen: 'tls://127.0.0.1:0',
        peers: [{ id: 'bob' }],
        security: 'tls',
        tls: tlsOf('alice', ['bob']),
        limits,
      }),
    )
    await alice.ready()
    const bob = keep(
      createNetwork({
        identity: 'bob',
        peers: [{ id: 'alice', urls: alice.url ?? '' }],
        security: 'tls',
        tls: tlsOf('bob', ['alice']),
        limits,
      }),
    )
    const [[a], [b]] = await within(
      Promise.all([alice.makeSessions({ count: 1 }), bob.makeSessions({ count: 1 })]),
      'sessions',
    )
    await b!.send('alice', { type: 'RingElement32', value: 7 })
    expect(await a!.receive('bob')).toEqual({ type: 'RingElement32', value: 7 })
  })

  it('ampc over mutual TLS refuses a known peer that claims the name of another', async () => {
    const alice = keep(
      createNetwork({
        identity: 'alice',
        listen: 'tls://127.0.0.1:0',
        peers: [{ id: 'bob' }, { id: 'mallory' }],
        security: 'tls',
        tls: tlsOf('alice', ['bob', 'mallory']),
        limits,
      }),
    )
    await alice.ready()
    const rejected = nextEvent(alice, 'connection.rejected')
    // Mallory's own key and certificate, and bob's name.
    keep(
      createNetwork({
        identity: 'bob',
        peers: [{ id: 'alice', urls: alice.url ?? '' }],
        security: 'tls',
        tls: tlsOf('mallory', ['alice']),
        limits,
      }),
    )
      .makeSessions({ count: 1 })
      .catch(() => {})
    const failed = rejection(alice.makeSessions({ count: 1, peers: ['bob'], timeoutMs: 300 }), 'sessions')
    expect((await rejected).cause.code).toBe('ERR_UNEXPECTED_PEER')
    expect((await failed).code).toBe('ERR_TIMED_OUT')
  })

  it('ampc over mutual TLS refuses a server whose root belongs to another peer', async () => {
    const mallory = keep(
      createNetwork({
        identity: 'alice',
        listen: 'tls://127.0.0.1:0',
        peers: [{ id: 'bob' }],
        security: 'tls',
        tls: tlsOf('mallory', ['bob']),
        limits,
      }),
    )
    await mallory.ready()
    const bob = keep(
      createNetwork({
        identity: 'bob',
        peers: [{ id: 'alice', urls: mallory.url ?? '' }],
        security: 'tls',
        tls: tlsOf('bob', ['alice', 'mallory']),
        limits,
      }),
    )
    const failed = nextEvent(bob, 'connection.failed')
    bob.makeSessions({ count: 1 }).catch(() => {})
    expect((await failed).cause.code).toMatch(/ERR_CERTIFICATE_REJECTED|ERR_UNEXPECTED_PEER/)
  })
})

describe('one port for both dialects', () => {
  it.each(['plaintext', 'tls'] as const)(
    'one port for both dialects serves a native and an ampc network (%s)',
    async (security) => {
      const scheme = security === 'tls' ? 'tls' : 'tcp'
      const [here, there] = [Identity.generate(), Identity.generate()]
      const roots = {
        alice: issue({ name: 'alice root', isAuthority: true }),
        bob: issue({ name: 'bob root', isAuthority: true }),
      }
      const leaf = (name: 'alice' | 'bob', trusts: 'alice' | 'bob'): NonNullable<AmpcConfig['tls']> => {
        const issued = issue({ name, issuer: roots[name], purposes: ['client', 'server'] })
        return {
          key: issued.keyPem,
          certificate: issued.pem,
          roots: { [trusts]: roots[trusts].pem },
          checkHostName: false,
        }
      }
      const aliceTls = leaf('alice', 'bob')
      const port = new SharedPort(security === 'tls' ? { tls: { identity: here, ampc: aliceTls } } : {})
      const listen = `${scheme}://127.0.0.1:0`
      const native = keep(
        createNetwork(
          { identity: here, listen, peers: [{ id: there.id }], security, limits },
          { environment: { transport: port.native } },
        ),
      )
      const ampcSecurity = security === 'tls' ? { security, tls: aliceTls } : { security }
      const ampc = keep(
        createNetwork(
          { identity: 'alice', listen, peers: [{ id: 'bob' }], ...ampcSecurity, limits },
          { environment: { transport: port.ampc } },
        ),
      )
      await Promise.all([native.ready(), ampc.ready()])
      expect(ampc.url).toBe(native.url)
      const url = native.url ?? ''
      const other = keep(createNetwork({ identity: there, peers: [{ id: here.id, urls: url }], security, limits }))
      const bob = keep(
        createNetwork({
          identity: 'bob',
          peers: [{ id: 'alice', urls: url }],
          ...(security === 'tls' ? { security, tls: leaf('bob', 'alice') } : { security }),
          limits,
        }),
      )
      const made = await within(
        Promise.all([native, other, ampc, bob].map((network) => network.makeSessions({ count: 2 }))),
        'sessions of both dialects',
      )
      expect(made.map((sessions) => sessions.length)).toEqual([2, 2, 2, 2])
    },
  )
})
