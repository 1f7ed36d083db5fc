/**
 * Owns: peers that are connected on demand: what connects them, and when they are disconnected again.
 * Independent of: what travels.
 */
import { describe, expect, it } from 'vitest'
import { play } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'

const idleTimeoutMs = 5_000

interface Plan {
  readonly ofAlice?: 'on-demand' | 'always'
  readonly ofBob?: 'on-demand' | 'always'
}

/** Bob may dial Alice. Each has the other as a peer of this kind. */
async function start(
  scene: NativeScene,
  { ofAlice = 'on-demand', ofBob = 'on-demand' }: Plan = {},
): Promise<[NativeMember, NativeMember]> {
  const alice = await scene.start({ key: 0, peers: [1], dials: [], connect: ofAlice })
  const bob = await scene.start({ key: 1, peers: [0], dials: [0], connect: ofBob })
  return [alice, bob]
}

const options = { on: 'memory', limits: { idleTimeoutMs } } as const
const isConnected = (member: NativeMember, other: NativeMember): boolean =>
  member.network.peer(other.id)?.state === 'connected'

describe('a peer that is connected on demand', () => {
  it('is not dialled before it is used, and disconnected after a while without use, with a reason', () =>
    play(options, async (scene) => {
      const [alice, bob] = await start(scene)
      await scene.clock.advance(60_000)
      expect(bob.eventsOf('dial.scheduled')).toEqual([])
      expect(bob.network.peer(alice.id)?.state).toBe('idle')
      const received: string[] = []
      alice.network.onMessage('', ({ bytes }) => void received.push(bytes.toString()))
      await scene.run(bob.network.send(alice.id, 'hello'))
      await scene.until('the message', () => received.length === 1)
      await scene.clock.advance(idleTimeoutMs - 1_000)
      expect(isConnected(bob, alice)).toBe(true)
      await scene.until('the disconnect', () => bob.eventsOf('peer.disconnected').length === 1, 3 * idleTimeoutMs)
      expect(bob.eventsOf('peer.disconnected')).toMatchObject([{ reason: 'goodbye', by: 'self', willRetry: false }])
      expect(bob.network.peer(alice.id)?.state).toBe('idle')
      await scene.clock.advance(60_000)
      expect([isConnected(bob, alice), isConnected(alice, bob)]).toEqual([false, false])
      expect(bob.eventsOf('peer.connected').length).toBe(1)
    }))

  it('is connected again by the next message, request, stream or session', () =>
    play(options, async (scene) => {
      const [alice, bob] = await start(scene)
      alice.network.onMessage('', () => {})
      alice.network.onRequest('', () => 'answer')
      alice.network.enable('ping')
      let connects = 0
      const uses: (() => Promise<unknown>)[] = [
        () => bob.network.send(alice.id, 'x'),
        () => bob.network.request(alice.id, 'x'),
        () => bob.network.ping(alice.id, { count: 1 }),
        async () => {
          const both = [alice, bob].map(({ network }) => network.makeSessions({ count: 1 }))
          for (const [session] of await Promise.all(both)) session!.close()
        },
      ]
      for (const use of uses) {
        await scene.run(use())
        connects++
        expect(bob.eventsOf('peer.connected').length).toBe(connects)
        await scene.until('the disconnect', () => !isConnected(bob, alice) && !isConnected(alice, bob), 60_000)
      }
    }))

  it.each<[string, (alice: NativeMember, bob: NativeMember, scene: NativeScene) => Promise<() => void>]>([
    [
      'messages',
      async (alice, bob, scene) => {
        for (let count = 0; count < 10; count++) {
          await scene.run(bob.network.send(alice.id, 'x'))
          await scene.clock.advance(idleTimeoutMs / 2)
        }
        return () => {}
      },
    ],
    [
      'a request that is not answered',
      async (alice, bob, scene) => {
        let answer = (_text: string): void => {}
        alice.network.onRequest('slow', () => new Promise((resolve) => (answer = resolve)))
        void bob.network.request(alice.id, '', { name: 'slow', timeoutMs: 600_000 }).catch(() => {})
        await scene.clock.advance(10 * idleTimeoutMs)
        return () => answer('done')
      },
    ],
    [
      'an open session',
      async (alice, bob, scene) => {
        const [[session]] = (await scene.sessions([alice, bob], 1)) as unknown as [[{ close(): void }]]
        await scene.clock.advance(10 * idleTimeoutMs)
        return () => session.close()
      },
    ],
    [
      'an open stream',
      async (alice, bob, scene) => {
        alice.network.onStream('p', (stream) => void stream.on('error', () => {}).resume())
        const stream = await scene.run(bob.network.getStream(alice.id, 'p'))
        await scene.clock.advance(10 * idleTimeoutMs)
        return () => stream.on('error', () => {}).destroy()
      },
    ],
  ])('stays connected while it has %s', (_, use) =>
    play(options, async (scene) => {
      const [alice, bob] = await start(scene)
      alice.network.onMessage('', () => {})
      const end = await use(alice, bob, scene)
      expect(isConnected(bob, alice)).toBe(true)
      expect(bob.eventsOf('peer.disconnected')).toEqual([])
      end()
      await scene.until('the disconnect', () => !isConnected(bob, alice), 60_000)
    }),
  )

  it('stays connected if the other side wants it always', () =>
    play(options, async (scene) => {
      const [alice, bob] = await start(scene, { ofAlice: 'always' })
      await scene.run(bob.network.send(alice.id, 'x'))
      await scene.clock.advance(20 * idleTimeoutMs)
      expect(isConnected(bob, alice)).toBe(true)
    }))

  it('is disconnected by the side that was dialled as well, and the dialler does not come back', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({
        key: 0,
        peers: [1],
        dials: [],
        connect: 'on-demand',
        limits: { idleTimeoutMs },
      })
      const bob = await scene.start({ key: 1, peers: [0], dials: [0], connect: 'on-demand' })
      await scene.run(bob.network.send(alice.id, 'x'))
      await scene.until('the disconnect', () => !isConnected(bob, alice), 60_000)
      await scene.clock.advance(10_000)
      expect(bob.eventsOf('peer.connected').length).toBe(1)
      expect(bob.network.peer(alice.id)?.state).toBe('idle')
    }))

  it('loses nothing that is sent around the moment of the disconnect', () =>
    play(options, async (scene) => {
      const [alice, bob] = await start(scene)
      const received: number[] = []
      alice.network.onMessage('', ({ bytes }) => void received.push(Number(bytes)))
      const sends: Promise<void>[] = []
      for (let number = 0; number < 200; number++) {
        sends.push(bob.network.send(alice.id, String(number)))
        await scene.clock.advance(idleTimeoutMs + (number % 40) * 40)
      }
      await scene.run(Promise.all(sends))
      await scene.until('all messages', () => received.length >= 200)
      expect(received).toEqual(Array.from({ length: 200 }, (_, number) => number))
      expect(bob.eventsOf('peer.disconnected').length).toBeGreaterThan(10)
    }))
})
