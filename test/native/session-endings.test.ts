/**
 * Owns: how the calls of a session end: iterators end normally unless something was lost, and flush succeeds only for
 * values that reached the peer's session.
 * Independent of: calls that wait while a whole network ends (network-endings.test.ts).
 */
import { removePeer } from '../support/remove-peer.ts'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { NetworkValue, Session } from '../../index.ts'
import { bytes, number, numberOf, play, rejectionOf } from '../support/native-scene.ts'
import type { Carrier, NativeMember, NativeScene } from '../support/native-scene.ts'

interface Pair {
  readonly scene: NativeScene
  readonly alice: NativeMember
  readonly bob: NativeMember
  readonly mine: Session
  readonly theirs: Session
}

async function pairOf(scene: NativeScene): Promise<Pair> {
  const [alice, bob] = await scene.pair()
  const [[mine], [theirs]] = (await scene.sessions([alice, bob], 1)) as [[Session], [Session]]
  return { scene, alice, bob, mine, theirs }
}

async function read(values: AsyncIterable<NetworkValue>): Promise<number[]> {
  const seen: number[] = []
  for await (const value of values) seen.push(numberOf(value))
  return seen
}

const carriers: Carrier[] = ['memory', 'tls']

describe('a session iterator', () => {
  const orderly: [string, (pair: Pair) => unknown][] = [
    ['the peer closes the session', ({ theirs }) => theirs.close()],
    ['this side closes the session', ({ mine }) => mine.close()],
    ['the peer shuts its network down', ({ bob }) => bob.network.shutdown()],
    ['this side shuts its network down', ({ alice }) => alice.network.shutdown()],
    ['the peer drains this side', ({ bob, alice }) => removePeer(bob.network, alice.id)],
    ['this side drains the peer', ({ alice, bob }) => removePeer(alice.network, bob.id)],
  ]

  it.each(carriers.flatMap((on) => orderly.map(([how, end]) => [on, how, end] as const)))(
    'a session iterator ends normally over %s when %s',
    (on, _, end) =>
      play({ on }, async (scene) => {
        const pair = await pairOf(scene)
        const { alice, bob, mine, theirs } = pair
        const seen = read(mine.values(bob.id))
        seen.catch(() => {})
        for (let value = 0; value < 3; value++) await scene.run(theirs.send(alice.id, number(value)))
        await scene.run(theirs.flush())
        const ended = Promise.resolve(end(pair))
        expect(await scene.run(seen)).toEqual([0, 1, 2])
        expect(await scene.run(read(mine.values(bob.id)))).toEqual([])
        await scene.run(ended)
      }),
  )

  it('a session iterator ends normally when the peer shuts down while a value waits here to be accepted', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, mine, theirs } = await pairOf(scene)
      while (mine.trySend(bob.id, bytes(4_000)));
      const waiting = rejectionOf(mine.send(bob.id, bytes(4_000)))
      await scene.run(mine.flush({ timeoutMs: 10 }).catch(() => {}))
      const seen = read(mine.values(bob.id))
      seen.catch(() => {})
      await scene.run(theirs.send(alice.id, number(7)))
      await scene.run(bob.network.shutdown())
      expect(await scene.run(waiting)).toMatchObject({
        code: expect.stringMatching(/ERR_LINK_RESET|ERR_SESSION_RESET/) as string,
      })
      expect(await scene.run(seen)).toEqual([7])
    }))

  it('a session iterator throws when the process of the peer dies', () =>
    play({ on: 'memory' }, async (scene) => {
      const { bob, mine } = await pairOf(scene)
      const seen = rejectionOf(read(mine.values(bob.id)))
      await scene.crash(bob)
      await scene.start({ key: 1, peers: [0], dials: [0] })
      expect(await scene.run(seen)).toMatchObject({ code: 'ERR_LINK_RESET', reason: 'peer-restarted' })
    }))

  it('a session iterator throws when a handler of the peer fails', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, mine, theirs } = await pairOf(scene)
      theirs.handle(alice.id, () => {
        throw new Error('a bug')
      })
      const seen = rejectionOf(read(mine.values(bob.id)))
      await scene.run(mine.send(bob.id, number(1)))
      expect(await scene.run(seen)).toMatchObject({ code: 'ERR_SESSION_RESET' })
    }))

  it('a session iterator throws when its own network fails', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, mine } = await pairOf(scene)
      const seen = rejectionOf(read(mine.values(bob.id)))
      const failed = (): boolean => alice.eventsOf('network.failed').length === 1
      for (let crash = 1; !failed(); crash++) {
        alice.sendEvent('listener', { type: 'connection.claimed', offer: null })
        await scene.until('the crash is noticed', () => failed() || alice.eventsOf('child.restarted').length === crash)
      }
      expect(await scene.run(seen)).toMatchObject({ code: alice.eventsOf('network.failed')[0]?.cause.code })
    }))

  it('return() ends a session iterator at once while next() waits, and consumes no value', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, mine, theirs } = await pairOf(scene)
      const values = mine.values(bob.id)
      const waiting = [values.next(), values.next()]
      expect(await scene.run(values.return())).toEqual({ done: true, value: undefined })
      expect(await scene.run(Promise.all(waiting))).toEqual([
        { done: true, value: undefined },
        { done: true, value: undefined },
      ])
      for (const value of [1, 2]) await scene.run(theirs.send(alice.id, number(value)))
      expect(numberOf(await scene.run(mine.receive(bob.id)))).toBe(1)
      expect(await values.next()).toEqual({ done: true, value: undefined })
      expect(numberOf(await scene.run(mine.receive(bob.id)))).toBe(2)
    }))

  it('a session iterator leaves unread values for the next reader when a loop breaks', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, mine, theirs } = await pairOf(scene)
      for (const value of [1, 2]) await scene.run(theirs.send(alice.id, number(value)))
      await scene.run(theirs.flush())
      for await (const value of mine.values(bob.id)) {
        expect(numberOf(value)).toBe(1)
        break
      }
      expect(numberOf(await scene.run(mine.receive(bob.id)))).toBe(2)
    }))

  it('a session iterator wrapped in a Readable can be destroyed while it waits', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, mine, theirs } = await pairOf(scene)
      const readable = Readable.from(mine.values(bob.id))
      const closed = new Promise((resolve) => void readable.once('close', resolve))
      readable.on('data', () => {})
      await new Promise(setImmediate)
      readable.destroy()
      await scene.run(closed)
      await scene.run(theirs.send(alice.id, number(5)))
      expect(numberOf(await scene.run(mine.receive(bob.id)))).toBe(5)
    }))

  it('a session iterator throws once when its signal aborts, and is then done', () =>
    play({ on: 'memory' }, async (scene) => {
      const { bob, mine } = await pairOf(scene)
      const controller = new AbortController()
      const values = mine.values(bob.id, { signal: controller.signal })
      const [first, second] = [rejectionOf(values.next()), values.next()]
      controller.abort(new Error('enough'))
      expect(await scene.run(first)).toMatchObject({ code: 'ERR_ABORTED', cause: { message: 'enough' } })
      expect(await scene.run(second)).toEqual({ done: true, value: undefined })
    }))
})

