/**
 * Owns: the ampc dialect over mutual TLS, and both dialects on one port.
 * Independent of: the dialects above TLS.
 */
import tls from 'node:tls'
import { X509Certificate } from 'node:crypto'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Identity } from '../../actors/tls/identity.ts'
import { AmpcTls } from '../../actors/tls/tls-ampc.ts'
import { isAnchored } from '../../actors/tls/tls-chain.ts'
import type { AmpcTlsOptions } from '../../actors/tls/tls-ampc.ts'
import { TlsTransport } from '../../actors/tls/tls-transport.ts'
import { issue } from './test-authority.ts'
import type { Issued } from './test-authority.ts'
import { dial, Endpoint, options, outcomeOf, closeAll, until } from './tls-bench.ts'
import type { Dialled } from './tls-bench.ts'

const names = ['alice', 'bob', 'carol'] as const
const roots = Object.fromEntries(
  names.map((name) => [name, issue({ name: `${name} root`, isAuthority: true })]),
) as Record<(typeof names)[number], Issued>
const rootPems = Object.fromEntries(names.map((name) => [name, roots[name].pem]))
const leafOf = (name: (typeof names)[number], more: Partial<Parameters<typeof issue>[0]> = {}): Issued =>
  issue({ name, issuer: roots[name], hosts: ['127.0.0.1', 'localhost'], purposes: ['client', 'server'], ...more })
const keysOf = (leaf: Issued, ...between: Issued[]): AmpcTlsOptions => ({
  key: leaf.keyPem,
  certificate: [leaf, ...between].map(({ pem }) => pem).join(''),
  roots: rootPems,
})
const [alice, bob, carol] = [keysOf(leafOf('alice')), keysOf(leafOf('bob')), keysOf(leafOf('carol'))]

const endpoints: Endpoint[] = []
const transports: TlsTransport[] = []
afterEach(() => closeAll(endpoints, transports))

async function openEndpoint(ampc: AmpcTlsOptions, identity?: Identity): Promise<Endpoint> {
  const endpoint = await Endpoint.open({ ampc, ...(identity === undefined ? {} : { identity }) })
  endpoints.push(endpoint)
  return endpoint
}

function dialAs(ampc: AmpcTlsOptions, endpoint: Endpoint, expectedPeerId: string, host = '127.0.0.1'): Dialled {
  const transport = new TlsTransport({ ampc })
  transports.push(transport)
  return dial(transport, { host, port: endpoint.address.port }, { expectedPeerId })
}

