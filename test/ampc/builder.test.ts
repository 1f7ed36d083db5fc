/**
 * Owns: the API of the first design: PeerConnectionBuilder, Reconnector, PeerConnections, TcpNetworkHandle.
 * Independent of: what sessions and channels do. The API is a thin wrapper, so these tests are thin too.
 */
import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { PeerConnectionBuilder, systemClock, TcpNetworkHandle, TcpTransport } from '../../actors/index.ts'
import type { BuiltPeers, Clock, TimerHandle } from '../../actors/index.ts'
import type { NetworkRuntimeOptions } from '../../index.ts'
import {
  anyPort,
  leaveNothingBehind,
  pipesOf,
  ring16,
  seat,
  shutDown,
  testLimits,
  track,
} from '../support/ampc-parties.ts'
import { nextEvent, rejection, within } from '../support/bounded-wait.ts'

const config = (identity: string, onConnectionLost: 'fail' | 'reconnect' = 'reconnect') =>
  ({ identity, listen: anyPort, security: 'plaintext', onConnectionLost, limits: testLimits }) as const

/** What a failed build might leave open: sockets, listeners, timers, actors. */
class Leftovers {
  readonly transport = new TcpTransport()
  readonly #timers = new Set<TimerHandle>()
  readonly #actors = new Set<{ getSnapshot(): { status: string } }>()
  readonly runtime: NetworkRuntimeOptions

  constructor() {
    const clock: Clock = {
      ...systemClock,
      setTimeout: (callback, delayMs) => {
        const handle = systemClock.setTimeout(() => {
          this.#timers.delete(handle)
          callback()
        }, delayMs)
        this.#timers.add(handle)
        return handle
      },
      clearTimeout: (handle) => {
        this.#timers.delete(handle)
        systemClock.clearTimeout(handle)
      },
    }
    this.runtime = {
      environment: { transport: this.transport, clock },
      inspect: (event) => void this.#actors.add(event.actorRef),
    }
  }

  get all(): object {
    return {
      handles: this.transport.openHandles,
      timers: this.#timers.size,
      actors: [...this.#actors].filter((actor) => actor.getSnapshot().status === 'active').length,
    }
  }

  get actorsSeen(): number {
    return this.#actors.size
  }
}

const none = { handles: 0, timers: 0, actors: 0 }

/** Two parties of the first design. The build of the listening party completes only when the other one connects. */
async function both(onConnectionLost: 'fail' | 'reconnect'): Promise<{ a: BuiltPeers; b: BuiltPeers }> {
  const transports = [new TcpTransport(), new TcpTransport()] as const
  const building = new PeerConnectionBuilder(config('alice', onConnectionLost), {
    environment: { transport: transports[0] },
  })
    .includePeer('bob')
    .build()
  const port = await listening(transports[0])
  const [a, b] = await within(
    Promise.all([
      building,
      new PeerConnectionBuilder(config('bob', onConnectionLost), { environment: { transport: transports[1] } })
        .includePeer('alice', `tcp://127.0.0.1:${port}`)
        .build(),
    ]),
    'both are built',
  )
  track(a.connections.network, transports[0])
  track(b.connections.network, transports[1])
  return { a, b }
}

/** The builder does not expose its port before it is done, so the test reads it from the transport. */
function listening(transport: TcpTransport): Promise<number> {
  const listen = transport.listen.bind(transport)
  return new Promise((resolve) => {
    transport.listen = async (...args) => {
      const listener = await listen(...args)
      resolve(listener.address.port)
      return listener
    }
  })
}

describe('build()', () => {
  leaveNothingBehind()

  test('build() in mode reconnect resolves when its one set of connections is open', async () => {
    const { a, b } = await both('reconnect')
    expect([pipesOf(a.connections.network), pipesOf(b.connections.network)].map(({ length }) => length)).toEqual([1, 1])
    expect([a.connections.peers, b.connections.peers]).toEqual([['bob'], ['alice']])
  })

  test('build() in mode fail resolves when the port is bound, since each call opens connections', async () => {
    const built = await within(
      new PeerConnectionBuilder(config('alice', 'fail')).includePeer('bob').build(),
      'alice is built',
    )
    expect(built.connections.network.url).toMatch(/^tcp:\/\/127\.0\.0\.1:\d+$/)
    await shutDown(built.connections.network)
  })

  test('build() rejects at its timeout with the missing peers, and leaves nothing open', async () => {
    const left = new Leftovers()
    const error = await rejection(
      new PeerConnectionBuilder(config('alice'), left.runtime)
        .includePeer('bob')
        .includePeer('charlie')
        .build({ timeoutMs: 100 }),
      'build',
    )
    expect(error).toMatchObject({ code: 'ERR_TIMED_OUT', message: expect.stringContaining('bob, charlie') })
    expect(left.actorsSeen).toBeGreaterThan(5)
    expect(left.all).toEqual(none)
  })

  test('build() rejects when it times out during a handshake, and leaves nothing open', async () => {
    const left = new Leftovers()
    const alice = await seat('alice')
    const controller = new AbortController()
    const failing = rejection(
      new PeerConnectionBuilder(config('bob'), left.runtime)
        .includePeer('alice', alice.url)
        .build({ signal: controller.signal }),
      'build',
    )
    const { socket } = await alice.acceptClaim()
    controller.abort(new Error('enough'))
    expect(await failing).toMatchObject({ code: 'ERR_ABORTED', cause: new Error('enough') })
    await socket.end()
    expect(left.all).toEqual(none)
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
  })

  test('build() rejects when its signal is already aborted, and leaves nothing open', async () => {
    const left = new Leftovers()
    const error = await rejection(
      new PeerConnectionBuilder(config('alice'), left.runtime)
        .includePeer('bob')
        .build({ signal: AbortSignal.abort() }),
      'build',
    )
    expect(error.code).toBe('ERR_ABORTED')
    expect(left.all).toEqual(none)
  })

  test('build() rejects when the port cannot be bound, and leaves nothing open', async () => {
    const left = new Leftovers()
    const holder = await seat('someone')
    const error = await rejection(
      new PeerConnectionBuilder({ ...config('alice'), listen: holder.url }, left.runtime).includePeer('bob').build(),
      'build',
    )
    expect(error.code).toBe('ERR_LISTEN_FAILED')
    expect(left.all).toEqual(none)
  })

  test('build() rejects an invalid configuration and a second call', async () => {
    const builder = new PeerConnectionBuilder(config('bob')).includePeer('alice')
    expect((await rejection(builder.build(), 'a dialer without an address')).code).toBe('ERR_INVALID_OPTION')
    expect(await rejection(builder.build(), 'the second call')).toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('already called on this builder'),
    })
  })

