/**
 * Owns: S3, every way in which one peer could pass for another, tried on real sockets, in both roles.
 * Independent of: how it is reported. A script prints `BAR S3` from the counts; the test requires that nothing is
 * accepted.
 *
 * `accepted` counts attacks after which the attacked side would have continued; `wrongId` counts handshakes, of
 * attackers or honest peers, after which a peer had an id whose key it does not hold.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import net from 'node:net'
import tls from 'node:tls'
import { Identity } from '../../actors/tls/identity.ts'
import { TlsTransport } from '../../actors/tls/tls-transport.ts'
import { dial, Endpoint, outcomeOf, until } from './tls-bench.ts'
import { issue } from './test-authority.ts'
import type { Issued } from './test-authority.ts'
import { attempt } from './tls13-client.ts'

export interface AttackCounts {
  attacks: number
  accepted: number
  wrongId: number
  /** Alice herself with a changed certificate: let in as Alice, or refused. */
  changedAccepted: number
  changedRefused: number
  /** Application bytes that an attacker got out of a dialling side. */
  leakedBytes: number
  /** Names of the attacks that succeeded, for finding the cause. */
  readonly failures: string[]
}

interface Cast {
  readonly server: Identity
  readonly alice: Identity
  readonly mallory: Identity
}

const alpn = ['statewire/1']
const wholeTls13: tls.ConnectionOptions = {
  host: '127.0.0.1',
  minVersion: 'TLSv1.3',
  rejectUnauthorized: false,
  ALPNProtocols: alpn,
  servername: '',
}
const pairOf = (identity: Identity): { key: string; cert: string } => ({
  key: identity.toPem(),
  cert: identity.certificate,
})
const issuedPair = ({ keyPem, pem }: Issued): { key: string; cert: string } => ({ key: keyPem, cert: pem })
const derOf = (identity: Identity): Buffer => new X509Certificate(identity.certificate).raw
const longAgo = new Date(Date.UTC(2001, 0, 1))

/** Node's own client; it sends as soon as it considers itself connected. @returns the tickets it was given */
function nodeClient(port: number, options: tls.ConnectionOptions): Promise<Buffer[]> {
  return new Promise((resolve) => {
    const tickets: Buffer[] = []
    const socket = tls.connect({ ...wholeTls13, ...options, port }, () => void socket.write('let me in'))
    socket.on('session', (ticket) => tickets.push(ticket))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => resolve(tickets))
    socket.resume()
  })
}

/** One attack on an accepting side, which must refuse it. */
async function onAcceptor(
  counts: AttackCounts,
  endpoint: Endpoint,
  name: string,
  attack: (port: number) => Promise<unknown>,
): Promise<void> {
  const index = endpoint.accepted.length
  const attacking = attack(endpoint.address.port)
  const { outcome, pipe, received } = await endpoint.outcome(index)
  counts.attacks++
  if (outcome === null || received.chunks.length > 0) {
    counts.accepted++
    counts.failures.push(`${name}: accepted as ${String(pipe.peerId)}`)
  }
  pipe.destroy()
  await attacking
}

function certificatesOfOthers({ alice, mallory }: Cast): [string, tls.ConnectionOptions][] {
  const sameName = issue({ name: 'statewire', kind: 'ed25519' })
  return [
    ['no certificate', {}],
    ['another key', pairOf(mallory)],
    ['another key under the same name', issuedPair(sameName)],
    ['another key under the name of the id', issuedPair(issue({ name: alice.id, kind: 'ed25519' }))],
    ['RSA', issuedPair(issue({ name: 'statewire', kind: 'rsa' }))],
    ['ECDSA', issuedPair(issue({ name: 'statewire', kind: 'ec' }))],
    ['expired', issuedPair(issue({ name: 'statewire', kind: 'ed25519', validFrom: longAgo, validTo: longAgo }))],
    ['an authority', issuedPair(issue({ name: 'statewire', kind: 'ed25519', isAuthority: true }))],
    ['a chain of two', { key: mallory.toPem(), cert: mallory.certificate + alice.certificate }],
    [
      'a chain of two, the second twice',
      { key: mallory.toPem(), cert: mallory.certificate + alice.certificate + alice.certificate },
    ],
  ]
}

async function attackAcceptor(counts: AttackCounts, cast: Cast): Promise<void> {
  const { server, alice, mallory } = cast
  const allowed = new Set([alice.id])
  const endpoint = await Endpoint.open({ identity: server, authorize: (id) => allowed.has(id) })
  const byNode = (name: string, options: tls.ConnectionOptions): Promise<void> =>
    onAcceptor(counts, endpoint, name, (port) => nodeClient(port, options))
  for (const [name, options] of certificatesOfOthers(cast)) await byNode(name, options)
  for (const [name, ALPNProtocols] of [
    ['no ALPN', []],
    ['wrong ALPN', ['h2']],
    ['ALPN of a later version', ['statewire/2']],
    ['ALPN in upper case', ['STATEWIRE/1']],
    ['ALPN cut', ['statewire/']],
  ] as const) {
    await byNode(`${name}, by Alice herself`, { ...pairOf(alice), ALPNProtocols: [...ALPNProtocols] })
  }
  for (const maxVersion of ['TLSv1.2', 'TLSv1.1'] as const)
    await byNode(`${maxVersion}, by Alice herself`, { ...pairOf(alice), minVersion: maxVersion, maxVersion })
  await byNode('the own key of the server', pairOf(server))

  // A ticket would be an identity, if it were ever accepted.
  const index = endpoint.accepted.length
  const honest = nodeClient(endpoint.address.port, pairOf(alice))
  const { outcome, pipe, received } = await endpoint.outcome(index)
  if (outcome !== null) throw new Error('Alice herself was refused', { cause: outcome })
  if (pipe.peerId !== alice.id) counts.wrongId++
  await until('her bytes are there', () => received.text === 'let me in')
  pipe.end()
  const tickets = await honest
  if (tickets.length === 0) throw new Error('the server gave no ticket: the attack proves nothing')
  for (const session of tickets) {
    await byNode('a ticket of Alice without a certificate', { session })
    await byNode('a ticket of Alice with the certificate of Mallory', { ...pairOf(mallory), session })
    await byNode('a ticket of Alice without ALPN', { session, ALPNProtocols: [] })
  }
  allowed.clear()
  for (const session of tickets) await byNode('a ticket of Alice after she was taken off the list', { session })
  await byNode('Alice after she was taken off the list', pairOf(alice))
  await endpoint.close()
}

