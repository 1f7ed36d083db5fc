/**
 * Owns: messages as an application sends and takes them: handlers, iterators, headers, waiting, bad input, multicast.
 * Independent of: how a link carries them (test/native/exchange-messages.test.ts).
 */
import { describe, expect, it } from 'vitest'
import { AllPeersFailedError, QuorumError } from '../../index.ts'
import type { Message, SendResults } from '../../index.ts'
import { keys, play, rejectionOf } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'

const text = ({ bytes }: { readonly bytes: Buffer }): string => bytes.toString()
const code = (value: string): unknown => expect.objectContaining({ code: value })

async function connected(scene: NativeScene): Promise<[NativeMember, NativeMember]> {
  const [alice, bob] = await scene.pair()
  await scene.run(alice.network.send(bob.id, 'first'))
  return [alice, bob]
}

async function trio(scene: NativeScene): Promise<[NativeMember, NativeMember, NativeMember]> {
  const all: NativeMember[] = []
  for (const key of [0, 1, 2]) {
    const peers = [0, 1, 2].filter((peer) => peer !== key)
    all.push(await scene.start({ key, peers, dials: peers.filter((peer) => peer < key) }))
  }
  return all as [NativeMember, NativeMember, NativeMember]
}

const outcomes = (results: SendResults): Record<string, boolean> =>
  Object.fromEntries([...results].map(([peer, { ok }]) => [peer, ok]))

describe('send and onMessage', () => {
  it.each(['memory', 'tls'] as const)('a message reaches the handler of its name (over %s)', (on) =>
    play({ on }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const seen: unknown[] = []
      bob.network.onMessage('news', (message) => {
        seen.push([message.peer, message.name, text(message), message.headers])
      })
      await scene.run(alice.network.send(bob.id, 'hello', { name: 'news', headers: { lang: 'en' } }))
      await scene.run(alice.network.send(bob.id, Buffer.from('again'), { name: 'news' }))
      await scene.until('both messages', () => seen.length === 2)
      expect(seen).toEqual([
        [alice.id, 'news', 'hello', { lang: 'en' }],
        [alice.id, 'news', 'again', {}],
      ])
    }),
  )

  it('send copies: the memory can be used again at once', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const seen: string[] = []
      bob.network.onMessage('', (message) => void seen.push(text(message)))
      const memory = Buffer.from('before')
      const sent = alice.network.send(bob.id, memory)
      memory.fill('x')
      await scene.run(sent)
      await scene.until('the message', () => seen.length === 1)
      expect(seen).toEqual(['before'])
    }))

  it('a transferred view is detached, and one that cannot be detached is refused', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const owned = new Uint8Array(100)
      await scene.run(alice.network.send(bob.id, owned, { transfer: true }))
      expect(owned.length).toBe(0)
      const part = Buffer.alloc(10).subarray(1)
      await expect(alice.network.send(bob.id, part, { transfer: true })).rejects.toEqual(code('ERR_NOT_TRANSFERABLE'))
    }))

  it('sockets that break lose, repeat and reorder no message', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const seen: number[] = []
      bob.network.onMessage('n', (message) => void seen.push(Number(text(message))))
      for (let index = 0; index < 300; index++) {
        await scene.run(alice.network.send(bob.id, String(index), { name: 'n' }))
        if (index % 20 === 0) alice.kill()
      }
      await scene.until('all messages', () => seen.length >= 300)
      expect(seen).toEqual(Array.from({ length: 300 }, (_, index) => index))
    }))

  it('a second handler for a name is an error, until the first is removed', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice] = await scene.pair()
      const remove = alice.network.onMessage('news', () => {})
      expect(() => alice.network.onMessage('news', () => {})).toThrow(code('ERR_HANDLER_EXISTS') as Error)
      expect(() => alice.network.messages('news')).toThrow(code('ERR_HANDLER_EXISTS') as Error)
      remove()
      remove()
      alice.network.onMessage('news', () => {})
    }))

  it('a message without a handler is counted, and its name reported once', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      for (const name of ['a', 'b', 'a', 'a']) await scene.run(alice.network.send(bob.id, 'xyz', { name }))
      await scene.until('the count', () => bob.network.metrics().messages.unhandled === 5)
      expect(bob.eventsOf('message.unhandled')).toEqual([
        { type: 'message.unhandled', peer: alice.id, name: '', lengthBytes: 5 },
        { type: 'message.unhandled', peer: alice.id, name: 'a', lengthBytes: 3 },
        { type: 'message.unhandled', peer: alice.id, name: 'b', lengthBytes: 3 },
      ])
    }))

  it('a handler that throws or rejects is reported, and the next message arrives', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      let calls = 0
      bob.network.onMessage('now', () => {
        calls++
        throw new Error('broken now')
      })
      // oxlint-disable-next-line no-misused-promises -- what happens if an application does this
      bob.network.onMessage('later', async () => {
        calls++
        throw await Promise.resolve(new Error('broken later'))
      })
      for (const name of ['now', 'later', 'now']) await scene.run(alice.network.send(bob.id, '', { name }))
      await scene.until('the reports', () => bob.eventsOf('handler.failed').length === 3)
      expect(calls).toBe(3)
      expect(bob.eventsOf('handler.failed')[0]).toMatchObject({ peer: alice.id, session: null, name: 'now' })
    }))
})

