/**
 * Owns: what a bug of this side costs in the native dialect: a frame that it has a bug about is not sent again for ever, every
 * value has its outcome, and a peer whose actors fail too often is set aside and tried again.
 * Refuses to know: the rules of restarts (test/actors/statechart/children.test.ts).
 */
import { describe, expect, it, vi } from 'vitest'
import { LinkResetError } from '../../index.ts'
import { nativeDialect } from '../../protocol/native/link/native-dialect.ts'
import { NativeAcceptorHandshake } from '../../protocol/native/link/native-handshake.ts'
import type { Session } from '../../index.ts'
import { number, numberOf, play, rejectionOf } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'

async function oneEach(scene: NativeScene, alice: NativeMember, bob: NativeMember): Promise<[Session, Session]> {
  const [[mine], [theirs]] = (await scene.run(
    Promise.all([
      alice.network.makeSessions({ count: 1, peers: [bob.id] }),
      bob.network.makeSessions({ count: 1, peers: [alice.id] }),
    ]),
  )) as [[Session], [Session]]
  return [mine, theirs]
}

/** A bug in `method` of the link's state, as often as it is called. @returns what mends it */
function breakLink(
  at: NativeMember,
  from: NativeMember,
  method: 'onFrame' | 'chunkBegins' | 'takeBatch',
): () => number {
  const state = at.link(from) as unknown as Record<string, unknown>
  let calls = 0
  state[method] = () => {
    calls++
    throw new TypeError('cannot read properties of undefined')
  }
  return () => {
    delete state[method]
    return calls
  }
}

