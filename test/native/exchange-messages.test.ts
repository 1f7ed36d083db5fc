/**
 * Owns: messages between two links: what arrives, credit, and the limits of bodies.
 * Independent of: sockets, handlers of an application, timers.
 */
import { describe, expect, it } from 'vitest'
import type { Answer, HeldMessage } from '../../protocol/exchange.ts'
import { code, ends, message, nothing, open, Served, type Scene } from './exchange-scene.ts'
import { LinkPair } from './link-pair.ts'

describe('messages', () => {
  it('a message arrives with its name, headers and bytes, in the order of sending', () => {
    const { pair, served } = open()
    expect(pair.alice.exchange.trySend(message('one', 'a', { lang: 'de' }), 'copy')).toBe(true)
    expect(pair.alice.exchange.trySend(message('two', ''), 'copy')).toBe(true)
    pair.settle()
    expect(served.messages).toEqual([
      { name: 'a', headers: { lang: 'de' }, text: 'one' },
      { name: '', headers: {}, text: 'two' },
    ])
  })

  it.each(['copy', 'transfer', 'shared'] as const)('a long message is sent in Pieces and arrives whole (%s)', (how) => {
    const { pair, served } = open()
    const bytes = new Uint8Array(300_000).map((_, index) => index)
    const text = Buffer.from(bytes).toString('latin1')
    const sent: string[] = []
    const content = { ...message(''), bytes }
    if (!pair.alice.exchange.trySend(content, how))
      pair.alice.exchange.waitToSend(
        content,
        how,
        () => void sent.push('sent'),
        () => {},
      )
    if (how === 'copy') bytes.fill(0)
    pair.settle()
    expect(served.messages.map((one) => one.text === text)).toEqual([true])
    expect(bytes.length).toBe(how === 'transfer' ? 0 : 300_000)
    expect(pair.bob.memory.held.largeFramesBytes).toBe(0)
  })

  it('messages that the reader does not take stop their sender, and nothing else', () => {
    const { pair, served, ask } = open({ windowBytes: 1000 })
    served.holds = served.echoes = true
    const accepted = (): number => {
      let count = 0
      while (pair.alice.exchange.trySend(message('x'.repeat(100)), 'copy')) count++
      pair.settle()
      return count
    }
    expect(accepted()).toBe(9)
    expect(accepted()).toBe(0)
    const { answers } = ask()
    pair.settle()
    expect(ends(answers)).toBe('ok')
    const states: string[] = []
    pair.alice.exchange.waitToSend(
      message('late'),
      'copy',
      () => void states.push('sent'),
      () => {},
    )
    for (const held of served.held.splice(0)) held.taken()
    pair.settle()
    expect([states, served.messages.at(-1)?.text]).toEqual([['sent'], 'late'])
  })

  it('a message is taken once, and one of an epoch that has ended gives no credit', () => {
    const { pair, served } = open({ windowBytes: 200 })
    served.holds = true
    pair.alice.exchange.trySend(message('x'.repeat(100)), 'copy')
    pair.settle()
    pair.alice.link.crashed()
    pair.bob.link.crashed()
    pair.connect()
    const [held] = served.held as [HeldMessage]
    held.taken()
    held.taken()
    expect(pair.settle()).toBeLessThan(40)
    expect(pair.alice.exchange.trySend(message('x'.repeat(150)), 'copy')).toBe(true)
    pair.settle()
    expect(pair.alice.exchange.trySend(message('x'.repeat(150)), 'copy')).toBe(true)
    expect(pair.alice.exchange.trySend(message(''), 'copy')).toBe(false)
  })

  it('a message that waits when the link is reset was not sent, and one that waits for a first connection is sent', () => {
    const { pair, served } = open({}, false)
    const states: string[] = []
    const wait = (text: string): void =>
      void pair.alice.exchange.waitToSend(
        message(text),
        'copy',
        () => void states.push(`${text} sent`),
        () => void states.push(`${text} not sent`),
      )
    wait('early')
    pair.connect()
    pair.settle()
    pair.disconnect()
    wait('late')
    pair.alice.link.crashed()
    expect(states).toEqual(['early sent', 'late not sent'])
    expect(served.messages.map(({ text }) => text)).toEqual(['early'])
  })

  it.each([
    ['a name that is not UTF-8', Buffer.of(0xff), nothing, /name/],
    ['headers that are no map', Buffer.from('a'), Buffer.of(0x01), /headers/],
    ['headers with a number', Buffer.from('a'), Buffer.of(0x81, 0xa1, 0x61, 0x01), /headers/],
  ])('a message with %s is dropped and counted, and the next one arrives', (_, name, headers, why) => {
    const { pair, served } = open()
    pair.alice.exchange.trySend({ name, headers, bytes: nothing }, 'copy')
    pair.alice.exchange.trySend(message('next'), 'copy')
    pair.settle()
    expect(served.bad).toEqual([expect.stringMatching(why)])
    expect([served.messages.length, pair.bob.link.counters.framesDropped]).toEqual([1, 1])
  })

  it('what was sent on a connection that only its sender adopted arrives on the next one', () => {
    const { pair, served, ask } = open({}, false)
    pair.connectAliceOnly(() => {
      expect(pair.alice.exchange.trySend(message('early'), 'copy')).toBe(true)
      ask()
    })
    pair.connect()
    pair.settle()
    expect([served.messages.length, served.requests.length, pair.bob.broken]).toEqual([1, 1, []])
  })

  it('without a receiver, messages are counted and requests answered with no-handler', () => {
    const { pair, ask } = open()
    pair.bob.exchange.setReceiver(null)
    pair.alice.exchange.trySend(message('x'), 'copy')
    const { answers } = ask()
    pair.settle()
    expect([ends(answers), pair.bob.link.counters.framesDropped]).toEqual(['no-handler', 1])
  })
})