describe("two ampc sides with each other's roots", () => {
  it.each(['127.0.0.1', 'localhost'])(
    'two ampc sides exchange bytes over %s, and each identity is anchored in its own root only',
    async (host) => {
      const endpoint = await openEndpoint(bob)
      const { pipe, received } = dialAs(alice, endpoint, 'bob', host)
      pipe.resume()
      await pipe.secure()
      const accepted = await endpoint.outcome(0)
      expect(accepted.outcome).toBeNull()
      accepted.pipe.write([Buffer.from('from bob')])
      pipe.write([Buffer.from('from alice')])
      await until('both have received', () => received.text === 'from bob' && accepted.received.text === 'from alice')
      expect([pipe.dialect, pipe.peerId, accepted.pipe.peerId]).toEqual(['ampc', 'bob', undefined])
      expect(
        ['alice', 'bob', 'carol', 'mallory', '', '__proto__'].filter((name) => accepted.pipe.isAnchoredIn(name)),
      ).toEqual(['alice'])
      expect(['alice', 'bob', 'carol'].filter((name) => pipe.isAnchoredIn(name))).toEqual(['bob'])
    },
  )

  it('two ampc sides accept chains with intermediate authorities in both directions', async () => {
    const chained = (name: 'alice' | 'bob'): AmpcTlsOptions => {
      const upper = issue({ name: `${name} upper`, issuer: roots[name], isAuthority: true })
      const lower = issue({ name: `${name} lower`, issuer: upper, isAuthority: true })
      return keysOf(leafOf(name, { issuer: lower }), lower, upper)
    }
    const endpoint = await openEndpoint(chained('bob'))
    const { pipe } = dialAs(chained('alice'), endpoint, 'bob')
    await pipe.secure()
    const accepted = await endpoint.outcome(0)
    expect(accepted.outcome).toBeNull()
    expect(['alice', 'bob', 'carol'].map((name) => accepted.pipe.isAnchoredIn(name))).toEqual([true, false, false])
  })

  it.each(['rsa', 'ec', 'ed25519'] as const)('two ampc sides accept keys of kind %s', async (kind) => {
    const endpoint = await openEndpoint(keysOf(leafOf('bob', { kind })))
    await dialAs(keysOf(leafOf('alice', { kind })), endpoint, 'bob').pipe.secure()
    expect((await endpoint.outcome(0)).pipe.isAnchoredIn('alice')).toBe(true)
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'two ampc sides accept %s from a client without SNI, give it no usable ticket, and name their authorities',
    async (version) => {
      const endpoint = await openEndpoint(bob)
      const client = async (
        more: tls.ConnectionOptions,
      ): Promise<{ isReused: boolean; session: Buffer | undefined }> => {
        const index = endpoint.accepted.length
        let session: Buffer | undefined
        const socket = tls.connect({
          ...endpoint.address,
          rejectUnauthorized: false,
          minVersion: version,
          maxVersion: version,
          ...more,
        })
        socket.on('error', () => socket.destroy()).on('session', (ticket: Buffer) => (session = ticket))
        socket.resume()
        const { pipe } = await endpoint.outcome(index)
        const isReused = socket.isSessionReused()
        if (pipe.dialect !== undefined) pipe.end()
        await until('it is closed', () => socket.destroyed)
        return { isReused, session }
      }
      const first = await client({ key: alice.key, cert: alice.certificate })
      expect(endpoint.accepted[0]?.pipe.dialect).toBe('ampc')
      const second = await client(first.session === undefined ? {} : { session: first.session })
      expect([second.isReused === true, endpoint.accepted[1]?.outcome instanceof Error]).toEqual([false, true])
    },
  )
})

describe('a dialling ampc side', () => {
  it.each<[string, AmpcTlsOptions, RegExp]>([
    ['of another peer', carol, /not valid for "bob"/],
    [
      'whose leaf has expired',
      keysOf(leafOf('bob', { validFrom: new Date(0), validTo: new Date(1e12) })),
      /CERT_HAS_EXPIRED/,
    ],
    [
      'whose leaf is not valid yet',
      keysOf(leafOf('bob', { validFrom: new Date(Date.UTC(2200, 0)), validTo: new Date(Date.UTC(2201, 0)) })),
      /CERT_NOT_YET_VALID/,
    ],
    ['of another host', keysOf(leafOf('bob', { hosts: ['elsewhere.example'] })), /ERR_TLS_CERT_ALTNAME_INVALID/],
    ['whose leaf is for clients only', keysOf(leafOf('bob', { purposes: ['client'] })), /INVALID_PURPOSE/],
    [
      'whose leaf was signed by another leaf',
      ((): AmpcTlsOptions => {
        const between = leafOf('bob', { name: 'between' })
        return keysOf(leafOf('bob', { issuer: between }), between)
      })(),
      /INVALID_(?:CA|PURPOSE)/,
    ],
    ['that signed itself', keysOf(issue({ name: 'bob', hosts: ['127.0.0.1'] })), /DEPTH_ZERO_SELF_SIGNED_CERT/],
    [
      'with a root of the same name',
      keysOf(leafOf('bob', { issuer: issue({ name: 'bob root', isAuthority: true }) })),
      /not valid for "bob"/,
    ],
  ])('a dialling ampc side refuses a server %s', async (_name, server, sentence) => {
    const endpoint = await openEndpoint(server)
    const { pipe } = dialAs(alice, endpoint, 'bob')
    pipe.write([Buffer.from('a secret for Bob')])
    const outcome = await outcomeOf(pipe)
    expect(outcome).toMatchObject({ code: 'ERR_CERTIFICATE_REJECTED', fatal: true })
    expect(outcome?.message).toMatch(sentence)
    expect((await endpoint.outcome(0)).received.text).toBe('')
  })

  it('a dialling ampc side refuses a server that speaks the native dialect, with a fatal TLS error', async () => {
    const endpoint = await Endpoint.open({ identity: Identity.generate() })
    endpoints.push(endpoint)
    expect(await outcomeOf(dialAs(alice, endpoint, 'bob').pipe)).toBeInstanceOf(Error)
  })

  it('a dialling ampc side can be configured to ignore host names', async () => {
    const endpoint = await openEndpoint(keysOf(leafOf('bob', { hosts: ['elsewhere.example'] })))
    await expect(dialAs({ ...alice, checkHostName: false }, endpoint, 'bob').pipe.secure()).resolves.toBeUndefined()
  })

  it('a dialling ampc side refuses a server without a root for it before it dials', () => {
    const transport = new TlsTransport({ ampc: alice })
    expect(() => transport.dial({ host: '127.0.0.1', port: 1 }, { ...options, expectedPeerId: 'mallory' })).toThrow(
      expect.objectContaining({ code: 'ERR_UNKNOWN_PEER' }),
    )
  })
})

describe('an accepting ampc side', () => {
  it.each<[string, AmpcTlsOptions]>([
    [
      'whose root it does not know',
      keysOf(leafOf('alice', { issuer: issue({ name: 'mallory root', isAuthority: true }) })),
    ],
    [
      'with a root of the same name',
      keysOf(leafOf('alice', { issuer: issue({ name: 'alice root', isAuthority: true }) })),
    ],
    ['whose leaf has expired', keysOf(leafOf('alice', { validFrom: new Date(0), validTo: new Date(1e12) }))],
    ['whose leaf is for servers only', keysOf(leafOf('alice', { purposes: ['server'] }))],
    ['that signed itself', keysOf(issue({ name: 'alice' }))],
    [
      'whose leaf was signed by the leaf of a peer',
      ((): AmpcTlsOptions => {
        const between = leafOf('carol')
        return keysOf(leafOf('alice', { issuer: between }), between)
      })(),
    ],
  ])('an accepting ampc side refuses a client %s', async (_name, client) => {
    const endpoint = await openEndpoint(bob)
    const { pipe } = dialAs(client, endpoint, 'bob')
    pipe.write([Buffer.from('let me in')])
    await outcomeOf(pipe)
    const accepted = await endpoint.outcome(0)
    expect(accepted.outcome).toMatchObject({ code: 'ERR_HANDSHAKE_FAILED' })
    expect([accepted.received.text, names.some((name) => accepted.pipe.isAnchoredIn(name))]).toEqual(['', false])
  })

  it('an accepting ampc side refuses a client without a certificate', async () => {
    const endpoint = await openEndpoint(bob)
    const socket = tls.connect({ ...endpoint.address, rejectUnauthorized: false })
    socket.on('error', () => socket.destroy())
    expect((await endpoint.outcome(0)).outcome).toBeInstanceOf(Error)
    socket.destroy()
  })

  it('a client with a valid certificate that claims another name passes TLS but is not anchored there', async () => {
    const endpoint = await openEndpoint(bob)
    await dialAs(carol, endpoint, 'bob').pipe.secure()
    const accepted = await endpoint.outcome(0)
    expect(accepted.outcome).toBeNull()
    expect([accepted.pipe.isAnchoredIn('alice'), accepted.pipe.isAnchoredIn('carol')]).toEqual([false, true])
  })
})

describe('a certificate chain', () => {
  const nowMs = new Date().getTime()
  const x = ({ pem }: Issued): X509Certificate => new X509Certificate(pem)
  const upper = issue({ name: 'upper', issuer: roots.alice, isAuthority: true })
  const leaf = issue({ name: 'leaf', issuer: upper })

  it('a chain is anchored only through the certificates that were presented, in any order', () => {
    expect(isAnchored([x(leaf), x(upper)], x(roots.alice), nowMs)).toBe(true)
    expect(isAnchored([x(leaf), x(roots.bob), x(upper)], x(roots.alice), nowMs)).toBe(true)
    expect(isAnchored([x(leaf)], x(roots.alice), nowMs)).toBe(false)
    expect(isAnchored([x(leaf), x(upper)], x(roots.bob), nowMs)).toBe(false)
    expect(isAnchored([], x(roots.alice), nowMs)).toBe(false)
  })

  it('a chain ends at a certificate that is not an authority or not valid at the time', () => {
    const notAuthority = issue({ name: 'upper', issuer: roots.alice, key: upper.key })
    expect(isAnchored([x(leaf), x(notAuthority)], x(roots.alice), nowMs)).toBe(false)
    const over = { validFrom: new Date(0), validTo: new Date(1e12) }
    const expired = issue({ name: 'upper', issuer: roots.alice, key: upper.key, isAuthority: true, ...over })
    expect(isAnchored([x(leaf), x(expired)], x(roots.alice), nowMs)).toBe(false)
    expect(isAnchored([x(issue({ name: 'leaf', issuer: upper, ...over })), x(upper)], x(roots.alice), nowMs)).toBe(
      false,
    )
    const day = 86_400_000
    for (const atMs of [nowMs - day, nowMs + day, Number.NaN])
      expect(isAnchored([x(leaf), x(upper)], x(roots.alice), atMs)).toBe(false)
    expect(isAnchored([x(leaf)], x(leafOf('alice')), nowMs)).toBe(false)
  })

  it('a chain has at most eight certificates, and authorities that sign each other do not make it endless', () => {
    const chain = [issue({ name: 'a1', issuer: roots.alice, isAuthority: true })]
    while (chain.length < 7)
      chain.unshift(issue({ name: `a${chain.length + 1}`, issuer: chain[0] as Issued, isAuthority: true }))
    expect(isAnchored(chain.slice(0, 7).map(x), x(roots.alice), nowMs)).toBe(true)
    const longer = [issue({ name: 'a8', issuer: chain[0] as Issued }), ...chain]
    expect(isAnchored(longer.map(x), x(roots.alice), nowMs)).toBe(false)
    const one = issue({ name: 'loop', isAuthority: true })
    const loop = Array.from({ length: 40 }, () => issue({ name: 'loop', key: one.key, issuer: one, isAuthority: true }))
    const checks = vi.spyOn(X509Certificate.prototype, 'checkIssued')
    expect(isAnchored(loop.map(x), x(roots.alice), nowMs)).toBe(false)
    // Each path of at most eight certificates is tried once.
    expect(checks.mock.calls.length).toBeLessThan(30_000)
    checks.mockRestore()
  })
})

describe('the options of ampc TLS', () => {
  it.each<[string, Partial<AmpcTlsOptions>, string, RegExp]>([
    ['a key that is not a key', { key: 'x' }, 'ERR_KEY_FORMAT', /private key in PEM/],
    ['a key of another certificate', { key: bob.key }, 'ERR_CERTIFICATE_UNUSABLE', /another key/],
    [
      'a certificate that is not a certificate',
      { certificate: 'x' },
      'ERR_CERTIFICATE_UNUSABLE',
      /the certificate is not/,
    ],
    [
      'a root that is not a certificate',
      { roots: { bob: 'x' } },
      'ERR_CERTIFICATE_UNUSABLE',
      /the root of "bob" is not/,
    ],
    [
      'a root that is not an authority',
      { roots: { bob: bob.certificate } },
      'ERR_CERTIFICATE_UNUSABLE',
      /not a CA certificate/,
    ],
    [
      'one root for two peers',
      { roots: { bob: roots.bob.pem, carol: roots.bob.pem } },
      'ERR_CERTIFICATE_UNUSABLE',
      /"carol" and "bob" have the same root/,
    ],
    ['an empty identity', { roots: { '': roots.bob.pem } }, 'ERR_INVALID_PEER_ID', /empty/],
  ])('ampc TLS refuses %s', (_name, change, code, sentence) => {
    const attempt = (): AmpcTls => new AmpcTls({ ...alice, ...change })
    expect(attempt).toThrow(expect.objectContaining({ code }))
    expect(attempt).toThrow(sentence)
  })

  it('a TLS transport refuses to be made without keys, and to dial in a dialect without keys', () => {
    expect(() => new TlsTransport({})).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }))
    const address = { host: '127.0.0.1', port: 1 }
    expect(() =>
      new TlsTransport({ ampc: alice }).dial(address, { ...options, expectedPeerId: 'bob', dialect: 'native' }),
    ).toThrow(expect.objectContaining({ code: 'ERR_DIALECT_UNSUPPORTED' }))
    expect(() =>
      new TlsTransport({ identity: Identity.generate() }).dial(address, {
        ...options,
        expectedPeerId: 'bob',
        dialect: 'ampc',
      }),
    ).toThrow(expect.objectContaining({ code: 'ERR_DIALECT_UNSUPPORTED' }))
  })
})

