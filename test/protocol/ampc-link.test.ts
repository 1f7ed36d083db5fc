/**
 * Owns: sending on a link: what waits, in which order, within which bounds; what a lost connection may have cost.
 * Independent of: sockets and pumps. Receiving is link-receiving.test.ts.
 */
import { describe, expect, it } from 'vitest'
import { ampcDialect, ConnectionLostError, AmpcLink } from '../../protocol/index.ts'
import type { Lane } from '../../protocol/index.ts'
import { encodeControlFrame, StatewireError } from '../../codec/index.ts'
import { bytes, LinkBench, number, overheadBytes, smallLimits } from '../support/link-bench.ts'

/** 5 bytes when encoded: the cost of each while it waits. */
const numberCostBytes = 5 + overheadBytes

/** Records the losses reported to a lane. */
function lossesOf(lane: Lane): number[] {
  const losses: number[] = []
  lane.onLoss = ({ outboundAtMost }) => losses.push(outboundAtMost)
  return losses
}

describe('sending on a link', () => {
  it('a value waits while the link cannot send', () => {
    const { state } = new LinkBench()
    const lane = state.openLane(1)
    expect(state.trySend(lane, number(1))).toBe(false)
    state.flow()
    expect(state.trySend(lane, number(1))).toBe(true)
    state.block()
    expect(state.trySend(lane, number(1))).toBe(false)
  })

  it('a control value that had to wait keeps the framing of the control channel', () => {
    const state = new AmpcLink(ampcDialect.control(), smallLimits)
    const lane = state.openLane(0)
    state.waitToSend(
      lane,
      number(7),
      () => {},
      () => {},
    )
    state.flow()
    expect(Buffer.concat(state.takeBatch()).equals(encodeControlFrame(number(7)))).toBe(true)
  })

  it('send copies at once, also a large value that waits', () => {
    const bench = new LinkBench({ sendQueueBytesMax: 1e6 })
    const lane = bench.state.openLane(1)
    const values = [bytes(10), bytes(100_000)].map((value) => value as { type: 'Bytes'; value: Uint8Array })
    for (const isFlowing of [false, true]) {
      if (isFlowing) bench.state.flow()
      for (const value of values) {
        value.value.fill(1)
        if (!bench.state.trySend(lane, value)) bench.wait(lane, value)
        value.value.fill(9)
      }
    }
    const sent = Buffer.concat(bench.state.takeBatch())
    expect(sent).toHaveLength(2 * (9 + 10 + 9 + 100_000))
    expect(sent.includes(Buffer.alloc(4, 9))).toBe(false)
  })

  it('sending requests one flush per write batch, not one per value', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    bench.state.flow()
    for (let i = 0; i < 10; i++) bench.state.trySend(lane, number(i))
    expect(bench.calls).toEqual(['flush requested'])
    expect(bench.takeFrames()).toHaveLength(10)
    bench.state.trySend(lane, number(10))
    expect(bench.calls).toEqual(['flush requested', 'flush requested'])
  })

  it.each([
    [64 * 1024 - 1, 'flush requested'],
    [64 * 1024, 'flush now'],
  ])('copied frames of %i bytes in all cause: %s', (totalBytes, told) => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    bench.state.flow()
    for (let left = totalBytes; left > 0;) {
      const frameBytes = Math.min(8192, left)
      bench.state.trySend(lane, bytes(frameBytes - 9))
      left -= frameBytes
    }
    expect(bench.calls.at(-1)).toBe(told)
  })

  it.each([
    [15, 'flush requested'],
    [16, 'flush now'],
  ])('%i referenced frames of 64 KiB cause: %s', (count, told) => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    bench.state.flow()
    for (let i = 0; i < count; i++) bench.state.trySend(lane, bytes(64 * 1024))
    expect(bench.calls.at(-1)).toBe(told)
  })

  it('sending counts values and bytes', () => {
    const { state } = new LinkBench()
    const lane = state.openLane(1)
    state.flow()
    state.trySend(lane, number(1))
    state.trySend(lane, bytes(10))
    expect(state.counters).toMatchObject({ valuesSent: 2, bytesSent: 9 + 19 })
  })

  it('sending a value that cannot be encoded throws, and queues nothing', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    bench.state.flow()
    expect(() => bench.state.trySend(lane, number(-1))).toThrow(StatewireError)
    expect(() =>
      bench.state.waitToSend(
        lane,
        number(2 ** 32),
        () => {},
        () => {},
      ),
    ).toThrow(StatewireError)
    expect([bench.state.outbound.hasPending, bench.state.waitingSends, lane.sentSinceUp]).toEqual([false, 0, 0])
  })
})

