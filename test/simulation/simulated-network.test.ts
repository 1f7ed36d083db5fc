/**
 * Owns: what the simulated network guarantees to its users: latency, chunks, cuts, partitions, crashes, stalls, and
 * reproducible seeds.
 * Independent of: statewire itself. That a connection behaves like a connection is tested in test/conformance/.
 */
import { describe, expect, test } from 'vitest'
import { SimulatedNetwork } from '../../testing/index.ts'
import type { Break, SimulatedNetworkOptions, SimulatedPipe } from '../../testing/index.ts'
import { End, numbered } from '../support/pipe-bench.ts'

interface Scene {
  readonly network: SimulatedNetwork
  /** Of alice, who dials, and of bob, who listens. */
  readonly near: End
  readonly far: End
  readonly wire: SimulatedPipe
  /** Virtual time at which bob's bytes were delivered. */
  readonly arrivedAtMs: number[]
}

async function connected(options: Partial<SimulatedNetworkOptions> = {}): Promise<Scene> {
  const network = new SimulatedNetwork({ seed: 1, latencyMs: [5, 5], ...options })
  const dialOptions = { highWaterMarkBytes: 1000 }
  const accepted: End[] = []
  const wires: SimulatedPipe[] = []
  network.onConnected = (dialler) => wires.push(dialler)
  await network
    .node('bob')
    .listen({ host: 'bob', port: 7 }, dialOptions, { onPipe: (pipe) => accepted.push(new End(pipe)), onError() {} })
  const near = new End(network.node('alice').dial({ host: 'bob', port: 7 }, dialOptions))
  await network.clock.until('they are connected', () => near.count('open') === 1 && accepted.length === 1)
  const far = accepted[0]!
  const arrivedAtMs: number[] = []
  far.reaction = () => arrivedAtMs.push(network.clock.nowMs())
  near.pipe.resume()
  far.pipe.resume()
  return { network, near, far, wire: wires[0]!, arrivedAtMs }
}

describe('on their way', () => {
  test('simulated bytes take the latency, and a bandwidth limit delays them', async () => {
    const { network, near, far, arrivedAtMs } = await connected({ bytesPerMs: 10 })
    const sentAtMs = network.clock.nowMs()
    near.pipe.write([numbered(100)])
    await network.clock.until('they are there', () => far.receivedBytes === 100)
    expect(arrivedAtMs).toEqual([sentAtMs + 5 + 10])
  })

  test('each simulated chunk has a latency of its own, and none overtakes another', async () => {
    const { network, near, far, arrivedAtMs } = await connected({ latencyMs: [1, 50] })
    const sentAtMs = network.clock.nowMs()
    const all = numbered(2000)
    for (let at = 0; at < all.length; at += 100) near.pipe.write([all.subarray(at, at + 100)])
    await network.clock.advance(200)
    expect(far.received.equals(all)).toBe(true)
    expect(arrivedAtMs).toEqual([...arrivedAtMs].sort((a, b) => a - b))
    expect(new Set(arrivedAtMs).size).toBeGreaterThan(1)
    for (const atMs of arrivedAtMs) expect(atMs - sentAtMs).toBeGreaterThanOrEqual(1)
  })

  test('simulated writes are cut anywhere, and joined', async () => {
    const { network, near, far } = await connected({ chunkBytesMax: 7 })
    const all = numbered(300)
    near.pipe.write([all.subarray(0, 3), all.subarray(3)])
    await network.clock.advance(100)
    expect(far.received.equals(all)).toBe(true)
    expect(Math.max(...far.chunks.map(({ length }) => length))).toBeLessThanOrEqual(7)
    expect(far.chunks.length).toBeGreaterThan(300 / 7)
  })

  test('a simulated path has a capacity: the rest waits at its sender, who is notified when it has left', async () => {
    const { network, near, far } = await connected({ pathBytes: 600 })
    far.pipe.pause()
    expect(near.pipe.write([numbered(2000)])).toBe(false)
    await network.clock.advance(100)
    expect(near.pipe.bufferedBytes).toBe(1400)
    expect(near.count('drain')).toBe(0)
    far.pipe.resume()
    await network.clock.advance(100)
    expect([far.receivedBytes, near.pipe.bufferedBytes, near.count('drain')]).toEqual([2000, 0, 1])
  })
})

