/**
 * The two child processes of the growth checks: a hub that many peers dial, and the process of those peers.
 * Owns: making them, and their figures on request. Independent of: what is compared with what.
 *
 * Protocol with the parent: `{ ask: 'figures' | 'settled' | 'stop' }`, each answered with PeerFigures; the peers also
 * take `{ dial: { url, hub } }`, answered once every peer is up.
 */
import { createNetwork, Identity } from '../../../actors/index.ts'
import type { Network } from '../../../actors/index.ts'
import { settledRssBytes } from '../bar.ts'

export interface PeerFigures {
  readonly rssBytes: number
  /** Memory in V8's heap and beside it. Apart from TLS contexts in malloc's memory, this is the part that is ours. */
  readonly heapBytes: number
  readonly cpuUs: number
  readonly opened: number
}

export interface GrowthInput {
  readonly role: 'hub' | 'crowd'
  /** Keys of the peers by number: both processes know them without communication. */
  readonly peers: number
}

export interface Dial {
  readonly url: string
  readonly hub: string
}

/** The same key for the same number in every process: Ed25519, PKCS#8. */
export function identityOf(number: number): Identity {
  const seed = Buffer.alloc(32)
  seed.writeUInt32LE(number + 1, 0)
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  return Identity.fromPem(`-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`)
}

const hubNumber = 1_000_000
/**
 * This many peers connect at a time: half of the handshakes that a listener accepts at once. With all at once, most
 * would be rejected and retried, and the test would measure admission instead of the cost of a peer.
 */
const underWayMax = 32
let opened = 0

function figures(rssBytes: number): PeerFigures {
  const { heapUsed, external } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  return { rssBytes, heapBytes: heapUsed + external, cpuUs: user + system, opened }
}

async function hub(peers: number): Promise<() => Promise<unknown>> {
  const identity = identityOf(hubNumber)
  const network = createNetwork({
    identity,
    listen: 'tls://127.0.0.1:0',
    peers: Array.from({ length: peers }, (_, number) => ({ id: identityOf(number).id })),
    // All peers come from one address; limits for strangers are not what is measured.
    limits: {
      pendingInboundMax: 64,
      pendingInboundPerAddressMax: 64,
      connectRatePerSecond: 10_000,
      connectBurst: 10_000,
    },
  })
  network.on('connection.opened', () => void opened++)
  await network.ready()
  process.send?.({ url: network.url as string, hub: identity.id } satisfies Dial)
  return () => network.shutdown()
}

function crowd(peers: number): () => Promise<unknown> {
  const networks: Network[] = []
  process.on('message', (message: { dial?: Dial }) => {
    if (message.dial === undefined) return
    const { url, hub: id } = message.dial
    let begun = 0
    const begin = (): void => {
      const number = begun++
      const network = createNetwork({
        identity: identityOf(number),
        peers: [{ id, urls: url }],
        limits: { backoffMinMs: 10, backoffMaxMs: 100 },
      })
      network.on('connection.opened', () => {
        opened++
        if (opened === peers) process.send?.({ up: true })
        else if (begun < peers) begin()
      })
      networks.push(network)
    }
    while (begun < Math.min(peers, underWayMax)) begin()
  })
  process.send?.({ isReady: true })
  return () => Promise.all(networks.map((network) => network.shutdown()))
}

const { role, peers } = JSON.parse(process.argv[2] ?? '{}') as GrowthInput
const stop = role === 'hub' ? await hub(peers) : crowd(peers)

process.on('message', ({ ask: what }: { ask?: 'figures' | 'settled' | 'stop' }) => {
  if (what === 'figures') process.send?.(figures(process.memoryUsage().rss))
  else if (what === 'settled') void settledRssBytes().then((rssBytes) => process.send?.(figures(rssBytes)))
  else if (what === 'stop') void stop().then(() => process.exit(0))
})
process.on('disconnect', () => process.exit(0))
