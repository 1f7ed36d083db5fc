/**
 * Owns: what is left open, and the order in which links are closed, when sessions, peers and networks end in an orderly
 * way: actors, listening handles, and the time that a peer has to reconnect.
 * Independent of: the counts of a drain (drain.test.ts).
 */
import { removePeer } from '../support/remove-peer.ts'
import { describe, expect, it } from 'vitest'
import { createNetwork, Identity } from '../../index.ts'
import type { Session } from '../../index.ts'
import { number, numberOf, play } from '../support/native-scene.ts'
import type { Carrier, NativeMember, NativeScene } from '../support/native-scene.ts'

const carriers: Carrier[] = ['memory', 'tls']

const actorsOf = ({ network }: NativeMember): number => network.resources.actors

async function trio(scene: NativeScene): Promise<[NativeMember, NativeMember, NativeMember]> {
  return [
    await scene.start({ key: 0, peers: [1, 2], dials: [] }),
    await scene.start({ key: 1, peers: [0, 2], dials: [0] }),
    await scene.start({ key: 2, peers: [0, 1], dials: [0, 1] }),
  ]
}

describe('the actors of sessions', () => {
  it.each(carriers)(
    'session actors stop over %s once the peer has closed the sessions, and earlier values can still be read',
    (on) =>
      play({ on }, async (scene) => {
        const [alice, bob] = await scene.pair()
        await scene.sessions([alice, bob], 1)
        const before = actorsOf(alice)
        const [own, other] = (await scene.sessions([alice, bob], 3)) as [Session[], Session[]]
        expect(actorsOf(alice)).toBe(before + 1)
        for (const [index, session] of other.entries()) await scene.run(session.send(alice.id, number(index)))
        for (const session of other) session.close()
        await scene.until('the actor has ended', () => actorsOf(alice) === before)
        expect(alice.eventsOf('sessions.closed')).toMatchObject([{ cause: { code: 'ERR_SESSION_RESET' } }])
        for (const [index, session] of own.entries()) {
          expect(numberOf(await scene.run(session.receive(bob.id)))).toBe(index)
          session.close()
        }
        expect(alice.eventsOf('sessions.failed')).toEqual([])
      }),
  )

  it('session actors keep running while one session, or one of its peers, is left', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob, carol] = await trio(scene)
      const [own, ofBob, ofCarol] = (await scene.sessions([alice, bob, carol], 2)) as [Session[], Session[], Session[]]
      const before = actorsOf(alice)
      for (const session of ofBob) session.close()
      ofCarol[0]?.close()
      await scene.run(Promise.all([own[0]?.ended(carol.id), own[1]?.ended(bob.id)]))
      expect(actorsOf(alice)).toBe(before)
      ofCarol[1]?.close()
      await scene.until('the actor has ended', () => actorsOf(alice) === before - 1)
    }))

  it('session actors stop after the link was reset', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const before = actorsOf(alice)
      await scene.sessions([alice, bob], 2)
      await scene.crash(bob)
      await scene.start({ key: 1, peers: [0], dials: [0] })
      await scene.until('the link was reset', () => alice.eventsOf('link.reset').length === 1)
      await scene.until('the actor has ended', () => alice.eventsOf('sessions.closed').length === 1)
      expect(actorsOf(alice)).toBeLessThanOrEqual(before)
      expect(alice.eventsOf('sessions.closed')).toMatchObject([{ cause: { code: 'ERR_LINK_RESET' } }])
    }))

  it('session actors stop when a listener makes new sessions as soon as the old ones have ended', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [, other] = (await scene.sessions([alice, bob], 2)) as [Session[], Session[]]
      const made: Promise<Session[]>[] = []
      alice.network.on('sessions.closed', () => {
        if (made.length === 0) made.push(alice.network.makeSessions({ count: 1 }))
      })
      for (const session of other) session.close()
      const [there] = (await scene.run(bob.network.makeSessions({ count: 1 }))) as [Session]
      await scene.until('alice has asked', () => made.length === 1)
      const [mine] = (await scene.run(made[0] as Promise<Session[]>)) as [Session]
      await scene.run(there.send(alice.id, number(4)))
      expect(numberOf(await scene.run(mine.receive(bob.id)))).toBe(4)
    }))
})