describe('waiting values', () => {
  it('waiting values keep the call order over all lanes, and go before later ones', () => {
    const bench = new LinkBench()
    const [a, b] = [bench.state.openLane(1), bench.state.openLane(2)]
    const all = [bench.wait(a, number(10)), bench.wait(b, number(20)), bench.wait(a, number(11))]
    bench.state.flow()
    expect(all.map(({ outcome }) => outcome)).toEqual(['sent', 'sent', 'sent'])
    bench.state.trySend(b, number(21))
    expect(bench.takeFrames()).toEqual(['1: 10', '2: 20', '1: 11', '2: 21'])
  })

  it.each([
    [3, 'waits'],
    [4, 'waits'],
    [5, 'failed'],
  ])('at most 4 values wait: number %i %s', (count, outcome) => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    const all = Array.from({ length: count }, (_, i) => bench.wait(lane, number(i)))
    expect(all.at(-1)?.outcome).toBe(outcome)
    if (outcome === 'failed') expect(all.at(-1)?.error).toMatchObject({ code: 'ERR_SEND_QUEUE_FULL', retryable: true })
    expect(bench.state.waitingSends).toBe(Math.min(count, 4))
  })

  // After one number there is room for 1000 − 69 bytes; a Bytes costs 5 + 64 besides its length.
  it.each([
    [1000 - numberCostBytes - 69 - 1, 'waits'],
    [1000 - numberCostBytes - 69, 'waits'],
    [1000 - numberCostBytes - 69 + 1, 'failed'],
  ])('waiting values have a bound of 1000 bytes: a second value of %i bytes %s', (length, outcome) => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    bench.wait(lane, number(1))
    expect(bench.wait(lane, bytes(length)).outcome).toBe(outcome)
  })

  it('one waiting value of any size is accepted when no other waits, so that a large one can be sent', () => {
    const bench = new LinkBench()
    expect(bench.wait(bench.state.openLane(1), bytes(500_000)).outcome).toBe('waits')
  })

  it('a waiting value returns its room, in bytes and in number, when it is done', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    for (let round = 0; round < 50; round++) {
      const waiting = [
        bench.wait(lane, bytes(300)),
        bench.wait(lane, bytes(300)),
        bench.wait(lane, number(1)),
        bench.wait(lane, number(2)),
      ]
      expect(waiting.map(({ outcome }) => outcome)).toEqual(['waits', 'waits', 'waits', 'waits'])
      if (round % 2 === 0) for (const { withdraw } of waiting) expect(withdraw()).toBe(true)
      else {
        bench.state.flow()
        bench.state.takeBatch()
        bench.state.block()
      }
      expect(bench.state.waitingSends).toBe(0)
    }
  })

  it('a waiting value can be withdrawn until it is encoded, and not after', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    const [first, second] = [bench.wait(lane, number(1)), bench.wait(lane, number(2))]
    expect(first.withdraw()).toBe(true)
    bench.state.flow()
    expect([first.outcome, second.outcome, second.withdraw(), first.withdraw()]).toEqual([
      'waits',
      'sent',
      false,
      false,
    ])
    expect(bench.takeFrames()).toEqual(['1: 2'])
  })

  it('a waiting value below 16 KiB is copied at the call, and may be changed afterwards', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    const value = new Uint8Array([7, 7, 7, 7])
    bench.wait(lane, { type: 'Bytes', value })
    value.fill(9)
    bench.state.flow()
    expect(Buffer.concat(bench.state.takeBatch()).toString('hex')).toBe('010000000c0400000007070707')
  })

  it('sending waiting values pauses when the socket is full, and continues in order', () => {
    const bench = new LinkBench({ sendQueueBytesMax: 1 << 20 })
    const lane = bench.state.openLane(1)
    const all = [0, 1, 2, 3].map((i) => bench.wait(lane, bytes(40_000, i)))
    const hooks = {
      requestFlush() {},
      requestAck() {},
      flushNow: () => (bench.state.takeBatch(), bench.state.block()),
      onReceiveFull() {},
      onReceiveRoom() {},
      onHandlerFailed() {},
      onBroken() {},
      requestTimer() {},
      onGoodbye() {},
    }
    bench.state.setHooks({ ...hooks, requestFlush: hooks.flushNow })
    bench.state.flow()
    expect(all.map(({ outcome }) => outcome)).toEqual(['sent', 'waits', 'waits', 'waits'])
    bench.state.flow()
    expect(all.map(({ outcome }) => outcome)).toEqual(['sent', 'sent', 'waits', 'waits'])
  })

  it('waiting on an ended lane fails at once with the reason of its end', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    const reason = new Error('over')
    bench.state.closeLane(lane, reason, true)
    expect(bench.wait(lane, number(1))).toMatchObject({ outcome: 'failed', error: reason })
  })

  it("a waiting value fails when its lane ends, and on no other lane's end", () => {
    const bench = new LinkBench()
    const [a, b] = [bench.state.openLane(1), bench.state.openLane(2)]
    const all = [bench.wait(a, number(1)), bench.wait(b, number(2)), bench.wait(a, number(3))]
    bench.state.closeLane(a, new Error('over'), true)
    expect(all.map(({ outcome }) => outcome)).toEqual(['failed', 'waits', 'failed'])
    bench.state.flow()
    expect(bench.takeFrames()).toEqual(['2: 2'])
  })
})

