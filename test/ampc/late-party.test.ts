/**
 * Owns: that sessions with a party of the Rust stack are made although it starts later, and the message of a call that
 * times out; in virtual time.
 * Independent of: the bytes of the dialect (transcripts.test.ts) and of parties of this package (sessions.test.ts).
 */
import { describe, expect, it } from 'vitest'
import { createNetwork } from '../../actors/index.ts'
import type { Pipe } from '../../actors/index.ts'
import { noopHandlers } from '../../actors/base/pipe.ts'
import { AmpcAcceptorHandshake } from '../../protocol/ampc/ampc-handshake.ts'
import { connectionOf } from '../../protocol/ampc/session-numbering.ts'
import { MemoryTransport, seededRandom, VirtualClock } from '../../testing/index.ts'
import { validation } from '../support/ampc-parties.ts'

const startsAfterMs = 20_000
/** The Rust stack drops a connection group that is not complete by then, and starts the next one. */
const groupTimeoutMs = 10_000
const address = { host: '127.0.0.1', port: 15_600 }

/** alice, played as the Rust stack behaves when it accepts. */
class RustAcceptor {
  readonly #clock: VirtualClock
  readonly #connections: number
  readonly #group = new Map<number, Pipe>()
  #isComplete = false
  groups = 0

  constructor(clock: VirtualClock, connections: number) {
    this.#clock = clock
    this.#connections = connections
  }

  async start(transport: MemoryTransport): Promise<void> {
    await transport.listen(
      address,
      { highWaterMarkBytes: 65_536 },
      { onPipe: (pipe) => this.#accept(pipe), onError() {} },
    )
    this.#beginGroup()
  }

  #beginGroup(): void {
    this.groups++
    for (const pipe of this.#group.values()) pipe.destroy()
    this.#group.clear()
    this.#clock.setTimeout(() => this.#isComplete || this.#beginGroup(), groupTimeoutMs)
  }

  #accept(pipe: Pipe): void {
    const handshake = new AmpcAcceptorHandshake()
    pipe.handle({
      ...noopHandlers,
      onBytes: (bytes) => {
        const { write, claim } = handshake.feed(bytes)
        if (write !== undefined) pipe.write([write])
        if (claim !== undefined) this.#claimed(pipe, claim.linkIndex, handshake)
      },
    })
    pipe.resume()
  }

  #claimed(pipe: Pipe, connectionId: number, handshake: AmpcAcceptorHandshake): void {
    if (this.#group.has(connectionId)) return pipe.destroy()
    this.#group.set(connectionId, pipe)
    pipe.handle(noopHandlers)
    pipe.write([handshake.confirm().write])
    if (this.#group.size < this.#connections) return
    this.#isComplete = true
    const sessions = Array.from({ length: this.#connections }, (_, index) => index)
    for (const [id, each] of this.#group)
      each.write([validation(sessions.filter((index) => connectionOf(index, this.#connections) === id))])
  }
}

/**
 * bob dials alice from the start, and asks again each time his connection group is dropped. @returns the number of
 * groups it took
 */
async function groupsUntilMade(connections: number, seed: number): Promise<number> {
  const clock = new VirtualClock()
  const transport = new MemoryTransport(clock)
  const alice = new RustAcceptor(clock, connections)
  const bob = createNetwork(
    {
      identity: 'bob',
      security: 'plaintext',
      connectionParallelism: connections,
      peers: [{ id: 'alice', urls: `tcp://${address.host}:${address.port}` }],
    },
    { environment: { clock, transport, random: seededRandom(seed) } },
  )
  clock.setTimeout(() => void alice.start(transport), startsAfterMs)
  try {
    for (let calls = 1; calls <= 5; calls++) {
      try {
        await clock.run(bob.makeSessions({ count: connections, timeoutMs: 120_000 }))
        return alice.groups
      } catch (error) {
        if ((error as { code?: string }).code === 'ERR_TIMED_OUT') throw error
      }
    }
    return Infinity
  } finally {
    await clock.run(bob.shutdown())
  }
}

describe('a party of the Rust stack that starts 20 s late', () => {
  const seeds = [1, 2, 3, 4, 5, 6, 7, 8]
  it.each([1, 4])(
    'a party of the Rust stack that starts 20 s late joins over %i connections, whatever the jitter',
    async (connections) => {
      const groups: number[] = []
      for (const seed of seeds) groups.push(await groupsUntilMade(connections, seed))
      expect(groups).toEqual(seeds.map(() => 1))
    },
  )
})

describe('a timeout with some connections open', () => {
  it('a call that times out reports how many connections are open, and why others are not', async () => {
    const clock = new VirtualClock()
    const transport = new MemoryTransport(clock)
    const bob = createNetwork(
      {
        identity: 'bob',
        security: 'plaintext',
        connectionParallelism: 4,
        peers: [{ id: 'alice', urls: `tcp://${address.host}:${address.port}` }],
      },
      { environment: { clock, transport, random: seededRandom(1) } },
    )
    // Accepts the first connection, and closes the others during the handshake.
    let taken: Pipe | null = null
    await transport.listen(
      address,
      { highWaterMarkBytes: 65_536 },
      {
        onPipe: (pipe) => {
          if (taken !== null) return pipe.destroy()
          taken = pipe
          const handshake = new AmpcAcceptorHandshake()
          const onBytes = (bytes: Buffer): void => {
            const { write, claim } = handshake.feed(bytes)
            if (write !== undefined) pipe.write([write])
            if (claim !== undefined) pipe.write([handshake.confirm().write])
          }
          pipe.handle({ ...noopHandlers, onBytes })
          pipe.resume()
        },
        onError() {},
      },
    )
    const error = await clock.run(
      bob.makeSessions({ count: 4, timeoutMs: 5_000 }).catch((reason: unknown) => reason as Error),
    )
    await clock.run(bob.shutdown())
    expect((error as Error).message).toMatch(/only 1 of 4 connections with alice \(\d+ attempts; the last: .+\)$/)
  })
})
