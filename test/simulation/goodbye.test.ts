/**
 * Owns: how an orderly end is reported on both sides, over a network with latency, whatever came before it.
 * Independent of: the bytes of a Goodbye (test/native/) and of values that are under way.
 */
import { removePeer } from '../support/remove-peer.ts'
import { describe, expect, it } from 'vitest'
import { createNetwork } from '../../actors/index.ts'
import type { Identity, Network, NetworkEvent } from '../../actors/index.ts'
import { SimulatedNetwork } from '../../testing/index.ts'
import { keys } from '../support/native-scene.ts'

type Name = 'alice' | 'bob'

/** Codes and messages of what ended, without repetitions. */
type Report = readonly string[]

class Scene {
  readonly simulated = new SimulatedNetwork({ seed: 1, latencyMs: [20, 40] })
  readonly #reports = new Map<string, Set<string>>()
  readonly #keys: Readonly<Record<Name, Identity>>

  /** @param greater who has the greater key */
  constructor(greater: Name) {
    const [less, more] = keys as [Identity, Identity]
    this.#keys = greater === 'alice' ? { alice: more, bob: less } : { alice: less, bob: more }
  }

  idOf(name: Name): string {
    return this.#keys[name].id
  }

  async start(): Promise<{ networks: readonly [Network, Network] }> {
    const { alice, bob } = this.#keys
    const networks = [this.#network('alice', alice, bob), this.#network('bob', bob, alice)] as const
    // A session on each of the two links, so that both are up.
    await this.simulated.clock.run(Promise.all(networks.map((network) => network.makeSessions({ count: 2 }))))
    return { networks }
  }

  #network(node: string, identity: Identity, peer: Identity): Network {
    const url = node === 'alice' ? { urls: 'tcp://bob:1' } : {}
    // Longer than the answer to a Goodbye may take.
    const limits = { closeTimeoutMs: 10_000, shutdownTimeoutMs: 60_000 }
    const config = {
      identity,
      security: 'plaintext',
      connectionParallelism: 2,
      listen: `tcp://${node}:1`,
      limits,
    } as const
    const network = createNetwork(
      { ...config, peers: [{ id: peer.id, ...url }] },
      { environment: this.simulated.node(node).environment },
    )
    const report = new Set<string>()
    this.#reports.set(node, report)
    network.ref.on('*', (event) => {
      const { type, cause } = event as NetworkEvent & { cause?: { code: string; message: string } }
      if (type === 'connection.lost') report.add(`${cause?.code}: ${this.#named(cause?.message)}`)
    })
    return network
  }

  #named(text = ''): string {
    const { alice, bob } = this.#keys
    return text.replaceAll(alice.id, 'alice').replaceAll(bob.id, 'bob')
  }

  of(node: Name): Report {
    return [...(this.#reports.get(node) ?? [])]
  }
}

const left = 'ERR_NETWORK_STOPPED: the network is shutting down'
const saidGoodbye = (who: string): string => `ERR_CONNECTION_LOST: ${who} said Goodbye: "the network is shutting down"`

describe.each(['alice', 'bob'] as const)('an orderly shutdown, where %s has the greater key,', (greater) => {
  it.each(['alice', 'bob'] as const)(
    'reports a shutdown of %s alike on both sides after any idle time',
    async (leaver) => {
      const stayer = leaver === 'alice' ? 'bob' : 'alice'
      for (const idleMs of [0, 1_000, 4_900, 5_000, 5_100, 7_000, 8_000, 9_000, 9_900, 14_000, 60_000]) {
        const scene = new Scene(greater)
        const { networks } = await scene.start()
        await scene.simulated.clock.advance(idleMs)
        const [mine, theirs] = leaver === 'alice' ? networks : networks.toReversed()
        await scene.simulated.clock.run(mine!.shutdown())
        await scene.simulated.clock.advance(1_000)
        expect([idleMs, scene.of(leaver), scene.of(stayer)]).toEqual([idleMs, [left], [saidGoodbye(leaver)]])
        await scene.simulated.clock.run(theirs!.shutdown())
      }
    },
  )

  it('reports a shutdown of both sides at the same moment as the own one of each', async () => {
    for (const idleMs of [0, 8_000]) {
      const scene = new Scene(greater)
      const { networks } = await scene.start()
      await scene.simulated.clock.advance(idleMs)
      await scene.simulated.clock.run(Promise.all(networks.map((network) => network.shutdown())))
      expect([idleMs, scene.of('alice'), scene.of('bob')]).toEqual([idleMs, [left], [left]])
    }
  })

  it('reports a peer that does not answer the Goodbye', async () => {
    const scene = new Scene(greater)
    const { networks } = await scene.start()
    await scene.simulated.clock.advance(8_000)
    scene.simulated.partition(scene.simulated.node('alice'), scene.simulated.node('bob'))
    const drained = removePeer(networks[0], scene.idOf('bob'), { timeoutMs: 60_000 })
    await scene.simulated.clock.run(drained)
    expect(scene.of('alice')).toEqual(['ERR_TIMED_OUT: bob did not answer the Goodbye in time'])
    scene.simulated.heal()
    await scene.simulated.clock.run(Promise.all(networks.map((network) => network.shutdown())))
  })
})