describe('limits of bodies', () => {
  const limit = 100_000

  it.each([
    [limit - 1, true],
    [limit, true],
    [limit + 1, false],
  ])('a body of %i bytes under a limit of 100,000 is accepted: %s', (length, isAccepted) => {
    const { pair, served, ask } = open({ messageBytesMax: limit })
    const send = (): unknown =>
      pair.alice.exchange.trySend(message(Buffer.alloc(length)), 'copy') || ask(Buffer.alloc(length))
    if (!isAccepted) {
      expect(send).toThrow(code('ERR_INVALID_VALUE'))
      return
    }
    send()
    pair.settle()
    expect(served.messages.length).toBe(1)
  })

  /** Alice takes and sends more than Bob. */
  function uneven(): Scene {
    const scene = open({ messageBytesMax: 1 << 20 })
    const strict = new LinkPair({ messageBytesMax: limit })
    Object.assign(scene.pair, { bob: strict.bob })
    const served = new Served(strict.bob.exchange)
    scene.pair.alice = new LinkPair({ messageBytesMax: 1 << 20 }).alice
    scene.pair.connect()
    return { ...scene, served }
  }

  it.each([limit + 1, 5 * limit])('a message of %i bytes is dropped by a side that takes 100,000', (length) => {
    const { pair, served } = uneven()
    pair.alice.exchange.waitToSend(
      message(Buffer.alloc(length)),
      'copy',
      () => {},
      () => {},
    )
    pair.alice.exchange.waitToSend(
      message('next'),
      'copy',
      () => {},
      () => {},
    )
    pair.settle()
    expect([served.bad.length, served.messages.map(({ text }) => text)]).toEqual([1, ['next']])
    expect(pair.bob.memory.held.largeFramesBytes).toBe(0)
  })

  it.each([limit + 1, 5 * limit])('a request of %i bytes is refused as too long, and no handler runs', (length) => {
    const { pair, served, ask } = uneven()
    const [long, next] = [ask(Buffer.alloc(length)), ask('short')]
    served.echoes = true
    pair.settle()
    expect(long.answers).toEqual([expect.objectContaining({ status: 'refused', code: 'too-long' })])
    expect([ends(next.answers), served.requests.length]).toEqual(['ok', 1])
  })

  it.each([limit + 1, 5 * limit])('an answer of %i bytes is too long for an asker that takes 100,000', (length) => {
    const { pair } = uneven()
    const asker = pair.bob
    const served = new Served(pair.alice.exchange)
    const answers: Answer[] = []
    asker.exchange.request({ message: message('q'), timeLeftMs: () => null, onAnswer: (it) => void answers.push(it) })
    pair.settle()
    served.requests[0]?.answer(Buffer.alloc(length))
    pair.settle()
    expect(answers).toEqual([expect.objectContaining({ status: 'failed', code: 'too-long' })])
  })

  it('an answer that is longer than the asker says it accepts becomes the error too-long', () => {
    const { pair, served, ask } = open({ maxMessageLengthBytes: 65_536 })
    const { answers } = ask()
    pair.settle()
    served.requests[0]?.answer(Buffer.alloc(70_000))
    pair.settle()
    expect(answers).toEqual([expect.objectContaining({ status: 'failed', code: 'too-long' })])
  })
})
