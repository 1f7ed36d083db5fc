/**
 * Owns: the contract of Message, Request, Response and Cancel: the rules that one frame alone can break, on reading and
 * on writing. Their bytes and splits are in native-frames.test.ts.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as messages from '../../codec/message-frames.ts'
import { messagesLane, nativeDescriptors, requestsLane, responsesLane } from '../../codec/native-frames.ts'
import { expectError, expectProtocolError } from './harness.ts'
import { frame, readOne } from './frame-examples.ts'

const { Message, Request, Response } = nativeDescriptors
const name = fc.string({ unit: 'binary', maxLength: 60 })
const bytes = fc.uint8Array({ maxLength: 300 })
const nonce = fc.integer({ min: 1, max: 0xffff_ffff })

/** The length of the rest, and the rest in hex. */
function rest(hex: string): string {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(hex.replaceAll(' ', '').length / 2)
  return length.toString('hex') + hex
}

describe('a frame that was written', () => {
  test('every Message that can be written is read as it was', () => {
    fc.assert(
      fc.property(name, bytes, bytes, (sentName, headers, payload) => {
        const read = readOne(messages.encodeMessage({ name: sentName, headers, bytes: payload }))
        expect(read).toEqual({
          name: Buffer.from(sentName),
          headers: Buffer.from(headers),
          bytes: Buffer.from(payload),
        })
      }),
    )
  })

  test('every Request that can be written is read as it was', () => {
    const timeLeft = fc.option(fc.integer({ min: 1, max: 0xffff_ffff }))
    fc.assert(
      fc.property(nonce, timeLeft, name, bytes, bytes, (sentNonce, timeLeftMs, sentName, headers, payload) => {
        const header = messages.encodeRequestHeader({
          nonce: sentNonce,
          timeLeftMs,
          name: sentName,
          headers,
          payloadLengthBytes: payload.length,
        })
        expect(readOne(Buffer.concat([header, payload]))).toEqual({
          nonce: sentNonce,
          timeLeftMs,
          name: Buffer.from(sentName),
          headers: Buffer.from(headers),
          bytes: Buffer.from(payload),
        })
      }),
    )
  })

  test('every Response that can be written is read as it was', () => {
    const statuses = Object.keys(messages.responseStatuses).filter((each) => each !== 'ok') as messages.ErrorStatus[]
    const printable = fc.stringMatching(/^[ -~]{0,64}$/)
    fc.assert(
      fc.property(nonce, fc.constantFrom(...statuses), printable, name, bytes, (to, status, code, message, payload) => {
        const payloadLengthBytes = payload.length
        const ok = Buffer.concat([messages.encodeResponseHeader(to, payloadLengthBytes), payload])
        expect(readOne(ok)).toEqual({ nonce: to, status: 'ok', bytes: Buffer.from(payload) })
        const header = messages.encodeErrorResponseHeader({ nonce: to, status, code, message, payloadLengthBytes })
        expect(readOne(Buffer.concat([header, payload]))).toEqual({
          nonce: to,
          status,
          code,
          message,
          bytes: Buffer.from(payload),
        })
      }),
    )
  })

  test('what is read from a body are views of it, because payloads are not copied', () => {
    const whole = messages.encodeMessage({ name: 'n', headers: Buffer.of(0x80), bytes: Buffer.from('abc') })
    const read = messages.decodeMessage(whole, 5, whole.length)
    expect([read.name, read.headers, read.bytes].every(({ buffer }) => buffer === whole.buffer)).toBe(true)
  })
})

