/**
 * Owns: that every pending and every later call on a native network that ends gets one typed error, and that the peer
 * reads the Goodbye.
 * Independent of: broken connections (network-scenarios.test.ts) and single lanes (network-lanes.test.ts).
 */
import type { SendResults } from '../../index.ts'
import { describe, expect, it } from 'vitest'
import type { LinkResetError, Session } from '../../index.ts'
import { bytes, number, numberOf, play, rejectionOf } from '../support/native-scene.ts'
import type { Carrier, NativeMember, NativeScene } from '../support/native-scene.ts'

const carriers: Carrier[] = ['memory', 'tcp', 'tls']

interface Pair {
  readonly alice: NativeMember
  readonly bob: NativeMember
  readonly mine: Session
  readonly theirs: Session
}

async function connectedPair(scene: NativeScene): Promise<Pair> {
  const [alice, bob] = await scene.pair()
  const [[mine], [theirs]] = (await scene.sessions([alice, bob], 1)) as [[Session], [Session]]
  return { alice, bob, mine, theirs }
}

/** A promise hides how often it was settled; this keeps how each call ended. */
function endsOf(promises: readonly Promise<unknown>[]): Promise<string[]> {
  return Promise.all(
    promises.map((promise) =>
      promise.then(
        () => 'done',
        (error: { code?: string }) => error.code ?? String(error),
      ),
    ),
  )
}

/**
 * Three readers, sixty senders with far more data than the credit allows, and two calls that wait for acknowledgements.
 */
function waitingCalls({ bob, mine }: Pair): {
  receives: Promise<unknown>[]
  sends: Promise<unknown>[]
  flushes: Promise<unknown>[]
} {
  const receives = [mine.receive(bob.id), mine.receive(bob.id, { timeoutMs: 600_000 }), mine.values(bob.id).next()]
  const sends = Array.from({ length: 60 }, (_, value) => mine.send(bob.id, bytes(4_000, value)))
  const flushes = [mine.flush(), mine.flush({ timeoutMs: 600_000 })]
  for (const promise of [...receives, ...sends, ...flushes]) promise.catch(() => {})
  return { receives, sends, flushes }
}

const count = (ends: readonly string[], end: string): number => ends.filter((each) => each === end).length

