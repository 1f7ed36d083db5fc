/**
 * Owns: how networks dial peers by name, in virtual time: names that hang or do not exist, and names with two
 * addresses.
 * Independent of: the queue of lookups (test/actors/name-lookups.test.ts) and of real sockets
 * (test/security/second-address.test.ts).
 */
import { describe, expect, it } from 'vitest'
import { createNetwork, Identity } from '../../actors/index.ts'
import type { Network, NetworkEvent, NetworkEventType } from '../../actors/index.ts'
import { MemoryTransport, SimulatedNetwork, VirtualClock } from '../../testing/index.ts'

interface PeerPlan {
  readonly key: Identity
  readonly url?: string
}

class Scene {
  readonly simulated = new SimulatedNetwork({ seed: 1 })
  readonly events = new Map<string, NetworkEvent[]>()
  readonly #networks: Network[] = []

  start(node: string, identity: Identity, peers: readonly PeerPlan[]): Network {
    const network = createNetwork(
      {
        identity,
        security: 'plaintext',
        listen: `tcp://${node}:1`,
        peers: peers.map(({ key, url }) => ({ id: key.id, ...(url === undefined ? {} : { urls: url }) })),
      },
      { environment: this.simulated.node(node).environment },
    )
    const events: NetworkEvent[] = []
    network.ref.on('*', (event) => void events.push(event as NetworkEvent))
    this.events.set(node, events)
    this.#networks.push(network)
    return network
  }

  of<T extends NetworkEventType>(node: string, type: T): Extract<NetworkEvent, { type: T }>[] {
    return (this.events.get(node) ?? []).filter(
      (event): event is Extract<NetworkEvent, { type: T }> => event.type === type,
    )
  }

  until(what: string, holds: () => boolean): Promise<void> {
    return this.simulated.clock.until(what, holds)
  }

