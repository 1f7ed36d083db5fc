/**
 * The contract of inspection: whoever watches sees every actor by a readable name, its chart and its state, and never
 * a byte of what sessions carry.
 * Owns: two networks with an observer. Refuses to know: who shows it, and how bytes are searched for (carried-bytes.ts).
 */
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createWebSocketInspector, createWebSocketReceiver } from '@statelyai/inspect'
import type { StatelyInspectionEvent } from '@statelyai/inspect'
import type { AnyActorRef, InspectionEvent } from 'xstate'
import { WebSocket, WebSocketServer } from 'ws'
import { createNetwork } from '../../index.ts'
import type { Network, NetworkRuntimeOptions, NetworkValue, Session } from '../../index.ts'
import { FrameWriter } from '../../codec/index.ts'
import { TcpTransport } from '../../actors/index.ts'
import type { Environment } from '../../actors/index.ts'
import { bytesReachable, carried, marker, spelt } from './carried-bytes.ts'

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

interface Pair {
  readonly alice: Network
  readonly bob: Network
  readonly transport: TcpTransport
}

/** Alice, who is watched and listens, and bob, who dials her. */
async function startPair(
  options: NetworkRuntimeOptions & { mode?: 'fail' | 'reconnect'; bobInspect?: (event: InspectionEvent) => void } = {},
): Promise<Pair> {
  const { mode = 'fail', bobInspect, ...runtime } = options
  const shared = { security: 'plaintext', onConnectionLost: mode, limits: { backoffMinMs: 1 } } as const
  const alice = createNetwork(
    { ...shared, identity: 'alice', listen: 'tcp://127.0.0.1:0', peers: [{ id: 'bob' }] },
    runtime,
  )
  stops.push(() => alice.shutdown())
  await alice.ready()
  const transport = new TcpTransport()
  const environment = { ...runtime.environment, transport }
  const bob = createNetwork(
    { ...shared, identity: 'bob', peers: [{ id: 'alice', url: alice.url ?? '' }] },
    bobInspect === undefined ? { environment } : { environment, inspect: bobInspect },
  )
  stops.push(() => bob.shutdown())
  return { alice, bob, transport }
}

async function makeSessions(
  { alice, bob }: Pair,
  options: { count: number; agreePrfKeys?: boolean } = { count: 1 },
): Promise<[Session[], Session[]]> {
  return Promise.all([alice.makeSessions(options), bob.makeSessions(options)])
}

/** What an inspector shows as the actor's name. */
function idOf(event: InspectionEvent): string {
  return (event.actorRef as AnyActorRef).id
}

interface ChartConfig {
  readonly id?: string
  readonly states?: Record<string, ChartConfig>
}

function chartOf(ref: unknown): ChartConfig {
  return (ref as { logic: { config: ChartConfig } }).logic.config
}

/** Every path of a state value exists in the chart: {up: 'stable'} is the state stable of the state up. */
function isIn(chart: ChartConfig, value: unknown): boolean {
  if (typeof value === 'string') return chart.states?.[value] !== undefined
  return Object.entries(value as Record<string, unknown>).every(([key, inner]) => {
    const state = chart.states?.[key]
    return state !== undefined && isIn(state, inner)
  })
}

