/** Owns: that a pipe whose connection has no actor yet loses nothing, and is lost itself when nobody wants it. Refuses to know: what its actor does. */
import { describe, expect, it } from 'vitest'
import { EarlyPipe } from '../../actors/early-pipe.ts'
import { createNetwork } from '../../actors/index.ts'
import type { NetworkEvent } from '../../actors/index.ts'
import { MemoryPipe, MemoryTransport } from '../../actors/memory-pipe.ts'
import type { ListenerHandlers, Pipe, PipeHandlers, Transport } from '../../actors/pipe.ts'
import { VirtualClock } from '../../testing/index.ts'

const options = { highWaterMarkBytes: 1024 }

/** Writes down what it hears. */
function listener(log: string[], name: string): PipeHandlers {
  const note = (what: string) => (): void => void log.push(`${name} ${what}`)
  return { onOpen: note('open'), onBytes: (bytes) => void log.push(`${name} bytes ${bytes.toString()}`), onDrain: note('drain'), onEnd: note('end'), onClose: (error) => void log.push(`${name} close ${error?.message ?? ''}`) }
}

async function dialled(): Promise<{ clock: VirtualClock; log: string[]; pipe: Pipe; bear: () => PipeHandlers }> {
  const clock = new VirtualClock()
  const transport = new MemoryTransport(clock)
  await transport.listen({ host: '127.0.0.1', port: 1 }, options, { onPipe: () => {}, onError: () => {} })
  const log: string[] = []
  const pipe = transport.dial({ host: '127.0.0.1', port: 1 }, options)
  const bear = (): PipeHandlers => {
    log.push('born')
    const actor = listener(log, 'actor')
    pipe.handle(actor)
    return actor
  }
  return { clock, log, pipe, bear }
}

describe('a pipe without an actor', () => {
  it('gets one after so many turns of the loop', async () => {
    const clock = new VirtualClock()
    const log: string[] = []
    const pipe = new MemoryPipe({ host: '10.0.0.1', port: 1 }, clock, options, () => {})
    clock.setImmediate(() => {
      log.push('first turn')
      clock.setImmediate(() => log.push('second turn'))
    })
    void new EarlyPipe(pipe, clock, 2, () => void log.push('born'))
    await clock.settle()
    expect(log).toEqual(['first turn', 'second turn', 'born'])
  })

  it('gets one at once when it opens, which hears of that', async () => {
    const { clock, log, pipe, bear } = await dialled()
    void new EarlyPipe(pipe, clock, 1_000, bear)
    await clock.settle()
    expect(log.slice(0, 2)).toEqual(['born', 'actor open'])
  })

  it('gets one when the other side is proved, which hears of that', async () => {
    const { clock, log, pipe, bear } = await dialled()
    new EarlyPipe(pipe, clock, 1_000, () => ({ ...bear(), onSecure: () => void log.push('actor secure') })).onSecure()
    expect(log).toEqual(['born', 'actor secure'])
    await clock.settle()
  })

  it('gets one when it fails, which hears why, once', async () => {
    const { clock, log, pipe, bear } = await dialled()
    void new EarlyPipe(pipe, clock, 1_000, bear)
    pipe.destroy(new Error('no route'))
    await clock.settle()
    expect(log).toEqual(['born', 'actor close no route'])
  })

  it('gets no second one', async () => {
    const { clock, log, pipe, bear } = await dialled()
    const early = new EarlyPipe(pipe, clock, 1, bear)
    early.settle()
    expect(early.settle()).toBeUndefined()
    await clock.settle()
    expect(log.filter((line) => line === 'born')).toHaveLength(1)
  })

  it('that nobody wants any more is destroyed, and gets none', async () => {
    const { clock, log, pipe, bear } = await dialled()
    new EarlyPipe(pipe, clock, 1, bear).drop()
    await clock.settle()
    expect([log, pipe.closed]).toEqual([[], true])
  })

  it('is left alone by a late word that nobody wants it', async () => {
    const { clock, pipe, bear } = await dialled()
    const early = new EarlyPipe(pipe, clock, 1, bear)
    early.settle()
    early.drop()
    await clock.settle()
    expect(pipe.closed).toBe(false)
  })
})

/** A carrier whose sockets are brought by the test, from wherever it says. */
class Door implements Transport {
  readonly openHandles = 0
  handlers: ListenerHandlers | null = null
  dial(): Pipe {
    throw new Error('nobody dials here')
  }
  listen(_address: unknown, _options: unknown, handlers: ListenerHandlers): ReturnType<Transport['listen']> {
    this.handlers = handlers
    return Promise.resolve({ address: { host: '127.0.0.1', port: 1 }, close: () => Promise.resolve() })
  }
}

describe('sockets that are accepted in one turn of the loop, before any of them has an actor', () => {
  async function doorOf(pendingInboundMax: number) {
    const clock = new VirtualClock()
    const door = new Door()
    const network = createNetwork({ identity: 'door', dialect: 'ampc', security: 'plaintext', listen: 'tcp://127.0.0.1:0', peers: [{ id: 'guest' }], limits: { pendingInboundMax, pendingInboundPerAddressMax: Math.min(8, pendingInboundMax) } }, { environment: { clock, transport: door } })
    const rejected: string[] = []
    network.on('connection.rejected', (event: Extract<NetworkEvent, { type: 'connection.rejected' }>) => void rejected.push(`${event.remoteAddress} ${event.cause.code}`))
    await clock.run(network.ready())
    const arrive = (host: string, port: number): MemoryPipe => {
      const [pipe, far] = [new MemoryPipe({ host, port }, clock, options, () => {}), new MemoryPipe({ host: '127.0.0.1', port: 1 }, clock, options, () => {})]
      pipe.join(far)
      far.join(pipe)
      door.handlers?.onPipe(pipe)
      return pipe
    }
    return { clock, network, rejected, arrive }
  }

  it.each([
    ['count as handshakes under way', '10.0.0.1', 3, ['10.0.0.1:1 ERR_ADMISSION_LIMIT'], [true, false, false]],
    ['give way to each other', '10.0.0.2', 1, ['10.0.0.1:1 ERR_ADMISSION_LIMIT'], [true, false, false]],
  ] as const)('%s', async (_, host, port, turnedAway, closed) => {
    const { clock, network, rejected, arrive } = await doorOf(2)
    const pipes = [arrive('10.0.0.1', 1), arrive('10.0.0.1', 2), arrive(host, port)]
    await clock.settle()
    expect(rejected).toEqual(turnedAway)
    expect(pipes.map((pipe) => pipe.closed)).toEqual(closed)
    await clock.run(network.shutdown())
    expect(pipes.map((pipe) => pipe.closed)).toEqual([true, true, true])
  })

  it('are closed with the network', async () => {
    const { clock, network, arrive } = await doorOf(10)
    const pipe = arrive('10.0.0.1', 1)
    network.shutdown().catch(() => {})
    await clock.settle()
    expect(pipe.closed).toBe(true)
    expect(network.resources).toMatchObject({ actors: 0, deadlines: 0 })
  })
})
