/**
 * Owns: peers that are left while their connection is unusable: what the simulation found, each in its shortest form.
 * Independent of: peers that are left on sound connections (test/peers/).
 */
import { expect, it } from 'vitest'
import { createNetwork } from '../../actors/index.ts'
import type { Identity, Network } from '../../actors/index.ts'
import { SimulatedNetwork } from '../../testing/index.ts'
import { keys } from '../support/native-scene.ts'

const [alice, bob] = keys as [Identity, Identity]

function start(simulated: SimulatedNetwork): readonly [Network, Network] {
  const of = (name: string, identity: Identity, peers: readonly { id: string; urls?: string }[]): Network =>
    createNetwork(
      { identity, security: 'plaintext', listen: `tcp://${name}:1`, peers, limits: { shutdownTimeoutMs: 500 } },
      { environment: simulated.node(name).environment },
    )
  return [of('alice', alice, [{ id: bob.id, urls: 'tcp://bob:1' }]), of('bob', bob, [{ id: alice.id }])]
}

it('adds a peer again whose removal still waits for a connection attempt', async () => {
  const simulated = new SimulatedNetwork({ seed: 1, latencyMs: [1, 2] })
  const { clock } = simulated
  const networks = start(simulated)
  const [network] = networks
  await clock.run(network.ready({ peers: 'all' }))
  simulated.partition(simulated.node('alice'), simulated.node('bob'))
  for (const pipe of simulated.pipes) simulated.break(pipe, 'both', { arrives: false })
  await clock.advance(1000)
  const restarts: unknown[] = []
  network.ref.on('child.restarted', (event) => void restarts.push(event))
  await clock.run(network.peer(bob.id)!.remove({ timeoutMs: 1000 }))
  const again = network.add({ id: bob.id, urls: 'tcp://bob:1' })
  simulated.heal()
  await clock.run(again.connect())
  expect(restarts).toEqual([])
  await clock.run(Promise.all(networks.map((one) => one.shutdown())))
})

it('settles a disconnect that waits for an answer when the network stops', async () => {
  const simulated = new SimulatedNetwork({ seed: 1, latencyMs: [1, 2] })
  const { clock } = simulated
  const networks = start(simulated)
  const [network] = networks
  await clock.run(network.ready({ peers: 'all' }))
  simulated.partition(simulated.node('alice'), simulated.node('bob'))
  let isSettled = false
  void network
    .peer(bob.id)!
    .disconnect()
    .then(() => (isSettled = true))
  await clock.advance(10)
  await clock.run(network.shutdown())
  await clock.settle()
  expect(isSettled).toBe(true)
  simulated.heal()
  await clock.run(networks[1].shutdown())
})

it('fails a connect that waits when the network stops', async () => {
  const simulated = new SimulatedNetwork({ seed: 1, latencyMs: [1, 2] })
  const { clock } = simulated
  const networks = start(simulated)
  const [network] = networks
  simulated.partition(simulated.node('alice'), simulated.node('bob'))
  let code = ''
  network
    .peer(bob.id)!
    .connect()
    .catch((error: { code: string }) => (code = error.code))
  await clock.advance(10)
  await clock.run(network.shutdown())
  await clock.settle()
  expect(code).toBe('ERR_NETWORK_STOPPED')
  await clock.run(networks[1].shutdown())
})
