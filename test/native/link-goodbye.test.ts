/** Owns: Goodbye and Ack as one side of a link handles them. Independent of: sockets, and of how a link resumes. */
import { describe, expect, test } from 'vitest'
import { LinkEpoch } from '../../protocol/native/epoch/link-epoch.ts'
import { expectProtocolError } from '../codec/harness.ts'
import { createLink, hello, push } from './epoch-scene.ts'

describe('a Goodbye', () => {
  const peerGoodbye = { code: 0, next: 1, received: 0, reason: '' }

  function createUp(): LinkEpoch {
    const a = createLink()
    a.adopt(a.composeHello(), hello)
    a.countFrame(10, 0)
    return a
  }

  test('a Goodbye that comes first is answered; one after our own is finished with a last Ack and FIN', () => {
    const second = createUp()
    expect(second.receiveGoodbye(peerGoodbye)).toBe('answer')
    const first = createUp()
    first.goodbye.sent()
    expect(first.receiveGoodbye(peerGoodbye)).toBe('finish')
  })

  test('a Goodbye must match what arrived, and a counted frame or second Goodbye after it is an error', () => {
    expectProtocolError('ERR_GOODBYE_MISMATCH', () => createUp().receiveGoodbye({ ...peerGoodbye, next: 2 }))
    const a = createUp()
    a.goodbye.checkCounted()
    a.receiveGoodbye(peerGoodbye)
    expectProtocolError('ERR_GOODBYE_ORDER', () => {
      a.goodbye.checkCounted()
    })
    expectProtocolError('ERR_GOODBYE_ORDER', () => a.receiveGoodbye(peerGoodbye))
  })

  test('a Goodbye is an Ack', () => {
    const a = createUp()
    push(a, 7, 7)
    a.receiveGoodbye({ ...peerGoodbye, received: 2 })
    expect(a.retransmit.heldFrames).toBe(0)
    expectProtocolError('ERR_ACK_OUT_OF_RANGE', () => createUp().receiveGoodbye({ ...peerGoodbye, received: 1 }))
  })

  test('a Goodbye with code protocol may follow, is not checked, and acknowledges only valid counts', () => {
    const a = createUp()
    push(a, 7, 7)
    a.receiveGoodbye(peerGoodbye)
    expect(a.receiveGoodbye({ code: 1, next: 999, received: 2 ** 53, reason: '' })).toBe('protocol-error')
    expect(a.retransmit.heldFrames).toBe(2)
    a.receiveGoodbye({ code: 1, next: 999, received: 1, reason: '' })
    expect(a.renew('protocol-error').held).toEqual(new Map([[7, { acked: 0, unknown: 1, notSent: 0 }]]))
  })

  test('a Goodbye in either direction ends the link with its socket; without one, a closed socket is a break', () => {
    for (const begin of [
      (link: LinkEpoch) => {
        link.goodbye.sent()
      },
      (link: LinkEpoch) => link.receiveGoodbye(peerGoodbye),
    ]) {
      const a = createUp()
      begin(a)
      expect(a.connectionLost(0)?.reason).toBe('goodbye')
      expect([a.known, a.epoch, a.received, a.goodbye.isEnding]).toEqual([0n, 2n, 0, false])
    }
    expect(createUp().connectionLost(0)).toBeNull()
  })
})

describe('an Ack', () => {
  test('an Ack is due after 64 frames, a quarter of the sender’s window, or 50 ms', () => {
    const a = createLink()
    a.adopt(a.composeHello(), { ...hello, replayWindowBytes: 100_000 })
    for (let count = 1; count < 64; count += 1) expect(a.countFrame(10, 1000 + count)).toBe(false)
    expect([a.acks.isOwed, a.acks.dueAtMs]).toEqual([true, 1051])
    expect(a.countFrame(10, 1100)).toBe(true)
    a.acks.sent()
    expect([a.acks.isOwed, a.acks.dueAtMs]).toEqual([false, null])
    expect(a.countFrame(25_000 - 33, 2000)).toBe(false)
    a.acks.sent()
    expect(a.countFrame(25_000 - 32, 2000)).toBe(true)
  })
})
