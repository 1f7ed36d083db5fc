/**
 * Owns: faults of the runtime that the simulation found, each as a small scene.
 * Independent of: the seeds that found them; plans change, and seeds with them.
 */
import { expect, test } from 'vitest'
import { createNetwork } from '../../actors/index.ts'
import type { Network } from '../../actors/index.ts'
import { SimulatedNetwork } from '../../testing/index.ts'
import type { SimulatedPipe } from '../../testing/index.ts'
import { keys } from '../support/native-scene.ts'

const names = ['alice', 'bob'] as const

function start(
  network: SimulatedNetwork,
  me: 0 | 1,
  options: { readonly dials: boolean; readonly links?: number; readonly resumeTimeoutMs?: number },
): Network {
  const other = 1 - me
  return createNetwork(
    {
      identity: keys[me]!,
      listen: `tcp://${names[me]}:1`,
      peers: [{ id: keys[other]!.id, ...(options.dials ? { urls: `tcp://${names[other]}:1` } : {}) }],
      security: 'plaintext',
      connectionParallelism: options.links ?? 1,
      limits: {
        connectBurst: 1_000_000,
        ...(options.resumeTimeoutMs === undefined ? {} : { resumeTimeoutMs: options.resumeTimeoutMs }),
      },
    },
    { environment: network.node(names[me]).environment },
  )
}

test('a dial that crosses a hanging dial is not repeated at once, over and over', async () => {
  const network = new SimulatedNetwork({ seed: 1 })
  // What bob, who has the greater key, sends when he dials is lost: his dial hangs, and alice's is refused meanwhile.
  network.onConnected = (dialler) => {
    if (dialler.remoteHost === 'alice') network.break(dialler, 'neither')
  }
  const alice = start(network, 0, { dials: true })
  const bob = start(network, 1, { dials: true })
  let crossings = 0
  alice.on('connection.failed', () => crossings++)
  await network.clock.advance(4_000)
  // With waits between 0 and 100 ms, about 80.
  expect(crossings).toBeGreaterThan(10)
  expect(crossings).toBeLessThan(160)
  await network.clock.run(Promise.all([alice.shutdown(), bob.shutdown()]))
})

test('sessions are made again when one link expires on either side', async () => {
  const network = new SimulatedNetwork({ seed: 1 })
  const wires: SimulatedPipe[] = []
  network.onConnected = (dialler) => wires.push(dialler)
  const both = [
    start(network, 0, { dials: false, links: 2, resumeTimeoutMs: 1000 }),
    start(network, 1, { dials: true, links: 2, resumeTimeoutMs: 1000 }),
  ] as const
  const makeSessions = async (party: Network): Promise<void> => {
    for (;;) {
      try {
        return void (await party.makeSessions({ count: 2, timeoutMs: 10_000_000 }))
      } catch {
        // As an application does: again, until it works.
      }
    }
  }
  await network.clock.run(Promise.all(both.map(makeSessions)))
  expect(wires).toHaveLength(2)
  // Link 0: only alice is notified of its end. Link 1: both are. Neither reaches the other until alice's two links and
  // bob's one have expired.
  network.partition(network.node('alice'), network.node('bob'))
  network.break(wires[0]!, 'acceptor')
  network.break(wires[1]!, 'both')
  await network.clock.advance(1_500)
  network.heal()
  await network.clock.run(Promise.all(both.map(makeSessions)), 60_000)
  await network.clock.run(Promise.all(both.map((party) => party.shutdown())))
})

test('the report of disconnect does not count what was accepted after all was acknowledged', async () => {
  const network = new SimulatedNetwork({ seed: 1 })
  const alice = start(network, 0, { dials: true })
  const bob = start(network, 1, { dials: false })
  bob.onRequest('echo', ({ bytes }) => bytes)
  const bobId = keys[1]!.id
  await network.clock.run(alice.request(bobId, 'hello', { name: 'echo' }))
  const disconnecting = alice.peer(bobId)!.disconnect({ timeoutMs: 3000 })
  // Longer than one piece: it waits for credit while the Goodbye is on its way.
  const late: Promise<unknown>[] = []
  const ask = (): void => {
    late.push(alice.request(bobId, Buffer.alloc(1_000_000), { name: 'echo' }).catch((error: unknown) => error))
  }
  network.clock.setTimeout(ask, 0.01)
  const report = await network.clock.run(disconnecting)
  await network.clock.run(alice.shutdown())
  expect(await Promise.all(late)).toMatchObject([{ outcome: 'notSent' }])
  expect(report).toMatchObject({ unknown: 0, notSent: 0 })
  await network.clock.run(bob.shutdown())
})