describe('an observer', () => {
  it('an observer sees every actor by a readable id, with its parent', async () => {
    const seen = new Map<string, Set<string>>()
    const inspect = (event: InspectionEvent): void => {
      if (event.type !== '@xstate.event' || event.event.type !== 'xstate.init') return
      const parents = seen.get(idOf(event)) ?? new Set()
      seen.set(idOf(event), parents.add((event.sourceRef as AnyActorRef | undefined)?.id ?? ''))
    }
    const pair = await startPair({ inspect, bobInspect: inspect })
    await makeSessions(pair)
    const channels = await Promise.all([pair.alice.openControlChannel(), pair.bob.openControlChannel()])
    await Promise.all(channels.map((channel) => channel.sync()))

    const tree = [...seen].map(([id, parents]) => [id, [...parents]])
    expect(Object.fromEntries(tree)).toEqual({
      supervisor: [''],
      reconnector: ['supervisor'],
      listener: ['supervisor'],
      'connection:in.1': ['listener'],
      'connection:in.2': ['listener'],
      peers: ['supervisor'],
      'peer:bob': ['peers'],
      'peer:alice': ['peers'],
      groups: ['supervisor'],
      'group:0': ['groups'],
      'control:1': ['groups'],
      'link:group:0.0': expect.toBeOneOf([
        ['peer:alice', 'peer:bob'],
        ['peer:bob', 'peer:alice'],
      ]) as string[],
      'link:control:1.0': expect.toBeOneOf([
        ['peer:alice', 'peer:bob'],
        ['peer:bob', 'peer:alice'],
      ]) as string[],
      'connection:0.1': expect.arrayContaining(['link:group:0.0', 'link:control:1.0']) as string[],
      'forwarder:out': expect.arrayContaining(['link:group:0.0', 'link:control:1.0']) as string[],
      'forwarder:in': expect.arrayContaining(['link:group:0.0', 'link:control:1.0']) as string[],
      // A dial that came before alice asked for the connection was refused, and a new one was made.
      ...Object.fromEntries(
        [...seen]
          .filter(([id]) => /^connection:(in\.|0\.)\d+$/.test(id))
          .map(([id]) => [id, expect.anything() as unknown]),
      ),
    })
  })

  it('an observer gets the statechart of each actor, in which every state that it shows is found', async () => {
    const wrong: string[] = []
    let snapshots = 0
    const inspect = (event: InspectionEvent): void => {
      const chart = chartOf(event.actorRef)
      if (event.type === '@xstate.actor' && (chart.id === undefined || Object.keys(chart.states ?? {}).length === 0))
        wrong.push(`${idOf(event)} has no chart`)
      if (event.type !== '@xstate.snapshot') return
      snapshots++
      const { value } = event.snapshot as unknown as { value: unknown }
      if (!isIn(chart, value)) wrong.push(`${idOf(event)} is in ${JSON.stringify(value)}`)
    }
    const pair = await startPair({ inspect, bobInspect: inspect })
    await makeSessions(pair)
    await Promise.all([pair.alice.shutdown(), pair.bob.shutdown()])
    expect(wrong).toEqual([])
    expect(snapshots).toBeGreaterThan(50)
  })

  it('an observer may throw whenever it is called: the network does not notice, and the log says it once', async () => {
    const lines: string[] = []
    let calls = 0
    const inspect = (): never => {
      calls++
      throw new Error('this inspector is broken')
    }
    const environment: Partial<Environment> = {
      log: { write: (level, event, fields) => void lines.push(`${level} ${event} ${JSON.stringify(fields)}`) },
    }
    const pair = await startPair({ inspect, environment })
    const [[fromAlice], [fromBob]] = await makeSessions(pair)
    await fromAlice?.send('bob', { type: 'RingElement16', value: 1 })
    expect(await fromBob?.receive('alice')).toEqual({ type: 'RingElement16', value: 1 })
    await pair.alice.shutdown()
    expect(pair.alice.resources).toEqual({ actors: 0, deadlines: 0, handles: 0 })
    expect(calls).toBeGreaterThan(50)
    expect(lines.filter((line) => line.includes('inspector'))).toEqual([
      'error inspector.threw {"cause":{"code":"ERR_INTERNAL","message":"this inspector is broken"}}',
    ])
  })

  it('an observer may be an object with a next that throws, as XState allows', async () => {
    const pair = await startPair({
      inspect: {
        next: () => {
          throw new Error('broken')
        },
      },
    })
    expect(await makeSessions(pair)).toHaveLength(2)
  })
})

class Recorder {
  readonly events: InspectionEvent[] = []
  readonly texts: string[] = []
  readonly problems: string[] = []
  lengthMax = 0

  readonly inspect = (event: InspectionEvent): void => {
    this.events.push(event)
    this.#check(event, 'when it came')
  }

  /** Once more at the end: an object may have been filled later. */
  checkAgain(): void {
    for (const event of this.events) this.#check(event, 'at the end')
    if (this.events.some(({ actorRef: _, ...rest }) => bytesReachable(rest)))
      this.problems.push('bytes can be reached from an event by its properties')
  }

  #check(event: InspectionEvent, when: string): void {
    let text: string
    try {
      text = JSON.stringify(event)
    } catch (error) {
      this.problems.push(`${event.type} of ${idOf(event)} cannot be serialised ${when}: ${String(error)}`)
      return
    }
    this.lengthMax = Math.max(this.lengthMax, text.length)
    // Charts are on the actor's logic, once; an event that asks for a child must not repeat them.
    if (text.includes('"states"')) this.problems.push(`${event.type} of ${idOf(event)} holds a chart ${when}: ${text}`)
    for (const spelling of spelt(text))
      this.problems.push(`${event.type} of ${idOf(event)} spells ${JSON.stringify(spelling)} ${when}: ${text}`)
  }
}

