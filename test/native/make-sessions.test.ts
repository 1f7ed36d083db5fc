/**
 * Owns: which calls of makeSessions find each other, whatever failed before, and what a call that is not answered says.
 * Independent of: what the sessions carry (network-sessions.test.ts), and of single frames (session-setup.test.ts).
 */
import { describe, expect, it } from 'vitest'
import type { MakeSessionsOptions, Session } from '../../index.ts'
import { keys, number, numberOf, play, rejectionOf } from '../support/native-scene.ts'
import type { Carrier, NativeMember, NativeScene } from '../support/native-scene.ts'

const carriers: Carrier[] = ['memory', 'tcp', 'tls']

async function three(scene: NativeScene, links = 1): Promise<[NativeMember, NativeMember, NativeMember]> {
  return [
    await scene.start({ key: 0, peers: [1, 2], dials: [], links }),
    await scene.start({ key: 1, peers: [0, 2], dials: [0], links }),
    await scene.start({ key: 2, peers: [0, 1], dials: [0, 1], links }),
  ]
}

/** Every session carries a value from each party to each other one, and has one id. */
async function expectWorking(scene: NativeScene, made: ReadonlyMap<NativeMember, readonly Session[]>): Promise<void> {
  const [first, ...others] = [...made.values()].map((sessions) => sessions.map(({ id }) => id))
  for (const other of others) expect(other).toEqual(first)
  for (const sessions of made.values())
    for (const session of sessions) await scene.run(session.broadcast(number(session.index)))
  for (const sessions of made.values())
    for (const session of sessions)
      for (const peer of session.peers) expect(numberOf(await scene.run(session.receive(peer)))).toBe(session.index)
}

async function makeAll(
  scene: NativeScene,
  members: readonly NativeMember[],
  options: MakeSessionsOptions,
): Promise<Map<NativeMember, Session[]>> {
  const made = members.map(async (member) => [member, await member.network.makeSessions(options)] as const)
  return new Map(await scene.run(Promise.all(made)))
}

describe('calls of makeSessions with names', () => {
  it.each(carriers)('calls with names find each other over %s, whatever their order at each side', (on) =>
    play({ on }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const names = ['', 'work', 'größer', 'x'.repeat(255)]
      const call = (member: NativeMember, order: readonly string[]): Promise<(readonly [string, Session[]])[]> =>
        Promise.all(order.map(async (name) => [name, await member.network.makeSessions({ count: 2, name })] as const))
      const [ofAlice, ofBob] = await scene.run(Promise.all([call(alice, names), call(bob, names.toReversed())]))
      const theirs = new Map(ofBob)
      for (const [name, mine] of ofAlice)
        await expectWorking(
          scene,
          new Map([
            [alice, mine],
            [bob, theirs.get(name)!],
          ]),
        )
    }),
  )

  it('calls of one name are paired in the order in which each side made them', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const call = (member: NativeMember): Promise<Session[][]> =>
        Promise.all(Array.from({ length: 5 }, () => member.network.makeSessions({ count: 1 })))
      const [ofAlice, ofBob] = await scene.run(Promise.all([call(alice), call(bob)]))
      for (const [place, mine] of ofAlice.entries())
        await expectWorking(
          scene,
          new Map([
            [alice, mine],
            [bob, ofBob[place]!],
          ]),
        )
    }))

  it('a call whose name no peer uses does not hold up calls of other names', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const abort = new AbortController()
      const lonely = rejectionOf(
        alice.network.makeSessions({ count: 1, name: 'lonely', timeoutMs: 10_000_000, signal: abort.signal }),
      )
      await expectWorking(scene, await makeAll(scene, [alice, bob], { count: 3, name: 'both' }))
      abort.abort()
      expect(await scene.run(lonely)).toMatchObject({ code: 'ERR_ABORTED' })
    }))

  it.each(carriers)('calls with different counts fail at both sides at once over %s, and name both counts', (on) =>
    play({ on, links: 2 }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const calls = [
        rejectionOf(alice.network.makeSessions({ count: 2, name: 'work', timeoutMs: 10_000_000 })),
        rejectionOf(bob.network.makeSessions({ count: 5, name: 'work', timeoutMs: 10_000_000 })),
      ]
      for (const error of await scene.run(Promise.all(calls))) {
        expect(error.code).toBe('ERR_SESSION_COUNTS')
        expect(error.message).toMatch(/2.*5|5.*2/)
        expect(error.message).toContain('work')
      }
      await expectWorking(scene, await makeAll(scene, [alice, bob], { count: 2, name: 'work' }))
    }),
  )
})