describe('a pending call', () => {
  it.each(carriers)('a pending call on a session that is closed locally ends once, over %s, with its own code', (on) =>
    play({ on }, async (scene) => {
      const pair = await connectedPair(scene)
      const { receives, sends, flushes } = waitingCalls(pair)
      await scene.until('some is there', () => pair.theirs.unread(pair.alice.id) > 0)
      pair.mine.close()
      // An async iterator ends with its session.
      expect(await scene.run(endsOf(receives))).toEqual(['ERR_SESSION_CLOSED', 'ERR_SESSION_CLOSED', 'done'])
      const ends = await scene.run(endsOf(sends))
      expect(count(ends, 'done')).toBeGreaterThan(0)
      expect(count(ends, 'done') + count(ends, 'ERR_SESSION_CLOSED')).toBe(60)
      expect(count(ends, 'ERR_SESSION_CLOSED')).toBeGreaterThan(0)
      // Everything that was sent is acknowledged, because the link stays open.
      expect(await scene.run(endsOf(flushes))).toEqual(['done', 'done'])
    }),
  )

  it.each(carriers)('a pending call on a session that the peer closes ends once, over %s', (on) =>
    play({ on }, async (scene) => {
      const pair = await connectedPair(scene)
      const { receives, sends } = waitingCalls(pair)
      pair.theirs.close()
      // An iterator ends normally when the peer closes.
      expect(await scene.run(endsOf(receives))).toEqual(['ERR_SESSION_RESET', 'ERR_SESSION_RESET', 'done'])
      const ends = await scene.run(endsOf(sends))
      expect(count(ends, 'done') + count(ends, 'ERR_SESSION_RESET')).toBe(60)
      expect(count(ends, 'ERR_SESSION_RESET')).toBeGreaterThan(0)
    }),
  )

  it.each(carriers)('a pending call ends once, over %s, when its own network is shut down', (on) =>
    play({ on, limits: { shutdownTimeoutMs: 500 } }, async (scene) => {
      const pair = await connectedPair(scene)
      const { receives, sends, flushes } = waitingCalls(pair)
      const making = rejectionOf(pair.alice.network.makeSessions({ count: 1 }))
      await scene.run(pair.alice.network.shutdown())
      for (const end of await scene.run(endsOf([...receives.slice(0, 2), ...flushes, ...sends])))
        expect(['done', 'ERR_NETWORK_STOPPED', 'ERR_SESSION_CLOSED']).toContain(end)
      expect(await making).toMatchObject({ code: 'ERR_NETWORK_STOPPED' })
    }),
  )

  it.each(carriers)(
    "a pending call ends once, over %s, when the peer's network is shut down, with outcomes that add up",
    (on) =>
      play({ on }, async (scene) => {
        const pair = await connectedPair(scene)
        const { receives, sends, flushes } = waitingCalls(pair)
        await scene.until('some is there', () => pair.theirs.unread(pair.alice.id) > 0)
        await scene.run(pair.bob.network.shutdown())
        const error = (await scene.run(rejectionOf(receives[0] as Promise<unknown>))) as LinkResetError
        // The peer first closes its sessions, then sends Goodbye. Either may reach a lane first.
        expect(['ERR_LINK_RESET', 'ERR_SESSION_RESET']).toContain(error.code)
        if (error.code === 'ERR_LINK_RESET')
          expect(error.outcomes.acked + error.outcomes.unknown + error.outcomes.notSent).toBe(60)
        for (const end of await scene.run(endsOf([...receives, ...sends, ...flushes])))
          expect(['done', 'ERR_LINK_RESET', 'ERR_SESSION_RESET']).toContain(end)
        expect(pair.alice.eventsOf('connection.lost')).toHaveLength(1)
      }),
  )

  it('a send that waits for room ends at its own deadline, and its value is not sent later', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, mine, theirs } = await connectedPair(scene)
      for (let value = 0; value < 17; value++) await scene.run(mine.send(bob.id, bytes(4_000, value)))
      const late = rejectionOf(mine.send(bob.id, bytes(4_000, 200), { timeoutMs: 50 }))
      expect(await scene.run(late)).toMatchObject({
        code: 'ERR_SEND_TIMED_OUT',
        retryable: true,
        message: expect.stringMatching(/within 50 ms: it is connected but does not read fast enough$/) as string,
      })
      for (let value = 0; value < 17; value++)
        expect((await scene.run(theirs.receive(alice.id))).value).toEqual(Buffer.alloc(4_000, value))
      await scene.run(mine.send(bob.id, number(7)))
      expect(numberOf(await scene.run(theirs.receive(alice.id)))).toBe(7)
    }))

  it('a flush respects its deadline and its signal while an earlier send waits for room', () =>
    play({ on: 'memory' }, async (scene) => {
      const { bob, mine } = await connectedPair(scene)
      const sends = endsOf(Array.from({ length: 60 }, (_, value) => mine.send(bob.id, bytes(4_000, value))))
      const atMs = scene.clock.nowMs()
      expect(await scene.run(rejectionOf(mine.flush({ timeoutMs: 50 })))).toMatchObject({ code: 'ERR_TIMED_OUT' })
      expect(scene.clock.nowMs() - atMs).toBeLessThan(100)
      const controller = new AbortController()
      const flushed = rejectionOf(mine.flush({ signal: controller.signal }))
      controller.abort(new Error('enough'))
      expect(await scene.run(flushed)).toMatchObject({ code: 'ERR_ABORTED', cause: { message: 'enough' } })
      expect(scene.clock.nowMs() - atMs).toBeLessThan(100)
      mine.close()
      await scene.run(sends)
    }))

  it('one call too many that waits on a session is refused, and the others continue', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, mine, theirs } = await connectedPair(scene)
      const receives = Array.from({ length: 1025 }, () => mine.receive(bob.id))
      expect(await scene.run(rejectionOf(receives.pop() as Promise<unknown>))).toMatchObject({
        code: 'ERR_RECEIVE_QUEUE_FULL',
      })
      for (let value = 0; value < 1024; value++) await scene.run(theirs.send(alice.id, number(value)))
      expect((await scene.run(Promise.all(receives))).map(numberOf)).toEqual(receives.map((_, value) => value))
    }))
})

/** Rejects if the first peer did not accept the value. */
async function firstOf(results: Promise<SendResults>): Promise<void> {
  for (const result of (await results).values()) if (!result.ok) throw result.error
}

