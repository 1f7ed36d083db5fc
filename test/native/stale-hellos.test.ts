/**
 * Owns: what stale hellos lead to between whole networks: a clock that went back, and two processes with one key.
 * Independent of: which hellos are stale (peer-processes.test.ts).
 */
import { describe, expect, it } from 'vitest'
import type { Session } from '../../index.ts'
import { keys, number, numberOf, play } from '../support/native-scene.ts'
import type { Carrier, NativeMember, NativeScene } from '../support/native-scene.ts'

const hourMs = 3_600_000
/** So long that a test with one wait in it would not end. */
const longBackoff = { backoffMinMs: 10 * hourMs, backoffMaxMs: 10 * hourMs }

async function passValue(scene: NativeScene, from: NativeMember, to: NativeMember, value: number): Promise<void> {
  const [[sender], [receiver]] = (await scene.sessions([from, to], 1)) as [[Session], [Session]]
  await scene.run(sender.send(to.id, number(value)))
  expect(numberOf(await scene.run(receiver.receive(from.id)))).toBe(value)
}

/** The process ends: abruptly in memory, in order over sockets. */
async function end(scene: NativeScene, member: NativeMember): Promise<void> {
  if (scene.isVirtual) return scene.crash(member)
  await member.network.shutdown()
  scene.members.delete(member)
}

describe('a process whose clock went back an hour', () => {
  it.each<[Carrier, number]>([
    ['memory', 1],
    ['memory', 3],
    ['tcp', 1],
    ['tls', 2],
  ])('is connected again with its second dial, without a wait, over %s with %s links', (on, links) =>
    play({ on, links }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const before = await scene.start({ key: 1, peers: [0], dials: [0] })
      await passValue(scene, before, alice, 1)
      await end(scene, before)
      const after = await scene.start({ key: 1, peers: [0], dials: [0], wallAheadMs: -hourMs, limits: longBackoff })
      await passValue(scene, after, alice, 2)
      expect(after.eventsOf('connection.failed')).toMatchObject([{ linkIndex: 0 }])
      expect(after.eventsOf('clock.behind')).toEqual([{ type: 'clock.behind', peer: alice.id }])
      expect(after.eventsOf('peer.duplicate')).toEqual([])
    }),
  )

  it('is connected at once when its peer dials it, because an answer is never stale', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [1] })
      const before = await scene.start({ key: 1, peers: [0], dials: [] })
      await passValue(scene, before, alice, 1)
      await scene.crash(before)
      const after = await scene.start({ key: 1, peers: [0], dials: [], wallAheadMs: -hourMs })
      await passValue(scene, after, alice, 2)
      expect(after.eventsOf('clock.behind')).toEqual([])
      expect(alice.eventsOf('peer.duplicate')).toEqual([])
    }))
})

describe('two living processes with one key', () => {
  const newer = { key: 1, peers: [0], dials: [0] }
  const older = { ...newer, listensAs: 2, wallAheadMs: -hourMs, limits: { backoffMaxMs: hourMs / 10 } }

  it('do not fight: the newer one stays connected, and the older one gets peer.duplicate and stays out', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const first = await scene.start(newer)
      await passValue(scene, first, alice, 1)
      const second = await scene.start(older)
      await scene.clock.advance(hourMs)
      await passValue(scene, first, alice, 2)
      expect(first.eventsOf('connection.lost')).toEqual([])
      expect(second.eventsOf('connection.opened')).toEqual([])
      expect(second.eventsOf('clock.behind')).toEqual([])
      expect(second.eventsOf('peer.duplicate').length).toBeGreaterThan(1)
    }))

  it('end up with the newer one connected if the older one was first', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const first = await scene.start(older)
      await passValue(scene, first, alice, 1)
      const second = await scene.start(newer)
      await passValue(scene, second, alice, 2)
      await scene.clock.advance(hourMs)
      expect(second.eventsOf('connection.lost')).toEqual([])
      expect(first.eventsOf('connection.opened')).toHaveLength(1)
      expect(first.eventsOf('peer.duplicate').length).toBeGreaterThan(1)
    }))

  it('let the older one in once the connection of the newer one is suspect, before it is dead', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const first = await scene.start(newer)
      await passValue(scene, first, alice, 1)
      for (const pipe of first.faults.pipes) pipe.fallSilent()
      const second = await scene.start({ ...older, limits: { backoffMaxMs: 1000 } })
      await scene.until('it is connected', () => second.eventsOf('connection.opened').length > 0)
      expect(second.eventsOf('peer.duplicate').length).toBeGreaterThan(0)
      expect(alice.eventsOf('peer.suspect')).toHaveLength(1)
      expect(alice.eventsOf('connection.lost')).toMatchObject([{ cause: { code: 'ERR_CONNECTION_LOST' } }])
    }))

  it('let the older one in once the newer one is gone, with its next dial at the cap of the back-off', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const first = await scene.start(newer)
      await passValue(scene, first, alice, 1)
      const second = await scene.start({ ...older, limits: { backoffMaxMs: 1000 } })
      await scene.until('it is refused', () => second.eventsOf('peer.duplicate').length > 0)
      await scene.crash(first)
      await passValue(scene, second, alice, 2)
      expect(second.eventsOf('clock.behind')).toHaveLength(1)
    }))
})

describe('a refusal as stale', () => {
  it.each([
    ['1, below the own boot id', 1n],
    ['2^53 - 1, which leaves no next one', 2n ** 53n - 1n],
  ])('raises no event and changes nothing if its boot id is %s', (_, staleBootId) =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const { epoch } = alice.link(keys[1] as Pick<NativeMember, 'id'> as NativeMember)
      const hellos: bigint[] = []
      let refusals = 3
      const check = epoch.checkInbound.bind(epoch)
      epoch.checkInbound = (hello) => {
        hellos.push(hello.bootId)
        return refusals-- > 0 ? { name: 'stale', message: 'for this test', staleBootId } : check(hello)
      }
      const bob = await scene.start({ key: 1, peers: [0], dials: [0] })
      await passValue(scene, bob, alice, 1)
      expect(new Set(hellos).size).toBe(1)
      expect([...bob.eventsOf('peer.duplicate'), ...bob.eventsOf('clock.behind')]).toEqual([])
    }),
  )
})