describe('flush', () => {
  it('flush waits for the named peers only', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1, 2], dials: [] })
      const bob = await scene.start({ key: 1, peers: [0, 2], dials: [0] })
      const carol = await scene.start({ key: 2, peers: [0, 1], dials: [0, 1] })
      const [[mine]] = (await scene.sessions([alice, bob, carol], 1)) as [[Session]]
      await carol.faults.die()
      await scene.run(mine.broadcast(number(1)))
      await scene.run(mine.flush({ peers: [bob.id] }))
      expect(await scene.run(rejectionOf(mine.flush({ peers: [carol.id], timeoutMs: 50 })))).toMatchObject({
        code: 'ERR_TIMED_OUT',
      })
      expect(await scene.run(rejectionOf(mine.flush({ timeoutMs: 50 })))).toMatchObject({ code: 'ERR_TIMED_OUT' })
      await scene.run(carol.network.shutdown())
    }))

  it.each([
    ['not a list', 'bob', 'ERR_INVALID_OPTION'],
    ['an empty list', [], 'ERR_INVALID_OPTION'],
    ['a list with an unknown peer', ['stranger'], 'ERR_UNKNOWN_PEER'],
  ])('flush refuses a peers option that is %s', (_, peers, code) =>
    play({ on: 'memory' }, async (scene) => {
      const { mine } = await pairOf(scene)
      expect(await scene.run(rejectionOf(mine.flush({ peers: peers as string[] })))).toMatchObject({ code })
    }),
  )

  it.each(carriers)('flush rejects over %s when the peer closed the session before it received the values', (on) =>
    play({ on }, async (scene) => {
      const { alice, bob, mine, theirs } = await pairOf(scene)
      theirs.close()
      for (let value = 0; value < 3; value++) expect(mine.trySend(bob.id, number(value))).toBe(true)
      const flushes = [rejectionOf(mine.flush()), rejectionOf(mine.flush({ peers: [bob.id] }))]
      for (const flushed of flushes) expect(await scene.run(flushed)).toMatchObject({ code: 'ERR_SESSION_RESET' })
      expect(await scene.run(rejectionOf(mine.flush()))).toMatchObject({ code: 'ERR_SESSION_RESET' })
      // Values that were acknowledged before are not affected, and neither is the link.
      const [[again], [there]] = (await scene.sessions([alice, bob], 1)) as [[Session], [Session]]
      await scene.run(again.send(bob.id, number(1)))
      await scene.run(again.flush())
      there.close()
      await scene.run(again.ended(bob.id))
      await scene.run(again.flush())
    }),
  )

  it('flush rejects when both sides closed the session, and the peer did so first', () =>
    play({ on: 'memory' }, async (scene) => {
      const { bob, mine, theirs } = await pairOf(scene)
      theirs.close()
      expect(mine.trySend(bob.id, number(1))).toBe(true)
      const flushed = rejectionOf(mine.flush())
      mine.close()
      expect(await scene.run(flushed)).toMatchObject({ code: 'ERR_SESSION_RESET' })
    }))

  it.each(carriers)('flush succeeds over %s when the peer closes the session as soon as it has the last value', (on) =>
    play({ on }, async (scene) => {
      const { alice, bob } = await scene.pair().then(([a, b]) => ({ alice: a, bob: b }))
      const [own, other] = await scene.sessions([alice, bob], 20)
      for (const session of other as Session[]) {
        let left = 3
        session.handle(alice.id, () => {
          if (--left === 0) session.close()
        })
      }
      for (const session of own as Session[])
        for (let value = 0; value < 3; value++) expect(session.trySend(bob.id, number(value))).toBe(true)
      await scene.run(Promise.all((own as Session[]).map((session) => session.flush())))
    }),
  )

  it('flush rejects when the hello of a resumed connection acknowledges values and a Reset follows', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, mine, theirs } = await pairOf(scene)
      // Everything the peer sends from here on is lost with the connection, including the Reset.
      for (const pipe of bob.faults.pipes) pipe.write = () => true
      theirs.close()
      const before = bob.link(alice).counters.framesDropped
      for (let value = 0; value < 3; value++) expect(mine.trySend(bob.id, number(value))).toBe(true)
      const flushed = rejectionOf(mine.flush())
      await scene.until('the values were dropped', () => bob.link(alice).counters.framesDropped - before === 3)
      alice.kill()
      expect(await scene.run(flushed)).toMatchObject({ code: 'ERR_SESSION_RESET' })
      expect(alice.link(bob).figures.resumes).toBe(1)
    }))

  it.each(['before', 'after'])(
    'flush succeeds when a resumed connection acknowledges the values and the peer closed %s it broke',
    (when) =>
      play({ on: 'memory' }, async (scene) => {
        const { alice, bob, mine, theirs } = await pairOf(scene)
        // Everything the peer sends from here on is lost with the connection: acknowledgements, and a Reset.
        for (const pipe of bob.faults.pipes) pipe.write = () => true
        for (let value = 0; value < 3; value++) expect(mine.trySend(bob.id, number(value))).toBe(true)
        const flushed = mine.flush()
        await scene.until('the peer has the values', () => theirs.unread(alice.id) === 3)
        if (when === 'before') theirs.close()
        alice.kill()
        await scene.until(
          'the link resumed',
          () => bob.eventsOf('connection.opened').filter(({ resumed }) => resumed).length === 1,
        )
        theirs.close()
        await scene.run(flushed)
      }),
  )

  it('flush never succeeds for a value that the session of the peer did not receive', async () => {
    let [succeeded, rejected] = [0, 0]
    for (let seed = 1; seed <= 40; seed++) {
      await play({ on: 'memory', seed }, async (scene) => {
        const { alice, bob, mine, theirs } = await pairOf(scene)
        const pick = (max: number): number => Math.floor(scene.random.fraction() * max)
        let handed = 0
        const closeAt = pick(60)
        theirs.handle(alice.id, () => {
          handed++
          if (handed === closeAt) theirs.close()
        })
        let sent = 0
        const flushes: Promise<void>[] = []
        for (let step = 0; step < 30; step++) {
          for (let count = pick(5); count > 0; count--) if (trySent(mine, bob.id, sent)) sent++
          const promised = sent
          if (pick(3) === 0) {
            flushes.push(
              mine.flush().then(
                () => {
                  succeeded++
                  expect(handed, `seed ${seed}`).toBeGreaterThanOrEqual(promised)
                },
                (error: { code?: string }) => {
                  rejected++
                  expect(['ERR_SESSION_RESET', 'ERR_LINK_RESET'], `seed ${seed}`).toContain(error.code)
                },
              ),
            )
          }
          if (pick(25) === 0) alice.kill()
          if (pick(60) === 0) theirs.close()
          await scene.clock.advance(pick(4))
        }
        await scene.run(Promise.all(flushes))
      })
    }
    expect(succeeded).toBeGreaterThan(20)
    expect(rejected).toBeGreaterThan(20)
  })
})

/** False once the session has ended. */
function trySent(session: Session, peer: string, value: number): boolean {
  try {
    return session.trySend(peer, number(value))
  } catch {
    return false
  }
}