/**
 * Every `step`th byte of her certificate changed: with Mallory's key it must give no access, with hers only her own.
 */
async function changeEachByte(counts: AttackCounts, { server, alice, mallory }: Cast, step: number): Promise<void> {
  // No list of allowed ids here: a handshake that passes shows the id it got.
  const endpoint = await Endpoint.open({ identity: server })
  await onAcceptor(counts, endpoint, 'the own key of the server, with no list of ids', (port) =>
    nodeClient(port, pairOf(server)),
  )
  for (const [name, options] of certificatesOfOthers({ server, alice, mallory })) {
    if (['no certificate', 'RSA', 'ECDSA'].includes(name))
      await onAcceptor(counts, endpoint, `${name}, with no list of ids`, (port) => nodeClient(port, options))
  }
  const original = derOf(alice)
  const [hers, his] = [createPrivateKey(alice.toPem()), createPrivateKey(mallory.toPem())]
  for (let at = 0; at < original.length; at += step) {
    const changed = Buffer.from(original)
    changed[at] = (changed[at] as number) ^ (1 << (at % 8))
    await onAcceptor(counts, endpoint, `the certificate of Alice with byte ${at} changed, and another key`, (port) =>
      attempt(port, { certificates: [changed], signer: his, say: 'let me in' }),
    )
    const index = endpoint.accepted.length
    const honest = attempt(endpoint.address.port, { certificates: [changed], signer: hers })
    const { outcome, pipe } = await endpoint.outcome(index)
    if (outcome !== null) counts.changedRefused++
    else if (pipe.peerId === alice.id) counts.changedAccepted++
    else counts.wrongId++
    pipe.destroy()
    await honest
  }
  await endpoint.close()
}

/** Another server at her address: the dialling side must not send it a byte. */
async function attackDialer(counts: AttackCounts, cast: Cast): Promise<void> {
  const { server: dialler, alice } = cast
  const servers: [string, tls.TlsOptions][] = [
    ...certificatesOfOthers(cast)
      .filter(([, options]) => options.cert !== undefined)
      .map(([name, options]): [string, tls.TlsOptions] => [
        name,
        { key: options.key, cert: options.cert } as tls.TlsOptions,
      ]),
    ['no ALPN, by Alice herself', { ...pairOf(alice), ALPNProtocols: [] }],
    ['wrong ALPN, by Alice herself', { ...pairOf(alice), ALPNProtocols: ['h2'] }],
    ['TLS 1.2, by Alice herself', { ...pairOf(alice), maxVersion: 'TLSv1.2' }],
    ['the own key of the dialling side', pairOf(dialler)],
  ]
  for (const [name, options] of servers) {
    let leaked = 0
    const plain = net.createServer()
    const server = tls.createServer({ ALPNProtocols: alpn, requestCert: true, rejectUnauthorized: false, ...options })
    server.on('secureConnection', (socket) => {
      socket.on('error', () => socket.destroy())
      socket.on('data', (bytes) => (leaked += bytes.length))
    })
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    plain.on('connection', (raw) => {
      raw.on('error', () => raw.destroy())
      server.emit('connection', raw)
    })
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve))
    const transport = new TlsTransport({ identity: dialler })
    const { pipe } = dial(
      transport,
      { host: '127.0.0.1', port: (plain.address() as net.AddressInfo).port },
      { expectedPeerId: alice.id },
    )
    pipe.write([Buffer.from('a secret for Alice')])
    const outcome = await outcomeOf(pipe)
    counts.attacks++
    counts.leakedBytes += leaked
    if (outcome === null || pipe.peerId !== undefined) {
      counts.accepted++
      counts.failures.push(`a server with ${name}: accepted as ${String(pipe.peerId)}`)
    }
    pipe.destroy()
    await until('the dialling side holds nothing', () => transport.openHandles === 0)
    await new Promise((resolve) => plain.close(resolve))
    counts.leakedBytes += leaked
  }
}

/** @param step of the bytes of the certificate that are changed, one at a time */
export async function runIdentityAttacks(step: number): Promise<AttackCounts> {
  const counts: AttackCounts = {
    attacks: 0,
    accepted: 0,
    wrongId: 0,
    changedAccepted: 0,
    changedRefused: 0,
    leakedBytes: 0,
    failures: [],
  }
  const cast: Cast = { server: Identity.generate(), alice: Identity.generate(), mallory: Identity.generate() }
  await attackAcceptor(counts, cast)
  await attackDialer(counts, cast)
  await changeEachByte(counts, cast, step)
  return counts
}
