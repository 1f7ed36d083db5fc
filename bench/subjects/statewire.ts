/**
 * statewire as an application uses it: two networks, sessions as lanes, `trySend` and a handler. Owns the mapping of
 * lanes to sessions.
 * Refuses to know how the runtime works: nothing here reaches below the public API.
 */
import { createNetwork } from '../../index.ts'
import type { Network, NetworkValue, Session } from '../../index.ts'
import type { Row } from '../rows.ts'
import type { Accept, End, Serving, Subject } from '../subject.ts'

// The greater identity dials: the client.
const clientId = 'z-client'
const serverId = 'a-server'

class SessionEnd implements End {
  readonly #network: Network
  readonly #sessions: readonly Session[]
  readonly #peer: string
  #waiting: Promise<void> | null = null

  constructor(network: Network, sessions: readonly Session[], peer: string) {
    this.#network = network
    this.#sessions = sessions
    this.#peer = peer
  }

  send(lane: number, value: Buffer): boolean {
    const session = this.#sessions[lane] as Session
    const message = { type: 'Bytes', value } as const
    if (session.trySend(this.#peer, message)) return true
    this.#waiting = session.send(this.#peer, message)
    return false
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
    // The harness looks at a value during the call only, and raw-view reuses its memory too.
    session.handle(peer, onValue, { borrow: true })
  }
}

export const statewire: Subject = {
  name: 'statewire',

  async serve(row: Row, open: (end: End) => Accept): Promise<Serving> {
    const network = createNetwork({ identity: serverId, listen: 'tcp://127.0.0.1:0', security: 'plaintext', peers: [{ id: clientId }] })
    await network.ready()
    const made = network.makeSessions({ count: row.lanes })
    made.then(
      (sessions) => deliverTo(sessions, clientId, open(new SessionEnd(network, sessions, clientId))),
      (error: unknown) => {
        throw error
      },
    )
    return { port: Number(new URL(network.url ?? '').port), close: () => network.shutdown() }
  },

  async dial(row: Row, port: number, accept: Accept): Promise<End> {
    const network = createNetwork({ identity: clientId, security: 'plaintext', peers: [{ id: serverId, url: `tcp://127.0.0.1:${port}` }] })
    const sessions = await network.makeSessions({ count: row.lanes })
    deliverTo(sessions, serverId, accept)
    return new SessionEnd(network, sessions, serverId)
  },
}
