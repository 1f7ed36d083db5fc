/**
 * Owns: one side of a link across sockets: counting, verdicts, resumption and the end of an epoch. Independent of:
 * sockets, actors.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeFrame } from '../../codec/frame-writer.ts'
import { encodeMessage } from '../../codec/message-frames.ts'
import { encodeCredit, messagesLane } from '../../codec/native-frames.ts'
import { laneOutcome, settleHeld } from '../../protocol/native/epoch/outcomes.ts'
import { expectError } from '../codec/harness.ts'
import { createLink, hello, keyA, keyB, meet, push } from './epoch-scene.ts'

describe('one side of a link', () => {
  test('a link numbers its hellos across both roles and reads its counters as late as possible', () => {
    const [a, b] = [createLink(), createLink(keyB, keyA, 100n, 50n)]
    meet(a, b)
    expectError('ERR_INTERNAL', () => a.composeHello())
    push(a, 7, 7)
    a.retransmit.ack(1)
    a.countFrame(10, 0)
    a.connectionLost(0)
    expect(a.composeHello()).toMatchObject({
      helloNumber: 2,
      known: 50n,
      epoch: 1n,
      nextEpoch: 2n,
      received: 1,
      first: 1,
      next: 2,
    })
    b.connectionLost(0)
    expect(b.composeHello().helloNumber).toBe(2)
  })

  test('a link adopts only with its newest hello, and not with one of a past epoch', () => {
    const link = createLink()
    const old = link.composeHello()
    link.composeHello()
    expectError('ERR_INTERNAL', () => link.adopt(old, hello))
    const newest = link.composeHello()
    link.renew('expired')
    expectError('ERR_INTERNAL', () => link.adopt(newest, hello))
  })

  test('RESUME sends again from exactly what was received, and keeps every credit balance', () => {
    const [a, b] = [createLink(), createLink(keyB, keyA, 100n, 50n)]
    expect(meet(a, b).map(({ verdict, laneWindowBytes }) => [verdict.mine, laneWindowBytes])).toEqual([
      ['RESUME', 4096],
      ['RESUME', 4096],
    ])
    push(a, 7, 8, 9)
    b.countFrame(10, 0)
    a.connectionLost(0)
    b.connectionLost(0)
    const [resumed] = meet(a, b)
    expect([resumed!.end, resumed!.laneWindowBytes]).toEqual([null, null])
    expect(Buffer.concat(resumed!.replay).readUInt32LE(0)).toBe(8)
    expect([a.retransmit.first, a.retransmit.next, a.epoch]).toEqual([1, 3, 1n])
  })

  test('FRESH after a restart of the peer reports retained values as unknown, and names the next epoch', () => {
    const [a, b] = [createLink(), createLink(keyB, keyA, 100n, 50n)]
    meet(a, b)
    push(a, 7, 7, 8)
    a.retransmit.ack(1)
    a.countFrame(10, 0)
    a.connectionLost(0)
    const restarted = createLink(keyB, keyA, 101n, 60n)
    const [fresh, kept] = meet(a, restarted)
    expect([fresh!.verdict, kept!.verdict]).toEqual([
      { mine: 'FRESH', theirs: 'KEEP' },
      { mine: 'KEEP', theirs: 'FRESH' },
    ])
    expect(fresh!.end).toEqual({
      reason: 'peer-restarted',
      held: new Map([
        [7, { acked: 0, unknown: 1, notSent: 0 }],
        [8, { acked: 0, unknown: 1, notSent: 0 }],
      ]),
    })
    expect([fresh!.laneWindowBytes, kept!.laneWindowBytes]).toEqual([4096, 4096])
    expect([a.epoch, a.received, a.retransmit.next, a.known, restarted.known]).toEqual([2n, 0, 0, 60n, 2n])
    expect(laneOutcome(fresh!.end!, 7, 2, 3)).toEqual({ acked: 1, unknown: 1, notSent: 3 })
    expect(laneOutcome(fresh!.end!, 9, 4, 0)).toEqual({ acked: 4, unknown: 0, notSent: 0 })
  })

  test('FRESH with a peer that expired the link but knows its epoch gives exact outcomes', () => {
    const a = createLink()
    const first = a.composeHello()
    a.adopt(first, hello)
    push(a, 7, 7, 7)
    a.connectionLost(0)
    // The peer knows epoch 1 of this side; the epoch that this side knows has ended at the peer.
    const { end, verdict } = a.adopt(a.composeHello(), {
      ...hello,
      epoch: 12n,
      nextEpoch: 13n,
      known: 1n,
      received: 2,
      helloNumber: 6,
    })
    expect(verdict).toEqual({ mine: 'FRESH', theirs: 'FRESH' })
    expect(end).toEqual({ reason: 'expired', held: new Map([[7, { acked: 2, unknown: 0, notSent: 1 }]]) })
    expect(a.known).toBe(13n)
  })

  test('FRESH counts what the peer claims only up to what was sent', () => {
    const link = createLink()
    push(link, 7)
    expect(settleHeld(link.retransmit, 2).held).toEqual(new Map([[7, { acked: 0, unknown: 1, notSent: 0 }]]))
    expect(settleHeld(link.retransmit, 0).held).toEqual(new Map([[7, { acked: 0, unknown: 0, notSent: 1 }]]))
  })

  test('FRESH between epochs in order is a protocol error, and false counters do no harm', () => {
    const a = createLink()
    a.adopt(a.composeHello(), hello)
    push(a, 7)
    a.connectionLost(0)
    const { end } = a.adopt(a.composeHello(), {
      ...hello,
      known: 1n,
      received: Number.MAX_SAFE_INTEGER,
      first: 9,
      next: 3,
      helloNumber: 6,
    })
    expect(end).toEqual({ reason: 'protocol-error', held: new Map([[7, { acked: 0, unknown: 1, notSent: 0 }]]) })
  })

  test('KEEP takes the limits of the new hello, and enforces them on the peer', () => {
    const a = createLink()
    const { verdict } = a.adopt(a.composeHello(), { ...hello, known: 77n, resumeTimeoutMs: 10 })
    expect(verdict).toEqual({ mine: 'KEEP', theirs: 'FRESH' })
    expect([a.known, a.peerLimits?.resumeTimeoutMs, a.resumeTimeoutMs]).toEqual([12n, 10, 10])
    a.connectionLost(0)
    expect(a.checkInbound({ ...hello, epoch: 12n, nextEpoch: 13n, helloNumber: 6 })?.name).toBe('bad-hello')
    expect(a.checkInbound({ ...hello, epoch: 12n, nextEpoch: 13n, helloNumber: 6, resumeTimeoutMs: 10 })).toBeNull()
  })

  test('KEEP on a side that is ahead sends all frames again from 0, and uses no credit twice', () => {
    const a = createLink()
    a.adopt(a.composeHello(), hello)
    a.connectionLost(0)
    // The peer lost its state: this side starts a new epoch, and its answer is cut off before the peer reads it.
    const fresh = a.adopt(a.composeHello(), {
      ...hello,
      epoch: 21n,
      nextEpoch: 22n,
      known: 1n,
      received: 3,
      helloNumber: 6,
    })
    expect([fresh.verdict, fresh.laneWindowBytes, a.known]).toEqual([{ mine: 'FRESH', theirs: 'FRESH' }, 4096, 22n])
    push(a, 7, 8)
    a.connectionLost(0)
    const kept = a.adopt(a.composeHello(), {
      ...hello,
      epoch: 21n,
      nextEpoch: 22n,
      known: 1n,
      received: 3,
      helloNumber: 7,
    })
    expect([kept.verdict, kept.laneWindowBytes, kept.end, a.known]).toEqual([
      { mine: 'KEEP', theirs: 'FRESH' },
      null,
      null,
      22n,
    ])
    expect([Buffer.concat(kept.replay).length, a.retransmit.first, a.retransmit.next]).toEqual([20, 0, 2])
  })

  test('any hello leaves the counters valid: no frame outside the buffer is sent again, and nothing throws', () => {
    const id = fc.constantFrom(1n, 2n, 3n, 11n, 12n, 77n, 2n ** 64n - 1n)
    const counter = fc.constantFrom(0, 1, 2, 3, 4, 5, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER)
    const hostile = fc.oneof(
      fc.record({
        epoch: id,
        nextEpoch: id,
        known: fc.oneof(id, fc.constant(0n)),
        received: counter,
        first: counter,
        next: counter,
        bootId: fc.constantFrom(200n, 201n),
      }),
      // Near the true counters, so that false ones get as far as a RESUME.
      fc.record({
        epoch: fc.constant(11n),
        nextEpoch: id,
        known: fc.constantFrom(0n, 1n),
        received: fc.nat(5),
        first: fc.nat(2),
        next: fc.integer({ min: 1, max: 4 }),
      }),
    )
    let resumed = 0
    fc.assert(
      fc.property(fc.array(hostile, { minLength: 1, maxLength: 4 }), (fields) => {
        const a = createLink()
        a.adopt(a.composeHello(), hello)
        push(a, 7, 7, 7)
        a.retransmit.ack(1)
        a.countFrame(10, 0)
        for (const [index, lie] of fields.entries()) {
          a.connectionLost(0)
          const theirs = { ...hello, ...lie, helloNumber: 10 + index }
          if (a.checkInbound(theirs) !== null) continue
          const heldBefore = a.retransmit.heldFrames
          const { replay, verdict } = a.adopt(a.composeHello(), theirs)
          a.retransmit.invariants()
          const replayed = Buffer.concat(replay).length / 10
          expect(replayed).toBe(a.retransmit.heldFrames)
          expect(replayed).toBeLessThanOrEqual(heldBefore)
          if (verdict.mine === 'FRESH') expect(replayed).toBe(0)
          if (verdict.mine === 'RESUME') {
            expect(a.retransmit.first).toBe(theirs.received)
            resumed += 1
          }
          expect(
            [a.received, a.retransmit.first, a.retransmit.next].every((n) => Number.isSafeInteger(n) && n >= 0),
          ).toBe(true)
        }
      }),
      { numRuns: 2000 },
    )
    expect(resumed).toBeGreaterThan(100)
  })

  test('outcomes count values, and none of the frames the link sends itself', () => {
    const link = createLink()
    const frames = [
      encodeCredit(7, 5),
      encodeMessage({ name: '', bytes: Buffer.from('m') }),
      encodeFrame(7, { type: 'RingElementBit', value: true }),
    ]
    link.retransmit.push(
      frames,
      frames.map((frame) => frame.length),
    )
    expect([...link.renew('internal-error').held.keys()]).toEqual([messagesLane, 7])
  })

  test('a link expires after the smaller of both resume timeouts, counted from the break', () => {
    const a = createLink()
    expect(a.expiresAtMs).toBeNull()
    a.adopt(a.composeHello(), { ...hello, resumeTimeoutMs: 300 })
    a.valueWaits(5)
    expect(a.expiresAtMs).toBeNull()
    push(a, 7)
    a.connectionLost(1000)
    a.connectionLost(1200)
    expect(a.expiresAtMs).toBe(1300)
    expect(a.expire(1299)).toBeNull()
    expect(a.expire(1300)).toEqual({ reason: 'expired', held: new Map([[7, { acked: 0, unknown: 1, notSent: 0 }]]) })
    expect([a.known, a.epoch, a.received, a.expiresAtMs]).toEqual([0n, 2n, 0, null])
  })

  test('the resume timeout of a link that is not up starts with its first value', () => {
    const a = createLink()
    a.valueWaits(50)
    a.valueWaits(60)
    expect(a.expiresAtMs).toBe(1050)
    a.expire(1050)
    expect(a.expiresAtMs).toBeNull()
    a.valueWaits(2000)
    expect(a.expiresAtMs).toBe(3000)
  })

  test('a refusal as stale changes nothing but the boot id of the next hello, and only if it is for the newest', () => {
    const a = createLink()
    const old = a.composeHello()
    const newest = a.composeHello()
    expect(a.refusedAsStale(old, 500n)).toBe('outdated')
    expect(a.refusedAsStale(newest, 500n)).toBe('behind-now')
    expect(a.composeHello()).toEqual({ ...newest, bootId: 501n, helloNumber: 3 })
  })

  test('a hello with another boot id ends what was held as lost by a restart', () => {
    const a = createLink()
    a.adopt(a.composeHello(), hello)
    push(a, 7)
    a.connectionLost(0)
    const { end } = a.adopt(a.composeHello(), { ...hello, bootId: 201n, epoch: 21n, nextEpoch: 22n, helloNumber: 1 })
    expect(end?.reason).toBe('peer-restarted')
  })
})
