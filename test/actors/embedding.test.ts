/**
 * Owns: the contract of `supervisor` as ordinary actor logic: every way in which XState creates an actor creates a
 * network, with the types, errors and end of any other actor.
 * Independent of: the inside of a network.
 */
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { assign, createActor, fromPromise, setup, spawnChild, toPromise, waitFor } from 'xstate'
import type { ActorRefFrom, ErrorActorEvent } from 'xstate'
import { afterEach, describe, expect, it } from 'vitest'
import { createNetwork, Network, supervisor } from '../../index.ts'
import type { NetworkEvent, SupervisorInput, SupervisorLogic, SupervisorRef } from '../../index.ts'
import { dial, listening, nothing, stopAll, stops, until } from './embedding-bench.ts'

afterEach(stopAll)

const openTcp = (): string[] => process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP'))

interface Application {
  readonly ref: SupervisorRef
  stop(): void
}

/** Each creates the same network in another way. */
const ways: Record<string, () => Application> = {
  'createActor(supervisor)': () => {
    const ref = createActor(supervisor, { input: listening }).start()
    return { ref, stop: () => void ref.stop() }
  },
  invoke: () => {
    const machine = setup({
      types: { children: {} as { network: 'supervisor' } },
      actors: { supervisor },
    }).createMachine({
      context: { input: listening },
      invoke: { id: 'network', src: 'supervisor', input: ({ context }) => context.input },
    })
    const app = createActor(machine).start()
    return { ref: app.getSnapshot().children.network as SupervisorRef, stop: () => void app.stop() }
  },
  'spawn in a context': () => {
    const machine = setup({
      types: { context: {} as { network: ActorRefFrom<SupervisorLogic> } },
      actors: { supervisor },
    }).createMachine({
      context: ({ spawn }) => ({ network: spawn('supervisor', { id: 'network', input: listening }) }),
    })
    const app = createActor(machine).start()
    return { ref: app.getSnapshot().context.network, stop: () => void app.stop() }
  },
  'spawn in an assign': () => {
    const machine = setup({
      types: { context: {} as { network: SupervisorRef | null } },
      actors: { supervisor },
    }).createMachine({
      context: { network: null },
      entry: assign({ network: ({ spawn }) => spawn('supervisor', { input: listening }) }),
    })
    const app = createActor(machine).start()
    return { ref: app.getSnapshot().context.network as SupervisorRef, stop: () => void app.stop() }
  },
  spawnChild: () => {
    const machine = setup({
      types: { children: {} as { network: 'supervisor' } },
      actors: { supervisor },
    }).createMachine({
      entry: spawnChild('supervisor', { id: 'network', input: listening }),
    })
    const app = createActor(machine).start()
    return { ref: app.getSnapshot().children.network as SupervisorRef, stop: () => void app.stop() }
  },
}

describe.each(Object.entries(ways))('a network made by %s', (way, start) => {
  it(`a network made by ${way} works, and leaves no actor, timer or socket when its parent is stopped`, async () => {
    const before = openTcp()
    const application = start()
    stops.push(() => application.stop())
    const alice = Network.from(application.ref)
    await alice.ready()
    const bob = dial(alice.url)
    const [[fromAlice], [fromBob]] = await Promise.all([
      alice.makeSessions({ count: 1 }),
      bob.makeSessions({ count: 1 }),
    ])
    await fromAlice?.send('bob', { type: 'RingElement32', value: 42 })
    expect(await fromBob?.receive('alice')).toEqual({ type: 'RingElement32', value: 42 })
    expect(alice.resources.actors).toBeGreaterThan(5)

    application.stop()
    await bob.shutdown()
    await until(() => alice.resources.handles === 0)
    expect([alice.resources, bob.resources]).toEqual([nothing, nothing])
    await until(() => openTcp().length <= before.length)
    expect(openTcp()).toEqual(before)
  })

  it(`a network made by ${way} rejects waiting calls when its parent is stopped during its start`, async () => {
    const before = openTcp()
    const application = start()
    const alice = Network.from(application.ref)
    const sessions = expect(alice.makeSessions({ count: 1 })).rejects.toMatchObject({ code: 'ERR_NETWORK_STOPPED' })
    const ready = expect(alice.ready()).rejects.toMatchObject({ code: 'ERR_NETWORK_STOPPED' })
    application.stop()
    await Promise.all([sessions, ready])
    await until(() => alice.resources.handles === 0)
    expect(alice.resources).toEqual(nothing)
    await until(() => openTcp().length <= before.length)
  })
})

