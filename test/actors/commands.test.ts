/**
 * Owns: commands as events of the supervisor: what each does, its answer, bad input, and that no bytes are seen.
 * Independent of: what the calls do that commands stand for.
 */
import { inspect } from 'node:util'
import { createActor, fromCallback } from 'xstate'
import type { AnyActorRef } from 'xstate'
import { describe, expect, it } from 'vitest'
import { Identity, Payload } from '../../actors/index.ts'
import type { Command, CommandReply, NetworkEvent } from '../../actors/index.ts'
import { keys, play } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'

/** An actor of an application that asks, and what it was answered. */
class Asker {
  readonly replies: CommandReply[] = []
  readonly ref: AnyActorRef

  constructor() {
    this.ref = createActor(
      fromCallback<CommandReply>(({ receive }) => receive((reply) => void this.replies.push(reply))),
    ).start()
  }

  /** Sends a command and waits for its answer. */
  async ask(scene: NativeScene, member: NativeMember, command: Command): Promise<CommandReply> {
    const before = this.replies.length
    member.network.ref.send({ ...command, replyTo: this.ref } as Command)
    await scene.until(`the answer to ${command.type}`, () => this.replies.length > before)
    return this.replies.at(-1) as CommandReply
  }
}

const stranger = Identity.generate().id

