/**
 * statewire as an application uses it: two networks, sessions as lanes, `trySend` and a handler. Owns the mapping of
 * lanes to sessions.
 * Independent of how the runtime works: only the public API is used.
 */
import { createNetwork } from '../../index.ts'
import type { Network, NetworkValue, Session } from '../../index.ts'
import type { Row } from '../rows.ts'
import type { Accept, End, Serving, Subject } from '../subject.ts'
import { identityOf } from './identities.ts'

/** The two ends as configured by a variant of the subject. */
interface Ends {
  readonly serverId: string
  readonly clientId: string
  createServer(connections: number): Network
  createClient(port: number, connections: number): Network
}

class SessionEnd implements End {
  readonly #network: Network
  readonly #sessions: readonly Session[]
  readonly #peer: string
  /** One `await session.send(…)` per value, as most code is written. */
  readonly #isAwaited: boolean
  #waiting: Promise<void> | null = null

  constructor(network: Network, sessions: readonly Session[], peer: string, isAwaited: boolean) {
    this.#network = network
    this.#sessions = sessions
    this.#peer = peer
    this.#isAwaited = isAwaited
  }

  send(lane: number, value: Buffer): boolean {
    const session = this.#sessions[lane] as Session
    const message = { type: 'Bytes', value } as const
    if (this.#isAwaited || !session.trySend(this.#peer, message)) {
      this.#waiting = session.send(this.#peer, message)
      return false
    }
    return true
  }

  whenWritable(resume: () => void): void {
    const waiting = this.#waiting ?? Promise.resolve()
    this.#waiting = null
    waiting.then(resume, (error: unknown) => {
      throw error
    })
  }

  close(): Promise<void> {
    return this.#network.shutdown()
  }
}

function deliverTo(sessions: readonly Session[], peer: string, accept: Accept): void {
  for (const [lane, session] of sessions.entries()) {
    const onValue = (value: NetworkValue): void => {
      if (value.type !== 'Bytes') throw new Error(`a ${value.type} arrived where Bytes were sent`)
      accept(lane, value.value)
    }
    // The harness uses a value only during the call, and raw-view reuses its memory too.
    session.handle(peer, onValue, { borrow: true })
  }
}

function subjectOf(name: string, endsOf: () => Ends, isAwaited = false): Subject {
  return {
    name,

    async serve(row: Row, open: (end: End) => Accept): Promise<Serving> {
      const { clientId, createServer } = endsOf()
      const network = createServer(row.connections ?? 1)
      await network.ready()
      network.makeSessions({ count: row.lanes }).then(
        (sessions) => deliverTo(sessions, clientId, open(new SessionEnd(network, sessions, clientId, isAwaited))),
        (error: unknown) => {
          throw error
        },
      )
      return { port: Number(new URL(network.url ?? '').port), close: () => network.shutdown() }
    },

    async dial(row: Row, port: number, accept: Accept): Promise<End> {
      const { serverId, createClient } = endsOf()
      const network = createClient(port, row.connections ?? 1)
      const sessions = await network.makeSessions({ count: row.lanes })
      deliverTo(sessions, serverId, accept)
      return new SessionEnd(network, sessions, serverId, isAwaited)
    },
  }
}

// The greater name dials: the client.
const [serverName, clientName] = ['a-server', 'z-client']

/** The ampc dialect over plain TCP. */
export const statewire: Subject = subjectOf('statewire', () => ({
  serverId: serverName,
  clientId: clientName,
  createServer: (connections) =>
    createNetwork({
      identity: serverName,
      connectionParallelism: connections,
      listen: 'tcp://127.0.0.1:0',
      security: 'plaintext',
      peers: [{ id: clientName }],
    }),
  createClient: (port, connections) =>
    createNetwork({
      identity: clientName,
      connectionParallelism: connections,
      security: 'plaintext',
      peers: [{ id: serverName, urls: `tcp://127.0.0.1:${port}` }],
    }),
}))

/** The native dialect: acknowledgements, retransmit buffer and credit on, over TLS or without. */
function nativeEnds(security: 'tls' | 'plaintext'): Ends {
  const [server, client] = [identityOf('server'), identityOf('client')]
  // All connections come from one address at once; limits for strangers are not what is measured.
  const limits = { pendingInboundPerAddressMax: 64, connectBurst: 1000 }
  const scheme = security === 'tls' ? 'tls' : 'tcp'
  return {
    serverId: server.id,
    clientId: client.id,
    createServer: (connections) =>
      createNetwork({
        identity: server,
        security,
        connectionParallelism: connections,
        limits,
        listen: `${scheme}://127.0.0.1:0`,
        peers: [{ id: client.id }],
      }),
    createClient: (port, connections) =>
      createNetwork({
        identity: client,
        security,
        connectionParallelism: connections,
        peers: [{ id: server.id, urls: `${scheme}://127.0.0.1:${port}` }],
      }),
  }
}

export const statewireNative: Subject = subjectOf('statewire-native', () => nativeEnds('plaintext'))
export const statewireTls: Subject = subjectOf('statewire-tls', () => nativeEnds('tls'))
export const statewireTlsAwaited: Subject = subjectOf('statewire-tls-awaited', () => nativeEnds('tls'), true)

/** Each value is a request, and its echo the answer. */
export const statewireTlsRequests: Subject = {
  name: 'statewire-tls-requests',

  async serve(row: Row, open: (end: End) => Accept): Promise<Serving> {
    const network = nativeEnds('tls').createServer(row.connections ?? 1)
    let echo: Buffer | null = null
    // The harness echoes a value within the call that accepts it.
    const accept = open({
      send: (_, value) => {
        echo = value
        return true
      },
      whenWritable: (resume) => resume(),
      close: () => network.shutdown(),
    })
    network.onRequest('', ({ bytes }) => {
      accept(0, bytes)
      return echo as Buffer
    })
    await network.ready()
    return { port: Number(new URL(network.url ?? '').port), close: () => network.shutdown() }
  },

  async dial(row: Row, port: number, accept: Accept): Promise<End> {
    const { serverId, createClient } = nativeEnds('tls')
    const network = createClient(port, row.connections ?? 1)
    await network.ready({ peers: 'all' })
    return {
      send: (_, value) => {
        void network.request(serverId, value).then(({ bytes }) => accept(0, bytes))
        return true
      },
      whenWritable: (resume) => resume(),
      close: () => network.shutdown(),
    }
  },
}
