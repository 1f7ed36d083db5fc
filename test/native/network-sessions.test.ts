/**
 * Owns: that native sessions are made by Credit alone, carry values both ways, and end; over every carrier. Independent
 * of: broken sockets.
 */
import { describe, expect, it } from 'vitest'
import type { Session } from '../../index.ts'
import { keys, number, numberOf, play, rejectionOf } from '../support/native-scene.ts'
import type { Carrier } from '../support/native-scene.ts'

const carriers: Carrier[] = ['memory', 'tcp', 'tls']

describe.each(carriers)('native sessions over %s', (on) => {
  it('native sessions are made by Credit alone, without a validation value', () =>
    play({ on }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [ofAlice, ofBob] = await scene.sessions([alice, bob], 3)
      expect(ofAlice?.map(({ id }) => id)).toEqual([0, 1, 2])
      expect(ofBob?.map(({ id }) => id)).toEqual([0, 1, 2])
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

  it('session groups of three parties on two links each have the same ids everywhere, in sequence', () =>
    play({ on, links: 2 }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1, 2], dials: [] })
      const bob = await scene.start({ key: 1, peers: [0, 2], dials: [0] })
      const carol = await scene.start({ key: 2, peers: [0, 1], dials: [0, 1] })
      const all = [alice, bob, carol]
      for (const first of [0, 3]) {
        const made = await scene.sessions(all, 3)
        expect(made.map((sessions) => sessions.map(({ id }) => id))).toEqual(
          [0, 1, 2].map(() => [first, first + 1, first + 2]),
        )
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
  it('a native session converted to a string shows its number and its peer', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [ofAlice] = await scene.sessions([alice, bob], 2)
      expect(ofAlice?.map(String)).toEqual([`session 0 with ${bob.id}`, `session 1 with ${bob.id}`])
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

describe('a native makeSessions that a peer does not answer', () => {
  it('makeSessions times out when a peer does not answer, and reports how many sessions each peer made', () =>
    play({ on: 'memory', limits: { makeSessionsTimeoutMs: 5_000 } }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1, 2], dials: [] })
      const bob = await scene.start({ key: 1, peers: [0], dials: [0] })
      const carol = await scene.start({ key: 2, peers: [0], dials: [0] })
      const made = rejectionOf(alice.network.makeSessions({ count: 4 }))
      const ofBob = rejectionOf(bob.network.makeSessions({ count: 2 }))
      await scene.until('carol is connected', () => carol.eventsOf('connection.opened').length > 0)
      const error = await scene.run(made)
      expect(error).toMatchObject({ code: 'ERR_TIMED_OUT' })
      expect(error.message).toContain(`${bob.id} has made 2, ${carol.id} has made 0`)
      await scene.run(ofBob.catch(() => {}))
    }))

  it.each([
    ['one', 1, 1],
    ['more sessions than links', 5, 2],
  ])('makeSessions succeeds on both sides after earlier calls timed out on one side: %s', (_, count, links) =>
    play({ on: 'memory', links }, async (scene) => {
      const [alice, bob] = await scene.pair()
      for (const [lonely, timeoutMs] of [
        [alice, 300],
        [bob, 200],
        [alice, 100],
      ] as const) {
        expect(await scene.run(rejectionOf(lonely.network.makeSessions({ count, timeoutMs })))).toMatchObject({
          code: 'ERR_TIMED_OUT',
        })
        await scene.clock.advance(50)
        const [ofAlice, ofBob] = await scene.sessions([alice, bob], count)
        expect(ofAlice?.map(({ id }) => id)).toEqual(ofBob?.map(({ id }) => id))
        await scene.run(ofAlice![count - 1]!.send(bob.id, number(timeoutMs)))
        expect(numberOf(await scene.run(ofBob![count - 1]!.receive(alice.id)))).toBe(timeoutMs)
      }
    }),
  )

  it.each(carriers)(
    'makeSessions succeeds over %s after a few tries when both sides keep retrying after failures',
    (on) =>
      play({ on }, async (scene) => {
        const [alice, bob] = await scene.pair()
        for (const session of (await scene.sessions([alice, bob], 1)).flat()) session.close()
        const tries = new Map([
          [alice, 0],
          [bob, 0],
        ])
        const persist = async (member: typeof alice): Promise<Session[]> => {
          for (;;) {
            tries.set(member, tries.get(member)! + 1)
            if (tries.get(member)! > 20) throw new Error('they do not agree')
            try {
              return await member.network.makeSessions({ count: 4, timeoutMs: 2_000 })
            } catch {}
          }
        }
        const giveUp = new AbortController()
        const lonely = rejectionOf(alice.network.makeSessions({ count: 1, signal: giveUp.signal }))
        await scene.until('alice has announced it', () => alice.link(bob).laneCount === 1)
        giveUp.abort()
        const [ofAlice, ofBob] = await scene.run(Promise.all([persist(alice), persist(bob), lonely]))
        expect(ofAlice.map(({ id }) => id)).toEqual(ofBob.map(({ id }) => id))
      }),
  )

  it('makeSessions times out and names the peer that is not connected', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const error = await scene.run(rejectionOf(alice.network.makeSessions({ count: 1, timeoutMs: 100 })))
      expect(error.message).toContain(`no connection with ${keys[1]?.id}`)
    }))
})
