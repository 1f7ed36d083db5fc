/**
 * Owns: sending on a link: what waits, in which order, within which bounds; what a lost connection may have cost.
 * Refuses to know: sockets and pumps; receiving is link-receiving.test.ts.
 */
import { describe, expect, it } from 'vitest'
import { ampcDialect, ConnectionLostError, AmpcLink } from '../../protocol/index.ts'
import type { Lane } from '../../protocol/index.ts'
import { encodeControlFrame, StatewireError } from '../../codec/index.ts'
import { bytes, LinkBench, number, overheadBytes, smallLimits } from '../support/link-bench.ts'

/** 5 bytes encoded: what each of these costs while it waits. */
const numberCostBytes = 5 + overheadBytes

/** Keeps what a lane is told of losses. */
function lossesOf(lane: Lane): number[] {
  const losses: number[] = []
  lane.onLoss = ({ outboundAtMost }) => losses.push(outboundAtMost)
  return losses
}

describe('sending', () => {
  it('is refused while the link does not flow: then the value waits', () => {
    const { state } = new LinkBench()
    const lane = state.openLane(1)
    expect(state.trySend(lane, number(1))).toBe(false)
    state.flow()
    expect(state.trySend(lane, number(1))).toBe(true)
    state.block()
    expect(state.trySend(lane, number(1))).toBe(false)
  })

  it('of a control value that had to wait keeps to the framing of the control channel', () => {
    const state = new AmpcLink(ampcDialect.control(), smallLimits)
    const lane = state.openLane(0)
    state.waitToSend(lane, number(7), () => {}, () => {})
    state.flow()
    expect(Buffer.concat(state.takeBatch()).equals(encodeControlFrame(number(7)))).toBe(true)
  })

  it('copies at once, also a large value that waits', () => {
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

  it('asks for one flush a batch, not one a value', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    bench.state.flow()
    for (let i = 0; i < 10; i++) bench.state.trySend(lane, number(i))
    expect(bench.told).toEqual(['flush requested'])
    expect(bench.takeFrames()).toHaveLength(10)
    bench.state.trySend(lane, number(10))
    expect(bench.told).toEqual(['flush requested', 'flush requested'])
  })

  it.each([[64 * 1024 - 1, 'flush requested'], [64 * 1024, 'flush now']])('of copied frames of %i bytes in all leads to: %s', (totalBytes, told) => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    bench.state.flow()
    for (let left = totalBytes; left > 0; ) {
      const frameBytes = Math.min(8192, left)
      bench.state.trySend(lane, bytes(frameBytes - 9))
      left -= frameBytes
    }
    expect(bench.told.at(-1)).toBe(told)
  })

  it.each([[15, 'flush requested'], [16, 'flush now']])('of %i referenced frames of 64 KiB leads to: %s', (count, told) => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    bench.state.flow()
    for (let i = 0; i < count; i++) bench.state.trySend(lane, bytes(64 * 1024))
    expect(bench.told.at(-1)).toBe(told)
  })

  it('counts values and bytes', () => {
    const { state } = new LinkBench()
    const lane = state.openLane(1)
    state.flow()
    state.trySend(lane, number(1))
    state.trySend(lane, bytes(10))
    expect(state.counters).toMatchObject({ valuesSent: 2, bytesSent: 9 + 19 })
  })

  it('of a value that cannot be encoded throws, and adds nothing', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    bench.state.flow()
    expect(() => bench.state.trySend(lane, number(-1))).toThrow(StatewireError)
    expect(() => bench.state.waitToSend(lane, number(2 ** 32), () => {}, () => {})).toThrow(StatewireError)
    expect([bench.state.outbound.hasPending, bench.state.waitingSends, lane.sentSinceUp]).toEqual([false, 0, 0])
  })
})