describe('disconnecting from a peer whose link is down', () => {
  const ways: [string, (member: NativeMember, peer: NativeMember) => Promise<unknown>][] = [
    ['drain', (member, peer) => removePeer(member.network, peer.id)],
    ['shutdown', (member) => member.network.shutdown()],
  ]
  // A dialer then waits at most a quarter of a second, whatever its back-off was before.
  const backAfterMs = [3_500, 4_400]

  it.each(ways.flatMap(([name, leave]) => backAfterMs.map((ms) => [name, ms, leave] as const)))(
    'a link that is down has nearly all of the 5 s of %s to reconnect, and does at %i ms',
    (_, ms, leave) =>
      play({ on: 'memory', limits: { backoffMinMs: 1_000, backoffMaxMs: 30_000 } }, async (scene) => {
        const [alice, bob] = await scene.pair()
        const [[theirs], [mine]] = (await scene.sessions([alice, bob], 1)) as [[Session], [Session]]
        bob.faults.isDown = true
        bob.kill()
        for (let value = 0; value < 5; value++) expect(mine.trySend(alice.id, number(value))).toBe(true)
        // Its back-off has grown.
        await scene.clock.advance(60_000)
        const left = leave(bob, alice)
        await scene.clock.advance(ms)
        bob.faults.isDown = false
        await scene.run(left)
        for (let value = 0; value < 5; value++) expect(numberOf(await scene.run(theirs.receive(bob.id)))).toBe(value)
        expect(alice.eventsOf('link.reset')).toMatchObject([{ reason: 'goodbye' }])
        expect(await scene.run(mine.ended(alice.id))).toMatchObject({
          code: expect.stringMatching(/ERR_PEER_DRAINED|ERR_NETWORK_STOPPED/) as string,
        })
      }),
  )

  it('a link that is down does not delay the Goodbye to other peers', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob, carol] = await trio(scene)
      const [[mine]] = (await scene.sessions([alice, bob, carol], 1)) as [[Session]]
      await bob.faults.die()
      expect(mine.trySend(bob.id, number(1))).toBe(true)
      let isOver = false
      const stopped = alice.network.shutdown().then(() => (isOver = true))
      await scene.until('carol got the Goodbye', () =>
        carol.eventsOf('link.reset').some(({ peer }) => peer === alice.id),
      )
      expect(isOver).toBe(false)
      await scene.run(stopped)
      await scene.run(bob.network.shutdown())
    }))
})

describe('disconnecting from a peer with several links', () => {
  it.each(['drain', 'shutdown'] as const)(
    'disconnecting from a peer with several links sends Goodbye on link 0 last, by %s',
    (way) =>
      play({ on: 'memory', links: 3 }, async (scene) => {
        const [alice, bob] = await scene.pair()
        await scene.sessions([alice, bob], 3)
        await scene.run<unknown>(way === 'drain' ? removePeer(alice.network, bob.id) : alice.network.shutdown())
        await scene.until('all links are down', () => bob.eventsOf('connection.lost').length === 3)
        const order = bob.eventsOf('link.reset').map(({ linkIndex }) => linkIndex)
        expect(order).toHaveLength(3)
        expect(order.at(-1)).toBe(0)
      }),
  )

  it('disconnecting from a peer sends Goodbye on link 0 even if another link does not answer', () =>
    play({ on: 'memory', links: 2 }, async (scene) => {
      const [alice, bob] = await scene.pair()
      await scene.sessions([alice, bob], 2)
      // The newest pipe belongs to link 1.
      ;[...bob.faults.pipes].at(-1)?.fallSilent()
      await scene.run(alice.network.shutdown())
      expect(bob.eventsOf('link.reset').filter(({ linkIndex }) => linkIndex === 0)).toMatchObject([
        { reason: 'goodbye' },
      ])
    }))
})

describe('a listening handle', () => {
  it('a listening handle is closed when shutdown resolves that was called after the network had stopped', async () => {
    const network = createNetwork({
      identity: Identity.generate(),
      listen: 'tls://127.0.0.1:0',
      peers: [{ id: Identity.generate().id }],
    })
    await network.ready()
    const handles = new Promise<number>((resolve) => {
      network.on('network.stopped', () => void network.shutdown().then(() => resolve(network.resources.handles)))
    })
    network.ref.send({ type: 'network.shutdown' })
    expect(await handles).toBe(0)
  })

  const listenAt: ['tls' | 'tcp', string][] = [
    ['tls', 'tls://127.0.0.1:0'],
    ['tls', 'tls://localhost:0'],
    ['tcp', 'tcp://127.0.0.1:0'],
    ['tcp', 'tcp://localhost:0'],
  ]
  const openTcp = (): string[] => process.getActiveResourcesInfo().filter((name) => /TCP|TLS/.test(name))

  it.each(listenAt)(
    'a listening handle over %s at %s is closed when shutdown resolves, however early it is called',
    async (security, listen) => {
      const before = openTcp()
      for (let ticks = 0; ticks < 12; ticks++) {
        const network = createNetwork({
          identity: Identity.generate(),
          listen,
          peers: [{ id: Identity.generate().id }],
          security: security === 'tls' ? 'tls' : 'plaintext',
        })
        for (let tick = 0; tick < ticks; tick++) await (tick % 2 === 0 ? Promise.resolve() : new Promise(setImmediate))
        if (ticks === 11) await network.ready()
        await network.shutdown()
        expect(openTcp(), `after ${ticks} ticks`).toEqual(before)
        expect(network.resources.handles).toBe(0)
      }
    },
  )
})
