/**
 * Owns: what a side answers to messages, requests and streams that it does not serve, and the credit of their lanes.
 * Independent of: sockets and sessions.
 */
import { describe, expect, it } from 'vitest'
import * as messages from '../../codec/message-frames.ts'
import * as frames from '../../codec/native-frames.ts'
import { FloodGuard } from '../../protocol/native/lanes/flood-guard.ts'
import { UnservedLanes, unansweredRequestsMax } from '../../protocol/native/lanes/unserved.ts'
import { createReader, readOne } from '../codec/frame-examples.ts'

const { messagesLane, requestsLane, responsesLane, firstStreamLane } = frames
const noWindow = { receiveBytes: null, sendBytes: null }

class Side {
  readonly written: Buffer[] = []
  readonly counters = { valuesSent: 0, bytesSent: 0, valuesReceived: 0, bytesReceived: 0, framesDropped: 0 }
  readonly lanes: UnservedLanes
  #nowMs = 0

  constructor(windows = { receiveBytes: 65_536, sendBytes: 65_536 }) {
    const guard = new FloodGuard({ carriedFrames: () => 0 }, 0)
    this.lanes = new UnservedLanes((frame) => void this.written.push(frame), {
      guard,
      counters: this.counters,
      isPeerGreater: true,
      maxMessageLengthBytes: 150_000,
    })
    this.lanes.adopted(windows)
  }