describe('waiting', () => {
  it('keeps the order of the calls over all lanes, and goes before what comes later', () => {
    const bench = new LinkBench()
    const [a, b] = [bench.state.openLane(1), bench.state.openLane(2)]
    const all = [bench.wait(a, number(10)), bench.wait(b, number(20)), bench.wait(a, number(11))]
    bench.state.flow()
    expect(all.map(({ outcome }) => outcome)).toEqual(['sent', 'sent', 'sent'])
    bench.state.trySend(b, number(21))
    expect(bench.takeFrames()).toEqual(['1: 10', '2: 20', '1: 11', '2: 21'])
  })

  it.each([[3, 'waits'], [4, 'waits'], [5, 'failed']])('is bounded to 4 values: number %i %s', (count, outcome) => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    const all = Array.from({ length: count }, (_, i) => bench.wait(lane, number(i)))
    expect(all.at(-1)?.outcome).toBe(outcome)
    if (outcome === 'failed') expect(all.at(-1)?.error).toMatchObject({ code: 'ERR_SEND_QUEUE_FULL', retryable: true })
    expect(bench.state.waitingSends).toBe(Math.min(count, 4))
  })

  // Behind one number there is room for 1000 − 69 bytes; a Bytes costs 5 + 64 besides its length.
  it.each([[1000 - numberCostBytes - 69 - 1, 'waits'], [1000 - numberCostBytes - 69, 'waits'], [1000 - numberCostBytes - 69 + 1, 'failed']])('is bounded to 1000 bytes: a second value of %i %s', (length, outcome) => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    bench.wait(lane, number(1))
    expect(bench.wait(lane, bytes(length)).outcome).toBe(outcome)
  })

  it('takes one value of any size where nothing else waits, or a large one could never be sent', () => {
    const bench = new LinkBench()
    expect(bench.wait(bench.state.openLane(1), bytes(500_000)).outcome).toBe('waits')
  })

  it('gives its room back, in bytes and in number, when it is over', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    for (let round = 0; round < 50; round++) {
      const waiting = [bench.wait(lane, bytes(300)), bench.wait(lane, bytes(300)), bench.wait(lane, number(1)), bench.wait(lane, number(2))]
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

  it('can be withdrawn until it is encoded, and not after', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    const [first, second] = [bench.wait(lane, number(1)), bench.wait(lane, number(2))]
    expect(first.withdraw()).toBe(true)
    bench.state.flow()
    expect([first.outcome, second.outcome, second.withdraw(), first.withdraw()]).toEqual(['waits', 'sent', false, false])
    expect(bench.takeFrames()).toEqual(['1: 2'])
  })

  it('copies a value below 16 KiB at the call: it may be changed after it', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    const value = new Uint8Array([7, 7, 7, 7])
    bench.wait(lane, { type: 'Bytes', value })
    value.fill(9)
    bench.state.flow()
    expect(Buffer.concat(bench.state.takeBatch()).toString('hex')).toBe('010000000c0400000007070707')
  })

  it('stops in the middle when the socket is full again, and goes on in order', () => {
    const bench = new LinkBench({ sendQueueBytesMax: 1 << 20 })
    const lane = bench.state.openLane(1)
    const all = [0, 1, 2, 3].map((i) => bench.wait(lane, bytes(40_000, i)))
    const hooks = { requestFlush() {}, requestAck() {}, flushNow: () => (bench.state.takeBatch(), bench.state.block()), onReceiveFull() {}, onReceiveRoom() {}, onHandlerFailed() {}, onBroken() {}, requestTimer() {}, onGoodbye() {} }
    bench.state.setHooks({ ...hooks, requestFlush: hooks.flushNow })
    bench.state.flow()
    expect(all.map(({ outcome }) => outcome)).toEqual(['sent', 'waits', 'waits', 'waits'])
    bench.state.flow()
    expect(all.map(({ outcome }) => outcome)).toEqual(['sent', 'sent', 'waits', 'waits'])
  })

  it('on a lane that is over fails at once with the reason of its end', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    const reason = new Error('over')
    bench.state.closeLane(lane, reason, true)
    expect(bench.wait(lane, number(1))).toMatchObject({ outcome: 'failed', error: reason })
  })

  it('fails with the lane it is for, and with no other one', () => {
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
  it.each([0, 1, 7])('tells a lane that sent %i values that at most so many did not arrive', (count) => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    const losses = lossesOf(lane)
    bench.state.flow()
    for (let i = 0; i < count; i++) bench.state.trySend(lane, number(i))
    bench.state.takeBatch()
    bench.state.connectionLost('gone', null)
    expect(losses).toEqual([count])
  })

  it('counts for each lane by itself', () => {
    const bench = new LinkBench()
    const lanes = [1, 2, 3].map((id) => bench.state.openLane(id))
    const losses = lanes.map(lossesOf)
    bench.state.flow()
    for (const [i, lane] of lanes.entries()) for (let n = 0; n < i * 2; n++) bench.state.trySend(lane, number(n))
    bench.state.takeBatch()
    bench.state.connectionLost('gone', null)
    expect(losses).toEqual([[0], [2], [4]])
  })

  it('does not count what was not handed to it: that goes first on the next one', () => {
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

  it('counts frames that were carried over as sent on the connection that takes them', () => {
    const bench = new LinkBench()
    const [a, b] = [bench.state.openLane(1), bench.state.openLane(2)]
    const losses = [lossesOf(a), lossesOf(b)]
    bench.state.flow()
    bench.state.trySend(a, number(1))
    bench.state.trySend(b, number(2))
    bench.state.connectionLost('first', null)
    // Carried over twice: still not handed to anybody.
    bench.state.flow()
    bench.state.connectionLost('second', null)
    bench.state.flow()
    bench.state.trySend(a, number(3))
    bench.state.takeBatch()
    bench.state.connectionLost('third', null)
    expect(losses).toEqual([[0, 0, 2], [0, 0, 1]])
  })

  it('carries over large values that go by reference too', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    const losses = lossesOf(lane)
    bench.state.flow()
    for (let i = 0; i < 3; i++) bench.state.trySend(lane, bytes(100_000))
    bench.state.connectionLost('gone', null)
    bench.state.flow()
    expect([losses, bench.takeFrames().length]).toEqual([[0], 3])
  })

  it('asks for a flush of what was carried over as soon as the link flows', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    bench.state.flow()
    bench.state.trySend(lane, number(1))
    bench.state.connectionLost('gone', null)
    bench.told.length = 0
    bench.state.flow()
    expect(bench.told).toEqual(['flush requested'])
  })

  it('leaves waiting values alone, and does not count them', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    const losses = lossesOf(lane)
    const waiting = bench.wait(lane, number(1))
    bench.state.connectionLost('gone', null)
    expect([losses, waiting.outcome]).toEqual([[0], 'waits'])
    bench.state.flow()
    expect(waiting.outcome).toBe('sent')
  })

  it('is an error with a sentence, a number and its cause', async () => {
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
    expect((error as Error).message).toBe('the connection to bob was lost; of the values sent on this session since the connection came up, at most 1 did not arrive')
  })
})

describe('the end of a link', () => {
  it('ends its lanes, fails what waits and forgets what was to be sent, once', () => {
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

  it('lets nothing flow any more, and a lane that is opened later is over from the start', () => {
    const bench = new LinkBench()
    const reason = new Error('over')
    bench.state.close(reason)
    bench.state.flow()
    expect([bench.state.isFlowing, bench.state.openLane(1).end, bench.state.laneCount]).toEqual([false, reason, 0])
  })
})