describe('the search for carried bytes', () => {
  it.each(carried.map((value, index) => [index, value.type, value] as const))(
    'the search for carried bytes would find value %i, %s, in an event',
    (_, __, value) => {
      const event = { type: 'x', event: { value } }
      const text = JSON.stringify(event, (_, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner))
      expect(spelt(text)).not.toEqual([])
      expect(
        spelt(JSON.stringify({ key: marker.subarray(0, 16).toString('base64'), text: marker.toString('latin1') })),
      ).not.toEqual([])
    },
  )

  it('the search for carried bytes would find them behind a toJSON', () => {
    expect(bytesReachable({ event: { secret: new Map([['a', marker]]), toJSON: () => 'nothing' } })).toBe(true)
    expect(bytesReachable({ event: { plain: 'words' } })).toBe(false)
  })
})

describe.each(['fail', 'reconnect'] as const)('in mode %s', (mode) => {
  it('no inspection event holds what was sent, and each is small and can be serialised', async () => {
    const recorder = new Recorder()
    // PRF keys are made of the marker as well.
    const random = { fraction: () => 0.5, bytes: (length: number) => Uint8Array.from(marker.subarray(0, length)) }
    const pair = await startPair({
      mode,
      inspect: recorder.inspect,
      bobInspect: recorder.inspect,
      environment: { random },
    })
    const [fromAlice, fromBob] = await makeSessions(pair, { count: 3, agreePrfKeys: true })
    const [queued, handled, broken] = fromAlice as [Session, Session, Session]
    const [toQueue, toHandler, toBroken] = fromBob as [Session, Session, Session]
    expect(Buffer.from(queued.prf?.previous ?? [])).toEqual(marker.subarray(0, 16))

    // Both ways, to a queue and to a handler.
    let count = 0
    const all = new Promise<void>((resolve) =>
      toHandler.handle('alice', () => void (++count === carried.length && resolve())),
    )
    for (const value of carried) {
      await queued.send('bob', value)
      await toQueue.send('alice', value)
      await handled.send('bob', value)
      expect((await toQueue.receive('alice')).type).toBe(value.type)
      expect((await queued.receive('bob')).type).toBe(value.type)
    }
    await all

    // Left unread; thrown at a handler that fails; on a control channel.
    await queued.send('bob', carried[0] as NetworkValue)
    const hasEnded = expect(toBroken.ended('alice')).resolves.toMatchObject({ code: 'ERR_HANDLER_FAILED' })
    toBroken.handle('alice', () => {
      throw new Error('a handler failed')
    })
    await broken.send('bob', carried[0] as NetworkValue)
    await hasEnded
    const [aliceControl, bobControl] = await Promise.all([
      pair.alice.openControlChannel(),
      pair.bob.openControlChannel(),
    ])
    await aliceControl.send('bob', carried[0] as NetworkValue)
    expect((await bobControl.receive('alice')).type).toBe('Bytes')

    // Under way while every socket breaks.
    const lost = new Promise((resolve) => pair.alice.on('connection.lost', resolve))
    const sends = carried.map((value) => queued.send('bob', value).catch(() => {}))
    for (const pipe of pair.transport.pipes) pipe.reset()
    await lost
    await Promise.all([pair.alice.shutdown(), pair.bob.shutdown(), ...sends])

    recorder.checkAgain()
    expect(recorder.problems).toEqual([])
    expect(recorder.lengthMax).toBeLessThan(4096)
    expect(recorder.events.length).toBeGreaterThan(200)
  })
})

describe('a network with many peers', () => {
  it('a network with many peers does not make events large', async () => {
    const recorder = new Recorder()
    const peers = Array.from({ length: 100 }, (_, index) => ({ id: `peer-${index}` }))
    const network = createNetwork(
      { identity: 'alice', listen: 'tcp://127.0.0.1:0', peers, security: 'plaintext' },
      { inspect: recorder.inspect },
    )
    await network.ready()
    await network.shutdown()
    expect(recorder.problems).toEqual([])
    expect(recorder.lengthMax).toBeLessThan(4096)
    expect(new Set(recorder.events.map(idOf)).size).toBe(105)
  })
})

describe('a key that came at the wrong time', () => {
  it('a key that came at the wrong time is not quoted in the error, which would take it to logs and inspectors', async () => {
    const recorder = new Recorder()
    const { alice } = await startPair({ inspect: recorder.inspect })
    const made = alice.makeSessions({ count: 1 }).then(
      () => '',
      (error: Error) => error.message,
    )
    const writer = new FrameWriter()
    writer.writeFrame(0, { type: 'PrfKey', value: marker.subarray(0, 16) })
    const greeting = Buffer.from([0, 0, 0, 0, 0, 0, 0, 3])
    const { port } = new URL(alice.url ?? '')
    const socket = connect(Number(port), '127.0.0.1').resume()
    stops.push(() => socket.destroy())
    socket.write(Buffer.concat([greeting, Buffer.from('bob'), ...writer.take()]))
    expect(await made).toContain('a key that is no number')
    await alice.shutdown()
    expect(spelt(await made)).toEqual([])
    recorder.checkAgain()
    expect(recorder.problems).toEqual([])
  })
})