describe('a call of makeSessions after calls that failed', () => {
  it.each([
    ['one session', 1, 1],
    ['more sessions than links', 5, 2],
  ])('a call succeeds at both sides after calls that timed out at one side: %s', (_, count, links) =>
    play({ on: 'memory', links }, async (scene) => {
      const [alice, bob] = await scene.pair()
      for (const lonely of [alice, bob, alice, alice, bob, bob]) {
        const error = rejectionOf(lonely.network.makeSessions({ count, timeoutMs: 200 }))
        expect(await scene.run(error)).toMatchObject({ code: 'ERR_TIMED_OUT' })
        await expectWorking(scene, await makeAll(scene, [alice, bob], { count }))
      }
    }),
  )

  it('a call succeeds whatever moment an earlier call of either side was aborted at', () =>
    play({ on: 'memory', links: 2 }, async (scene) => {
      const [alice, bob] = await scene.pair()
      for (let delayMs = 0; delayMs < 12; delayMs++) {
        for (const [quitter, other] of [
          [alice, bob],
          [bob, alice],
        ] as const) {
          const abort = new AbortController()
          const first = quitter.network.makeSessions({ count: 3, signal: abort.signal }).then(
            (sessions) => sessions,
            () => null,
          )
          const theirs = other.network.makeSessions({ count: 3 })
          await scene.clock.advance(delayMs / 4)
          abort.abort()
          const mine = (await scene.run(first)) ?? (await scene.run(quitter.network.makeSessions({ count: 3 })))
          const made = new Map([
            [quitter, mine],
            [other, await scene.run(theirs)],
          ])
          await expectWorking(scene, made)
          for (const session of [...made.values()].flat()) session.close()
        }
      }
    }))

  it.each([0, 1])(
    'both sides have the same sessions by the sixth round after member %i of the pair restarted',
    (which) =>
      play({ on: 'memory' }, async (scene) => {
        const members = await scene.pair()
        await makeAll(scene, members, { count: 1 })
        const left = members[1 - which]!
        let waiting = left.network.makeSessions({ count: 1, timeoutMs: 20_000 })
        waiting.catch(() => {})
        await scene.clock.advance(100)
        await scene.crash(members[which]!)
        const again = await scene.start(members[which]!.plan)
        for (let round = 0; ; round++) {
          expect(round, 'rounds').toBeLessThan(6)
          if (round > 0) waiting = left.network.makeSessions({ count: 1, timeoutMs: 1500 })
          const theirs = again.network.makeSessions({ count: 1, timeoutMs: 1500 })
          const [mine, others] = await scene.run(Promise.allSettled([waiting, theirs]))
          if (mine.status === 'rejected' || others.status === 'rejected') continue
          await expectWorking(
            scene,
            new Map([
              [left, mine.value],
              [again, others.value],
            ]),
          )
          break
        }
      }),
  )

  it.each([0, 1])('a call that waits is paired with the first call of the process that replaces member %i', (which) =>
    play({ on: 'memory', links: 2 }, async (scene) => {
      const members = await scene.pair()
      await makeAll(scene, members, { count: 3 })
      const left = members[1 - which]!
      const waiting = left.network.makeSessions({ count: 3, timeoutMs: 10_000_000 })
      await scene.crash(members[which]!)
      const again = await scene.start(members[which]!.plan)
      const theirs = again.network.makeSessions({ count: 3, timeoutMs: 10_000_000 })
      await expectWorking(
        scene,
        new Map([
          [left, await scene.run(waiting)],
          [again, await scene.run(theirs)],
        ]),
      )
    }),
  )

  it('a call succeeds after one of several links has started over and the others have not', () =>
    play({ on: 'memory', links: 3 }, async (scene) => {
      const [alice, bob] = await scene.pair()
      await makeAll(scene, [alice, bob], { count: 7 })
      for (const link of [1, 0, 2]) {
        const opened = alice.eventsOf('connection.opened').length
        alice.sendEvent(`peers/peer:${bob.id}/link:${link}`, { type: 'pump.failed', cause: brokenProtocol })
        await scene.until('the link is back', () => alice.eventsOf('connection.opened').length > opened)
        expect(alice.eventsOf('link.reset').at(-1)).toMatchObject({ linkIndex: link })
        await expectWorking(scene, await makeAll(scene, [alice, bob], { count: 7 }))
      }
    }))
})