describe('an invoked network', () => {
  const application = setup({
    types: {
      context: {} as { input: SupervisorInput; error: unknown },
      input: {} as SupervisorInput,
      output: {} as { error: unknown },
      children: {} as { network: 'supervisor' },
    },
    actors: { supervisor },
  }).createMachine({
    context: ({ input }) => ({ input, error: null }),
    initial: 'networking',
    states: {
      networking: {
        invoke: {
          id: 'network',
          src: 'supervisor',
          input: ({ context }) => context.input,
          onDone: 'stopped',
          onError: { target: 'failed', actions: assign({ error: ({ event }) => event.error }) },
        },
      },
      stopped: { type: 'final' },
      failed: { type: 'final' },
    },
    output: ({ context }) => ({ error: context.error }),
  })

  it('an invoked network is done when it has shut down', async () => {
    const app = createActor(application, { input: listening }).start()
    const network = Network.from(app.getSnapshot().children.network)
    await network.ready()
    await network.shutdown()
    await toPromise(app)
    expect(app.getSnapshot().value).toBe('stopped')
  })

  it('an invoked network also shuts down on an event', async () => {
    const app = createActor(application, { input: listening }).start()
    app.getSnapshot().children.network?.send({ type: 'network.shutdown' })
    await toPromise(app)
    expect(app.getSnapshot().value).toBe('stopped')
  })

  it('an invoked network calls onError with the reason when its port is in use', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    stops.push(() => new Promise((resolve) => server.close(resolve)))
    const { port } = server.address() as AddressInfo
    const app = createActor(application, {
      input: { config: { ...listening.config, listen: `tcp://127.0.0.1:${port}` } },
    }).start()
    const network = Network.from(app.getSnapshot().children.network)
    const ready = expect(network.ready()).rejects.toMatchObject({ code: 'ERR_LISTEN_FAILED' })
    const { error } = await toPromise(app)
    expect(app.getSnapshot().value).toBe('failed')
    expect(error).toMatchObject({ code: 'ERR_LISTEN_FAILED', message: expect.stringContaining('EADDRINUSE') as string })
    await ready
    expect(network.resources).toEqual(nothing)
  })

  it('an invoked network calls onError with the reason when its configuration is wrong', async () => {
    const app = createActor(application, { input: { config: { ...listening.config, identity: '' } } }).start()
    expect((await toPromise(app)).error).toMatchObject({ code: 'ERR_INVALID_PEER_ID' })
  })
})

describe('a spawned network', () => {
  it('a spawned network sends its parent an error event when it fails', async () => {
    const machine = setup({
      types: {
        context: {} as { network: SupervisorRef; error: unknown },
        events: {} as ErrorActorEvent<unknown, 'network'>,
      },
      actors: { supervisor },
    }).createMachine({
      context: ({ spawn }) => ({
        network: spawn('supervisor', {
          id: 'network',
          input: { config: { ...listening.config, limits: { dialsMax: 0 } } },
        }),
        error: null,
      }),
      on: { 'xstate.error.actor.network': { actions: assign({ error: ({ event }) => event.error }) } },
    })
    const app = createActor(machine).start()
    stops.push(() => app.stop())
    const { context } = await waitFor(app, (snapshot) => snapshot.context.error !== null)
    expect(context.error).toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('dialsMax') as string,
    })
    expect(() => Network.from(context.network)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }))
  })

  it('a spawned network emits its first event a tick later, so an immediate listener misses nothing', async () => {
    const ref = createActor(supervisor, {
      input: { config: { identity: 'alice', peers: [], security: 'plaintext' } },
    }).start()
    stops.push(() => ref.stop())
    const ready = await new Promise<NetworkEvent>((resolve) => ref.on('network.ready', resolve))
    expect(ready).toEqual({ type: 'network.ready', url: null })
  })
})

describe('Network.from', () => {
  it.each([
    ['undefined', undefined],
    ['null', null],
    ['a number', 7],
    ['an object', {}],
    ['another actor', createActor(fromPromise(async () => {}))],
    ['the logic itself', supervisor],
  ])('Network.from refuses %s', (_, wrong) => {
    expect(() => Network.from(wrong)).toThrow(expect.objectContaining({ code: 'ERR_NOT_A_NETWORK' }))
  })

  it('Network.from and createNetwork return the same facade for the same reference', async () => {
    const network = createNetwork(listening.config)
    stops.push(() => network.shutdown())
    expect(Network.from(network.ref)).toBe(network)
    expect(Network.from(network.ref)).toBe(network)
    await network.ready()
  })

  it('Network.from of a running network is ready and has its url', async () => {
    const ref = createActor(supervisor, { input: listening }).start()
    stops.push(() => ref.stop())
    const { url } = await new Promise<{ url: string | null }>((resolve) => ref.on('network.ready', resolve))
    const network = Network.from(ref)
    await network.ready()
    expect(url).toMatch(/^tcp:\/\/127\.0\.0\.1:[1-9]/)
    expect(network.url).toBe(url)
  })
})

describe('createNetwork', () => {
  it('createNetwork throws at once what is wrong with its options', () => {
    expect(() => createNetwork({ ...listening.config, connectionParallelism: 0 })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION' }),
    )
  })
})

describe('two networks in one process', () => {
  it('two networks in one process with the same options and session numbers share nothing', async () => {
    const pairs = await Promise.all(
      [1, 2].map(async (value) => {
        const ref = createActor(supervisor, { input: listening }).start()
        const alice = Network.from(ref)
        stops.push(() => alice.shutdown())
        await alice.ready()
        const bob = dial(alice.url)
        const [[fromAlice], [fromBob]] = await Promise.all([
          alice.makeSessions({ count: 1 }),
          bob.makeSessions({ count: 1 }),
        ])
        if (fromAlice === undefined || fromBob === undefined) throw new Error('no session')
        return { alice, bob, fromAlice, fromBob, value }
      }),
    )
    const [first, second] = pairs as [(typeof pairs)[0], (typeof pairs)[0]]
    expect(first.alice).not.toBe(second.alice)
    expect(first.fromAlice.id).toBe(second.fromAlice.id)
    for (const { fromAlice, value } of pairs) await fromAlice.send('bob', { type: 'RingElement16', value })
    for (const { fromBob, value } of pairs)
      expect(await fromBob.receive('alice')).toEqual({ type: 'RingElement16', value })

    const untouched = second.alice.resources
    await Promise.all([first.alice.shutdown(), first.bob.shutdown()])
    expect(first.alice.resources).toEqual(nothing)
    expect(second.alice.resources).toEqual(untouched)
    await second.fromBob.send('alice', { type: 'RingElement16', value: 3 })
    expect(await second.fromAlice.receive('bob')).toEqual({ type: 'RingElement16', value: 3 })
  })
})
