/**
 * Owns: faults of streams that the simulation found and that need a broken network, each as a small scene.
 * Independent of: the seeds that found them; streams on sound connections (test/streams/).
 */
import { expect, test } from 'vitest'
import { createNetwork } from '../../actors/index.ts'
import type { Network } from '../../actors/index.ts'
import { SimulatedNetwork } from '../../testing/index.ts'
import { keys } from '../support/native-scene.ts'

function start(simulated: SimulatedNetwork): readonly [Network, Network] {
  const of = (me: 0 | 1): Network =>
    createNetwork(
      {
        identity: keys[me]!,
        listen: `tcp://${me === 0 ? 'alice' : 'bob'}:1`,
        peers: [{ id: keys[1 - me]!.id, ...(me === 0 ? { urls: 'tcp://bob:1' } : {}) }],
        security: 'plaintext',
      },
      { environment: simulated.node(me === 0 ? 'alice' : 'bob').environment },
    )
  const [alice, bob] = [of(0), of(1)]
  bob.onStream('echo', (stream) => {
    stream.on('error', () => {})
    stream.pipe(stream)
  })
  return [alice, bob]
}

test('a stream that is asked for before the network has started is opened as soon as there is a connection', async () => {
  const simulated = new SimulatedNetwork({ seed: 1 })
  const { clock } = simulated
  const [alice, bob] = start(simulated)
  const stream = await clock.run(alice.getStream(keys[1]!.id, 'echo', { timeoutMs: 1000 }))
  stream.destroy()
  await clock.run(Promise.all([alice.shutdown(), bob.shutdown()]))
})

test('a stream that is not accepted in time on a suspect link costs the connection, and not the link', async () => {
  const simulated = new SimulatedNetwork({ seed: 1 })
  const { clock } = simulated
  const [alice, bob] = start(simulated)
  const open = await clock.run(alice.getStream(keys[1]!.id, 'echo'))
  const errors: Error[] = []
  open.on('error', (error) => errors.push(error))
  const resets: unknown[] = []
  alice.on('link.reset', (event) => void resets.push(event))
  let losses = 0
  alice.on('connection.lost', () => losses++)
  simulated.partition(simulated.node('alice'), simulated.node('bob'))
  const late = clock.run(alice.getStream(keys[1]!.id, 'echo', { timeoutMs: 16_000 })).catch((error: unknown) => error)
  expect(await late).toMatchObject({ code: 'ERR_TIMED_OUT', by: 'self' })
  await clock.until('the loss', () => losses === 1, 100)
  simulated.heal()
  const answered = new Promise<string>((resolve) => open.once('data', (bytes: Buffer) => resolve(String(bytes))))
  open.write('still here')
  expect(await clock.run(answered)).toBe('still here')
  expect([resets, errors]).toEqual([[], []])
  await clock.run(Promise.all([alice.shutdown(), bob.shutdown()]))
})