const brokenProtocol = { code: 'ERR_FLOOD', message: 'made up by this test' }

describe('a call of makeSessions of three parties', () => {
  it('three parties that keep calling agree on one set, although each of them gives up calls', () =>
    play({ on: 'memory', links: 2 }, async (scene) => {
      const members = await three(scene, 2)
      const pick = (max: number): number => Math.floor(scene.random.fraction() * max)
      for (let round = 0; round < 30; round++) {
        const made = members.map(async (member) => {
          for (let tries = pick(3); tries > 0; tries--) {
            const abort = new AbortController()
            scene.clock.setTimeout(() => abort.abort(), pick(5))
            const sessions = await member.network.makeSessions({ count: 2, signal: abort.signal }).catch(() => null)
            if (sessions !== null) return [member, sessions] as const
          }
          return [member, await member.network.makeSessions({ count: 2 })] as const
        })
        const sessions = new Map(await scene.run(Promise.all(made)))
        await expectWorking(scene, sessions)
        for (const session of [...sessions.values()].flat()) session.close()
      }
    }))

  it('two parties do not get sessions while the third has not called', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob, carol] = await three(scene)
      let done = 0
      const made = [alice, bob].map(async ({ network }) => {
        const sessions = await network.makeSessions({ count: 1 })
        done++
        return sessions
      })
      await scene.clock.advance(5_000)
      expect(done).toBe(0)
      const [ofCarol, ofAlice, ofBob] = await scene.run(
        Promise.all([carol.network.makeSessions({ count: 1 }), ...made]),
      )
      await expectWorking(
        scene,
        new Map([
          [alice, ofAlice!],
          [bob, ofBob!],
          [carol, ofCarol],
        ]),
      )
    }))
})

describe('a call of makeSessions that times out', () => {
  const timesOut = async (scene: NativeScene, member: NativeMember, name?: string): Promise<string> => {
    const options = { count: 4, timeoutMs: 5_000, ...(name === undefined ? {} : { name }) }
    const error = await scene.run(rejectionOf(member.network.makeSessions(options)))
    expect(error.code).toBe('ERR_TIMED_OUT')
    return error.message
  }

  it('a call that times out names the peer that is not connected', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      expect(await timesOut(scene, alice)).toContain(`no connection with ${keys[1]?.id}`)
    }))

  it('a call that times out names the peers that have not called', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob, carol] = await three(scene)
      const ofBob = rejectionOf(bob.network.makeSessions({ count: 4, name: 'work', timeoutMs: 20_000 }))
      const message = await timesOut(scene, alice, 'work')
      expect(message).toContain(`${carol.id} has not called makeSessions named "work" yet`)
      expect(message).not.toContain(bob.id)
      await scene.run(ofBob)
    }))

  it('a call that times out names the peer with which an earlier call of the name has not ended', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const earlier = rejectionOf(alice.network.makeSessions({ count: 4, timeoutMs: 20_000 }))
      expect(await timesOut(scene, alice)).toContain(`an earlier call with ${bob.id} has not ended`)
      await scene.run(earlier)
    }))

  it('a call that times out because the parties name different peers says so, and has not tried all the time', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob, carol] = await three(scene)
      const others = [
        rejectionOf(bob.network.makeSessions({ count: 4, peers: [alice.id], timeoutMs: 20_000 })),
        rejectionOf(carol.network.makeSessions({ count: 4, peers: [alice.id], timeoutMs: 20_000 })),
      ]
      const message = await timesOut(scene, alice)
      expect(message).toContain('the parties do not name the same peers')
      for (const { id } of [bob, carol]) expect(message).toContain(`${id} was paired with this call and withdrew`)
      expect(alice.link(bob).epoch.received).toBeLessThan(200)
      await scene.run(Promise.all(others))
    }))

  it('a call that times out while all peers are paired says that one of them waits for another party', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob, carol] = await three(scene)
      const others = [
        rejectionOf(bob.network.makeSessions({ count: 4, peers: [alice.id, carol.id], timeoutMs: 20_000 })),
        rejectionOf(carol.network.makeSessions({ count: 4, peers: [alice.id], timeoutMs: 20_000 })),
      ]
      const error = rejectionOf(alice.network.makeSessions({ count: 4, peers: [bob.id], timeoutMs: 5_000 }))
      const { message } = await scene.run(error)
      expect(message).toContain(`paired with ${bob.id}`)
      await scene.run(Promise.all(others))
    }))
})
