/**
 * Owns: that native sessions are made, carry values both ways, and end; over every carrier.
 * Independent of: broken sockets; which calls find each other (make-sessions.test.ts).
 */
import { describe, expect, it } from 'vitest'
import { number, numberOf, play, rejectionOf } from '../support/native-scene.ts'
import type { Carrier } from '../support/native-scene.ts'

const carriers: Carrier[] = ['memory', 'tcp', 'tls']

describe.each(carriers)('native sessions over %s', (on) => {
  it('native sessions are made without a value, with ids that are the same at both sides and at no other session', () =>
    play({ on }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [ofAlice, ofBob] = await scene.sessions([alice, bob], 3)
      const [more] = await scene.sessions([alice, bob], 1)
      const ids = ofAlice?.map(({ id }) => id)
      expect(ids).toEqual([0, 1, 2].map((index) => expect.stringMatching(`^[0-9a-f]{16}[.]${index}$`) as string))
      expect(ofBob?.map(({ id }) => id)).toEqual(ids)
      expect(new Set([...ids!, ...more!.map(({ id }) => id)]).size).toBe(4)
      expect([alice.link(bob).counters.valuesSent, bob.link(alice).counters.valuesSent]).toEqual([0, 0])
    }))

  it('native sessions carry values both ways, each lane in order', () =>
    play({ on }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [ofAlice, ofBob] = await scene.sessions([alice, bob], 2)
      for (const [index, session] of (ofAlice ?? []).entries()) {
        const other = ofBob?.[index]
        for (let value = 0; value < 5; value++) {
          await scene.run(session.send(bob.id, number(value)))
          await scene.run(other!.send(alice.id, number(100 + value)))
        }
        for (let value = 0; value < 5; value++) {
          expect(numberOf(await scene.run(other!.receive(alice.id)))).toBe(value)
          expect(numberOf(await scene.run(session.receive(bob.id)))).toBe(100 + value)
        }
      }
    }))

  it('sessions of three parties on two links each have the same ids at all parties', () =>
    play({ on, links: 2 }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1, 2], dials: [] })
      const bob = await scene.start({ key: 1, peers: [0, 2], dials: [0] })
      const carol = await scene.start({ key: 2, peers: [0, 1], dials: [0, 1] })
      const all = [alice, bob, carol]
      for (let round = 0; round < 2; round++) {
        const made = await scene.sessions(all, 3)
        const [ids, ...others] = made.map((sessions) => sessions.map(({ id }) => id))
        expect(others).toEqual([ids, ids])
        for (const [place, sessions] of made.entries())
          for (const [index, session] of sessions.entries())
            await scene.run(session.broadcast(number(10 * place + index)))
        for (const [place, sessions] of made.entries()) {
          for (const [index, session] of sessions.entries()) {
            for (const [other, { id }] of all.entries())
              if (other !== place) expect(numberOf(await scene.run(session.receive(id)))).toBe(10 * other + index)
          }
        }
      }
    }))

  it.each([
    ['dialer', 1, 2],
    ['acceptor', 2, 1],
  ])('native sessions use the lesser number of links when the %s has more', (_, ofAlice, ofBob) =>
    play({ on }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [], links: ofAlice })
      const bob = await scene.start({ key: 1, peers: [0], dials: [0], links: ofBob })
      for (let round = 0; round < 2; round++) {
        const [mine, theirs] = await scene.sessions([alice, bob], 3)
        for (const [index, session] of mine!.entries()) {
          await scene.run(session.send(bob.id, number(index)))
          expect(numberOf(await scene.run(theirs![index]!.receive(alice.id)))).toBe(index)
        }
      }
      expect(
        [alice, bob].map((member) => [
          member.eventsOf('connection.opened').length,
          member.eventsOf('connection.failed').length,
          member.eventsOf('connection.rejected').length,
        ]),
      ).toEqual([
        [1, 0, 0],
        [1, 0, 0],
      ])
    }),
  )

  it('a session closed by one side ends on the other, with earlier values still readable', () =>
    play({ on }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [[mine], [theirs]] = (await scene.sessions([alice, bob], 1)) as [
        [import('../../index.ts').Session],
        [import('../../index.ts').Session],
      ]
      await scene.run(mine.send(bob.id, number(7)))
      mine.close()
      expect(numberOf(await scene.run(theirs.receive(alice.id)))).toBe(7)
      expect(await scene.run(rejectionOf(theirs.receive(alice.id)))).toMatchObject({ code: 'ERR_SESSION_RESET' })
      expect(await scene.run(rejectionOf(theirs.send(alice.id, number(1))))).toMatchObject({
        code: 'ERR_SESSION_RESET',
      })
    }))

  it('flush resolves when the peer has received everything', () =>
    play({ on }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [[mine], [theirs]] = (await scene.sessions([alice, bob], 1)) as [
        [import('../../index.ts').Session],
        [import('../../index.ts').Session],
      ]
      for (let value = 0; value < 100; value++) void mine.send(bob.id, number(value))
      await scene.run(mine.flush())
      expect(theirs.unread(alice.id)).toBe(100)
      expect(alice.link(bob).epoch.retransmit.heldFrames).toBe(0)
      await scene.run(mine.flush())
    }))
})

describe('a native session', () => {
  it('a native session converted to a string shows its id and its peer', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [ofAlice] = await scene.sessions([alice, bob], 2)
      expect(ofAlice?.map(String)).toEqual(ofAlice?.map(({ id }) => `session ${id} with ${bob.id}`))
    }))
})

describe('a peer that connects again', () => {
  it.each([
    ['fewer', 2, 1],
    ['more', 1, 2],
  ])('a peer that connects again with %s links uses as many as both sides have', (_, before, after) =>
    play({ on: 'memory', limits: { resumeTimeoutMs: 60_000 } }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [1], links: 2 })
      let bob = await scene.start({ key: 1, peers: [0], dials: [0], links: before })
      const [first] = await scene.sessions([alice, bob], 2)
      const ends = first!.map((session) => session.ended(bob.id))
      await scene.crash(bob)
      const startedAtMs = scene.clock.nowMs()
      bob = await scene.start({ key: 1, peers: [0], dials: [0], links: after })
      expect((await scene.run(Promise.all(ends))).map((error) => (error as { code?: string }).code)).toEqual([
        'ERR_LINK_RESET',
        'ERR_LINK_RESET',
      ])
      const [mine, theirs] = await scene.sessions([alice, bob], 3)
      expect(scene.clock.nowMs() - startedAtMs).toBeLessThan(10_000)
      for (const [index, session] of mine!.entries()) {
        await scene.run(session.send(bob.id, number(index)))
        expect(numberOf(await scene.run(theirs![index]!.receive(alice.id)))).toBe(index)
      }
      expect([0, 1].map((link) => alice.link(bob, link).laneCount)).toEqual(after === 1 ? [3, 0] : [2, 1])
    }),
  )
})
