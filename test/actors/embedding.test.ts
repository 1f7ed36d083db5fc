/**
 * The contract of `supervisor` as ordinary actor logic: every way in which XState makes an actor makes a network, with
 * types, errors and an end like those of any other actor.
 * Owns: small applications around one network. Refuses to know: what is inside a network.
 */
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { assign, createActor, fromPromise, setup, spawnChild, toPromise, waitFor } from 'xstate'
import type { ActorRefFrom, ErrorActorEvent } from 'xstate'
import { afterEach, describe, expect, it } from 'vitest'
import { createNetwork, Network, supervisor } from '../../index.ts'
import type { AmpcConfig, NetworkEvent, SupervisorInput, SupervisorLogic, SupervisorRef } from '../../index.ts'

const listening: SupervisorInput & { config: AmpcConfig } = {
  config: {
    identity: 'alice',
    listen: 'tcp://127.0.0.1:0',
    peers: [{ id: 'bob' }],
    security: 'plaintext',
    limits: { backoffMinMs: 1 },
  },
}

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

function dial(url: string | null): Network {
  const network = createNetwork({
    identity: 'bob',
    peers: [{ id: 'alice', url: url ?? '' }],
    security: 'plaintext',
    limits: { backoffMinMs: 1 },
  })
  stops.push(() => network.shutdown())
  return network
}

/** Until it holds; the test's own time limit is the bound. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve))
}

const nothing = { actors: 0, deadlines: 0, handles: 0 }
const openTcp = (): string[] => process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP'))

interface Application {
  readonly ref: SupervisorRef
  stop(): void
}

/** Each makes the same network in another way. */
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

describe.each(Object.entries(ways))('a network made by %s', (_, start) => {
  it('talks, and leaves no actor, timer or socket when its parent is stopped', async () => {
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

  it('rejects what waits for it when its parent is stopped, and leaves nothing although it had only begun', async () => {
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

  it('an invoked network shuts down by a message as well', async () => {
    const app = createActor(application, { input: listening }).start()
    app.getSnapshot().children.network?.send({ type: 'network.shutdown' })
    await toPromise(app)
    expect(app.getSnapshot().value).toBe('stopped')
  })

  it('an invoked network gives onError the reason when its port is in use', async () => {
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

  it('an invoked network gives onError the reason when its configuration is wrong', async () => {
    const app = createActor(application, { input: { config: { ...listening.config, identity: '' } } }).start()
    expect((await toPromise(app)).error).toMatchObject({ code: 'ERR_INVALID_PEER_ID' })
  })
})

describe('a spawned network', () => {
  it('a spawned network tells its parent by an error event when it fails', async () => {
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

  it('a spawned network begins to speak a tick later, so that a listener put on at once misses nothing', async () => {
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

  it('Network.from gives the same facade for the same reference, and createNetwork gives that one too', async () => {
    const network = createNetwork(listening.config)
    stops.push(() => network.shutdown())
    expect(Network.from(network.ref)).toBe(network)
    expect(Network.from(network.ref)).toBe(network)
    await network.ready()
  })

  it('Network.from knows what it came too late to hear: that the network runs, and where it listens', async () => {
    const ref = createActor(supervisor, { input: listening }).start()
    stops.push(() => ref.stop())
    const { url } = await new Promise<{ url: string | null }>((resolve) => ref.on('network.ready', resolve))
    const network = Network.from(ref)
    await network.ready()
    expect(url).toMatch(/^tcp:\/\/127\.0\.0\.1:[1-9]/)
    expect(network.url).toBe(url)
  })
})

describe('a network whose snapshot is persisted and restored', () => {
  const persisted: [string, (snapshot: unknown) => unknown][] = [
    ['as JSON', (snapshot) => JSON.parse(JSON.stringify(snapshot))],
    ['as it is', (snapshot) => snapshot],
  ]
  const failure = expect.objectContaining({ code: 'ERR_NOT_RESTORABLE' }) as unknown

  const offline = setup({
    types: { context: {} as { starts: number; error: unknown } },
    actors: { supervisor },
  }).createMachine({
    context: { starts: 0, error: null },
    initial: 'online',
    states: {
      online: {
        entry: assign({ starts: ({ context }) => context.starts + 1 }),
        invoke: {
          id: 'network',
          src: 'supervisor',
          input: listening,
          onError: { target: 'online', reenter: true, actions: assign({ error: ({ event }) => event.error }) },
        },
      },
    },
  })
  const plain = setup({ actors: { supervisor } }).createMachine({
    invoke: { id: 'network', src: 'supervisor', input: listening },
  })

  it.each(persisted)(
    'a network whose snapshot is persisted and restored %s fails its application with a named error',
    async (_, persist) => {
      const first = createActor(plain).start()
      await Network.from(first.getSnapshot().children['network']).ready()
      const snapshot = persist(first.getPersistedSnapshot())
      first.stop()
      const second = createActor(plain, { snapshot: snapshot as never })
      const failed = new Promise((resolve) => void second.subscribe({ error: resolve }))
      expect(() => Network.from(second.getSnapshot().children['network'])).toThrow(failure as Error)
      second.start()
      expect(await failed).toEqual(failure)
      expect(second.getSnapshot().status).toBe('error')
    },
  )

  it.each(persisted)(
    'a network whose snapshot is persisted and restored %s can be started again by the onError of its invoke',
    async (_, persist) => {
      const first = createActor(offline).start()
      await Network.from(first.getSnapshot().children['network']).ready()
      const snapshot = persist(first.getPersistedSnapshot())
      first.stop()
      const second = createActor(offline, { snapshot: snapshot as never }).start()
      stops.push(() => second.stop())
      await waitFor(second, ({ context }) => context.starts === 2)
      expect(second.getSnapshot().context.error).toEqual(failure)
      const network = Network.from(second.getSnapshot().children['network'])
      await network.ready()
      await network.shutdown()
    },
  )

  it('a network whose snapshot is persisted and restored holds no key, no address and no live object in what is persisted', async () => {
    const ref = createActor(supervisor, { input: listening }).start()
    stops.push(() => ref.stop())
    await Network.from(ref).ready()
    expect(ref.getPersistedSnapshot()).toEqual({
      status: 'active',
      output: undefined,
      error: undefined,
      value: 'running',
    })
  })

  it('a network whose snapshot is persisted and restored stays over if it had shut down before', async () => {
    const ref = createActor(supervisor, { input: listening }).start()
    await Network.from(ref).shutdown()
    const again = createActor(supervisor, { input: listening, snapshot: ref.getPersistedSnapshot() as never })
    const done = toPromise(again)
    again.start()
    await done
    expect(again.getSnapshot().status).toBe('done')
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
  it('two networks in one process share nothing, though they are made of the same input and their sessions have the same numbers', async () => {
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
