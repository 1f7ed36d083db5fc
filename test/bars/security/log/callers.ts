/**
 * Owns: S12, texts from the application: options, names, files, calls, and its own errors.
 * Independent of: what is searched for in the results (ledger.ts).
 */
import { createNetwork, Identity, MemoryTransport } from '../../../../actors/index.ts'
import type { AmpcPlaintextConfig, Network, NetworkConfig, Session } from '../../../../actors/index.ts'
import { VirtualClock } from '../../../../testing/index.ts'
import { issue } from '../../../security/test-authority.ts'
import type { Ledger } from './ledger.ts'

async function failing(ledger: Ledger, source: string, run: () => unknown): Promise<void> {
  ledger.source = source
  try {
    await run()
  } catch (error) {
    ledger.error(source, error)
  }
}

/** Puts the text into each option in turn, in each place where a text can be. */
function badConfigs(text: string): [string, object][] {
  const native = { identity: Identity.generate(), peers: [] }
  const ampc = { identity: 'bob', listen: 'tcp://127.0.0.1:0', peers: [], security: 'plaintext' }
  const tls = { key: issue({ name: 'bob' }).keyPem, certificate: issue({ name: 'bob' }).pem, roots: {} }
  return [
    ['the name of an option', { ...ampc, [text]: 1 }],
    ['identity', { ...ampc, identity: text }],
    ['identity, of an array', { ...ampc, identity: [text] }],
    ['listen', { ...ampc, listen: text }],
    ['the host of listen', { ...ampc, listen: `tcp://${text}:1` }],
    ['the user of listen', { ...ampc, listen: `tcp://user:${encodeURIComponent(text.slice(0, 100))}@127.0.0.1:1` }],
    ['a peer', { ...ampc, peers: [text] }],
    ['the id of a peer', { ...native, peers: [{ id: text }] }],
    ['the id of an ampc peer', { ...ampc, peers: [{ id: text }, { id: text }] }],
    ['the url of a peer', { ...ampc, peers: [{ id: 'alice', urls: text }] }],
    ['the path of a url', { ...ampc, peers: [{ id: 'alice', urls: `tcp://127.0.0.1:1/${text}` }] }],
    ['dialect', { ...ampc, dialect: text }],
    ['security', { ...ampc, security: text }],
    ['onConnectionLost', { ...ampc, onConnectionLost: text }],
    ['connectionParallelism', { ...ampc, connectionParallelism: text }],
    ['the name of a limit', { ...ampc, limits: { [text]: 1 } }],
    ['a limit', { ...ampc, limits: { dialTimeoutMs: text } }],
    ['a limit that prints itself', { ...ampc, limits: { dialTimeoutMs: { toString: () => text } } }],
    ['an address', { ...ampc, allowAddresses: [text] }],
    ['admit', { ...ampc, admit: text }],
    ['tls', { ...ampc, tls: text }],
    ['the key of tls', { ...ampc, security: 'tls', tls: { ...tls, key: text } }],
    ['the certificate of tls', { ...ampc, security: 'tls', tls: { ...tls, certificate: text } }],
    ['a root of tls', { ...ampc, security: 'tls', tls: { ...tls, roots: { alice: text } } }],
    ['the name of a root', { ...ampc, security: 'tls', tls: { ...tls, roots: { [text]: tls.certificate } } }],
  ]
}

async function configure(ledger: Ledger, text: string): Promise<void> {
  for (const [what, config] of badConfigs(text)) {
    await failing(ledger, `option ${what}`, async () => {
      const network = createNetwork(config as NetworkConfig, { environment: { log: ledger.log } })
      await network.shutdown()
    })
  }
  await failing(ledger, 'a key in PEM', () => Identity.fromPem(text))
  await failing(ledger, 'a damaged key in PEM', () =>
    Identity.fromPem(`-----BEGIN PRIVATE KEY-----\n${text}\n-----END PRIVATE KEY-----`),
  )
  await failing(ledger, 'a file to load', () => Identity.load(text.slice(0, 200_000)))
  await failing(ledger, 'a file to save', () => Identity.generate().save(`/nowhere/${text.slice(0, 200_000)}`))
}

const isSecret = (text: string): boolean => /PRIVATE KEY|:\/\//.test(text)

interface Pair {
  readonly clock: VirtualClock
  readonly networks: readonly [Network, Network]
  readonly ids: readonly [string, string]
}

