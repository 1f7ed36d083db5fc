/**
 * Owns: the events of RFC 33, each by the name that it has here.
 * Independent of: commands (test/actors/commands.test.ts), and how connections are made.
 */
import { describe, expect, it } from 'vitest'
import { Reconnector } from '../../actors/index.ts'
import { play, rejectionOf } from '../support/native-scene.ts'

describe('the events of RFC 33', () => {
  it('EndpointAdded and EndpointRemoved are peer.added and peer.removed, with the reason', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [], dials: [] })
      const bob = await scene.start({ key: 1, peers: [], dials: [] })
      const peer = bob.network.add({ id: alice.id, urls: alice.network.url as string })
      await scene.run(peer.remove({ reason: 'moved', timeoutMs: 100 }))
      expect(bob.eventsOf('peer.added')).toEqual([{ type: 'peer.added', peer: alice.id }])
      expect(bob.eventsOf('peer.removed')).toMatchObject([{ peer: alice.id, reason: 'moved' }])
    }))

  it('a socket that breaks and is resumed is LostConnection and NewConnection, and no EndpointDisconnected', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      await scene.run(bob.network.ready({ peers: 'all' }))
      bob.kill()
      await scene.until('the second connection', () => bob.eventsOf('connection.opened').length === 2)
      expect(bob.eventsOf('connection.opened')).toMatchObject([
        { peer: alice.id, resumed: false, downMs: null },
        { peer: alice.id, resumed: true, downMs: expect.any(Number) as number },
      ])
      expect(bob.eventsOf('connection.lost')).toMatchObject([{ peer: alice.id }])
      expect([bob.eventsOf('peer.connected').length, bob.eventsOf('peer.disconnected').length]).toEqual([1, 0])
    }))

  it('EndpointConnected and EndpointDisconnected are peer.connected and peer.disconnected', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      await scene.run(bob.network.ready({ peers: 'all' }))
      await scene.run(alice.network.shutdown())
      await scene.until('the end', () => bob.eventsOf('peer.disconnected').length === 1)
      expect(bob.eventsOf('peer.connected')).toMatchObject([{ peer: alice.id, address: expect.any(String) as string }])
      expect(bob.eventsOf('peer.disconnected')).toMatchObject([
        { peer: alice.id, reason: 'goodbye', by: 'peer', willRetry: true },
      ])
    }))

  it('MessageSent and MessageReceived are a promise and a call of a handler, and no events', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      await scene.run(bob.network.ready({ peers: 'all' }))
      const received: string[] = []
      alice.network.onMessage('', ({ peer, bytes }) => void received.push(`${peer === bob.id} ${bytes.toString()}`))
      const before = [alice.events.length, bob.events.length]
      await scene.run(bob.network.send(alice.id, 'hello'))
      await scene.until('the message', () => received.length === 1)
      expect(received).toEqual(['true hello'])
      expect([alice.events.length, bob.events.length]).toEqual(before)
    }))

  it('TryConnect is dial.scheduled, with the delay and the attempt', () =>
    play({ on: 'memory' }, async (scene) => {
      const bob = await scene.start({ key: 1, peers: [0], dials: [0] })
      await scene.until('two dials', () => bob.eventsOf('dial.scheduled').length === 2)
      expect(bob.eventsOf('dial.scheduled')).toMatchObject([
        { link: 'link:0', attempt: 1, delayMs: 0 },
        { link: 'link:0', attempt: 2, delayMs: expect.any(Number) as number },
      ])
    }))
})

describe('the Reconnector of the first design', () => {
  it('reconnect dials now instead of after the back-off, and resolves when the peer is connected', () =>
    play({ on: 'memory', limits: { backoffMinMs: 3_600_000, backoffMaxMs: 3_600_000 } }, async (scene) => {
      const bob = await scene.start({ key: 1, peers: [0], dials: [0] })
      await scene.until('a wait', () => bob.eventsOf('dial.scheduled').some(({ delayMs }) => delayMs > 60_000))
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const beforeMs = scene.clock.nowMs()
      await scene.run(new Reconnector(bob.network).reconnect(alice.id))
      expect(bob.network.peer(alice.id)?.state).toBe('connected')
      expect(scene.clock.nowMs() - beforeMs).toBeLessThan(1000)
      // It is up: nothing to wait for.
      await new Reconnector(bob.network).reconnect(alice.id)
      expect(bob.eventsOf('connection.opened')).toHaveLength(1)
    }))

  it('reconnect rejects for an unknown peer, and at its time limit with the reason', () =>
    play({ on: 'memory' }, async (scene) => {
      const bob = await scene.start({ key: 1, peers: [0], dials: [0] })
      const reconnector = new Reconnector(bob.network)
      const [alice] = bob.network.peers
      expect(await rejectionOf(reconnector.reconnect('nobody'))).toMatchObject({ code: 'ERR_UNKNOWN_PEER' })
      expect(await scene.run(rejectionOf(reconnector.reconnect(alice!, { timeoutMs: 500 })))).toMatchObject({
        code: 'ERR_TIMED_OUT',
        message: expect.stringContaining('nothing listens') as string,
      })
    }))
})
