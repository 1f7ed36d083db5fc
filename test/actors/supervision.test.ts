/**
 * Owns: supervision in real networks: where a fault stops, what is restarted, and that other peers are not affected.
 * Independent of: the rules for one parent and its children (children.test.ts) and for one actor (chart-actor.test.ts).
 *
 * In memory time is virtual, so that a back-off of 30 s costs nothing. Every scene ends with nothing left.
 */
import { describe, expect, it } from 'vitest'
import type { Session } from '../../actors/index.ts'
import { ConnectionLostError } from '../../index.ts'
import { number, numberOf, play } from '../support/scene.ts'
import type { Scene, SceneOptions } from '../support/scene.ts'

const trio = (on: SceneOptions['on'], more: Partial<SceneOptions> = {}): SceneOptions => ({
  on,
  ids: ['alice', 'bob', 'carol'],
  onConnectionLost: 'reconnect',
  ...more,
})

/** Makes the decoder of `at` fail for every frame from `from`; returns a function that repairs it. */
function breakDecoder(scene: Scene, at: string, from: string): () => void {
  const [link] = scene.of(at).services.baseLinks.of(from)
  const state = link?.state as unknown as { onFrame?: unknown }
  state.onFrame = () => {
    throw new TypeError('cannot read properties of undefined')
  }
  return () => delete state.onFrame
}

/** Sends numbers one way and asserts that they come whole and in order. */
async function exchange(
  scene: Scene,
  sender: Session,
  to: string,
  receiver: Session,
  from: string,
  first: number,
  count = 20,
): Promise<void> {
  for (let i = 0; i < count; i++) await scene.run(sender.send(to, number(first + i)))
  for (let i = 0; i < count; i++) expect(numberOf(await scene.run(receiver.receive(from)))).toBe(first + i)
}

const at = (made: Map<string, Session[]>, id: string, index = 0): Session => made.get(id)?.[index] as Session

/** Receives until a value comes, letting losses pass. */
async function nextAfterLosses(scene: Scene, session: Session, from: string): Promise<number> {
  for (;;) {
    try {
      return numberOf(await scene.run(session.receive(from)))
    } catch (error) {
      if (!(error instanceof ConnectionLostError)) throw error
    }
  }
}