  test('build() removes its abort listener after it succeeds', async () => {
    const { signal } = new AbortController()
    const alice = await seat('alice')
    const building = new PeerConnectionBuilder(config('bob')).includePeer('alice', alice.url).build({ signal })
    await alice.acceptLink()
    const built = await within(building, 'bob is built')
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    await shutDown(built.connections.network)
  })
})

describe('the result of build()', () => {
  leaveNothingBehind()

  test('build() returns a TcpNetworkHandle that uses the connections it has opened', async () => {
    const { a, b } = await both('reconnect')
    const handles = [new TcpNetworkHandle(a), new TcpNetworkHandle(b)]
    await within(Promise.all(handles.map((handle) => handle.makeSessions({ count: 2 }))), 'the first session group')
    const [left, right] = await within(
      Promise.all(handles.map((handle) => handle.makeSessions({ count: 1 }))),
      'the second session group',
    )
    expect(pipesOf(a.connections.network)).toHaveLength(1)
    await left![0]!.send('bob', ring16(3))
    expect(await within(right![0]!.receive('alice'), 'a value')).toEqual(ring16(3))
    const channels = await within(Promise.all(handles.map((handle) => handle.controlChannel())), 'the control channel')
    await within(Promise.all(channels.map((channel) => channel.sync())), 'a barrier')
    await within(Promise.all(handles.map((handle) => handle.shutdown())), 'both shut down')
  })

  test('the reconnector from build() reports reconnected peers until it is unsubscribed', async () => {
    const { a, b } = await both('reconnect')
    await within(Promise.all([a, b].map((built) => new TcpNetworkHandle(built).makeSessions({ count: 1 }))), 'sessions')
    const reconnected: string[] = []
    const off = b.reconnector.onReconnected((peer) => reconnected.push(peer))
    for (const expected of [['alice'], ['alice']]) {
      const opened = nextEvent(b.connections.network, 'connection.opened')
      pipesOf(b.connections.network)[0]!.reset()
      await opened
      expect(reconnected).toEqual(expected)
      off()
    }
  })

  test('the reconnector from build() re-establishes a connection when it is asked to', async () => {
    const { a, b } = await both('reconnect')
    await within(Promise.all([a, b].map((built) => new TcpNetworkHandle(built).makeSessions({ count: 1 }))), 'sessions')
    const opened = nextEvent(b.connections.network, 'connection.opened')
    pipesOf(b.connections.network)[0]!.reset()
    await opened
    await within(b.reconnector.reconnect('alice'), 'the connection')
    expect(b.connections.network.peer('alice')?.state).toBe('connected')
    expect((await rejection(b.reconnector.reconnect('nobody'), 'an unknown peer')).code).toBe('ERR_UNKNOWN_PEER')
  })

  test('the reconnector from build() has nothing to re-establish in mode fail', async () => {
    const built = await within(
      new PeerConnectionBuilder(config('alice', 'fail')).includePeer('bob').build(),
      'alice is built',
    )
    expect((await rejection(built.reconnector.reconnect('bob'), 'reconnect')).code).toBe('ERR_DIALECT_UNSUPPORTED')
    await shutDown(built.connections.network)
  })

  test('the network from build() is shut down by its reconnector', async () => {
    const { a, b } = await both('reconnect')
    await within(Promise.all([a.reconnector.stop(), b.reconnector[Symbol.asyncDispose]()]), 'both stop')
    for (const { connections } of [a, b])
      expect(connections.network.resources).toEqual({ actors: 0, deadlines: 0, handles: 0 })
  })
})