describe('a connection that breaks', () => {
  test.each([0, 1, 159, 160, 161, 499])(
    'a simulated connection that breaks after %i bytes delivers exactly these',
    async (cutBytes) => {
      const { network, near, far, wire } = await connected({ chunkBytesMax: 50 })
      // At 0 there is nothing to wait for.
      if (cutBytes === 0) network.break(wire, 'both')
      else network.breakAfter(wire, cutBytes, 'both')
      near.pipe.write([numbered(500)])
      await network.clock.advance(100)
      expect(far.received.equals(numbered(500).subarray(0, cutBytes))).toBe(true)
      expect([near.isClosed, far.isClosed]).toEqual([true, true])
    },
  )

  test.each<[Break, boolean, boolean]>([
    ['both', true, true],
    ['dialler', true, false],
    ['acceptor', false, true],
    ['neither', false, false],
  ])('a broken simulated connection notifies %s', async (heardBy, byDialler, byAcceptor) => {
    const { network, near, far, wire } = await connected()
    network.break(wire, heardBy)
    await network.clock.advance(60_000)
    expect([near.isClosed, far.isClosed]).toEqual([byDialler, byAcceptor])
    // Half open: writes work as before, without effect.
    if (!byDialler) near.pipe.write([numbered(10)])
    await network.clock.advance(60_000)
    expect([near.isClosed, far.isClosed, far.receivedBytes]).toEqual([byDialler, byAcceptor, 0])
  })

  test.each([
    [false, 0],
    [true, 100],
  ])('a broken simulated connection loses what is in flight, or does not: arrives %s', async (arrives, bytes) => {
    const { network, near, far, wire } = await connected()
    near.pipe.write([numbered(100)])
    network.break(wire, 'dialler', { arrives })
    await network.clock.advance(100)
    expect(far.receivedBytes).toBe(bytes)
  })
})

describe('a partition', () => {
  test('a partition holds back what is sent meanwhile, in both directions, and loses nothing', async () => {
    const { network, near, far } = await connected()
    network.partition(network.node('alice'), network.node('bob'))
    near.pipe.write([numbered(60)])
    near.pipe.write([numbered(100).subarray(60)])
    far.pipe.write([numbered(50)])
    await network.clock.advance(10_000)
    expect([near.receivedBytes, far.receivedBytes]).toEqual([0, 0])
    network.heal()
    near.pipe.write([numbered(30)])
    await network.clock.advance(100)
    expect([near.receivedBytes, far.received.equals(Buffer.concat([numbered(100), numbered(30)]))]).toEqual([50, true])
  })

  test('a partition may be one-way', async () => {
    const { network, near, far } = await connected()
    network.partition(network.node('alice'), network.node('bob'), { oneWay: true })
    near.pipe.write([numbered(100)])
    far.pipe.write([numbered(50)])
    await network.clock.advance(1000)
    expect([near.receivedBytes, far.receivedBytes]).toEqual([50, 0])
  })

  test('a partition delays a dial until it is over', async () => {
    const { network } = await connected()
    network.partition(network.node('alice'), network.node('bob'))
    const end = new End(network.node('alice').dial({ host: 'bob', port: 7 }, { highWaterMarkBytes: 1 }))
    await network.clock.advance(5000)
    // The two existing ends, and the one that dials: it is not accepted yet.
    expect([end.calls, network.pipes.length]).toEqual([[], 3])
    network.heal()
    await network.clock.advance(4000)
    expect(end.calls).toEqual(['open'])
  })
})