describe.each<SceneOptions['on']>(['memory', 'tcp'])('supervision on %s', (on) => {
  it('a fault in a handler of the application ends only its lane', () =>
    play(trio(on), async (scene) => {
      const made = await scene.sessions(2)
      at(made, 'bob').handle('alice', () => {
        throw new RangeError('the application has a bug')
      })
      await scene.run(at(made, 'alice').send('bob', number(1)))
      expect(await scene.run(at(made, 'bob').ended('alice'))).toMatchObject({ code: 'ERR_HANDLER_FAILED' })
      await expect(scene.run(at(made, 'bob').send('alice', number(1)))).rejects.toMatchObject({
        code: 'ERR_HANDLER_FAILED',
      })
      // The same session with another peer, the other session with the same peer, and every connection go on.
      await exchange(scene, at(made, 'carol'), 'bob', at(made, 'bob'), 'carol', 100)
      await exchange(scene, at(made, 'alice', 1), 'bob', at(made, 'bob', 1), 'alice', 200)
      for (const member of scene.members.values()) expect(member.eventsOf('connection.lost')).toEqual([])
    }))

  it('a fault in the decoder restarts the forwarder and closes the connection of that peer only', () =>
    play(trio(on), async (scene) => {
      const made = await scene.sessions(1)
      const bob = scene.of('bob')
      const repair = breakDecoder(scene, 'bob', 'alice')
      await scene.run(at(made, 'alice').send('bob', number(1)))
      await scene.until('the connection was lost', () => bob.eventsOf('connection.lost').length === 1)
      repair()
      await scene.until(
        'it is up again',
        () => bob.eventsOf('connection.opened').filter(({ peer }) => peer === 'alice').length === 2,
      )
      expect(bob.eventsOf('child.restarted')).toMatchObject([
        {
          child: 'forwarder:in',
          cause: { code: 'ERR_INTERNAL', message: expect.stringContaining('cannot read properties') },
        },
      ])
      expect(bob.eventsOf('connection.lost')).toMatchObject([{ peer: 'alice' }])
      await expect(scene.run(at(made, 'bob').receive('alice'))).rejects.toBeInstanceOf(ConnectionLostError)
      await expect(scene.run(at(made, 'alice').receive('bob'))).rejects.toBeInstanceOf(ConnectionLostError)
      await exchange(scene, at(made, 'alice'), 'bob', at(made, 'bob'), 'alice', 10)
      await exchange(scene, at(made, 'carol'), 'bob', at(made, 'bob'), 'carol', 10)
      expect(scene.of('carol').eventsOf('connection.lost')).toEqual([])
    }))

  it('a decoder fault in mode fail ends the session group everywhere with one cause; the next is intact', () =>
    play(trio(on, { onConnectionLost: 'fail' }), async (scene) => {
      const made = await scene.sessions(1)
      scene.sendEvent('bob', 'peers/peer:alice/link:group:0.0/forwarder:in', {
        type: 'pump.crashed',
        error: new TypeError('a bug'),
      })
      for (const [id, other] of [
        ['bob', 'alice'],
        ['bob', 'carol'],
        ['alice', 'bob'],
        ['carol', 'bob'],
        ['alice', 'carol'],
      ] as const) {
        await expect(scene.run(at(made, id).receive(other))).rejects.toMatchObject({
          code: expect.stringMatching(/^ERR_/),
        })
      }
      const again = await scene.sessions(1)
      await exchange(scene, at(again, 'alice'), 'bob', at(again, 'bob'), 'alice', 1)
      await exchange(scene, at(again, 'carol'), 'bob', at(again, 'bob'), 'carol', 1)
    }))

  it('a listener that crashes is restarted on the same port, and the connections that it had handed over stay', () =>
    play(trio(on), async (scene) => {
      const made = await scene.sessions(1)
      const alice = scene.of('alice')
      const { url } = alice.network
      scene.sendEvent('alice', 'listener', { type: 'connection.claimed', handover: null })
      await scene.until('it was restarted', () =>
        alice.eventsOf('child.restarted').some(({ child }) => child === 'listener'),
      )
      await exchange(scene, at(made, 'bob'), 'alice', at(made, 'alice'), 'bob', 1)
      // A new connection proves that the port is bound again: bob dials alice.
      scene.sendEvent('bob', 'peers/peer:alice/link:0/connection:0.1', {
        type: 'connection.fail',
        cause: { code: 'ERR_TRANSPORT', message: 'pulled' },
      })
      await scene.until('somebody has dialled it again', () => alice.eventsOf('connection.opened').length === 3)
      expect(alice.network.url).toBe(url)
      await scene.run(at(made, 'bob').send('alice', number(77)))
      expect(await nextAfterLosses(scene, at(made, 'alice'), 'bob')).toBe(77)
    }))

  it('links that wait for a reconnector ask again after it crashed and was restarted', () =>
    play(trio(on), async (scene) => {
      const made = await scene.sessions(1)
      const bob = scene.of('bob')
      scene.sendEvent('bob', 'reconnector', { type: 'dial.request', key: 'unknown', link: null, host: '127.0.0.1' })
      await scene.until('it was restarted', () =>
        bob.eventsOf('child.restarted').some(({ child }) => child === 'reconnector'),
      )
      const repair = breakDecoder(scene, 'bob', 'alice')
      await scene.run(at(made, 'alice').send('bob', number(1)))
      await scene.until('the connection was lost', () => bob.eventsOf('connection.lost').length === 1)
      repair()
      await scene.until(
        'it is up again',
        () => bob.eventsOf('connection.opened').filter(({ peer }) => peer === 'alice').length === 2,
      )
      await scene.run(at(made, 'alice').send('bob', number(5)))
      expect(await nextAfterLosses(scene, at(made, 'bob'), 'alice')).toBe(5)
    }))

  it('a peer actor that crashes is restarted, and its links are created again with the lanes that they had', () =>
    play(trio(on), async (scene) => {
      const made = await scene.sessions(1)
      const bob = scene.of('bob')
      scene.sendEvent('bob', 'peers/peer:alice', { type: 'link.open', request: null })
      await scene.until(
        'it is up again',
        () => bob.eventsOf('connection.opened').filter(({ peer }) => peer === 'alice').length === 2,
      )
      expect(bob.eventsOf('child.restarted')).toMatchObject([{ child: 'peer:alice' }])
      await scene.run(at(made, 'alice').send('bob', number(5)))
      expect(await nextAfterLosses(scene, at(made, 'bob'), 'alice')).toBe(5)
      await exchange(scene, at(made, 'carol'), 'bob', at(made, 'bob'), 'carol', 1)
      const again = await scene.sessions(2)
      await exchange(scene, at(again, 'bob', 1), 'alice', at(again, 'alice', 1), 'bob', 1)
      expect(scene.of('carol').eventsOf('connection.lost')).toEqual([])
    }))

  it('a peer actor that crashes in mode fail ends the session groups of that peer, and the next is intact', () =>
    play(trio(on, { onConnectionLost: 'fail' }), async (scene) => {
      const made = await scene.sessions(1)
      scene.sendEvent('bob', 'peers/peer:alice', { type: 'link.open', request: null })
      for (const [id, other] of [
        ['bob', 'alice'],
        ['bob', 'carol'],
        ['alice', 'bob'],
        ['carol', 'bob'],
      ] as const)
        await expect(scene.run(at(made, id).receive(other))).rejects.toThrow()
      const again = await scene.sessions(1)
      await exchange(scene, at(again, 'alice'), 'bob', at(again, 'bob'), 'alice', 1)
    }))

  it('a value that is too long for the peer is refused by the sender and does not end the link', () =>
    play(trio(on, { limits: { maxMessageLengthBytes: 1000 } }), async (scene) => {
      const made = await scene.sessions(1)
      for (const length of [999, 1000, 1001, 20_000]) {
        const sent = scene.run(at(made, 'alice').send('bob', { type: 'Bytes', value: new Uint8Array(length) }))
        if (length <= 1000) await sent
        else
          await expect(sent).rejects.toMatchObject({
            code: 'ERR_INVALID_VALUE',
            message: expect.stringContaining('at most 1000 bytes'),
          })
      }
      await expect(
        scene.run(at(made, 'alice').send('bob', { type: 'VecRing32', value: new Uint32Array(251) })),
      ).rejects.toMatchObject({ code: 'ERR_INVALID_VALUE' })
      await scene.run(at(made, 'alice').send('bob', { type: 'VecRing32', value: new Uint32Array(250) }))
      for (let i = 0; i < 3; i++) await scene.run(at(made, 'bob').receive('alice'))
      expect(scene.of('bob').eventsOf('connection.lost')).toEqual([])
    }))

  it('a listener that crashes beyond its intensity fails the network, which reports it and releases everything', () =>
    play(trio(on), async (scene) => {
      const alice = scene.of('alice')
      const made = await scene.sessions(1)
      for (let crash = 1; crash <= 6; crash++) {
        scene.sendEvent('alice', 'listener', { type: 'connection.claimed', handover: null })
        await scene.until(
          `crash ${crash} was noticed`,
          () => alice.eventsOf('child.restarted').length === crash || alice.eventsOf('network.failed').length === 1,
        )
      }
      expect(alice.eventsOf('network.failed')).toHaveLength(1)
      await expect(scene.run(alice.network.makeSessions({ count: 1 }))).rejects.toThrow()
      const { code, message } = alice.eventsOf('network.failed')[0]!.cause
      await expect(scene.run(at(made, 'alice').receive('bob'))).rejects.toMatchObject({ code, message })
      expect(alice.network.resources).toMatchObject({ actors: 0, deadlines: 0 })
      // The others go on without it.
      await exchange(scene, at(made, 'carol'), 'bob', at(made, 'bob'), 'carol', 1)
    }))
})

