/**
 * Owns: what a peer may not do on the messages, requests and responses lanes, and any order of what it may do.
 * Independent of: sockets, handlers of an application, timers.
 */
import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import * as codec from '../../codec/message-frames.ts'
import { encodeCredit, messagesLane, requestsLane, responsesLane } from '../../codec/native-frames.ts'
import type { Answer, IncomingRequest } from '../../protocol/exchange.ts'
import { unansweredRequestsMax } from '../../protocol/native/messages/asked-requests.ts'
import { code, message, nothing, open, pieces } from './exchange-scene.ts'
import { LinkPair, type PairEnd, type PairOptions } from './link-pair.ts'

describe('a peer that breaks a rule', () => {
  const request = (nonce: number, payload = nothing): Buffer =>
    Buffer.concat([
      codec.encodeRequestHeader({ nonce, timeLeftMs: null, name: 'ask', payloadLengthBytes: payload.length }),
      payload,
    ])
  const bob = (options: PairOptions = {}): PairEnd => open(options).pair.bob
  const longMessage = codec.encodeMessage({ name: 'news', bytes: Buffer.alloc(140_000) })
  const longRequest = request(4, Buffer.alloc(140_000))

  it('a nonce is in use until its request is answered', () => {
    const { pair, served } = open()
    pair.bob.read(request(1))
    expect(() => pair.bob.read(request(1))).toThrow(code('ERR_REQUEST_NONCE'))
    served.requests[0]?.answer(nothing)
    pair.bob.read(request(1))
    expect(served.requests.length).toBe(2)
  })

  it(`request number ${unansweredRequestsMax + 1} without an answer is refused`, () => {
    const end = bob({ windowBytes: 1 << 20 })
    for (let nonce = 1; nonce <= unansweredRequestsMax; nonce++) end.read(request(nonce))
    expect(() => end.read(request(5_000))).toThrow(code('ERR_REQUEST_LIMIT'))
  })

  it('a Message beyond its credit is refused', () => {
    const { pair, served } = open({ windowBytes: 150 })
    served.holds = true
    const one = codec.encodeMessage({ name: '', bytes: Buffer.alloc(100) })
    expect(() => pair.bob.read(Buffer.concat([one, one, one]))).toThrow(code('ERR_CREDIT_EXCEEDED'))
  })

  it.each([messagesLane, requestsLane, responsesLane])('a balance over 2^31 - 1 on lane %i is refused', (lane) => {
    const end = bob({ windowBytes: 10 })
    end.read(encodeCredit(lane, 0x7fff_ffff - 10))
    expect(() => end.read(encodeCredit(lane, 1))).toThrow(code('ERR_CREDIT_OVERFLOW'))
  })

  it.each([
    ['a Message between the Pieces of another', longMessage, codec.encodeMessage({ name: '', bytes: nothing })],
    ['a Cancel between the Pieces of a Request', longRequest, codec.encodeCancel(4)],
    ['a Request between the Pieces of another', longRequest, request(5)],
  ])('%s is refused, also where the frame is too long and dropped', (_, frame, between) => {
    for (const messageBytesMax of [1 << 20, 1000]) {
      const end = bob({ messageBytesMax })
      end.read(pieces(frame)[0]!)
      expect(() => end.read(between)).toThrow(code('ERR_PIECE_INTERRUPTED'))
    }
  })

  it('Pieces of two lanes may alternate, and Credit may come between them', () => {
    const { pair, served } = open({ windowBytes: 1 << 18 })
    for (const [index, part] of pieces(longMessage).entries())
      pair.bob.read(Buffer.concat([part, encodeCredit(requestsLane, 1), pieces(longRequest)[index]!]))
    expect([served.messages.length, served.requests.length]).toEqual([1, 1])
  })

  it('a first Piece whose length breaks a rule is refused at once', () => {
    const [first] = pieces(longRequest) as [Buffer]
    const tooLong = Buffer.from(first)
    tooLong.writeUInt32LE((1 << 22) + 1, 10)
    expect(() => bob().read(tooLong)).toThrow(code('ERR_MESSAGE_TOO_LONG'))
    const ofMessage = Buffer.from(first)
    ofMessage[9] = 0x39
    expect(() => bob().read(ofMessage)).toThrow(code('ERR_PIECE_BEGINS'))
  })
})

describe('any order of events', () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constant('ask' as const), length: fc.constantFrom(0, 50, 3000, 90_000) }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('settle' as const, 'answer' as const, 'fail' as const) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('cancel' as const, 'break' as const, 'cut' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('crash' as const, 'restart' as const) }) },
  )

  test('every request ends once, and a request that was not sent reached no handler', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(200, 65_536), (steps, windowBytes) => {
        const pair = new LinkPair({ windowBytes })
        const reached = new Map<string, number>()
        const open: IncomingRequest[] = []
        const serve = (): void =>
          pair.bob.exchange.setReceiver({
            onMessage: () => true,
            onBadMessage: () => {},
            onRequest: (request) => {
              reached.set(request.name, (reached.get(request.name) ?? 0) + 1)
              open.push(request)
            },
          })
        serve()
        pair.connect()
        const all: { name: string; answers: Answer[]; withdrawn: boolean; given: boolean; cancel: () => void }[] = []
        for (const [index, one] of steps.entries()) {
          switch (one.do) {
            case 'ask': {
              const asked = {
                name: String(index),
                answers: [] as Answer[],
                withdrawn: false,
                given: false,
                cancel: () => {},
              }
              const sent = pair.alice.exchange.request({
                message: message(Buffer.alloc(one.length), asked.name),
                timeLeftMs: () => null,
                onAnswer: (answer) => void asked.answers.push(answer),
              })
              asked.cancel = () => {
                if (asked.answers.length > 0 || asked.given) return
                asked.given = true
                asked.withdrawn = sent.cancel()
              }
              all.push(asked)
              break
            }
            case 'settle':
              pair.settle()
              break
            case 'answer':
              open.shift()?.answer(Buffer.alloc(90))
              break
            case 'fail':
              open.pop()?.fail('failed', 'E', '')
              break
            case 'cancel':
              all.at(-1)?.cancel()
              break
            case 'cut':
              pair.alice.take()
              pair.disconnect()
              pair.connect()
              break
            case 'break':
              pair.disconnect()
              pair.connect()
              break
            case 'crash':
              pair.disconnect()
              pair.alice.link.crashed()
              pair.connect()
              break
            case 'restart':
              pair.restartBob()
              serve()
              pair.connect()
              break
          }
        }
        for (let round = 0; round < 50; round++) {
          pair.settle()
          for (const request of open.splice(0)) request.answer(nothing)
        }
        expect(pair.alice.exchange.outstanding).toBe(0)
        for (const { name, answers, withdrawn, given } of all) {
          expect(answers.length).toBe(given ? 0 : 1)
          const times = reached.get(name) ?? 0
          const [answer] = answers
          if (withdrawn || (answer?.status === 'lost' && answer.outcome === 'notSent')) expect(times).toBe(0)
          else if (answer?.status === 'ok' || answer?.status === 'failed') expect(times).toBe(1)
          else expect(times).toBeLessThanOrEqual(1)
        }
        for (const end of [pair.alice, pair.bob]) {
          expect(end.memory.held.largeFramesBytes).toBe(0)
          end.memory.invariants()
        }
      }),
      { numRuns: 300 },
    )
  })
})