describe('commands', () => {
  it('peer.add adds a peer, peer.connect connects it, and peer.remove says what became of its values', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const bob = await scene.start({ key: 1, peers: [], dials: [] })
      const asker = new Asker()
      const urls = [alice.network.url as string]
      expect(await asker.ask(scene, bob, { type: 'peer.add', peer: { id: alice.id, urls }, id: 7 })).toEqual({
        type: 'command.done',
        command: 'peer.add',
        id: 7,
        result: { peer: alice.id, urls },
      })
      expect(await asker.ask(scene, bob, { type: 'peer.connect', peer: alice.id })).toMatchObject({
        type: 'command.done',
        command: 'peer.connect',
        id: null,
        result: { peer: alice.id, address: expect.any(String) as string },
      })
      const removed = await asker.ask(scene, bob, { type: 'peer.remove', peer: alice.id, reason: 'moved' })
      expect(removed).toMatchObject({ type: 'command.done', result: { unknown: 0, notSent: 0 } })
      expect(bob.network.peers).toEqual([])
      expect(bob.eventsOf('peer.removed')).toMatchObject([{ peer: alice.id, reason: 'moved' }])
    }))

  it('peer.add gives a known peer its first URL, and the links that waited for its dial dial it', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const bob = await scene.start({ key: 1, peers: [0], dials: [] })
      await scene.clock.advance(1000)
      expect(bob.network.peer(alice.id)?.state).toBe('connecting')
      const asker = new Asker()
      const urls = alice.network.url as string
      await asker.ask(scene, bob, { type: 'peer.add', peer: { id: alice.id, urls } })
      expect(await asker.ask(scene, bob, { type: 'peer.connect', peer: alice.id, timeoutMs: 1000 })).toMatchObject({
        type: 'command.done',
      })
    }))

  it('peer.disconnect disconnects a peer until peer.connect', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      await scene.run(bob.network.ready({ peers: 'all' }))
      const asker = new Asker()
      expect(await asker.ask(scene, bob, { type: 'peer.disconnect', peer: alice.id })).toMatchObject({
        type: 'command.done',
      })
      expect(bob.network.peer(alice.id)?.state).toBe('disconnected')
      expect(await asker.ask(scene, bob, { type: 'peer.connect', peer: alice.id })).toMatchObject({
        type: 'command.done',
      })
      expect(bob.network.peer(alice.id)?.state).toBe('connected')
    }))

  it('message.send, message.multicast and message.broadcast arrive in the order of the commands', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const seen: string[] = []
      alice.network.onMessage(
        'news',
        ({ bytes, headers }) => void seen.push(`${bytes.toString()}${headers['n'] ?? ''}`),
      )
      const asker = new Asker()
      const fields = { name: 'news', replyTo: asker.ref }
      const { ref } = bob.network
      ref.send({ type: 'message.send', peer: alice.id, payload: new Payload('a'), headers: { n: '1' }, ...fields })
      ref.send({ type: 'message.multicast', peers: [alice.id], payload: new Payload(Buffer.from('b')), ...fields })
      ref.send({ type: 'message.broadcast', payload: new Payload('c'), need: 'all', ...fields })
      ref.send({ type: 'message.broadcast', payload: new Payload('d'), except: [alice.id], ...fields })
      await scene.until('all answers', () => asker.replies.length === 4 && seen.length === 3)
      expect(seen).toEqual(['a1', 'b', 'c'])
      expect(asker.replies.map((reply) => (reply.type === 'command.done' ? reply.result : reply.cause))).toEqual(
        expect.arrayContaining([null, { [alice.id]: null }, { [alice.id]: null }, {}]),
      )
    }))

  it('a quorum that is missed is answered with the cause of each peer', () =>
    play({ on: 'memory' }, async (scene) => {
      const bob = await scene.start({ key: 1, peers: [0], dials: [0] })
      const asker = new Asker()
      const reply = await asker.ask(scene, bob, {
        type: 'message.broadcast',
        payload: new Payload('c'),
        need: 1,
        timeoutMs: 10,
      })
      const alice = keys[0]?.id as string
      expect(reply).toMatchObject({
        type: 'command.failed',
        command: 'message.broadcast',
        cause: { code: 'ERR_QUORUM' },
        results: { [alice]: { code: 'ERR_SEND_TIMED_OUT' } },
      })
    }))

  it('a payload is copied when it is made', () => {
    const bytes = Buffer.from('before')
    const payload = new Payload(bytes)
    bytes.fill(0)
    expect(payload.lengthBytes).toBe(6)
    expect(JSON.stringify(payload)).toBe('{"lengthBytes":6}')
    expect(() => new Payload(7 as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_VALUE' }) as Error)
  })

  it('no inspector, log or snapshot sees the bytes of a payload', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const secret = 'attack at dawn'
      const seen: unknown[] = []
      bob.network.observe((event) => void seen.push(event))
      const off = bob.network.ref.system.inspect((event) => void seen.push(event))
      const asker = new Asker()
      await asker.ask(scene, bob, { type: 'message.send', peer: alice.id, payload: new Payload(secret), id: 'x' })
      off.unsubscribe()
      expect(seen.some((event) => (event as { event?: { type?: string } }).event?.type === 'message.send')).toBe(true)
      const text = seen.map((event) => inspect(event, { depth: 6, showHidden: false })).join('\n')
      expect(text).not.toContain(secret)
      expect(text).not.toContain(Buffer.from(secret).toString('hex').slice(0, 12))
      expect(text).not.toContain([...Buffer.from(secret)].slice(0, 6).join(', '))
      expect(text).not.toContain(Buffer.from(secret).toString('hex').replaceAll(/(..)/g, '$1 ').slice(0, 20))
    }))

  it.each<[string, (alice: NativeMember) => object, string, RegExp]>([
    ['an unknown peer', () => ({ type: 'peer.connect', peer: stranger }), 'ERR_UNKNOWN_PEER', /add it with peer\.add/],
    ['no peer', () => ({ type: 'peer.remove' }), 'ERR_UNKNOWN_PEER', /undefined/],
    ['itself', (bob) => ({ type: 'peer.add', peer: { id: bob.id } }), 'ERR_INVALID_OPTION', /own identity/],
    ['no description of a peer', () => ({ type: 'peer.add' }), 'ERR_INVALID_OPTION', /must be an object/],
    [
      'an unknown field',
      () => ({ type: 'message.broadcast', payload: new Payload(''), peers: [] }),
      'ERR_INVALID_OPTION',
      /peers is not a field of message\.broadcast/,
    ],
    [
      'plain bytes',
      () => ({ type: 'message.send', peer: stranger, payload: Buffer.from('x') }),
      'ERR_INVALID_VALUE',
      /new Payload\(bytes\)/,
    ],
    ['no payload', () => ({ type: 'message.send', peer: stranger }), 'ERR_INVALID_VALUE', /new Payload\(bytes\)/],
    [
      'an id that is an object',
      () => ({ type: 'message.broadcast', payload: new Payload(''), id: {} }),
      'ERR_INVALID_OPTION',
      /id of message\.broadcast/,
    ],
    [
      'a time that is no number',
      () => ({ type: 'message.broadcast', payload: new Payload(''), timeoutMs: 'soon' }),
      'ERR_INVALID_OPTION',
      /timeoutMs/,
    ],
  ])('a command with %s fails, and says why', (_, command, code, why) =>
    play({ on: 'memory' }, async (scene) => {
      const [, bob] = await scene.pair()
      const asker = new Asker()
      const reply = await asker.ask(scene, bob, command(bob) as Command)
      expect(reply).toMatchObject({ type: 'command.failed', cause: { code } })
      expect((reply as { cause: { message: string } }).cause.message).toMatch(why)
      expect(bob.network.ref.getSnapshot().status).toBe('active')
    }),
  )

  it('a command without replyTo that fails is the event command.failed, and one that succeeds is silent', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      bob.network.ref.send({ type: 'peer.connect', peer: stranger, id: 3 })
      bob.network.ref.send({ type: 'peer.connect', peer: alice.id, replyTo: 'me' as never })
      bob.network.ref.send({ type: 'peer.connect', peer: alice.id })
      await scene.until('two events', () => bob.eventsOf('command.failed').length === 2)
      await scene.run(bob.network.ready({ peers: 'all' }))
      expect(bob.eventsOf('command.failed')).toMatchObject([
        { command: 'peer.connect', id: 3, cause: { code: 'ERR_UNKNOWN_PEER' } },
        { command: 'peer.connect', id: null, cause: { code: 'ERR_INVALID_OPTION' } },
      ])
    }))

  it('commands are refused while the network shuts down', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      await scene.run(bob.network.ready({ peers: 'all' }))
      const failed: NetworkEvent[] = []
      bob.network.on('command.failed', (event) => void failed.push(event))
      const stopping = bob.network.shutdown()
      bob.network.ref.send({ type: 'message.send', peer: alice.id, payload: new Payload('late') })
      await scene.run(stopping)
      expect(failed).toMatchObject([{ command: 'message.send', cause: { code: 'ERR_NETWORK_STOPPED' } }])
    }))

  it('an answer to an actor that has stopped is dropped', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const { ref } = new Asker()
      bob.network.ref.send({ type: 'peer.connect', peer: alice.id, replyTo: ref })
      ref.stop()
      await scene.run(bob.network.ready({ peers: 'all' }))
      expect(bob.eventsOf('command.failed')).toEqual([])
    }))
})