describe('a call on an ended session or network', () => {
  const calls: [string, (pair: Pair) => Promise<unknown>][] = [
    ['send', ({ bob, mine }) => mine.send(bob.id, number(1))],
    ['broadcast', ({ mine }) => firstOf(mine.broadcast(number(1)))],
    ['trySend', ({ bob, mine }) => Promise.resolve().then(() => mine.trySend(bob.id, number(1)))],
    ['receive', ({ bob, mine }) => mine.receive(bob.id)],
  ]

  it.each(calls)('%s on a closed session fails with an error that the session is closed', (_, call) =>
    play({ on: 'memory' }, async (scene) => {
      const pair = await connectedPair(scene)
      pair.mine.close()
      pair.mine.close()
      expect(await scene.run(rejectionOf(call(pair)))).toMatchObject({ code: 'ERR_SESSION_CLOSED' })
    }),
  )

  it.each(calls)('%s after shutdown fails with an error that the network has stopped', (_, call) =>
    play({ on: 'memory' }, async (scene) => {
      const pair = await connectedPair(scene)
      await scene.run(pair.alice.network.shutdown())
      await scene.run(pair.alice.network.shutdown())
      expect(await scene.run(rejectionOf(call(pair)))).toMatchObject({ code: 'ERR_NETWORK_STOPPED' })
      expect(await scene.run(rejectionOf(pair.alice.network.ready()))).toMatchObject({ code: 'ERR_NETWORK_STOPPED' })
      expect(await scene.run(rejectionOf(pair.alice.network.makeSessions({ count: 1 })))).toMatchObject({
        code: 'ERR_NETWORK_STOPPED',
      })
    }),
  )

  it.each(calls)(
    '%s during shutdown is accepted and delivered, or fails because the network is stopping',
    (name, call) =>
      play({ on: 'memory' }, async (scene) => {
        const pair = await connectedPair(scene)
        const stopped = pair.alice.network.shutdown()
        const [end] = await scene.run(endsOf([call(pair)]))
        await scene.run(stopped)
        expect(['done', 'ERR_NETWORK_STOPPED']).toContain(end)
        if (end === 'done' && name !== 'receive')
          expect(numberOf(await scene.run(pair.theirs.receive(pair.alice.id)))).toBe(1)
        expect(await scene.run(rejectionOf(pair.alice.network.makeSessions({ count: 1 })))).toMatchObject({
          code: 'ERR_NETWORK_STOPPED',
        })
      }),
  )

  it('makeSessions fails when no ids are left, and the network stays up', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, mine, theirs } = await connectedPair(scene)
      bob.link(alice).sessionIds.make(0x3fff_ffff, 1)
      const calls = [alice, bob].map(({ network }) => rejectionOf(network.makeSessions({ count: 1 })))
      const codes = (await scene.run(Promise.all(calls))).map(({ code }) => code)
      expect(codes).toEqual(['ERR_SESSION_LIMIT', 'ERR_SESSION_IDS_USED_UP'])
      expect(bob.eventsOf('sessions.failed')[0]?.cause.code).toBe('ERR_SESSION_IDS_USED_UP')
      expect([alice, bob].flatMap((member) => member.eventsOf('child.restarted'))).toEqual([])
      await scene.run(mine.send(bob.id, number(3)))
      expect(numberOf(await scene.run(theirs.receive(alice.id)))).toBe(3)
    }))
})

describe('a Goodbye', () => {
  it.each(carriers)(
    "a Goodbye over %s comes after all sent values, and the peer's event names who disconnected",
    (on) =>
      play({ on }, async (scene) => {
        const { alice, bob, mine, theirs } = await connectedPair(scene)
        for (let value = 0; value < 200; value++) void theirs.send(alice.id, number(value)).catch(() => {})
        await scene.run(bob.network.shutdown())
        for (let value = 0; value < 200; value++) expect(numberOf(await scene.run(mine.receive(bob.id)))).toBe(value)
        expect(['ERR_LINK_RESET', 'ERR_SESSION_RESET']).toContain(
          (await scene.run(rejectionOf(mine.receive(bob.id)))).code,
        )
        await scene.until('the connection is lost', () => alice.eventsOf('connection.lost').length > 0)
        expect(alice.eventsOf('connection.lost')[0]?.cause.message).toContain('Goodbye')
        expect(alice.eventsOf('connection.lost')[0]?.cause.message).toContain('shutting down')
      }),
  )

  it('a Goodbye is not a failure: a peer that returns at the same address is dialed and served', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob } = await connectedPair(scene)
      await scene.run(bob.network.shutdown())
      scene.members.delete(bob)
      const again = await scene.start({ key: 1, peers: [0], dials: [0] })
      const [[mine], [theirs]] = (await scene.sessions([alice, again], 1)) as [[Session], [Session]]
      await scene.run(mine.send(again.id, number(9)))
      expect(numberOf(await scene.run(theirs.receive(alice.id)))).toBe(9)
      expect(alice.eventsOf('child.restarted')).toEqual([])
    }))
})