describe('messages', () => {
  it('an iterator gets the messages of its name in order, and ends with the network', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const messages = bob.network.messages('n')
      for (const value of ['1', '2']) await scene.run(alice.network.send(bob.id, value, { name: 'n' }))
      const seen: string[] = []
      const reading = (async () => {
        for await (const message of messages) seen.push(text(message))
      })()
      await scene.until('both', () => seen.length === 2)
      await scene.run(bob.network.shutdown())
      await reading
      expect(seen).toEqual(['1', '2'])
    }))

  it('a reader that takes nothing stops the messages of its senders, but no request, and reading lets them go on', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const messages = bob.network.messages('n')
      bob.network.onRequest('ask', () => 'answer')
      let accepted = 0
      const sending = (async () => {
        for (let index = 0; index < 40; index++) {
          await alice.network.send(bob.id, Buffer.alloc(10_000, index), { name: 'n', timeoutMs: 1e9 })
          accepted++
        }
      })()
      await scene.clock.advance(5_000)
      expect(accepted).toBeLessThan(10)
      expect(text(await scene.run(alice.network.request(bob.id, '', { name: 'ask' })))).toBe('answer')
      const seen: number[] = []
      const reading = (async () => {
        for await (const message of messages) {
          seen.push(message.bytes[0] as number)
          if (seen.length === 40) return
        }
      })()
      await scene.run(Promise.all([sending, reading]))
      expect(seen).toEqual(Array.from({ length: 40 }, (_, index) => index))
      // The loop has returned, so the name is free again.
      bob.network.onMessage('n', () => {})
    }))

  it('an iterator ends with its signal, and what was not read no longer holds up the sender', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const controller = new AbortController()
      const messages = bob.network.messages('n', { signal: controller.signal })
      const sending = (async () => {
        for (let index = 0; index < 40; index++)
          await alice.network.send(bob.id, Buffer.alloc(10_000), { name: 'n', timeoutMs: 1e9 })
      })()
      await scene.clock.advance(1_000)
      controller.abort()
      await scene.run(sending)
      expect(await messages.next()).toEqual({ done: true, value: undefined })
    }))
})