describe('both dialects on one port', () => {
  it('two dialects on one port each get their own certificate and TLS version, by ALPN', async () => {
    const [nativeServer, nativeClient] = [Identity.generate(), Identity.generate()]
    const endpoint = await openEndpoint(bob, nativeServer)
    const both = new TlsTransport({ identity: nativeClient, ampc: alice })
    transports.push(both)
    const native = dial(both, endpoint.address, { expectedPeerId: nativeServer.id })
    await native.pipe.secure()
    const first = await endpoint.outcome(0)
    const ampc = dial(both, endpoint.address, { expectedPeerId: 'bob', dialect: 'ampc' })
    await ampc.pipe.secure()
    const second = await endpoint.outcome(1)
    expect([first.pipe.dialect, first.pipe.peerId]).toEqual(['native', nativeClient.id])
    expect([second.pipe.dialect, second.pipe.isAnchoredIn('alice')]).toEqual(['ampc', true])
    for (const [end, accepted] of [
      [native, first],
      [ampc, second],
    ] as const) {
      end.pipe.write([Buffer.from('hello')])
      await until('it has arrived', () => accepted.received.text === 'hello')
    }
  })

  it('a port of two dialects refuses a third, and a native client without ALPN fails at the roots', async () => {
    const endpoint = await openEndpoint(bob, Identity.generate())
    const mallory = Identity.generate()
    for (const [index, ALPNProtocols] of [['h2'], []].entries()) {
      const socket = tls.connect({
        ...endpoint.address,
        key: mallory.toPem(),
        cert: mallory.certificate,
        rejectUnauthorized: false,
        ALPNProtocols,
      })
      socket.on('error', () => socket.destroy())
      expect((await endpoint.outcome(index)).outcome).toBeInstanceOf(Error)
      socket.destroy()
    }
  })
})
