/**
 * Owns: the limits that a running network keeps, each at n−1, n and n+1: times in virtual time, counts by trying.
 * Independent of: limits that one class keeps by itself, which are tested with the class: queues of a link in
 * test/protocol/ampc-link.test.ts and link-receiving.test.ts, admission in test/protocol/admission.test.ts, messages in
 * test/codec/frame-reader-limits.test.ts, and the check of the figures themselves in options.test.ts.
 */
import { describe, expect, it } from 'vitest'
import type { Pipe, Session } from '../../actors/index.ts'
import { defaultLimits } from '../../actors/index.ts'
import { MemoryPipe } from '../../actors/transport/memory-pipe.ts'
import type { MemoryTransport } from '../../testing/index.ts'
import { End } from '../support/pipe-bench.ts'
import { number, play } from '../support/scene.ts'
import type { Scene, SceneOptions } from '../support/scene.ts'

const duo = (more: Partial<SceneOptions> = {}): SceneOptions => ({
  on: 'memory',
  ids: ['alice', 'bob'],
  onConnectionLost: 'fail',
  ...more,
})

/** A stranger's pipe to a member's listener. */
function knock(scene: Scene, id: string): End {
  const { services, network } = scene.of(id)
  const { hostname, port } = new URL(network.url as string)
  const pipe: Pipe = services.environment.transport.dial(
    { host: hostname, port: Number(port) },
    { highWaterMarkBytes: 65_536 },
  )
  const end = new End(pipe)
  pipe.resume()
  return end
}

const alone = duo({ ids: ['alice'] })

/** Deadlines are rounded up to 4 ms. */
const slotMs = 4

describe('limits of time', () => {
  it(`a silent stranger is closed after handshakeTimeoutMs (${defaultLimits.handshakeTimeoutMs} ms), not before`, () =>
    play(alone, async (scene) => {
      const stranger = knock(scene, 'alice')
      await scene.clock.settle()
      await scene.clock.advance(4_999)
      expect(stranger.isClosed).toBe(false)
      await scene.clock.advance(1 + slotMs)
      expect(stranger.isClosed).toBe(true)
      expect(scene.of('alice').eventsOf('connection.rejected')).toMatchObject([{ cause: { code: 'ERR_TIMED_OUT' } }])
    }))

  it('handshakeTimeoutMs is one deadline for the whole handshake, which a byte a second does not extend', () =>
    play(alone, async (scene) => {
      const stranger = knock(scene, 'alice')
      await scene.clock.settle()
      for (let i = 0; i < 4; i++) {
        stranger.pipe.write([Buffer.of(0)])
        await scene.clock.advance(1_000)
      }
      stranger.pipe.write([Buffer.of(0, 0, 0, 100, 65)])
      await scene.clock.advance(999)
      expect(stranger.isClosed).toBe(false)
      await scene.clock.advance(1 + slotMs)
      expect(stranger.isClosed).toBe(true)
    }))

  it.each([
    [499, false],
    [500 + slotMs, true],
  ])('makeSessions with a time limit of 500 ms has failed after %i ms: %s', (afterMs, hasFailed) =>
    play(duo(), async (scene) => {
      let error: unknown
      // Bob does not call.
      const call = scene
        .of('alice')
        .network.makeSessions({ count: 1, timeoutMs: 500 })
        .catch((thrown: unknown) => (error = thrown))
      await scene.clock.settle()
      await scene.clock.advance(afterMs)
      expect(error !== undefined).toBe(hasFailed)
      if (hasFailed)
        expect(error).toMatchObject({
          code: 'ERR_TIMED_OUT',
          message: expect.stringContaining('1 session was not made within 500 ms: no connection with bob'),
        })
      await scene.clock.advance(1000)
      await call
    }),
  )

  it.each([
    [999, 'waits'],
    [1000 + slotMs, 'ERR_SEND_TIMED_OUT'],
  ])('a send to an unconnected peer with a sendTimeoutMs of 1000 after %i ms: %s', (afterMs, outcome) =>
    play(duo({ onConnectionLost: 'reconnect', limits: { sendTimeoutMs: 1000 } }), async (scene) => {
      const made = await scene.sessions(1)
      await scene.run(scene.of('bob').network.shutdown())
      let seen = 'waits'
      const sent = made
        .get('alice')?.[0]
        ?.send('bob', number(1))
        .catch((error: Error & { code: string }) => (seen = error.code))
      await scene.clock.advance(afterMs)
      expect(seen).toBe(outcome)
      await scene.clock.advance(1000)
      await sent
    }),
  )

  it('a send that timed out after its peer left says that the link was down', () =>
    play(duo({ onConnectionLost: 'reconnect', limits: { sendTimeoutMs: 1000 } }), async (scene) => {
      const made = await scene.sessions(1)
      await scene.run(scene.of('alice').network.shutdown())
      const sent = made
        .get('bob')?.[0]
        ?.send('alice', number(1))
        .catch((error: Error) => error.message)
      await scene.clock.advance(1000 + slotMs)
      expect(await sent).toMatch(
        /^alice did not accept a value of session \d+ within 1000 ms: it is not connected \(\d+ attempts?; the last: nothing listens at .*\)$/,
      )
    }))

  it.each([
    [99, 'waits'],
    [100 + slotMs, 'ERR_TIMED_OUT'],
  ])('a receive with a timeoutMs of 100 after %i ms: %s', (afterMs, outcome) =>
    play(duo(), async (scene) => {
      const made = await scene.sessions(1)
      let seen = 'waits'
      const received = made
        .get('alice')?.[0]
        ?.receive('bob', { timeoutMs: 100 })
        .catch((error: Error & { code: string }) => (seen = error.code))
      await scene.clock.advance(afterMs)
      expect(seen).toBe(outcome)
      await scene.clock.advance(100)
      await received
    }),
  )

  it.each([NaN, -1, Infinity])('a call with a timeoutMs of %d is refused and leaves no deadline', (timeoutMs) =>
    play(duo({ onConnectionLost: 'reconnect' }), async (scene) => {
      const made = await scene.sessions(1)
      await expect(made.get('alice')?.[0]?.receive('bob', { timeoutMs })).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining('timeoutMs') as string,
      })
      await scene.run(scene.of('bob').network.shutdown())
      await expect(made.get('alice')?.[0]?.send('bob', number(1), { timeoutMs })).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
      })
    }),
  )

  it('a receive that timed out no longer takes a value: the next call gets it', () =>
    play(duo(), async (scene) => {
      const made = await scene.sessions(1)
      const [alice, bob] = [made.get('alice')?.[0] as Session, made.get('bob')?.[0] as Session]
      await expect(scene.run(alice.receive('bob', { timeoutMs: 50 }))).rejects.toMatchObject({ code: 'ERR_TIMED_OUT' })
      await scene.run(bob.send('alice', number(5)))
      expect(await scene.run(alice.receive('bob'))).toEqual(number(5))
    }))
})