describe('a message that has to wait', () => {
  it('it is sent when the peer connects', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const sent = alice.network.send(keys[1]!.id, 'early', { name: 'n' })
      const bob = await scene.start({ key: 1, peers: [0], dials: [0] })
      await scene.run(sent)
      await scene.until('the message', () => bob.eventsOf('message.unhandled').length === 1)
    }))

  it('it fails after its time with the reason, and is not sent', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const error = rejectionOf(alice.network.send(keys[1]!.id, 'late', { name: 'n', timeoutMs: 500 }))
      await scene.clock.advance(600)
      expect(await error).toMatchObject({ code: 'ERR_SEND_TIMED_OUT', message: expect.stringMatching(/not connected/) })
      const bob = await scene.start({ key: 1, peers: [0], dials: [0] })
      const seen: Message[] = []
      bob.network.onMessage('n', (message) => void seen.push(message))
      await scene.run(alice.network.send(bob.id, 'next', { name: 'n' }))
      await scene.until('the message', () => seen.length > 0)
      expect(seen.map(text)).toEqual(['next'])
    }))

  it('it is withdrawn when its signal aborts', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const controller = new AbortController()
      const error = rejectionOf(alice.network.send(keys[1]!.id, 'x', { signal: controller.signal }))
      controller.abort()
      expect(await error).toMatchObject({ code: 'ERR_ABORTED' })
    }))

  it('it fails when the network shuts down', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const error = rejectionOf(alice.network.send(keys[1]!.id, 'x'))
      await scene.run(alice.network.shutdown())
      expect(await error).toMatchObject({ code: 'ERR_NETWORK_STOPPED' })
      expect(await rejectionOf(alice.network.send(keys[1]!.id, 'x'))).toMatchObject({ code: 'ERR_NETWORK_STOPPED' })
    }))
})

describe('bad input', () => {
  const long = 'ä'.repeat(128)
  const cases: [string, string, (network: NativeMember['network'], bob: string) => unknown][] = [
    ['an unknown peer', 'ERR_UNKNOWN_PEER', (network) => network.send(keys[2]!.id, '')],
    ['this side itself', 'ERR_UNKNOWN_PEER', (network) => network.send(network.identity, '')],
    ['a peer that is no text', 'ERR_UNKNOWN_PEER', (network) => network.send(7 as never, '')],
    ['a name of 256 bytes', 'ERR_INVALID_OPTION', (network, bob) => network.send(bob, '', { name: long })],
    ['a reserved name', 'ERR_INVALID_OPTION', (network, bob) => network.send(bob, '', { name: 'statewire/x' })],
    ['a name with a lone surrogate', 'ERR_INVALID_OPTION', (network, bob) => network.send(bob, '', { name: '\ud800' })],
    ['bytes that are a number', 'ERR_INVALID_VALUE', (network, bob) => network.send(bob, 7 as never)],
    ['a body over 1 MiB', 'ERR_INVALID_VALUE', (network, bob) => network.send(bob, Buffer.alloc((1 << 20) + 1))],
    [
      'a header that is a number',
      'ERR_INVALID_OPTION',
      (network, bob) => network.send(bob, '', { headers: { a: 1 as never } }),
    ],
    [
      'headers over 8 KiB',
      'ERR_INVALID_OPTION',
      (network, bob) => network.send(bob, '', { headers: { a: 'x'.repeat(8 * 1024) } }),
    ],
    [
      'a forbidden header',
      'ERR_INVALID_OPTION',
      (network, bob) => network.send(bob, '', { headers: JSON.parse('{"__proto__":"x"}') as never }),
    ],
    ['an unknown option', 'ERR_INVALID_OPTION', (network, bob) => network.send(bob, '', { nam: 'x' } as never)],
    ['a handler that is none', 'ERR_INVALID_OPTION', (network) => network.onMessage('x', 'y' as never)],
    ['a reserved name to handle', 'ERR_INVALID_OPTION', (network) => network.onMessage('statewire/x', () => {})],
    ['an empty list of peers', 'ERR_INVALID_OPTION', (network) => network.multicast([], '')],
    ['a peer twice', 'ERR_INVALID_OPTION', (network, bob) => network.multicast([bob, bob], '')],
    ['null as the peers left out', 'ERR_INVALID_OPTION', (network) => network.broadcast('', { except: null as never })],
    ['a quorum above the peers', 'ERR_QUORUM', (network) => network.broadcast('', { need: 2 })],
  ]

  it.each(cases)('%s gives %s, and the next message is sent', (_, expected, act) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      let error: unknown
      try {
        await act(alice.network, bob.id)
      } catch (thrown) {
        error = thrown
      }
      expect(error).toEqual(code(expected))
      await scene.run(alice.network.send(bob.id, 'fine'))
    }),
  )

  it('names of 255 bytes and headers of 8 KiB arrive', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      const seen: Message[] = []
      const name = 'x'.repeat(255)
      bob.network.onMessage(name, (message) => void seen.push(message))
      const headers = { a: 'x'.repeat(8 * 1024 - 6) }
      await scene.run(alice.network.send(bob.id, '', { name, headers }))
      await scene.until('the message', () => seen.length === 1)
      expect(seen[0]?.headers).toEqual(headers)
    }))
})