describe('a process', () => {
  test.each([
    [false, true],
    [true, false],
  ])(
    'a simulated process that dies (power lost: %s) resets its connections: %s; nothing of it runs any more',
    async (isSilent, isReset) => {
      const { network, near, far } = await connected()
      const bob = network.node('bob')
      const ran: string[] = []
      bob.environment.clock.setTimeout(() => ran.push('timer'), 10)
      bob.environment.clock.setTimeout(() => ran.push('late timer'), 10_000)
      bob.environment.clock.setImmediate(() => ran.push('immediate'))
      bob.crash(isSilent)
      near.pipe.write([numbered(10)])
      await network.clock.advance(1000)
      expect([near.isClosed, ran, far.receivedBytes, far.isClosed]).toEqual([isReset, [], 0, false])
      expect(network.clock.timers).toBe(0)
    },
  )

  test('a restarted simulated process has its port free, and resets the connections of the one before', async () => {
    const { network, near } = await connected()
    const bob = network.node('bob')
    bob.crash(true)
    await network.clock.advance(1000)
    await bob.listen({ host: 'bob', port: 7 }, { highWaterMarkBytes: 1 }, { onPipe() {}, onError() {} })
    near.pipe.write([numbered(10)])
    await network.clock.advance(1000)
    expect(near.isClosed).toBe(true)
    expect(String(near.closedWith[0])).toContain('ECONNRESET')
  })

  test('a dead simulated process listens nowhere', async () => {
    const { network } = await connected()
    network.node('bob').crash()
    const end = new End(network.node('alice').dial({ host: 'bob', port: 7 }, { highWaterMarkBytes: 1 }))
    await network.clock.advance(100)
    expect(String(end.closedWith[0])).toContain('ECONNREFUSED')
  })

  test('a stalled simulated process runs nothing meanwhile and everything afterwards, timers before sockets', async () => {
    const { network, near, far, arrivedAtMs } = await connected()
    const bob = network.node('bob')
    const timerAtMs: number[] = []
    const startMs = network.clock.nowMs()
    bob.environment.clock.setTimeout(() => {
      timerAtMs.push(network.clock.nowMs())
      arrivedAtMs.push(-1)
    }, 50)
    bob.stall(300)
    near.pipe.write([numbered(40)])
    await network.clock.advance(299)
    expect([timerAtMs, far.receivedBytes]).toEqual([[], 0])
    await network.clock.advance(2)
    expect([timerAtMs, arrivedAtMs, far.receivedBytes]).toEqual([[startMs + 300], [-1, startMs + 300], 40])
  })
})

describe('a simulated machine', () => {
  test('a wall clock that was set back stays behind over a restart, and time goes on as before', async () => {
    const network = new SimulatedNetwork({ seed: 1 })
    const [alice, bob] = [network.node('alice'), network.node('bob')]
    await network.clock.advance(10)
    const behindMs = (): number => bob.environment.clock.wallMs() - alice.environment.clock.wallMs()
    alice.stepWallClock(-3_600_000)
    expect([behindMs(), alice.environment.clock.nowMs()]).toEqual([3_600_000, 10])
    alice.crash()
    expect([behindMs(), alice.environment.clock.nowMs()]).toEqual([3_600_000, 10])
    alice.stepWallClock(3_600_100)
    expect(behindMs()).toBe(-100)
    expect(() => alice.stepWallClock(NaN)).toThrow('byMs of stepWallClock')
  })

  test('simulated nodes that share an address are accepted from that address', async () => {
    const network = new SimulatedNetwork({ seed: 1 })
    const from: string[] = []
    const options = { highWaterMarkBytes: 1000 }
    const onPipe = ({ remoteHost }: { readonly remoteHost: string }): void => void from.push(remoteHost)
    await network.node('carol').listen({ host: 'carol', port: 7 }, options, { onPipe, onError() {} })
    for (const name of ['alice', 'bob']) {
      network.node(name).seenAs = 'gateway'
      network.node(name).dial({ host: 'carol', port: 7 }, options)
    }
    await network.clock.advance(100)
    expect(from).toEqual(['gateway', 'gateway'])
  })
})

describe('a seed', () => {
  const traceOf = async (seed: number): Promise<{ hash: number; lines: readonly string[] }> => {
    const { network, near } = await connected({ seed, latencyMs: [1, 20], chunkBytesMax: 30 })
    near.pipe.write([numbered(500)])
    await network.clock.advance(100)
    network.node('bob').crash()
    await network.clock.advance(100)
    return { hash: network.trace.hash, lines: network.trace.lines() }
  }

  test('a seed gives the same trace each time, and another seed gives another', async () => {
    const [one, again, other] = [await traceOf(3), await traceOf(3), await traceOf(4)]
    expect(again).toEqual(one)
    expect(other.hash).not.toBe(one.hash)
    expect(one.lines[0]).toMatch(/^0\.000 alice: dials bob:7 \(wire 1\)$/)
  })
})
