/**
 * Owns: what the Pocket module does with a socket, done by this runtime: nine states, a reader and a writer for each
 * connection, a sink with routes by name, and a faulty chunk that is refused while the socket stays open.
 * Independent of: how any of it works.
 */
import { describe, expect, it } from 'vitest'
import { createNetwork, Identity } from '../../actors/index.ts'
import type { ActorEvent, Network } from '../../actors/index.ts'
import { play } from '../support/native-scene.ts'

/** `{ opening: 'connecting' }` holds the states `opening` and `connecting`. */
function statesIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return Object.entries((value ?? {}) as object).flatMap(([name, inner]) => [name, ...statesIn(inner)])
}

const actorsOf = (network: Network): Map<string, { readonly parent: string | null; readonly id: string }> => {
  const actors = new Map<string, { readonly parent: string | null; readonly id: string }>()
  const observation = network.observe((event) => {
    if (event.type === 'actor') actors.set(event.session, event)
  })
  observation.stop()
  return actors
}

describe('the socket of the Pocket module', () => {
  it('a connection passes through the nine states of the module, each of which an inspector can see', () =>
    play({ on: 'memory' }, async (scene) => {
      const seen = new Set<string>()
      const connections = new Set<string>()
      const watch = (event: ActorEvent): void => {
        if (event.type === 'figures') return
        if (event.type === 'actor' && event.id.startsWith('connection:')) connections.add(event.session)
        if (connections.has(event.session)) for (const state of statesIn(event.state)) seen.add(state)
      }
      // Another peer listens at the first address, which is an error of the handshake.
      await scene.start({ key: 2, peers: [1], dials: [] })
      const bob = await scene.start({ key: 1, peers: [0], dials: [0], misled: { 0: 2 } })
      bob.network.observe(watch)
      await scene.until('a failed dial', () => bob.eventsOf('connection.failed').length > 0)
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      bob.network.add({ id: alice.id, urls: alice.network.url as string })
      alice.network.observe(watch)
      await scene.run(bob.network.ready({ peers: 'all' }))
      await scene.run(bob.network.shutdown())
      await scene.until('the other end', () => alice.eventsOf('peer.disconnected').length > 0)
      for (const state of [
        'opening',
        'connecting',
        'connected',
        'authenticating',
        'authenticated',
        'open',
        'closing',
        'errored',
        'closed',
      ])
        expect([...seen], state).toContain(state)
    }))

  it('a network with five peers has thirty actors: five of its own, and five for each peer', async () => {
    const [own, ...others] = Array.from({ length: 6 }, () => Identity.generate()) as [Identity, ...Identity[]]
    const hub = createNetwork({ identity: own, listen: 'tls://127.0.0.1:0', peers: others.map(({ id }) => ({ id })) })
    await hub.ready()
    const peers = others.map((identity) =>
      createNetwork({ identity, peers: [{ id: own.id, urls: hub.url as string }] }),
    )
    try {
      await hub.ready({ peers: 'all' })
      const actors = actorsOf(hub)
      const idOf = (session: string | null): string => (session === null ? '' : (actors.get(session)?.id ?? ''))
      const names = [...actors.values()].map(({ id, parent }) =>
        /^(listener|reconnector|peers|groups|supervisor)$/.test(id)
          ? id
          : `${idOf(parent).split(':')[0]}/${id.replace(/:.*/, '')}`,
      )
      const counts: Record<string, number> = {}
      for (const name of names) counts[name] = (counts[name] ?? 0) + 1
      expect(counts).toEqual({
        supervisor: 1,
        listener: 1,
        reconnector: 1,
        peers: 1,
        groups: 1,
        'peers/peer': 5,
        'peer/link': 5,
        'link/connection': 5,
        'link/forwarder': 10,
      })
      expect(hub.resources.actors).toBe(30)
    } finally {
      await Promise.all([hub, ...peers].map((network) => network.shutdown()))
    }
  })

  it('the sink routes each message by its name: consensus and broadcast have handlers of their own', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const sink = { consensus: [] as string[], broadcast: [] as string[] }
      for (const route of ['consensus', 'broadcast'] as const)
        alice.network.onMessage(route, ({ bytes }) => void sink[route].push(bytes.toString()))
      await scene.run(bob.network.send(alice.id, 'vote', { name: 'consensus' }))
      await scene.run(bob.network.broadcast('block', { name: 'broadcast' }))
      await scene.run(bob.network.send(alice.id, '?', { name: 'telemetry' }))
      await scene.until('a message without a route', () => alice.eventsOf('message.unhandled').length === 1)
      expect(sink).toEqual({ consensus: ['vote'], broadcast: ['block'] })
    }))

  it('a chunk that is too long is refused, and the same socket carries what follows', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [], limits: { messageBytesMax: 1000 } })
      const bob = await scene.start({ key: 1, peers: [0], dials: [0] })
      const seen: number[] = []
      alice.network.onMessage('', ({ bytes }) => void seen.push(bytes.length))
      for (const lengthBytes of [1000, 1001, 999])
        await scene.run(bob.network.send(alice.id, Buffer.alloc(lengthBytes)))
      await scene.until('the last message', () => seen.length === 2)
      expect(seen).toEqual([1000, 999])
      expect(alice.eventsOf('message.dropped')).toHaveLength(1)
      expect([alice.eventsOf('connection.opened').length, alice.eventsOf('connection.lost').length]).toEqual([1, 0])
    }))
})