describe("the official inspector's Node transport", () => {
  it("the official inspector's Node transport shows a WebSocket receiver our actors, their charts and their states, and no payload", async () => {
    // A relay, as its own server is one, but on the loopback and any port.
    const relay = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    stops.push(
      () =>
        new Promise((resolve) => {
          for (const client of relay.clients) client.terminate()
          relay.close(resolve)
        }),
    )
    relay.on('connection', (socket) => {
      socket.on('message', (data) => {
        for (const client of relay.clients)
          if (client !== socket && client.readyState === WebSocket.OPEN) client.send((data as Buffer).toString())
      })
    })
    await new Promise((resolve) => relay.once('listening', resolve))
    const url = `ws://127.0.0.1:${(relay.address() as { port: number }).port}`

    const messages: StatelyInspectionEvent[] = []
    let isEnough = (): boolean => false
    let notifyEnough = (): void => {}
    const connected = new Promise((resolve) => relay.once('connection', resolve))
    createWebSocketReceiver({ server: url }).subscribe((message) => {
      messages.push(message)
      if (isEnough()) notifyEnough()
    })
    await connected
    const inspector = createWebSocketInspector({ url, serializationDepthLimit: 40, maxDeferredEvents: 100_000 })
    stops.push(() => inspector.stop())

    const pair = await startPair({ inspect: inspector.inspect })
    const [[fromAlice], [fromBob]] = await makeSessions(pair)
    const links = (): string[] =>
      messages.flatMap((message) =>
        message.type === '@xstate.actor' && message.name.startsWith('link:') ? [message.sessionId] : [],
      )
    const isUp = (message: StatelyInspectionEvent): boolean =>
      message.type === '@xstate.snapshot' &&
      links().includes(message.sessionId) &&
      JSON.stringify((message.snapshot as unknown as { value: unknown }).value) === '{"up":"stable"}'
    isEnough = () => messages.some(isUp)
    const enough = new Promise<void>((resolve) => (notifyEnough = resolve))
    for (const value of carried) {
      await fromAlice?.send('bob', value)
      await fromBob?.send('alice', value)
      await fromAlice?.receive('bob')
    }
    if (!isEnough()) await enough

    const actors = messages.filter((message) => message.type === '@xstate.actor')
    const names = actors.map((actor) => actor.name)
    expect(names).toEqual(
      expect.arrayContaining([
        'supervisor',
        'reconnector',
        'listener',
        'peers',
        'peer:bob',
        'groups',
        'group:0',
        'link:group:0.0',
        'connection:0.1',
        'forwarder:out',
        'forwarder:in',
      ]),
    )
    const byName = new Map(actors.map((actor) => [actor.name, actor]))
    expect(byName.get('peer:bob')?.parentId).toBe(byName.get('peers')?.sessionId)
    for (const actor of actors) {
      const chart = JSON.parse(actor.definition ?? '{}') as ChartConfig
      expect(Object.keys(chart.states ?? {}), actor.name).not.toEqual([])
    }
    const connection = JSON.parse(byName.get('connection:0.1')?.definition ?? '{}') as ChartConfig
    expect(Object.keys(connection.states ?? {}).sort()).toEqual([
      'authenticating',
      'closed',
      'closing',
      'errored',
      'open',
      'opening',
    ])
    expect(connection.states?.['authenticating']?.states).toHaveProperty('claimed')
    expect(messages.flatMap((message) => spelt(JSON.stringify(message)))).toEqual([])
  })
})

describe('a log that nobody reads', () => {
  it.each([
    [undefined, true],
    [() => true, true],
    [() => false, false],
  ])('a log that nobody reads with isRead %o is written: %s', async (isRead, isWritten) => {
    const lines: string[] = []
    const network = createNetwork(
      { identity: 'alice', peers: [], security: 'plaintext' },
      {
        environment: {
          log: { write: (_level, event) => void lines.push(event), ...(isRead === undefined ? {} : { isRead }) },
        },
      },
    )
    await network.ready()
    await network.shutdown()
    expect(lines.length > 0).toBe(isWritten)
  })
})
