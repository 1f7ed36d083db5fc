/**
 * Owns: requests between two links: each ends once, and how.
 * Independent of: sockets, handlers of an application, timers.
 */
import { describe, expect, it } from 'vitest'
import type { Answer, IncomingRequest } from '../../protocol/exchange.ts'
import { unansweredRequestsMax } from '../../protocol/native/messages/asked-requests.ts'
import { ends, message, nothing, open } from './exchange-scene.ts'

describe('requests', () => {
  it('a request is answered once, with the bytes of the answer, whatever the handler does afterwards', () => {
    const { pair, served, ask } = open()
    const { answers } = ask()
    pair.settle()
    const [request] = served.requests as [IncomingRequest]
    expect([request.name, request.bytes.toString()]).toEqual(['ask', 'question'])
    request.answer(Buffer.from('answer'))
    request.answer(Buffer.from('again'))
    request.fail('failed', 'late', '')
    pair.settle()
    expect(answers).toEqual([{ status: 'ok', bytes: Buffer.from('answer') }])
    expect(pair.alice.exchange.outstanding).toBe(0)
  })

  it('an error of the handler arrives with its code, message and bytes', () => {
    const { pair, served, ask } = open()
    const { answers } = ask()
    pair.settle()
    served.requests[0]?.fail('failed', 'E_STOCK', 'none left', Buffer.from([7]))
    pair.settle()
    expect(answers).toEqual([{ status: 'failed', code: 'E_STOCK', message: 'none left', bytes: Buffer.from([7]) }])
  })

  it('long requests and long answers arrive whole', () => {
    const { pair, served, ask } = open()
    served.echoes = true
    const bytes = Buffer.alloc(500_000, 'abcdefg')
    const all = [ask(bytes), ask('short'), ask(bytes)]
    pair.settle()
    expect(all.map(({ answers }) => ends(answers))).toEqual(['ok', 'ok', 'ok'])
    expect(all.map(({ answers }) => (answers[0] as { bytes: Buffer }).bytes.length)).toEqual([500_000, 5, 500_000])
    for (const end of [pair.alice, pair.bob]) expect(end.memory.held.largeFramesBytes).toBe(0)
  })

  it('a malformed request is refused, and no handler runs', () => {
    const { pair, served } = open()
    const answers: Answer[] = []
    for (const [name, headers] of [
      [Buffer.of(0xff), nothing],
      [nothing, Buffer.of(0x01)],
    ] as const)
      pair.alice.exchange.request({
        message: { name, headers, bytes: nothing },
        timeLeftMs: () => null,
        onAnswer: (answer) => void answers.push(answer),
      })
    pair.settle()
    expect([ends(answers), served.requests.length]).toEqual(['refused refused', 0])
  })

  it(`a side sends ${unansweredRequestsMax} requests before the first answer, and the next one after it`, () => {
    const { pair, served, ask } = open({ windowBytes: 1 << 20 })
    const all = Array.from({ length: unansweredRequestsMax + 2 }, () => ask('q'))
    pair.settle()
    expect(served.requests.length).toBe(unansweredRequestsMax)
    served.requests[0]?.answer(nothing)
    pair.settle()
    expect(served.requests.length).toBe(unansweredRequestsMax + 1)
    for (const request of served.requests.slice(1)) request.answer(nothing)
    pair.settle()
    served.requests.at(-1)?.answer(nothing)
    pair.settle()
    expect(all.every(({ answers }) => ends(answers) === 'ok')).toBe(true)
  })

  it('the time that is left is the time when the request was sent, at least 1 ms', () => {
    const { pair, served } = open({}, false)
    let leftMs = 500
    const request = (bytes: Buffer): void =>
      void pair.alice.exchange.request({ message: message(bytes), timeLeftMs: () => leftMs, onAnswer: () => {} })
    request(nothing)
    request(Buffer.alloc(100_000))
    leftMs = 0.2
    pair.connect()
    pair.settle()
    expect(served.requests.map(({ timeLeftMs }) => timeLeftMs)).toEqual([1, 1])
  })

  it('a request that waits is withdrawn without a frame', () => {
    const { pair, served, ask } = open({}, false)
    const [given, kept] = [ask('given up'), ask('kept')]
    expect([given.cancel(), given.cancel()]).toEqual([true, false])
    pair.connect()
    pair.settle()
    expect(served.requests.map(({ bytes }) => bytes.toString())).toEqual(['kept'])
    expect([given.answers, kept.answers, served.cancelled]).toEqual([[], [], []])
  })

  it('a request that was sent is cancelled at its handler, and its place is free once it is answered', () => {
    const { pair, served, ask } = open()
    const { answers, cancel } = ask()
    pair.settle()
    expect([cancel(), cancel()]).toEqual([false, false])
    pair.settle()
    expect([served.cancelled.length, pair.alice.exchange.outstanding]).toEqual([1, 1])
    served.requests[0]?.fail('cancelled', '', '')
    pair.settle()
    expect([answers, pair.alice.exchange.outstanding]).toEqual([[], 0])
  })

  it('a Cancel follows the last Piece of its request', () => {
    const { pair, served, ask } = open({ windowBytes: 70_000 })
    const { cancel } = ask(Buffer.alloc(300_000))
    const first = pair.alice.take()
    expect(cancel()).toBe(false)
    pair.bob.read(first)
    pair.settle()
    expect([served.requests.length, served.cancelled.length]).toEqual([1, 1])
  })

  it('a Cancel does not come between two Pieces of another request', () => {
    const { pair, served, ask } = open({ windowBytes: 70_000 })
    const short = ask()
    pair.settle()
    const long = ask(Buffer.alloc(300_000))
    const first = pair.alice.take()
    expect([short.cancel(), first.length > 65_536]).toEqual([false, true])
    pair.bob.read(first)
    pair.settle()
    expect([served.requests.length, served.cancelled.length]).toEqual([2, 1])
    served.requests[0]!.fail('cancelled', '', '')
    served.requests[1]!.answer(nothing)
    pair.settle()
    expect([ends(long.answers), pair.alice.exchange.outstanding]).toEqual(['ok', 0])
  })

  it('a Cancel that waits is left out if its request is answered meanwhile', () => {
    const { pair, served, ask } = open({ windowBytes: 70_000 })
    const short = ask()
    pair.settle()
    ask(Buffer.alloc(300_000))
    const first = pair.alice.take()
    short.cancel()
    served.requests[0]!.answer(nothing)
    pair.bob.read(first)
    pair.settle()
    expect([served.requests.length, served.cancelled.length, pair.bob.link.counters.framesDropped]).toEqual([2, 0, 0])
  })

  it('a Cancel that crosses the answer is dropped and counted', () => {
    const { pair, served, ask } = open()
    served.echoes = true
    const { cancel } = ask()
    pair.bob.read(pair.alice.take())
    cancel()
    pair.bob.read(pair.alice.take())
    expect([served.cancelled.length, pair.bob.link.counters.framesDropped]).toEqual([0, 1])
  })

  it('sockets that die repeat no request and lose no answer', () => {
    const { pair, served, ask } = open()
    served.echoes = true
    const all = Array.from({ length: 50 }, (_, index) => {
      const asked = ask(String(index))
      // Either direction is cut at a different place each time.
      if (index % 3 === 0) pair.bob.read(pair.alice.take())
      if (index % 3 === 1) pair.alice.take()
      pair.disconnect()
      pair.connect()
      return asked
    })
    pair.settle()
    expect(served.requests.map(({ bytes }) => bytes.toString())).toEqual(all.map((_, index) => String(index)))
    expect(all.map(({ answers }) => ends(answers))).toEqual(all.map(() => 'ok'))
  })

  it('after a reset each request ends once: unknown if it was handed over, notSent if not', () => {
    const { pair, served, ask } = open()
    const [arrived, onTheWay] = [ask(), (pair.settle(), ask())]
    pair.alice.take()
    const inBatch = ask()
    pair.alice.link.block()
    const waits = ask()
    pair.restartBob()
    pair.connect()
    expect([arrived, onTheWay, inBatch, waits].map(({ answers }) => ends(answers))).toEqual([
      'unknown',
      'unknown',
      'notSent',
      'notSent',
    ])
    // Its answer would belong to an epoch that has ended.
    served.requests[0]?.answer(nothing)
    expect(pair.alice.exchange.outstanding).toBe(0)
  })

  it('when the peer says what it has, requests beyond that were not sent', () => {
    const { pair, ask, served } = open()
    const arrived = ask()
    pair.settle()
    const lost = ask()
    pair.alice.take()
    // Only Bob begins a new epoch.
    pair.disconnect()
    pair.bob.link.crashed()
    pair.connect()
    expect([ends(arrived.answers), ends(lost.answers).length > 0, served.cancelled.length]).toEqual([
      'unknown',
      true,
      1,
    ])
  })

  it('a handler is told when its answer can not be sent any more', () => {
    const { pair, served, ask } = open()
    ask()
    pair.settle()
    pair.bob.link.crashed()
    expect(served.cancelled).toEqual(served.requests)
    served.requests[0]?.answer(nothing)
    expect(pair.bob.link.outbound.pendingBytes).toBe(0)
  })

  it('a link that ends for good ends its requests', () => {
    const { pair, ask } = open()
    const sent = ask()
    pair.settle()
    pair.disconnect()
    const waits = ask()
    pair.alice.link.close(new Error('closed'))
    expect([ends(sent.answers), ends(waits.answers)]).toEqual(['unknown', 'notSent'])
    expect(ends(ask().answers)).toBe('notSent')
  })

  it('answers wait for the credit of the asker and keep their order', () => {
    const { pair, served, ask } = open({ windowBytes: 100 })
    const all = Array.from({ length: 20 }, (_, index) => {
      const asked = ask(String(index))
      pair.bob.read(pair.alice.take())
      const batch = pair.bob.take()
      if (batch.length > 0) pair.alice.read(batch)
      return asked
    })
    for (const request of served.requests) request.answer(Buffer.alloc(60))
    expect(all.filter(({ answers }) => answers.length > 0)).toEqual([])
    pair.settle()
    for (const request of served.requests) request.answer(Buffer.alloc(60))
    pair.settle()
    expect(all.map(({ answers }) => ends(answers))).toEqual(all.map(() => 'ok'))
  })
})