describe('limits of counts', () => {
  it.each([
    [3, 3, 0],
    [4, 4, 0],
    [5, 4, 1],
  ])(
    'a pendingInboundPerAddressMax of 4: of %i simultaneous strangers, %i are admitted and %i are closed',
    (count, pending, closed) =>
      play({ ...alone, limits: { pendingInboundPerAddressMax: 4 } }, async (scene) => {
        const strangers = Array.from({ length: count }, () => knock(scene, 'alice'))
        await scene.clock.settle()
        expect([
          strangers.filter(({ isClosed }) => !isClosed).length,
          strangers.filter(({ isClosed }) => isClosed).length,
        ]).toEqual([pending, closed])
        const rejected = scene.of('alice').eventsOf('connection.rejected')
        expect(rejected.map(({ cause }) => cause.code)).toEqual(Array<string>(closed).fill('ERR_ADMISSION_LIMIT'))
        for (const { pipe } of strangers) pipe.destroy()
        await scene.clock.settle()
      }),
  )

  it.each([
    [19, 0],
    [20, 0],
    [21, 1],
  ])('a connectBurst of 20: of %i strangers that connect and leave at once, %i are refused', (count, refused) =>
    play(alone, async (scene) => {
      for (let i = 0; i < count; i++) {
        const stranger = knock(scene, 'alice')
        await scene.clock.settle()
        stranger.pipe.destroy()
        await scene.clock.settle()
      }
      const codes = scene
        .of('alice')
        .eventsOf('connection.rejected')
        .map(({ cause }) => cause.code)
      expect(codes.filter((code) => code === 'ERR_ADMISSION_LIMIT')).toHaveLength(refused)
    }),
  )

  it.each([
    [0, false],
    [1, true],
    [3, true],
    [4, false],
    [1.5, false],
  ])('a sessionsPerPeerMax of 3 allows a call for %d sessions: %s', (count, allowed) =>
    play(duo({ limits: { sessionsPerPeerMax: 3 } }), async (scene) => {
      const calls = Promise.allSettled(
        [...scene.members.values()].map(({ network }) => network.makeSessions({ count })),
      )
      for (const result of await scene.run(calls)) {
        expect(result.status).toBe(allowed ? 'fulfilled' : 'rejected')
        if (result.status === 'rejected')
          expect(result.reason).toMatchObject({
            code: 'ERR_INVALID_OPTION',
            message: expect.stringContaining('count must be a whole number from 1 to 3'),
          })
      }
    }),
  )

  it.each([
    [1, 1],
    [2, 2],
    [3, 3],
    [6, 6],
  ])('a dialsMax of %i: of six unanswered dials, %i run at once and the others run after them', (dialsMax, atOnce) =>
    play(
      duo({
        onConnectionLost: 'reconnect',
        connectionParallelism: 6,
        limits: { dialsMax, backoffMinMs: 1, backoffMaxMs: 1 },
      }),
      async (scene) => {
        const { environment, baseLinks, options } = scene.of('bob').services
        await scene.until('all are up', () => baseLinks.of('alice').every(({ isReady }) => isReady))
        const transport = environment.transport as MemoryTransport
        const { dial } = transport
        let dials = 0
        // A pipe that is never connected: the dial is neither accepted nor refused.
        transport.dial = ({ host, port }) => (
          dials++,
          new MemoryPipe({ host, port }, environment.clock, options.limits, () => {})
        )
        for (const pipe of transport.pipes) pipe.destroy()
        await scene.clock.advance(options.limits.dialTimeoutMs - 1)
        expect(dials).toBe(atOnce)
        await scene.clock.advance(50)
        expect(dials).toBeGreaterThanOrEqual(Math.min(6, 2 * atOnce))
        transport.dial = dial
        await scene.until('all are up again', () => baseLinks.of('alice').every(({ isReady }) => isReady))
      },
    ),
  )
})