describe('a crashing reconnector', () => {
  it('links that wait for a crashed reconnector ask again before their own deadline passes', () =>
    play({ ...trio('memory'), limits: { backoffMinMs: 20_000, backoffMaxMs: 20_000 } }, async (scene) => {
      const { transport } = scene.of('bob').services.environment
      const { dial } = transport
      let dials = 0
      transport.dial = (...args) => (dials++, dial.apply(transport, args))
      await scene.run(scene.of('alice').network.shutdown())
      // Carol tries again as well.
      await scene.until(
        'both have dialled in vain',
        () =>
          scene.of('bob').eventsOf('connection.failed').length > 0 &&
          scene.of('carol').eventsOf('connection.failed').length > 0,
      )
      await scene.clock.settle()
      const before = dials
      scene.sendEvent('bob', 'reconnector', { type: 'dial.request', key: 'unknown', link: null, host: '127.0.0.1' })
      await scene.clock.settle()
      // The restarted reconnector has no record of a failure, so it grants at once.
      expect(dials).toBe(before + 1)
      transport.dial = dial
    }))
})

describe('a forwarder that crashes repeatedly', () => {
  it('a forwarder that crashes repeatedly escalates to its peer, which is tried again at the back-off cap', () =>
    play(trio('memory', { limits: { backoffMaxMs: 30_000 } }), async (scene) => {
      const made = await scene.sessions(1)
      const bob = scene.of('bob')
      const repair = breakDecoder(scene, 'bob', 'alice')
      // Alice sends a value each time that a connection is up.
      const offOpened = scene
        .of('alice')
        .network.on(
          'connection.opened',
          ({ peer }) => void (peer === 'bob' && at(made, 'alice').send('bob', number(1))),
        )
      await scene.run(at(made, 'alice').send('bob', number(1)))
      let carried = 0
      for (let i = 0; bob.eventsOf('peer.errored').length === 0; i++) {
        expect(i, 'bound').toBeLessThan(200)
        await exchange(scene, at(made, 'carol'), 'bob', at(made, 'bob'), 'carol', carried, 5)
        carried += 5
        await scene.clock.advance(50)
      }
      expect(bob.eventsOf('peer.errored')).toMatchObject([
        { peer: 'alice', cause: { message: expect.stringContaining('cannot read properties') } },
      ])
      const restarted = bob.eventsOf('child.restarted')
      expect(restarted.filter(({ child }) => child === 'link:0')).toHaveLength(5)
      expect(restarted.filter(({ child }) => child === 'forwarder:in').length).toBeGreaterThanOrEqual(30)
      // Set aside: nothing is dialled until the cap of the back-off has passed.
      const before = bob.events.length
      offOpened()
      repair()
      await scene.clock.advance(29_000)
      expect(bob.events.slice(before)).toEqual([])
      await exchange(scene, at(made, 'carol'), 'bob', at(made, 'bob'), 'carol', carried)
      await scene.clock.advance(2_000)
      expect(bob.events.slice(before).map(({ type }) => type)).toEqual([
        'dial.scheduled',
        'connection.opened',
        'peer.connected',
      ])
      // The lanes have survived all of it.
      await scene.run(at(made, 'alice').send('bob', number(4242)))
      expect(await nextAfterLosses(scene, at(made, 'bob'), 'alice')).not.toBe(-1)
      expect(bob.eventsOf('connection.lost').every(({ peer }) => peer === 'alice')).toBe(true)
      expect(scene.of('carol').eventsOf('connection.lost')).toEqual([])
    }))
})