  async end(): Promise<void> {
    await this.simulated.clock.run(Promise.all(this.#networks.map((network) => network.shutdown())))
  }
}

const keys = Array.from({ length: 6 }, () => Identity.generate())
const [alice, bob] = keys as [Identity, Identity]

describe('a peer that is dialled by name', () => {
  it.each(['hangs', 'not-found'] as const)(
    'connects a peer although the names of four peers before it fail (%s)',
    async (fault) => {
      const scene = new Scene()
      scene.start('bob', bob, [{ key: alice }])
      const bad = keys.slice(2)
      for (const [index] of bad.entries()) scene.simulated.names.fail(`bad${index}`, fault)
      const network = scene.start('alice', alice, [
        ...bad.map((key, index) => ({ key, url: `tcp://bad${index}:1` })),
        { key: bob, url: 'tcp://bob:1' },
      ])
      void network.makeSessions({ count: 1 }).catch(() => {})
      await scene.until('bob is up', () => scene.of('alice', 'connection.opened').some(({ peer }) => peer === bob.id))
      // Four lookups that run into their deadline two at a time, and no back-off of any other peer.
      expect(scene.simulated.clock.nowMs()).toBeLessThan(fault === 'hangs' ? 11_000 : 1_000)
      const failures = scene.of('alice', 'connection.failed')
      expect(new Set(failures.map(({ cause }) => cause.code))).toEqual(new Set(['ERR_NAME_NOT_RESOLVED']))
      expect(failures[0]?.cause.message).toMatch(/^bad0 was not resolved: /)
      await scene.end()
    },
  )

  it('reconnects a peer at once while the names of other peers hang', async () => {
    const scene = new Scene()
    scene.start('bob', bob, [{ key: alice }])
    const bad = keys.slice(2)
    const network = scene.start('alice', alice, [
      { key: bob, url: 'tcp://bob:1' },
      ...bad.map((key, index) => ({ key, url: `tcp://bad${index}:1` })),
    ])
    for (const [index] of bad.entries()) scene.simulated.names.fail(`bad${index}`, 'hangs')
    void network.makeSessions({ count: 1 }).catch(() => {})
    const ups = (): number => scene.of('alice', 'connection.opened').length
    await scene.until('bob is up', () => ups() === 1)
    await scene.until(
      'each bad name has failed',
      () => new Set(scene.of('alice', 'connection.failed').map(({ peer }) => peer)).size === bad.length,
    )
    const atMs = scene.simulated.clock.nowMs()
    scene.simulated.break(scene.simulated.node('alice').process.pipes.values().next().value!, 'both')
    await scene.until('bob is up again', () => ups() === 2)
    expect(scene.simulated.clock.nowMs() - atMs).toBeLessThan(1_000)
    await scene.end()
  })

  it('connects a peer when its name begins to resolve', async () => {
    const scene = new Scene()
    scene.start('bob', bob, [{ key: alice }])
    scene.simulated.names.fail('bob', 'not-found')
    const network = scene.start('alice', alice, [{ key: bob, url: 'tcp://bob:1' }])
    void network.makeSessions({ count: 1 }).catch(() => {})
    await scene.until('it has failed', () => scene.of('alice', 'connection.failed').length > 1)
    scene.simulated.names.fail('bob', null)
    await scene.until('bob is up', () => scene.of('alice', 'connection.opened').length === 1)
    await scene.end()
  })

  it('dials the second address of a name at once when the first refuses the connection', async () => {
    const scene = new Scene()
    scene.start('bob', bob, [{ key: alice }])
    scene.simulated.names.set('bob.example', ['carol', 'bob'])
    const network = scene.start('alice', alice, [{ key: bob, url: 'tcp://bob.example:1' }])
    void network.makeSessions({ count: 1 }).catch(() => {})
    await scene.until('bob is up', () => scene.of('alice', 'connection.opened').length === 1)
    expect(scene.of('alice', 'connection.failed')).toMatchObject([
      { cause: { message: expect.stringContaining('carol:1') } },
    ])
    expect(scene.of('alice', 'connection.opened')).toMatchObject([{ remoteAddress: 'bob:1' }])
    await scene.end()
  })

  it('dials the second address of a name when another peer answers at the first', async () => {
    const scene = new Scene()
    scene.start('carol', keys[2]!, [{ key: alice }])
    scene.start('bob', bob, [{ key: alice }])
    scene.simulated.names.set('bob.example', ['carol', 'bob'])
    const network = scene.start('alice', alice, [{ key: bob, url: 'tcp://bob.example:1' }])
    void network.makeSessions({ count: 1 }).catch(() => {})
    await scene.until('bob is up', () => scene.of('alice', 'connection.opened').length === 1)
    expect(scene.of('alice', 'connection.failed')).toHaveLength(1)
    expect(scene.of('alice', 'connection.opened')).toMatchObject([{ remoteAddress: 'bob:1' }])
    await scene.end()
  })

  it('dials the second address of a name when the first does not answer at all', async () => {
    const scene = new Scene()
    scene.start('bob', bob, [{ key: alice }])
    scene.simulated.partition(scene.simulated.node('alice'), scene.simulated.node('carol'))
    scene.simulated.names.set('bob.example', ['carol', 'bob'])
    const network = scene.start('alice', alice, [{ key: bob, url: 'tcp://bob.example:1' }])
    void network.makeSessions({ count: 1 }).catch(() => {})
    await scene.until('bob is up', () => scene.of('alice', 'connection.opened').length === 1)
    expect(scene.of('alice', 'connection.failed')).toMatchObject([
      { cause: { code: 'ERR_TIMED_OUT', message: 'no connection with carol:1 within 2000 ms' } },
    ])
    await scene.end()
  })
})

describe('a transport with names of its own', () => {
  it('resolves hosts by the names of a transport instead of those of the system', async () => {
    const clock = new VirtualClock()
    const environment = { clock, transport: new MemoryTransport(clock) }
    const config = { security: 'plaintext', listen: 'tcp://127.0.0.1:0' } as const
    const listener = createNetwork({ ...config, identity: bob, peers: [{ id: alice.id }] }, { environment })
    await clock.run(listener.ready())
    const url = (listener.url as string).replace('127.0.0.1', 'bob.invalid')
    const dialler = createNetwork({ ...config, identity: alice, peers: [{ id: bob.id, urls: url }] }, { environment })
    await clock.run(Promise.all([listener, dialler].map((network) => network.makeSessions({ count: 1 }))))
    await clock.run(Promise.all([listener, dialler].map((network) => network.shutdown())))
  })
})

describe('the simulated name service', () => {
  const outcomes = async (seed: number): Promise<string[]> => {
    const simulated = new SimulatedNetwork({ seed })
    simulated.names.chances = { hangs: 0.3, 'not-found': 0.3 }
    simulated.names.latencyMs = [1, 20]
    const { names } = simulated.node('alice').environment
    const seen: string[] = Array.from({ length: 20 }, () => 'hangs')
    for (let index = 0; index < 20; index++)
      void names.lookup('bob').then(
        () => (seen[index] = `found at ${simulated.clock.nowMs()}`),
        () => (seen[index] = 'not found'),
      )
    await simulated.clock.advance(100)
    return seen
  }

  it('gives the same faults and latencies of name lookups for the same seed', async () => {
    const [first, again, other] = await Promise.all([outcomes(1), outcomes(1), outcomes(2)])
    expect(again).toEqual(first)
    expect(other).not.toEqual(first)
    expect(new Set(first!.map((seen) => seen.split(' ')[0]))).toEqual(new Set(['hangs', 'found', 'not']))
  })

  it('answers a hanging lookup after release, unless its process is dead; a stalled process gets it later', async () => {
    const simulated = new SimulatedNetwork({ seed: 1 })
    simulated.names.fail('bob', 'hangs')
    const seen: string[] = []
    for (const name of ['alive', 'dead', 'stalled']) {
      const { names, clock } = simulated.node(name).environment
      void names.lookup('bob').then(() => seen.push(`${name} at ${clock.nowMs()}`))
    }
    await simulated.clock.advance(100_000)
    simulated.node('dead').crash()
    simulated.node('stalled').stall(50)
    simulated.names.release()
    await simulated.clock.advance(100)
    expect(seen).toEqual(['alive at 100000', 'stalled at 100050'])
  })
})
