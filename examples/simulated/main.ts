/**
 * A protocol of one's own, tested on a simulated network: bob adds up the numbers that alice sends, and the sum must be
 * right however often the connection breaks. The same seed gives the same run.
 *
 * Owns: the smallest test of an application on a simulated network.
 * Independent of: real sockets and real time.
 */
import { createNetwork, Identity } from '../../index.ts'
import type { Network } from '../../index.ts'
import { SimulatedNetwork } from '../../testing/index.ts'

export async function sumOverBreaks(seed: number): Promise<number> {
  const simulated = new SimulatedNetwork({ seed, latencyMs: [1, 20], chunkBytesMax: 100 })
  const keys = { alice: Identity.generate(), bob: Identity.generate() }
  const start = (me: 'alice' | 'bob', other: 'alice' | 'bob'): Network =>
    createNetwork(
      {
        identity: keys[me],
        security: 'plaintext',
        listen: `tcp://${me}:1`,
        peers: [{ id: keys[other].id, ...(me === 'alice' ? { urls: `tcp://${other}:1` } : {}) }],
      },
      { environment: simulated.node(me).environment },
    )
  const [alice, bob] = [start('alice', 'bob'), start('bob', 'alice')]
  // Every connection breaks after 300 bytes from alice; bob's sessions go on.
  simulated.onConnected = (dialler) => simulated.breakAfter(dialler, 300, 'dialler')

  const { clock } = simulated
  const [[toBob], [toAlice]] = await clock.run(
    Promise.all([alice.makeSessions({ count: 1 }), bob.makeSessions({ count: 1 })]),
  )
  let sum = 0
  toAlice?.handle(keys.alice.id, (value) => {
    if (value.type === 'RingElement32') sum += value.value
  })
  for (let value = 1; value <= 100; value++) await clock.run(toBob!.send(keys.bob.id, { type: 'RingElement32', value }))
  await clock.run(toBob!.flush())
  await clock.run(Promise.all([alice.shutdown(), bob.shutdown()]))
  return sum
}
