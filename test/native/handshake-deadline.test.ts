/**
 * Owns: the time that a handshake may take in both roles, whichever part of it is slow, and the time after a refusal.
 * Independent of: what the handshake says.
 */
import { describe, expect, it } from 'vitest'
import { SharedPort } from '../../actors/index.ts'
import { createNetwork, Identity } from '../../index.ts'
import type { Network } from '../../index.ts'
import { supervisorServices } from '../../actors/network/supervisor.ts'
import type { Services } from '../../actors/network/services.ts'
import { noopHandlers } from '../../actors/base/pipe.ts'
import type { Pipe, PipeListener, Transport } from '../../actors/base/pipe.ts'
import { encodeHello } from '../../codec/hello.ts'
import { MemoryTransport, VirtualClock } from '../../testing/index.ts'
import { helloOf } from '../bars/security/identity-bar.ts'
import { until } from '../support/bounded-wait.ts'
import { RawSocket } from '../support/raw-socket.ts'
import { SocketClock } from '../support/socket-clock.ts'

const [own, peer] = [Identity.generate(), Identity.generate()]
const address = { host: '127.0.0.1', port: 5000 }
const options = { highWaterMarkBytes: 1 << 20 }

/** A carrier whose `secure` takes this long, like TLS with a slow peer. */
class SlowSecurity implements Transport {
  readonly #inner: MemoryTransport
  readonly #clock: VirtualClock
  readonly #delayMs: number

  constructor(inner: MemoryTransport, clock: VirtualClock, delayMs: number) {
    this.#inner = inner
    this.#clock = clock
    this.#delayMs = delayMs
  }

  get openHandles(): number {
    return this.#inner.openHandles
  }

  dial(...[to, dialOptions]: Parameters<Transport['dial']>): Pipe {
    return this.#slowed(this.#inner.dial(to, dialOptions))
  }

  listen(...[at, listenOptions, handlers]: Parameters<Transport['listen']>): Promise<PipeListener> {
    const onPipe = (pipe: Pipe): void => handlers.onPipe(this.#slowed(pipe))
    return this.#inner.listen(at, listenOptions, { ...handlers, onPipe })
  }

  #slowed(pipe: Pipe): Pipe {
    const secure = (): Promise<void> => new Promise((resolve) => void this.#clock.setTimeout(resolve, this.#delayMs))
    return new Proxy(pipe, {
      get: (target, name) => {
        if (name === 'secure') return secure
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }
}

interface Scene {
  readonly clock: VirtualClock
  readonly wire: MemoryTransport
  readonly network: Network
}

/** Plays with one network, which listens, or dials an address where the test listens. */
async function play(role: 'listens' | 'dials', secureMs: number, run: (scene: Scene) => Promise<void>): Promise<void> {
  const clock = new VirtualClock()
  const wire = new MemoryTransport(clock)
  const url = `tcp://${address.host}:${address.port}`
  const network = createNetwork(
    {
      identity: own,
      security: 'plaintext',
      ...(role === 'listens' ? { listen: url } : {}),
      peers: [{ id: peer.id, ...(role === 'dials' ? { urls: url } : {}) }],
    },
    { environment: { clock, transport: new SlowSecurity(wire, clock, secureMs) } },
  )
  try {
    await clock.settle()
    await run({ clock, wire, network })
  } finally {
    const stopped = network.shutdown()
    await clock.advance(10_000)
    await stopped
  }
}

/** A peer that sends these bytes and nothing more, and never closes. */
function silent(pipe: Pipe, bytes: Buffer = Buffer.alloc(0)): { isClosed: boolean; received: number } {
  const state = { isClosed: false, received: 0 }
  pipe.handle({
    ...noopHandlers,
    onOpen: () => void pipe.write([bytes]),
    onBytes: ({ length }) => (state.received += length),
    onClose: () => (state.isClosed = true),
  })
  pipe.resume()
  return state
}

describe('one deadline of 5 s', () => {
  it.each([0, 3_000, 4_900])('covers TLS and hello of an accepted connection, if TLS takes %i ms of it', (secureMs) =>
    play('listens', secureMs, async ({ clock, wire }) => {
      const stranger = silent(wire.dial(address, options), Buffer.from('SWIR'))
      await clock.settle()
      await clock.advance(4_950)
      expect(stranger.isClosed).toBe(false)
      await clock.advance(150)
      expect(stranger.isClosed).toBe(true)
    }),
  )

  it.each([0, 3_000, 4_500])('covers TLS and hello of a dialled connection, if TLS takes %i ms of it', (secureMs) =>
    play('dials', secureMs, async ({ clock, wire, network }) => {
      const accepted: ReturnType<typeof silent>[] = []
      const listener = await wire.listen(address, options, {
        onPipe: (pipe) => void accepted.push(silent(pipe)),
        onError: () => {},
      })
      network.makeSessions({ count: 1, timeoutMs: 60_000 }).catch(() => {})
      await clock.until('it dials again, now that something listens', () => accepted.length > 0, 1_000)
      await clock.advance(4_900)
      expect(accepted).toEqual([{ isClosed: false, received: 160 }])
      await clock.advance(200)
      expect(accepted[0]).toMatchObject({ isClosed: true })
      await listener.close()
    }),
  )

  it('covers the time in which a shared port waits for the first bytes', async () => {
    const clock = new SocketClock()
    const port = new SharedPort({ clock })
    const network = createNetwork(
      { identity: own, security: 'plaintext', listen: 'tcp://127.0.0.1:0', peers: [{ id: peer.id }] },
      { environment: { clock, transport: port.native } },
    )
    await network.ready()
    const { actors } = supervisorServices(network.ref) as Services
    const routed = new Promise((resolve) => void actors.watch(resolve))
    const timers = clock.timers
    const socket = await RawSocket.dial(network.url as string)
    await until(() => clock.timers > timers, 'the port waits')
    await clock.advance(4_500)
    socket.write('SWIR')
    await routed
    await clock.advance(600)
    await socket.end()
    expect(socket.received).toHaveLength(0)
    await clock.run(network.shutdown())
  })
})

describe('after a refusal', () => {
  it('the socket is read for at most 2 s and then destroyed, if the other side does not close it', () =>
    play('listens', 0, async ({ clock, wire }) => {
      const pipe = wire.dial(address, options)
      const refused = silent(pipe, encodeHello(helloOf(own.publicKey)))
      // It does not read, so it does not see the refusal, nor the end.
      pipe.pause()
      await clock.settle()
      for (let sentMs = 0; sentMs < 1_900; sentMs += 100) {
        pipe.write([Buffer.from('more')])
        await clock.advance(100)
      }
      expect(refused.isClosed).toBe(false)
      await clock.advance(200)
      expect(refused.isClosed).toBe(true)
    }))
})
