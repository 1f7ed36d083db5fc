/**
 * Owns: which inbound connections a listener reports as rejected: those it refused, each once, and no simultaneous
 * dial.
 * Independent of: what the dialer reports (network-endings.test.ts) and limits on connections (security/).
 */
import { describe, expect, it } from 'vitest'
import { Mesh } from '../bars/chaos/chaos-mesh.ts'
import type { Pair } from '../bars/chaos/chaos-mesh.ts'
import type { NetworkEventOf } from '../../index.ts'
import { encodeHello } from '../../codec/hello.ts'
import type { Hello } from '../../codec/hello.ts'
import { NativeAcceptorHandshake } from '../../protocol/native/link/native-handshake.ts'
import { helloOf } from '../bars/security/identity-bar.ts'
import { settle, until } from '../support/bounded-wait.ts'
import { keys, play } from '../support/native-scene.ts'
import type { NativeMember } from '../support/native-scene.ts'

describe('a simultaneous dial', () => {
  it.each(['plaintext', 'tls'] as const)(
    'a simultaneous dial is not reported as a rejected connection over %s, whichever of the two is kept',
    async (carrier) => {
      const mesh = await Mesh.start({ members: 2, carrier, bothDial: true })
      try {
        const rejected: NetworkEventOf<'connection.rejected'>[] = []
        for (const { network } of mesh.members) network.on('connection.rejected', (event) => void rejected.push(event))
        await Promise.all(mesh.members.map(({ network }) => network.makeSessions({ count: 1 })))
        const pair = mesh.pairs[0] as Pair
        const { dialer, acceptor, proxy, back } = pair
        let bothArrived = 0
        for (let count = 0; count < 60; count++) {
          const before = pair.opened
          const arrived = [proxy.accepted, back?.accepted ?? 0] as const
          dialer.destroySocketsTo(acceptor.id)
          acceptor.destroySocketsTo(dialer.id)
          await until(() => pair.isUpSince(before), 'a new connection')
          await settle()
          await until(
            () => pair.isUp && dialer.transport.pipes.size === 1 && acceptor.transport.pipes.size === 1,
            'one socket each',
          )
          if (proxy.accepted > arrived[0] && (back?.accepted ?? 0) > arrived[1]) bothArrived++
        }
        expect(bothArrived).toBeGreaterThan(0)
        expect(rejected.map(({ cause }) => `${cause.code}: ${cause.message}`)).toEqual([])
      } finally {
        await mesh.stop()
      }
    },
  )
})

describe('a hello that the link refuses', () => {
  const refusals = ['stale', 'bad-hello', 'no-such-link', 'self', 'identity'] as const
  it.each(refusals)('a listener reports a hello refused as %s as a rejected connection of that peer', (name) =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const { epoch } = alice.link(keys[1] as Pick<NativeMember, 'id'> as NativeMember)
      let refused = 0
      epoch.checkInbound = () => (refused++ === 0 ? { name, message: 'for this test' } : null)
      const bob = await scene.start({ key: 1, peers: [0], dials: [0] })
      await scene.sessions([alice, bob], 1)
      const rejected = alice.eventsOf('connection.rejected')
      expect(rejected).toMatchObject([
        { peer: bob.id, cause: { code: 'ERR_HANDSHAKE_FAILED', message: expect.stringContaining(name) as string } },
      ])
      expect(bob.eventsOf('connection.failed')).toHaveLength(1)
    }),
  )

  it('a stale hello that crosses a dial of the greater side is refused as stale, because checks come first', () =>
    play({ on: 'memory' }, async (scene) => {
      const [lesser, greater] = await scene.pair()
      await scene.sessions([lesser, greater], 1)
      const state = greater.link(lesser)
      const refusalOf = (changes: Partial<Hello>): string | undefined => {
        const handshake = new NativeAcceptorHandshake()
        handshake.feed(encodeHello(helloOf(keys[0]!.publicKey, changes)))
        return handshake.judge(state, true)?.reason.split(':')[0]
      }
      expect([refusalOf({ bootId: 1n }), refusalOf({ bootId: 2n ** 53n - 1n })]).toEqual(['stale', 'crossing'])
    }))

  it('a listener reports a hello refused because another process with the same key started later', () =>
    play({ on: 'tcp' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const older = await scene.start({ key: 1, peers: [0], dials: [0] })
      await scene.sessions([alice, older], 1)
      await scene.start({ key: 1, peers: [0], dials: [0] })
      await scene.until('one of the two processes is refused', () => alice.eventsOf('connection.rejected').length > 0)
      expect(alice.eventsOf('connection.rejected')[0]).toMatchObject({
        peer: older.id,
        cause: { message: expect.stringContaining('stale') as string },
      })
    }))

  it('a listener does not report the refused hello of a dial that its process has already dropped', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const { epoch } = bob.link(alice)
      const compose = epoch.composeHello.bind(epoch)
      await scene.sessions([alice, bob], 1)
      // The number of a hello older than the last one, as if it had been delayed for long.
      let isLate = true
      epoch.composeHello = () => ({ ...compose(), ...(isLate ? { helloNumber: 1 } : {}) })
      bob.kill()
      await scene.until('the late hello is refused', () => bob.eventsOf('connection.failed').length > 0)
      isLate = false
      expect(bob.eventsOf('connection.failed')[0]?.cause.message).toContain('stale')
      expect(alice.eventsOf('connection.rejected')).toEqual([])
    }))
})

describe('a connection closed before its hello', () => {
  /** Connects to a member, in memory. @returns the function that closes the connection */
  const connectBare = (member: NativeMember): (() => void) => {
    const pipe = member.faults.dial(
      { host: '127.0.0.1', port: Number(new URL(member.network.url as string).port) },
      { highWaterMarkBytes: 1024 },
    )
    pipe.handle({ onOpen() {}, onBytes() {}, onDrain() {}, onEnd() {}, onClose() {} })
    pipe.resume()
    return () => pipe.end()
  }

  it('a connection closed before its hello is reported as rejected if no peer connects from its address', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const close = connectBare(alice)
      await scene.clock.advance(10)
      close()
      await scene.clock.advance(5_000)
      expect(alice.eventsOf('connection.rejected')).toMatchObject([
        { peer: null, cause: { code: 'ERR_HANDSHAKE_REFUSED' } },
      ])
    }))

  it('a connection closed before its hello is reported at once if 64 others wait to be reported', () =>
    play({ on: 'memory', limits: { pendingInboundMax: 128, pendingInboundPerAddressMax: 128 } }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const closes = Array.from({ length: 65 }, () => connectBare(alice))
      await scene.clock.advance(10)
      for (const close of closes) close()
      await scene.clock.advance(10)
      expect(alice.eventsOf('connection.rejected')).toHaveLength(1)
      await scene.clock.advance(5_000)
      expect(alice.eventsOf('connection.rejected')).toHaveLength(65)
    }))

  it('a connection closed before its hello is not reported if a peer connects from its address around that time', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const [closeBefore, closeAfter] = [connectBare(alice), connectBare(alice)]
      await scene.clock.advance(10)
      closeBefore()
      await scene.clock.advance(10)
      const bob = await scene.start({ key: 1, peers: [0], dials: [0] })
      await scene.sessions([alice, bob], 1)
      closeAfter()
      await scene.clock.advance(5_000)
      expect(alice.eventsOf('connection.rejected')).toEqual([])
    }))
})