describe('a bug met while a frame is handled', () => {
  it.each(['onFrame', 'chunkBegins'] as const)(
    'a bug met while a frame is handled in %s ends the epoch: the frame is not sent again, both sides have outcomes, and new sessions work',
    (method) =>
      play({ on: 'memory' }, async (scene) => {
        const [alice, bob] = await scene.pair()
        const [mine, theirs] = await oneEach(scene, alice, bob)
        const mend = breakLink(bob, alice, method)
        const ended = rejectionOf(mine.receive(bob.id))
        await scene.run(mine.send(bob.id, number(1)))
        await scene.until('bob has lost the connection', () => bob.eventsOf('connection.lost').length === 1)
        expect(mend()).toBe(1)
        const error = (await scene.run(ended)) as Error
        expect(error).toBeInstanceOf(LinkResetError)
        expect((error as LinkResetError).outcomes).toMatchObject({ acked: 0, unknown: 1, notSent: 0 })
        expect(await scene.run(rejectionOf(theirs.receive(alice.id)))).toMatchObject({
          code: 'ERR_LINK_RESET',
          reason: 'internal-error',
        })
        expect(bob.eventsOf('link.reset')).toMatchObject([
          { peer: alice.id, connectionId: 0, reason: 'internal-error', outcomes: { acked: 0, unknown: 0, notSent: 0 } },
        ])
        const [again, other] = await oneEach(scene, alice, bob)
        await scene.run(again.send(bob.id, number(2)))
        expect(numberOf(await scene.run(other.receive(alice.id)))).toBe(2)
        expect(bob.eventsOf('connection.lost').length).toBe(1)
      }),
  )

  it('a bug met while a frame is handled in a link that fails at each connection does not pass the peer: it is set aside with peer.errored, and comes back', () =>
    play({ on: 'memory' }, async (scene) => {
      const bob = await scene.start({ key: 0, peers: [1, 2], dials: [] })
      const alice = await scene.start({ key: 1, peers: [0], dials: [0] })
      const carol = await scene.start({ key: 2, peers: [0], dials: [0] })
      const [ofCarol, withCarol] = await oneEach(scene, carol, bob)
      await oneEach(scene, alice, bob)
      // The link's actor has a bug about this: it dies of it, six times.
      for (let time = 0; time < 6; time++)
        bob.tell(`peers/peer:${alice.id}/link:0`, { type: 'link.claimed', offer: null })
      await scene.until('the peer is errored', () => bob.eventsOf('peer.errored').length === 1)
      expect(bob.eventsOf('peer.errored')).toMatchObject([{ peer: alice.id }])
      await scene.run(ofCarol.send(bob.id, number(5)))
      expect(numberOf(await scene.run(withCarol.receive(carol.id)))).toBe(5)
      const [mine, theirs] = await oneEach(scene, alice, bob)
      await scene.run(mine.send(bob.id, number(6)))
      expect(numberOf(await scene.run(theirs.receive(alice.id)))).toBe(6)
    }))

  it('a bug met while a frame is handled in the actor of the peer, beyond its intensity, sets it aside with peer.errored, and it comes back at the cap of the back-off', () =>
    play({ on: 'memory', limits: { backoffMaxMs: 3000 } }, async (scene) => {
      const [alice, bob] = await scene.pair()
      await oneEach(scene, alice, bob)
      // An event without its request: the actor throws, and is restarted five times.
      for (let time = 0; time < 6; time++) bob.tell(`peers/peer:${alice.id}`, { type: 'link.open' })
      await scene.until('the peer is errored', () => bob.eventsOf('peer.errored').length === 1)
      expect(bob.eventsOf('peer.errored')).toMatchObject([{ peer: alice.id }])
      const setAsideAtMs = scene.clock.nowMs()
      const [mine, theirs] = await oneEach(scene, alice, bob)
      expect(scene.clock.nowMs() - setAsideAtMs).toBeGreaterThanOrEqual(2900)
      await scene.run(mine.send(bob.id, number(7)))
      expect(numberOf(await scene.run(theirs.receive(alice.id)))).toBe(7)
    }))

  it('a bug met while a frame is handled a network that is shut down while a peer is set aside leaves nothing', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      for (let time = 0; time < 6; time++) bob.tell(`peers/peer:${alice.id}`, { type: 'link.open' })
      await scene.until('the peer is errored', () => bob.eventsOf('peer.errored').length === 1)
    }))

  it('a bug met while a frame is handled in resuming a link ends the epoch instead of failing at each new connection', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [mine] = await oneEach(scene, alice, bob)
      const { retransmit: window } = alice.link(bob).epoch
      const { replayFrom } = window
      window.replayFrom = (received) => {
        if (window.heldFrames > 0) throw new TypeError('cannot read properties of undefined')
        return replayFrom.call(window, received)
      }
      const ended = mine.ended(bob.id)
      void mine.send(bob.id, number(1))
      alice.kill()
      expect(await scene.run(ended)).toMatchObject({
        code: 'ERR_LINK_RESET',
        reason: 'internal-error',
        outcomes: { acked: 0, unknown: 1 },
      })
      await oneEach(scene, alice, bob)
    }))

  it('a bug met while a frame is handled in taking the batch ends the epoch of the sender, whose values have outcomes', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [mine] = await oneEach(scene, alice, bob)
      const mend = breakLink(alice, bob, 'takeBatch')
      const ended = rejectionOf(mine.receive(bob.id))
      await scene.run(mine.send(bob.id, number(1)))
      expect(await scene.run(ended)).toMatchObject({
        code: 'ERR_LINK_RESET',
        reason: 'internal-error',
        outcomes: { acked: 0, unknown: 0, notSent: 1 },
      })
      mend()
      await oneEach(scene, alice, bob)
    }))
})

describe('a bug met while a hello is made or answered', () => {
  it('a bug met while a hello is made or answered costs its connection alone: no socket is left without an owner, and the next one comes up', () =>
    play({ on: 'memory' }, async (scene) => {
      const bug = (): never => {
        throw new TypeError('cannot read properties of undefined')
      }
      const dials = vi.spyOn(nativeDialect, 'createDialerHandshake').mockImplementationOnce(bug)
      const answers = vi.spyOn(NativeAcceptorHandshake.prototype, 'confirm').mockImplementationOnce(bug)
      try {
        const [alice, bob] = await scene.pair()
        const [mine, theirs] = await oneEach(scene, alice, bob)
        await scene.run(mine.send(bob.id, number(8)))
        expect(numberOf(await scene.run(theirs.receive(alice.id)))).toBe(8)
        expect([dials.mock.calls.length, answers.mock.calls.length].every((calls) => calls > 1)).toBe(true)
        await scene.until('no other socket is open', () => scene.openPipes === 2, 1000)
      } finally {
        vi.restoreAllMocks()
      }
    }))
})