describe('a lost connection', () => {
  it.each([0, 1, 7])('a lost connection reports at most %i lost values to a lane that sent that many', (count) => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    const losses = lossesOf(lane)
    bench.state.flow()
    for (let i = 0; i < count; i++) bench.state.trySend(lane, number(i))
    bench.state.takeBatch()
    bench.state.connectionLost('gone', null)
    expect(losses).toEqual([count])
  })

  it('a lost connection counts lost values per lane', () => {
    const bench = new LinkBench()
    const lanes = [1, 2, 3].map((id) => bench.state.openLane(id))
    const losses = lanes.map(lossesOf)
    bench.state.flow()
    for (const [i, lane] of lanes.entries()) for (let n = 0; n < i * 2; n++) bench.state.trySend(lane, number(n))
    bench.state.takeBatch()
    bench.state.connectionLost('gone', null)
    expect(losses).toEqual([[0], [2], [4]])
  })

  it('values not handed to a lost connection are sent first on the next one, and are not counted as lost', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    const losses = lossesOf(lane)
    bench.state.flow()
    for (const i of [1, 2]) bench.state.trySend(lane, number(i))
    bench.state.takeBatch()
    for (const i of [3, 4, 5]) bench.state.trySend(lane, number(i))
    bench.state.connectionLost('gone', null)
    expect(losses).toEqual([2])
    bench.wait(lane, number(6))
    bench.state.flow()
    expect(bench.takeFrames()).toEqual(['1: 3', '1: 4', '1: 5', '1: 6'])
  })

  it('carried-over frames count as sent on the connection that takes them', () => {
    const bench = new LinkBench()
    const [a, b] = [bench.state.openLane(1), bench.state.openLane(2)]
    const losses = [lossesOf(a), lossesOf(b)]
    bench.state.flow()
    bench.state.trySend(a, number(1))
    bench.state.trySend(b, number(2))
    bench.state.connectionLost('first', null)
    // Carried over twice: still not handed to a connection.
    bench.state.flow()
    bench.state.connectionLost('second', null)
    bench.state.flow()
    bench.state.trySend(a, number(3))
    bench.state.takeBatch()
    bench.state.connectionLost('third', null)
    expect(losses).toEqual([
      [0, 0, 2],
      [0, 0, 1],
    ])
  })

  it('large values sent by reference are carried over too', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    const losses = lossesOf(lane)
    bench.state.flow()
    for (let i = 0; i < 3; i++) bench.state.trySend(lane, bytes(100_000))
    bench.state.connectionLost('gone', null)
    bench.state.flow()
    expect([losses, bench.takeFrames().length]).toEqual([[0], 3])
  })

  it('a link requests a flush for carried-over frames as soon as it can send', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    bench.state.flow()
    bench.state.trySend(lane, number(1))
    bench.state.connectionLost('gone', null)
    bench.calls.length = 0
    bench.state.flow()
    expect(bench.calls).toEqual(['flush requested'])
  })

  it('a lost connection leaves waiting values queued, and does not count them', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    const losses = lossesOf(lane)
    const waiting = bench.wait(lane, number(1))
    bench.state.connectionLost('gone', null)
    expect([losses, waiting.outcome]).toEqual([[0], 'waits'])
    bench.state.flow()
    expect(waiting.outcome).toBe('sent')
  })

  it('a lost connection is an error with a message, a number and its cause', async () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    bench.state.flow()
    bench.state.trySend(lane, number(1))
    bench.state.takeBatch()
    const cause = new Error('ECONNRESET')
    const received = new Promise((resolve, reject) => void lane.wait({ resolve, reject }))
    bench.state.connectionLost('the connection to bob was lost', cause)
    const error = await received.catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ConnectionLostError)
    expect(error).toMatchObject({ code: 'ERR_CONNECTION_LOST', retryable: true, outboundAtMost: 1, cause })
    expect((error as Error).message).toBe(
      'the connection to bob was lost; of the values sent on this session since the connection came up, at most 1 did not arrive',
    )
  })
})

describe('the end of a link', () => {
  it('the end of a link ends its lanes, fails waiting values and drops unsent frames, once', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    bench.state.flow()
    bench.state.trySend(lane, number(1))
    bench.state.block()
    const waiting = bench.wait(lane, number(2))
    const reason = new Error('over')
    bench.state.close(reason)
    bench.state.close(new Error('too late'))
    expect([waiting.outcome, waiting.error, lane.end, bench.state.end]).toEqual(['failed', reason, reason, reason])
    expect([bench.state.outbound.hasPending, bench.state.laneCount, bench.state.waitingSends]).toEqual([false, 0, 0])
  })

  it('an ended link sends nothing, and a lane that is opened later has ended from the start', () => {
    const bench = new LinkBench()
    const reason = new Error('over')
    bench.state.close(reason)
    bench.state.flow()
    expect([bench.state.isFlowing, bench.state.openLane(1).end, bench.state.laneCount]).toEqual([false, reason, 0])
  })
})
