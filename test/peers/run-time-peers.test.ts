/**
 * Owns: peers that are added, disconnected, connected and removed while the network runs, over memory in virtual time.
 * Independent of: sessions, and how links are resumed.
 */
import { describe, expect, it } from 'vitest'
import { play, rejectionOf } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'

async function connected(scene: NativeScene): Promise<[NativeMember, NativeMember]> {
  const [alice, bob] = await scene.pair()
  await scene.run(bob.network.ready({ peers: 'all' }))
  await scene.until('the other end', () => alice.network.peer(bob.id)?.state === 'connected')
  return [alice, bob]
}

describe('the handle of a peer', () => {
  it('is the same object for equal ids, and not valid after the removal; adding again gives a new one', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const old = bob.network.peer(alice.id)!
      expect([bob.network.peer(alice.id), bob.network.peers[0], bob.network.peer(old)]).toEqual([old, old, old])
      expect(bob.network.peers[0]).toBe(old)
      const { urls } = old
      const removing = old.remove({ timeoutMs: 1000 })
      expect(old.remove()).toBe(removing)
      await scene.run(removing)
      expect([old.state, old.isRemoved, old.address, old.urls]).toEqual(['removed', true, null, []])
      expect(bob.network.peer(alice.id)).toBeUndefined()
      expect(await rejectionOf(old.connect())).toMatchObject({ code: 'ERR_PEER_REMOVED' })
      const fresh = bob.network.add({ id: alice.id, urls })
      expect(fresh).not.toBe(old)
      await scene.run(fresh.connect())
      expect([fresh.state, old.state]).toEqual(['connected', 'removed'])
      expect(await rejectionOf(old.connect())).toMatchObject({ code: 'ERR_PEER_REMOVED' })
      expect(await rejectionOf(old.disconnect())).toMatchObject({ code: 'ERR_PEER_REMOVED' })
      expect(() => old.reconnectNow()).toThrow(/removed/)
      expect(fresh.state).toBe('connected')
    }))

  it('knows the stage and the code of the last failure', () =>
    play({ on: 'memory' }, async (scene) => {
      const bob = await scene.start({ key: 1, peers: [0], dials: [0] })
      await scene.until('a failure', () => bob.eventsOf('connection.failed').length > 0)
      expect(bob.network.peers[0]?.lastFailure).toMatchObject({ stage: 'tcp', code: 'ERR_TRANSPORT' })
      expect(bob.network.peers[0]?.state).toBe('connecting')
    }))
})

describe('disconnect', () => {
  it('says Goodbye and keeps both sides apart until connect, which delivers what was sent meanwhile', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const received: string[] = []
      bob.network.onMessage('', ({ bytes }) => void received.push(bytes.toString()))
      const peer = alice.network.peer(bob.id)!
      await scene.run(alice.network.send(peer, 'before'))
      await scene.run(peer.disconnect({ timeoutMs: 1000, reason: 'a pause' }))
      expect([peer.state, received]).toEqual(['disconnected', ['before']])
      expect(alice.eventsOf('peer.disconnected')).toMatchObject([{ peer: bob.id, by: 'self', willRetry: false }])
      await scene.until('the news', () => bob.eventsOf('peer.disconnected').length === 1)
      expect(bob.eventsOf('peer.disconnected')).toMatchObject([{ by: 'peer', reason: 'goodbye', willRetry: true }])
      const waiting = alice.network.send(peer, 'meanwhile')
      waiting.catch(() => {})
      await scene.clock.advance(1000)
      expect([peer.state, alice.eventsOf('connection.opened').length]).toEqual(['disconnected', 1])
      await scene.run(peer.connect())
      await scene.run(waiting)
      await scene.until('the message', () => received.length === 2)
      expect(received).toEqual(['before', 'meanwhile'])
    }))

  it('leaves a call of connect to its time limit or its signal, and the peer wanted', () =>
    play({ on: 'memory' }, async (scene) => {
      const bob = await scene.start({ key: 1, peers: [0], dials: [0] })
      const peer = bob.network.peers[0]!
      expect(await scene.run(rejectionOf(peer.connect({ timeoutMs: 100 })))).toMatchObject({ code: 'ERR_TIMED_OUT' })
      const stop = new AbortController()
      const aborted = rejectionOf(peer.connect({ signal: stop.signal }))
      stop.abort()
      expect(await scene.run(aborted)).toMatchObject({ code: 'ERR_ABORTED' })
      await scene.start({ key: 0, peers: [1], dials: [] })
      await scene.until('the connection', () => peer.state === 'connected')
    }))
})

describe('setAllowed', () => {
  it('reports who was cut off and why, and changes nothing if an id is malformed', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      expect(() => alice.network.setAllowed(['nobody'])).toThrow()
      expect(alice.network.peers.map(({ id, state }) => [id, state])).toEqual([[bob.id, 'connected']])
      expect(alice.network.setAllowed([])).toMatchObject({ added: [], removed: [{ peer: bob.id }] })
      await scene.until('the end', () => alice.eventsOf('peer.removed').length === 1)
      expect(alice.network.peers).toEqual([])
      await scene.until('a refusal', () => alice.eventsOf('connection.rejected').length > 0)
      expect(alice.network.setAllowed([bob.id])).toEqual({ added: [bob.id], removed: [] })
      await scene.until('a new connection', () => alice.network.peer(bob.id)?.state === 'connected')
    }))
})