function pairOf(ledger: Ledger, ids: readonly [string, string], more: Partial<AmpcPlaintextConfig> = {}): Pair {
  const clock = new VirtualClock()
  const transport = new MemoryTransport(clock)
  const config = { listen: 'tcp://127.0.0.1:0', security: 'plaintext', onConnectionLost: 'reconnect', ...more } as const
  const environment = { clock, transport, log: ledger.log }
  const first = createNetwork(
    { ...config, identity: ids[0], peers: [{ id: ids[1] }] },
    { environment, inspect: (event) => ledger.quiet('inspection', JSON.stringify(event, lesser)) },
  )
  const second = createNetwork(
    {
      ...config,
      listen: 'tcp://127.0.0.1:2000',
      identity: ids[1],
      peers: [{ id: ids[0], urls: 'tcp://127.0.0.1:1024' }],
    },
    { environment },
  )
  for (const network of [first, second]) {
    network.ref.on('*', (event) => {
      ledger.quiet(`event ${event.type}`, JSON.stringify(event))
      if ('cause' in event) ledger.line(`cause of ${event.type}`, event.cause.message)
    })
  }
  return { clock, networks: [first, second], ids }
}

/** Actors refer to each other, so only the events that an inspector would send are checked. */
function lesser(name: string, value: unknown): unknown {
  return name === 'actorRef' || name === 'sourceRef' || name === 'snapshot' ? undefined : value
}

/** Names and errors of the application, in a working network. */
async function call(ledger: Ledger, text: string): Promise<void> {
  // A name is not secret, and a key is refused as a name, as the options above show.
  const name = isSecret(text) ? '' : Buffer.from(text).subarray(0, 100).toString('utf8').replaceAll('\ufffd', '')
  const pair = pairOf(ledger, [`a${name}`, `b${name}`])
  const { clock, networks, ids } = pair
  const [first, second] = networks
  const attempt = (source: string, run: () => Promise<unknown>): Promise<void> =>
    failing(ledger, source, () => clock.run(run()))
  await attempt('unknown peer of a call', () => first.makeSessions({ count: 1, peers: [text] }))
  await attempt('unknown option of a call', () => first.makeSessions({ count: 1, [text]: 1 } as never))
  await attempt('count of a call', () => first.makeSessions({ count: text as never }))
  await attempt('time-out of a call', () => first.makeSessions({ count: 1, timeoutMs: text as never }))
  await attempt('a call that waits for a peer of that name', () => first.makeSessions({ count: 1, timeoutMs: 50 }))
  const [[mine], [theirs]] = (await clock.run(
    Promise.all(networks.map((network) => network.makeSessions({ count: 1 }))),
  )) as [[Session], [Session]]
  await attempt('unknown peer of a session', () => mine.receive(text))
  await attempt('unknown peer to send to', () => mine.send(text, { type: 'RingElement32', value: 1 }))
  await attempt('a value of no type', () => mine.send(ids[1], { type: text } as never))
  await attempt('a value with a wrong field', () => mine.send(ids[1], { type: 'RingElement32', value: text } as never))
  await attempt('time-out of receive', () => mine.receive(ids[1], { timeoutMs: text as never }))
  await attempt('receive that waits', () => mine.receive(ids[1], { timeoutMs: 50 }))
  await attempt('aborted for a reason', () => mine.receive(ids[1], { signal: AbortSignal.abort(new Error('gone')) }))
  theirs.handle(ids[0], () => {
    // Its own error stays the cause: an application may read what it throws.
    throw new Error(isSecret(text) ? 'a bug' : text)
  })
  ledger.source = 'a handler that throws'
  await clock.run(mine.send(ids[1], { type: 'RingElement32', value: 1 }))
  await attempt('a handler that threw', () => theirs.ended(ids[0]).then((error) => Promise.reject(error)))
  ledger.source = 'a network that stops'
  ledger.quiet('snapshot', JSON.stringify(first.ref.getSnapshot(), lesser))
  await clock.run(Promise.all([first.shutdown(), second.shutdown()]))
}

/** admit() of the application throws the text. */
async function refuse(ledger: Ledger, text: string): Promise<void> {
  ledger.source = 'admit that throws'
  const { clock, networks } = pairOf(ledger, ['alice', 'bob'], { admit: () => Promise.reject(new Error(text)) })
  await clock.advance(500)
  await clock.run(Promise.all(networks.map((network) => network.shutdown())))
}

export async function askAsApplication(ledger: Ledger, texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    await configure(ledger, text)
    await call(ledger, text)
    await refuse(ledger, text)
  }
}