describe('inner lengths', () => {
  type Outcome = (body: () => unknown) => void
  const accepted: Outcome = (body) => expect(body).not.toThrow()
  const truncated: Outcome = (body) => expectProtocolError('ERR_VALUE_TRUNCATED', body)
  const tooLong: Outcome = (body) => expectProtocolError('ERR_MESSAGE_TOO_LONG', body)
  const wrongNonce: Outcome = (body) => expectProtocolError('ERR_REQUEST_NONCE', body)
  const wrongStatus: Outcome = (body) => expectProtocolError('ERR_RESPONSE_STATUS', body)

  test.each<[rule: string, lane: number, descriptor: number, body: string, outcome: Outcome]>([
    ['a name as long as its Message allows', messagesLane, Message, rest('02 6161 0000'), accepted],
    ['a name that leaves one byte for the length of headers', messagesLane, Message, rest('03 616161 00'), truncated],
    ['a name longer than its Message', messagesLane, Message, rest('ff 6161 0000'), truncated],
    ['headers as long as their Message allows', messagesLane, Message, rest('00 0200 8080'), accepted],
    ['headers one byte longer than their Message', messagesLane, Message, rest('00 0300 8080'), truncated],
    ['headers of 8,192 bytes', messagesLane, Message, rest(`00 0020 ${'80'.repeat(8192)}`), accepted],
    ['headers of 8,193 bytes', messagesLane, Message, rest(`00 0120 ${'80'.repeat(8193)}`), tooLong],
    ['a name as long as its Request allows', requestsLane, Request, rest('01000000 00000000 01 61 0000'), accepted],
    ['a name longer than its Request', requestsLane, Request, rest('01000000 00000000 02 61 0000'), truncated],
    ['headers longer than their Request', requestsLane, Request, rest('01000000 00000000 00 0100'), truncated],
    ['a Request with the nonce 0', requestsLane, Request, rest('00000000 00000000 00 0000'), wrongNonce],
    ['a Response with an error of 8 bytes', responsesLane, Response, rest('01000000 01 00 0000'), accepted],
    ['a Response with an error of 7 bytes', responsesLane, Response, rest('01000000 01 00 00'), truncated],
    ['a Response with the status ok and 5 bytes', responsesLane, Response, rest('01000000 00'), accepted],
    ['a code longer than its Response', responsesLane, Response, rest('01000000 01 02 61 0000'), truncated],
    ['a message longer than its Response', responsesLane, Response, rest('01000000 01 00 0200 61'), truncated],
    ['a code of 64 bytes', responsesLane, Response, rest(`01000000 01 40 ${'61'.repeat(64)} 0000`), accepted],
    ['a code of 65 bytes', responsesLane, Response, rest(`01000000 01 41 ${'61'.repeat(65)} 0000`), tooLong],
    ['a message of 1,024 bytes', responsesLane, Response, rest(`01000000 01 00 0004 ${'61'.repeat(1024)}`), accepted],
    ['a message of 1,025 bytes', responsesLane, Response, rest(`01000000 01 00 0104 ${'61'.repeat(1025)}`), tooLong],
    ['a Response with the status 5', responsesLane, Response, rest('01000000 05 00 0000'), accepted],
    ['a Response with the status 6', responsesLane, Response, rest('01000000 06 00 0000'), wrongStatus],
    ['a Response with the status 255', responsesLane, Response, rest('01000000 ff 00 0000'), wrongStatus],
  ])('%s is read or refused by its rule', (_, lane, descriptor, body, outcome) => {
    outcome(() => readOne(frame(lane, descriptor, body)))
  })

  test('any bytes as a body are read within it, or refused with a protocol error', () => {
    const kinds = [
      [messagesLane, Message, 3],
      [requestsLane, Request, 11],
      [responsesLane, Response, 5],
    ] as const
    fc.assert(
      fc.property(fc.constantFrom(...kinds), fc.uint8Array({ maxLength: 40 }), ([lane, descriptor, least], tail) => {
        const body = Buffer.concat([Buffer.alloc(least, 1), tail]).toString('hex')
        let read: unknown
        try {
          read = readOne(frame(lane, descriptor, rest(body)))
        } catch (error) {
          expect(error).toHaveProperty('name', 'ProtocolError')
          return
        }
        const { name: readName, headers, bytes: payload } = read as Record<'name' | 'headers' | 'bytes', Buffer>
        const fields = (readName?.length ?? 0) + (headers?.length ?? 0) + payload.length
        expect(fields).toBeLessThanOrEqual(least + tail.length)
      }),
    )
  })
})

describe('texts', () => {
  test('the code of an error that is not printable ASCII is read as empty', () => {
    for (const [hex, code] of [
      ['20', ' '],
      ['7e', '~'],
      ['1f', ''],
      ['7f', ''],
      ['c3', ''],
    ] as const)
      expect(readOne(frame(responsesLane, Response, rest(`01000000 02 01 ${hex} 0000`)))).toMatchObject({ code })
  })

  test('invalid UTF-8 in the message of an error is replaced', () => {
    expect(readOne(frame(responsesLane, Response, rest('01000000 03 00 0200 ff61')))).toMatchObject({
      message: '\ufffda',
    })
  })

  test('a name that is not UTF-8 is told from every name that is', () => {
    expect(
      [Buffer.from('ff', 'hex'), Buffer.from('c3', 'hex'), Buffer.from('eda080', 'hex')].map(messages.textOf),
    ).toEqual([null, null, null])
    expect(['', 'é', '\ufeffa'].map((text) => messages.textOf(Buffer.from(text)))).toEqual(['', 'é', '\ufeffa'])
  })
})

describe('writing', () => {
  test('writing refuses a name, headers or a nonce that the other side would refuse', () => {
    const payloadLengthBytes = 0
    expectError('ERR_INVALID_VALUE', () => messages.encodeMessageHeader({ name: 'é'.repeat(128), payloadLengthBytes }))
    expectError('ERR_INVALID_VALUE', () =>
      messages.encodeMessageHeader({ name: '', headers: Buffer.alloc(8193), payloadLengthBytes }),
    )
    expectError('ERR_INVALID_VALUE', () =>
      messages.encodeRequestHeader({ nonce: 0, timeLeftMs: null, name: '', payloadLengthBytes }),
    )
  })

  test.each([
    [null, null],
    [0, 1],
    [-5, 1],
    [0.9, 1],
    [1.9, 1],
    [2, 2],
    [2 ** 32, 2 ** 32 - 1],
    [Number.POSITIVE_INFINITY, 2 ** 32 - 1],
  ])('a time left of %s ms is read as %s', (timeLeftMs, read) => {
    const header = messages.encodeRequestHeader({ nonce: 1, timeLeftMs, name: '', payloadLengthBytes: 0 })
    expect(readOne(header)).toMatchObject({ timeLeftMs: read })
  })

  test('the error of a Response loses a code that the other side would not read, and the end of a long message', () => {
    const write = (code: string, message: string): unknown =>
      readOne(messages.encodeErrorResponseHeader({ nonce: 1, status: 'failed', code, message, payloadLengthBytes: 0 }))
    expect(write('é', `a${'é'.repeat(600)}`)).toMatchObject({ code: '', message: `a${'é'.repeat(511)}` })
    expect(write('x'.repeat(65), '')).toMatchObject({ code: '' })
    expect(write('x'.repeat(64), '')).toMatchObject({ code: 'x'.repeat(64) })
  })
})