  /** A second passes before each frame, so that none of this is a flood. */
  push(...all: Buffer[]): void {
    for (const frame of all) {
      this.#nowMs += 1_000
      this.lanes.onFrame(frame.readUInt32LE(0), frame[4]!, frame, 5, frame.length, this.#nowMs)
    }
  }

  /** What was written since the last call. */
  take(): unknown[] {
    return this.written.splice(0).map((frame) => readOne(frame))
  }
}

const request = (nonce: number, name = 'ask'): Buffer =>
  messages.encodeRequestHeader({ nonce, timeLeftMs: null, name, payloadLengthBytes: 0 })
const noHandler = (nonce: number): unknown => expect.objectContaining({ nonce, status: 'no-handler' })

describe('messages and responses', () => {
  it('messages, responses and Cancels are dropped and counted without an answer', () => {
    const side = new Side()
    side.push(
      messages.encodeMessage({ name: 'news', bytes: Buffer.from('x') }),
      messages.encodeResponseHeader(7, 0),
      messages.encodeCancel(7),
      frames.encodeCredit(messagesLane, 5),
    )
    expect([side.take(), side.counters.framesDropped]).toEqual([[], 4])
  })

  it('each of the three lanes has its own window, refilled when half of it was taken', () => {
    const side = new Side({ receiveBytes: 100, sendBytes: 100 })
    const message = messages.encodeMessage({ name: '', bytes: Buffer.alloc(48) })
    expect(message).toHaveLength(60)
    side.push(message, message)
    expect(side.written.map((frame) => [frame.readUInt32LE(0), readOne(frame)])).toEqual([
      [messagesLane, 60],
      [messagesLane, 60],
    ])
    side.written.length = 0
    side.push(Buffer.concat([messages.encodeResponseHeader(1, 50), Buffer.alloc(50)]))
    expect(side.written.map((frame) => [frame.readUInt32LE(0), readOne(frame)])).toEqual([[responsesLane, 64]])
  })

  it('a frame whose inner lengths do not fit is refused even where nobody serves it', () => {
    const message = messages.encodeMessage({ name: 'news', bytes: Buffer.alloc(0) })
    message[9] = 200
    expect(() => new Side().push(message)).toThrow(expect.objectContaining({ code: 'ERR_VALUE_TRUNCATED' }))
  })

  it.each([messagesLane, requestsLane, responsesLane])('a balance over 2^31 - 1 on lane %i is refused', (lane) => {
    const side = new Side({ receiveBytes: 1, sendBytes: 10 })
    side.push(frames.encodeCredit(lane, 0x7fff_ffff - 10))
    expect(() => side.push(frames.encodeCredit(lane, 1))).toThrow(
      expect.objectContaining({ code: 'ERR_CREDIT_OVERFLOW' }),
    )
  })
})

describe('requests', () => {
  it('a request is answered with no-handler, and one whose name or headers are malformed with refused', () => {
    const side = new Side()
    const misnamed = request(2, 'a')
    misnamed[18] = 0xff
    const headers = Buffer.of(0x81, 0xa1, 0x61, 0x01)
    const mislabelled = messages.encodeRequestHeader({
      nonce: 3,
      timeLeftMs: null,
      name: 'a',
      headers,
      payloadLengthBytes: 0,
    })
    side.push(request(1), misnamed, mislabelled)
    expect(side.take()).toEqual([
      noHandler(1),
      expect.objectContaining({ nonce: 2, status: 'refused' }),
      expect.objectContaining({ nonce: 3, status: 'refused' }),
    ])
  })

  it('answers wait for the credit of the peer, keep their order, and each is sent once', () => {
    const side = new Side({ receiveBytes: 65_536, sendBytes: 1 })
    side.push(request(3), request(1), request(2))
    expect(side.take()).toEqual([noHandler(3)])
    side.push(frames.encodeCredit(requestsLane, 1_000), frames.encodeCredit(messagesLane, 1_000))
    expect(side.take()).toEqual([])
    side.push(frames.encodeCredit(responsesLane, 1_000))
    expect(side.take()).toEqual([noHandler(1), noHandler(2)])
    side.push(frames.encodeCredit(responsesLane, 1_000))
    expect(side.take()).toEqual([])
  })

  it('a nonce is in use until its request is answered', () => {
    const side = new Side({ receiveBytes: 65_536, sendBytes: 1 })
    side.push(request(1), request(1))
    expect(() => side.push(request(1))).toThrow(expect.objectContaining({ code: 'ERR_REQUEST_NONCE' }))
    side.push(frames.encodeCredit(responsesLane, 1_000), request(1))
    expect(side.take()).toEqual([noHandler(1), noHandler(1), noHandler(1)])
  })

  it(`a peer that does not give credit for ${unansweredRequestsMax} answers may ask nothing more`, () => {
    const side = new Side({ receiveBytes: 1 << 20, sendBytes: 1 })
    for (let nonce = 1; nonce <= unansweredRequestsMax + 1; nonce++) side.push(request(nonce))
    expect(() => side.push(request(5_000))).toThrow(expect.objectContaining({ code: 'ERR_REQUEST_LIMIT' }))
  })

  it('the end of an epoch forgets requests and stream ids, and a hello begins the balances that it names', () => {
    const side = new Side({ receiveBytes: 65_536, sendBytes: 1 })
    side.push(request(1), request(2), open(9))
    side.take()
    side.lanes.epochEnded({ reason: 'expired', held: new Map() }, new Map(), null)
    side.lanes.adopted({ receiveBytes: 65_536, sendBytes: 1_000 })
    side.push(request(2), open(1))
    expect(side.take()).toEqual([noHandler(2), expect.objectContaining({ code: 2 })])
    side.lanes.adopted(noWindow)
    side.push(request(3))
    expect(side.take()).toEqual([noHandler(3)])
  })
})

const open = (step: number): Buffer =>
  frames.encodeOpen(firstStreamLane + step, { windowBytes: 1, protocol: 'x', extra: Buffer.alloc(0) })

describe('Pieces', () => {
  const payload = Buffer.alloc(140_000)
  const longRequest = Buffer.concat([
    messages.encodeRequestHeader({ nonce: 4, timeLeftMs: 1, name: 'ask', payloadLengthBytes: payload.length }),
    payload,
  ])
  const longMessage = messages.encodeMessage({ name: 'news', bytes: payload })
  const pieces = (frame: Buffer): Buffer[] =>
    [0, 1, 2].map((index) => {
      const part = frame.subarray(4 + index * 65_536, 4 + (index + 1) * 65_536)
      return Buffer.concat([frames.encodePieceHeader(frame.readUInt32LE(0), part.length), part])
    })
  const creditsOf = (side: Side, lane: number): number =>
    side.written
      .filter((frame) => frame.readUInt32LE(0) === lane)
      .reduce((sum, frame) => sum + (readOne(frame) as number), 0)

  it('a long Request is answered once, when its last Piece has come', () => {
    const side = new Side()
    const [first, second, third] = pieces(longRequest) as [Buffer, Buffer, Buffer]
    side.push(first, second)
    expect(side.written.every((frame) => frame.readUInt32LE(0) === requestsLane)).toBe(true)
    side.take()
    side.push(third)
    expect(side.take()).toContainEqual(noHandler(4))
    side.push(request(4))
    expect(side.take()).toEqual([noHandler(4)])
  })

  it('each Piece is paid for and its credit given back, so that a long frame passes a window of any size', () => {
    const side = new Side({ receiveBytes: 100, sendBytes: 100 })
    for (const piece of pieces(longMessage)) side.push(piece)
    const paid = pieces(longMessage).reduce((sum, { length }) => sum + length, 0)
    expect(creditsOf(side, messagesLane)).toBe(paid)
    expect(side.counters.framesDropped).toBe(3)
  })

  it('Pieces of two lanes may alternate, and Credit may come between them', () => {
    const side = new Side()
    for (const [index, piece] of pieces(longMessage).entries())
      side.push(piece, frames.encodeCredit(requestsLane, 1), pieces(longRequest)[index]!)
    expect(side.take()).toContainEqual(noHandler(4))
  })

  it.each([
    ['a Message between the Pieces of another', longMessage, messages.encodeMessage({ name: '', bytes: payload })],
    ['a Cancel between the Pieces of a Request', longRequest, messages.encodeCancel(4)],
    ['a Request between the Pieces of another', longRequest, request(5)],
  ])('%s is refused', (_, frame, between) => {
    const side = new Side()
    side.push(pieces(frame)[0]!)
    expect(() => side.push(between)).toThrow(expect.objectContaining({ code: 'ERR_PIECE_INTERRUPTED' }))
  })

  it('a first Piece whose fields break a rule is refused at once', () => {
    const [first] = pieces(longRequest) as [Buffer]
    const withoutNonce = Buffer.from(first)
    withoutNonce.writeUInt32LE(0, 14)
    expect(() => new Side().push(withoutNonce)).toThrow(expect.objectContaining({ code: 'ERR_REQUEST_NONCE' }))
    const tooLong = Buffer.from(first)
    tooLong.writeUInt32LE(150_001, 10)
    expect(() => new Side().push(tooLong)).toThrow(expect.objectContaining({ code: 'ERR_MESSAGE_TOO_LONG' }))
    const ofMessage = Buffer.from(first)
    ofMessage[9] = 0x39
    expect(() => new Side().push(ofMessage)).toThrow(expect.objectContaining({ code: 'ERR_PIECE_BEGINS' }))
  })

  it('the end of an epoch drops the Pieces that came', () => {
    const side = new Side()
    side.push(pieces(longMessage)[0]!)
    side.lanes.epochEnded({ reason: 'expired', held: new Map() }, new Map(), null)
    side.lanes.adopted({ receiveBytes: 65_536, sendBytes: 65_536 })
    side.push(...pieces(longMessage), messages.encodeMessage({ name: '', bytes: Buffer.alloc(0) }))
    expect(side.counters.framesDropped).toBe(5)
  })
})

describe('streams', () => {
  it('a stream is reset as an unknown protocol, and a Reset that crosses it is dropped', () => {
    const side = new Side()
    side.push(open(1), frames.encodeReset(firstStreamLane + 1, { code: 0, reason: '' }))
    const { reader, sink } = createReader({ linkIndex: 1 })
    for (const frame of side.written) reader.push(frame)
    expect(sink.seen.map(({ lane, descriptor }) => [lane, descriptor])).toEqual([[firstStreamLane + 1, 0x37]])
    expect(side.take()).toEqual([expect.objectContaining({ code: 2 })])
    expect(side.counters.framesDropped).toBe(2)
  })

  it('an id of this side, an id again, and a frame for a stream that was never opened are refused', () => {
    const refused = expect.objectContaining({ code: 'ERR_STREAM_ID' }) as Error
    expect(() => new Side().push(open(2))).toThrow(refused)
    expect(() => new Side().push(open(1), open(1))).toThrow(refused)
    expect(() => new Side().push(open(1), frames.encodeFin(firstStreamLane + 3))).toThrow(refused)
    expect(() => new Side().push(frames.encodeFin(firstStreamLane + 2))).toThrow(refused)
  })
})
