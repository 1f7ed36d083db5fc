/**
 * Owns: what the calls of a failed network reject with: the cause of its failure, whatever the call and whenever it was
 * made.
 * Independent of: how failures come about (supervision.test.ts) and of calls after an orderly end.
 */
import { removePeer } from '../support/remove-peer.ts'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createNetwork, Identity, Network, PeerConnectionBuilder, supervisor } from '../../actors/index.ts'
import type { NetworkConfig } from '../../actors/index.ts'
import { createActor } from '../../machines/xstate.ts'
import { within } from '../support/bounded-wait.ts'
import { rejectionOf } from '../support/native-scene.ts'
import { number, play } from '../support/scene.ts'

const stops: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

async function usedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  stops.push(() => new Promise((resolve) => server.close(resolve)))
  return (server.address() as AddressInfo).port
}

const native = (port: number): NetworkConfig => ({
  identity: Identity.generate(),
  listen: `tls://127.0.0.1:${port}`,
  peers: [{ id: Identity.generate().id }],
})
const ampc = (port: number): NetworkConfig => ({
  identity: 'alice',
  security: 'plaintext',
  listen: `tcp://127.0.0.1:${port}`,
  peers: [{ id: 'bob' }],
})

const calls: [string, (port: number) => NetworkConfig, (network: Network) => Promise<unknown>][] = [
  ['ready', native, (network) => network.ready()],
  ['makeSessions', native, (network) => network.makeSessions({ count: 1 })],
  ['makeSessions of the ampc dialect', ampc, (network) => network.makeSessions({ count: 1 })],
  ['openControlChannel', ampc, (network) => network.openControlChannel()],
]

describe('a network whose port is in use', () => {
  const cause = {
    code: 'ERR_LISTEN_FAILED',
    retryable: false,
    message: expect.stringContaining('EADDRINUSE') as string,
  }

  it('a network whose port is in use emits a process warning when no call and no listener would report it', async () => {
    const warned = once(process, 'warning') as Promise<[Error & { code?: string }]>
    createNetwork(native(await usedPort()))
    const [warning] = await within(warned, 'the warning is emitted')
    expect(warning).toMatchObject({ name: 'StatewireWarning', code: 'ERR_LISTEN_FAILED' })
    expect(warning.message).toContain('EADDRINUSE')
  })

  it('a network whose port is in use emits no process warning when a listener or a call reports it', async () => {
    const warnings: Error[] = []
    const record = (warning: Error): void => void warnings.push(warning)
    process.on('warning', record)
    stops.push(async () => void process.off('warning', record))
    const port = await usedPort()
    const listened = createNetwork(native(port))
    const failed = new Promise((resolve) => listened.once('network.failed', resolve))
    await within(failed, 'the event is emitted')
    await within(rejectionOf(createNetwork(native(port)).ready()), 'ready rejects')
    await within(rejectionOf(createNetwork(native(port)).makeSessions({ count: 1 })), 'makeSessions rejects')
    await new Promise((resolve) => setImmediate(resolve))
    expect(warnings).toEqual([])
  })

  it.each(calls)(
    'a network whose port is in use rejects a call of %s made during its start with that cause',
    async (_name, config, call) => {
      const network = createNetwork(config(await usedPort()))
      expect(await within(rejectionOf(call(network)), 'the call is rejected')).toMatchObject(cause)
    },
  )

  it.each(calls)(
    'a network whose port is in use rejects a later call of %s with that cause',
    async (_name, config, call) => {
      const network = createNetwork(config(await usedPort()))
      await within(rejectionOf(network.ready()), 'the network fails')
      expect(await rejectionOf(call(network))).toMatchObject(cause)
      await network.shutdown()
      expect(await rejectionOf(call(network))).toMatchObject(cause)
    },
  )

  it('a network whose port is in use rejects a drain with that cause', async () => {
    const network = createNetwork(native(await usedPort()))
    await within(rejectionOf(network.ready()), 'the network fails')
    expect(await rejectionOf(removePeer(network, network.peers[0]?.id as string))).toMatchObject(cause)
  })

  it('a network whose port is in use gives its cause to a facade that is made after it failed', async () => {
    const ref = createActor(supervisor, { input: { config: native(await usedPort()) } })
    const failed = new Promise((resolve) => ref.subscribe({ error: resolve }))
    ref.start()
    await within(failed, 'the network fails')
    expect(await rejectionOf(Network.from(ref).ready())).toMatchObject(cause)
  })

  it('a network whose port is in use rejects the build of a builder with that cause', async () => {
    const { listen, ...rest } = ampc(await usedPort()) as Extract<NetworkConfig, { identity: string }>
    const { peers: _peers, ...config } = { ...rest, listen: listen as string }
    expect(
      await within(rejectionOf(new PeerConnectionBuilder(config).includePeer('bob').build()), 'build is rejected'),
    ).toMatchObject(cause)
  })
})

describe.each(['fail', 'reconnect'] as const)('a network that fails while it runs (%s)', (onConnectionLost) => {
  it(`a network that fails in mode ${onConnectionLost} rejects waiting calls with the cause of its failure`, () =>
    play({ on: 'memory', ids: ['alice', 'bob'], onConnectionLost }, async (scene) => {
      const alice = scene.of('alice')
      const session = (await scene.sessions(1)).get('alice')![0]!
      // Bob does not call makeSessions again, so this call waits.
      const waiting = [rejectionOf(alice.network.makeSessions({ count: 1 })), rejectionOf(session.receive('bob'))]
      for (let crash = 1; alice.eventsOf('network.failed').length === 0; crash++) {
        expect(crash).toBeLessThan(20)
        scene.sendEvent('alice', 'listener', { type: 'connection.claimed', handover: null })
        await scene.until(
          'the crash is noticed',
          () => alice.eventsOf('child.restarted').length === crash || alice.eventsOf('network.failed').length === 1,
        )
      }
      const { code, message } = alice.eventsOf('network.failed')[0]!.cause
      const errors = [
        ...(await scene.run(Promise.all(waiting))),
        await scene.run(rejectionOf(session.send('bob', number(1)))),
      ]
      expect(errors).toMatchObject(errors.map(() => ({ code, message })))
    }))
})
