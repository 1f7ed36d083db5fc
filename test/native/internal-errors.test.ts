/**
 * Owns: what an internal error of this side costs in the native dialect: the frame that caused it is not sent again
 * forever, every value has its outcome, and a peer whose actors fail too often is suspended and retried.
 * Independent of: the rules of restarts (test/actors/statechart/children.test.ts).
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

/** Injects an error into `method` of the link's state at every call. @returns the function that removes it */
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

describe('an internal error while a frame is handled', () => {
  it.each(['onFrame', 'chunkBegins'] as const)(
    'an error in %s ends the epoch: the frame is not sent again, and new sessions work on both sides',
    (method) =>
      play({ on: 'memory' }, async (scene) => {
        const [alice, bob] = await scene.pair()
        const [mine, theirs] = await oneEach(scene, alice, bob)
        const restore = breakLink(bob, alice, method)
        const ended = rejectionOf(mine.receive(bob.id))
        await scene.run(mine.send(bob.id, number(1)))
        await scene.until('bob has lost the connection', () => bob.eventsOf('connection.lost').length === 1)
        expect(restore()).toBe(1)
        const error = (await scene.run(ended)) as Error
        expect(error).toBeInstanceOf(LinkResetError)
        expect((error as LinkResetError).outcomes).toMatchObject({ acked: 0, unknown: 1, notSent: 0 })
        expect(await scene.run(rejectionOf(theirs.receive(alice.id)))).toMatchObject({
          code: 'ERR_LINK_RESET',
          reason: 'internal-error',
        })
        expect(bob.eventsOf('link.reset')).toMatchObject([
          { peer: alice.id, linkIndex: 0, reason: 'internal-error', outcomes: { acked: 0, unknown: 0, notSent: 0 } },
        ])
        const [again, other] = await oneEach(scene, alice, bob)
        await scene.run(again.send(bob.id, number(2)))
        expect(numberOf(await scene.run(other.receive(alice.id)))).toBe(2)
        expect(bob.eventsOf('connection.lost').length).toBe(1)
      }),
  )

  it('a link that fails on each connection suspends its peer with peer.errored, and comes back later', () =>
    play({ on: 'memory' }, async (scene) => {
      const bob = await scene.start({ key: 0, peers: [1, 2], dials: [] })
      const alice = await scene.start({ key: 1, peers: [0], dials: [0] })
      const carol = await scene.start({ key: 2, peers: [0], dials: [0] })
      const [ofCarol, withCarol] = await oneEach(scene, carol, bob)
      await oneEach(scene, alice, bob)
      // The event makes the actor of the link throw, six times.
      for (let time = 0; time < 6; time++)
        bob.sendEvent(`peers/peer:${alice.id}/link:0`, { type: 'link.claimed', offer: null })
      await scene.until('the peer is errored', () => bob.eventsOf('peer.errored').length === 1)
      expect(bob.eventsOf('peer.errored')).toMatchObject([{ peer: alice.id }])
      await scene.run(ofCarol.send(bob.id, number(5)))
      expect(numberOf(await scene.run(withCarol.receive(carol.id)))).toBe(5)
      const [mine, theirs] = await oneEach(scene, alice, bob)
      await scene.run(mine.send(bob.id, number(6)))
      expect(numberOf(await scene.run(theirs.receive(alice.id)))).toBe(6)
    }))

  it('a peer actor that fails too often is suspended with peer.errored, and retried at the back-off cap', () =>
    play({ on: 'memory', limits: { backoffMaxMs: 3000 } }, async (scene) => {
      const [alice, bob] = await scene.pair()
      await oneEach(scene, alice, bob)
      // An event without its request: the actor throws, and is restarted five times.
      for (let time = 0; time < 6; time++) bob.sendEvent(`peers/peer:${alice.id}`, { type: 'link.open' })
      await scene.until('the peer is errored', () => bob.eventsOf('peer.errored').length === 1)
      expect(bob.eventsOf('peer.errored')).toMatchObject([{ peer: alice.id }])
      const setAsideAtMs = scene.clock.nowMs()
      const [mine, theirs] = await oneEach(scene, alice, bob)
      expect(scene.clock.nowMs() - setAsideAtMs).toBeGreaterThanOrEqual(2900)
      await scene.run(mine.send(bob.id, number(7)))
      expect(numberOf(await scene.run(theirs.receive(alice.id)))).toBe(7)
    }))

  it('shutdown while a peer is suspended leaves nothing open', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      for (let time = 0; time < 6; time++) bob.sendEvent(`peers/peer:${alice.id}`, { type: 'link.open' })
      await scene.until('the peer is errored', () => bob.eventsOf('peer.errored').length === 1)
    }))

  it('an error while a link resumes ends the epoch, and the next connection works', () =>
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

  it("an error while a write batch is taken ends the sender's epoch, and its values have outcomes", () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [mine] = await oneEach(scene, alice, bob)
      const restore = breakLink(alice, bob, 'takeBatch')
      const ended = rejectionOf(mine.receive(bob.id))
      await scene.run(mine.send(bob.id, number(1)))
      expect(await scene.run(ended)).toMatchObject({
        code: 'ERR_LINK_RESET',
        reason: 'internal-error',
        outcomes: { acked: 0, unknown: 0, notSent: 1 },
      })
      restore()
      await oneEach(scene, alice, bob)
    }))
})

describe('an internal error while a hello is made or answered', () => {
  it('an error while a hello is made or answered closes that connection only, and the next one opens', () =>
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