describe('multicast and broadcast', () => {
  it.each([10, 300_000])('a message of %i bytes reaches every peer, with one result each', (lengthBytes) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob, carol] = await trio(scene)
      const seen: string[] = []
      for (const member of [bob, carol])
        member.network.onMessage(
          'n',
          ({ bytes }) => void seen.push(`${bytes.length} ${bytes.every((byte) => byte === 7)}`),
        )
      const memory = Buffer.alloc(lengthBytes, 7)
      const sending = alice.network.broadcast(memory, { name: 'n' })
      memory.fill(0)
      expect(outcomes(await scene.run(sending))).toEqual({ [bob.id]: true, [carol.id]: true })
      await scene.until('both', () => seen.length === 2)
      expect(seen).toEqual([`${lengthBytes} true`, `${lengthBytes} true`])
    }),
  )

  it('a peer that is down fails alone, and delays no other', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob, carol] = await trio(scene)
      await scene.run(alice.network.broadcast(''))
      await scene.run(carol.network.shutdown())
      const seen: string[] = []
      bob.network.onMessage('n', (message) => void seen.push(text(message)))
      const sending = alice.network.broadcast('x', { name: 'n', timeoutMs: 1_000 })
      await scene.until('the message', () => seen.length === 1, 500)
      const results = await scene.run(sending)
      expect(outcomes(results)).toEqual({ [bob.id]: true, [carol.id]: false })
      expect(results.get(carol.id)).toEqual({ ok: false, error: code('ERR_SEND_TIMED_OUT') })
    }))

  it('with need it resolves as soon as the quorum has accepted, and rejects when it is out of reach', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob, carol] = await trio(scene)
      await scene.run(alice.network.broadcast(''))
      await scene.run(carol.network.shutdown())
      await scene.clock.advance(100)
      const one = await scene.run(alice.network.broadcast('x', { need: 1, timeoutMs: 1_000 }))
      expect(outcomes(one)).toEqual({ [bob.id]: true })
      const byFunction = await scene.run(
        alice.network.broadcast('x', { need: (results) => results.has(bob.id), timeoutMs: 1_000 }),
      )
      expect(outcomes(byFunction)).toEqual({ [bob.id]: true })
      const error = await scene.run(rejectionOf(alice.network.broadcast('x', { need: 'all', timeoutMs: 1_000 })))
      expect(error).toBeInstanceOf(QuorumError)
      expect(outcomes((error as unknown as QuorumError).results)).toEqual({ [bob.id]: true, [carol.id]: false })
    }))

  it('except leaves peers out, and multicast takes only those it is given', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob, carol] = await trio(scene)
      expect([...(await scene.run(alice.network.broadcast('x', { except: [bob.id] }))).keys()]).toEqual([carol.id])
      expect([...(await scene.run(alice.network.multicast([bob.id], 'x'))).keys()]).toEqual([bob.id])
      expect(AllPeersFailedError.name).toBe('AllPeersFailedError')
    }))
})
