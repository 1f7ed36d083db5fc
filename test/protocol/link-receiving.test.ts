/**
 * Owns: receiving on a link: the lane that gets a frame, when reading pauses and resumes, frames that come early.
 * Independent of: sockets and pumps. Sending is link-state.test.ts.
 */
import { describe, expect, it } from 'vitest'
import { ProtocolError } from '../../codec/index.ts'
import { bytes, LinkBench, number, overheadBytes } from '../support/link-bench.ts'

/** The cost of an unread RingElement32: its body and the overhead. */
const numberCostBytes = 4 + overheadBytes

describe('a frame', () => {
  it('a frame reaches its lane among many, in order', () => {
    const bench = new LinkBench()
    const lanes = [3, 1, 4_294_967_295].map((id) => bench.state.openLane(id))
    for (const [id, value] of [
      [1, 10],
      [3, 30],
      [1, 11],
      [4_294_967_295, 40],
    ] as const)
      bench.arrive(id, number(value))
    expect(lanes.map((lane) => lane.unreadValues)).toEqual([1, 2, 1])
    expect([lanes[1]?.take(), lanes[1]?.take(), lanes[1]?.take()]).toEqual([number(10), number(11), undefined])
  })

  it('a frame for an unknown lane is dropped and counted, and its value is not parsed', () => {
    const bench = new LinkBench()
    bench.state.openLane(1)
    const nonsense = Buffer.from('0c00000000', 'hex')
    expect(bench.state.onFrame(9, 0xee, nonsense, 0, 3)).toBe(true)
    expect(bench.state.counters).toMatchObject({ framesDropped: 1, valuesReceived: 0 })
  })

  it('a frame for a closed lane is dropped and counted', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    bench.arrive(1, number(1))
    bench.state.closeLane(lane, new Error('over'), true)
    bench.arrive(1, number(2))
    expect([bench.state.counters.framesDropped, bench.state.unreadBytes]).toEqual([1, 0])
  })

  it('a frame that breaks the contract makes the reader throw', () => {
    const bench = new LinkBench()
    bench.state.openLane(1)
    expect(() => bench.state.onFrame(1, 0x04, Buffer.alloc(9), 0, 3)).toThrow(ProtocolError)
  })

  it("a frame's memory is reported as reusable unless a view of it is kept", () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    expect([bench.arrive(1, bytes(10)), bench.arrive(1, number(1))]).toEqual([false, true])
    lane.setHandler(() => {})
    expect(bench.arrive(1, bytes(10))).toBe(false)
    lane.setHandler(() => {}, { borrow: true })
    expect(bench.arrive(1, bytes(10))).toBe(true)
  })

  it('a frame whose handler throws is reported, and the next ones are delivered', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    const seen: unknown[] = []
    lane.setHandler((value) => {
      seen.push(value)
      if (seen.length === 1) throw new Error('a bug')
    })
    bench.arrive(1, number(1))
    bench.arrive(1, number(2))
    expect([seen.length, bench.calls, bench.failures]).toEqual([2, ['handler of 1 failed'], [new Error('a bug')]])
  })
})

describe('reading from a link', () => {
  // The bound is 1000 bytes: fifteen numbers of 68 bytes are 1020, fourteen are 952.
  it.each([
    [14, []],
    [15, ['full']],
    [16, ['full']],
  ])('reading with %i unread values reports %j', (count, told) => {
    const bench = new LinkBench()
    bench.state.openLane(1)
    for (let i = 0; i < count; i++) bench.arrive(1, number(i))
    expect([bench.calls, bench.state.isReceiveFull]).toEqual([told, told.length > 0])
  })

  it.each([
    [935, []],
    [936, ['full']],
    [937, ['full']],
  ])('reading stops exactly at the bound: a Bytes value with a body of %i bytes reports %j', (length, told) => {
    const bench = new LinkBench()
    bench.state.openLane(1)
    // The body has a length field of 4 bytes.
    bench.arrive(1, bytes(length - 4))
    expect(bench.calls).toEqual(told)
  })

  it('reading resumes at half the bound, and not before', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    for (let i = 0; i < 15; i++) bench.arrive(1, number(i))
    for (let left = 14; left * numberCostBytes > 500; left--) {
      lane.take()
      expect([bench.calls, bench.state.unreadBytes]).toEqual([['full'], left * numberCostBytes])
    }
    lane.take()
    expect([bench.calls, bench.state.unreadBytes]).toEqual([['full', 'room'], 7 * numberCostBytes])
  })

  it('the reading bound covers all lanes: one slow session pauses the link that it shares', () => {
    const bench = new LinkBench()
    const [slow, quick] = [bench.state.openLane(1), bench.state.openLane(2)]
    for (let i = 0; i < 14; i++) bench.arrive(1, number(i))
    bench.arrive(2, number(1))
    expect(bench.calls).toEqual(['full'])
    quick.take()
    expect(bench.calls).toEqual(['full'])
    for (let i = 0; i < 14; i++) slow.take()
    expect([bench.calls, bench.state.unreadBytes]).toEqual([['full', 'room'], 0])
  })

  it('values taken at once by a handler or a waiting call do not count toward the reading bound', () => {
    const bench = new LinkBench()
    const lane = bench.state.openLane(1)
    void lane.wait({ resolve() {}, reject() {} })
    bench.arrive(1, bytes(5000))
    lane.setHandler(() => {})
    bench.arrive(1, bytes(5000))
    expect([bench.state.unreadBytes, bench.calls]).toEqual([0, []])
  })

  it('reading resumes when the unread values go to a handler or are discarded with their lane', () => {
    for (const relief of ['handler', 'close'] as const) {
      const bench = new LinkBench()
      const lane = bench.state.openLane(1)
      for (let i = 0; i < 20; i++) bench.arrive(1, number(i))
      if (relief === 'handler') lane.setHandler(() => {})
      else bench.state.closeLane(lane, new Error('over'), true)
      expect([bench.calls, bench.state.unreadBytes], relief).toEqual([['full', 'room'], 0])
    }
  })
})

describe('early frames', () => {
  const early = (): LinkBench => {
    const bench = new LinkBench()
    bench.state.expectLanesFrom(5)
    return bench
  }

  it('early frames are kept for lanes from the expected number on, and dropped below it', () => {
    const bench = early()
    for (const id of [4, 5, 6]) bench.arrive(id, number(id))
    expect(bench.state.counters.framesDropped).toBe(1)
    expect(bench.state.openLane(5).take()).toEqual(number(5))
    expect(bench.state.openLane(6).take()).toEqual(number(6))
  })

  it('early frames are delivered in order when their lane is opened, before later frames', () => {
    const bench = early()
    for (let i = 0; i < 3; i++) bench.arrive(5, number(i))
    const lane = bench.state.openLane(5)
    bench.arrive(5, number(3))
    expect([0, 1, 2, 3].map(() => lane.take())).toEqual([0, 1, 2, 3].map(number))
  })

  it('early frames are copies and do not hold the chunk they came in', () => {
    const bench = early()
    expect(bench.arrive(5, bytes(10))).toBe(true)
  })

  it('early frames pause reading when there are too many, until their lane is opened', () => {
    const bench = early()
    // 500 bytes: each costs 4 + 64.
    for (let i = 0; i < 7; i++) bench.arrive(5, number(i))
    expect(bench.calls).toEqual([])
    bench.arrive(5, number(7))
    expect(bench.calls).toEqual(['full'])
    bench.state.openLane(5)
    expect(bench.calls).toEqual(['full', 'room'])
  })

  it('early frames are dropped with the connection that they came on', () => {
    const bench = early()
    for (let i = 0; i < 8; i++) bench.arrive(5, number(i))
    bench.state.connectionLost('gone', null)
    expect([bench.calls, bench.state.openLane(5).unreadValues]).toEqual([['full', 'room'], 0])
  })

  it('early frames that can no longer be used are dropped and counted, and reading resumes', () => {
    const bench = early()
    for (let i = 0; i < 8; i++) bench.arrive(5, number(i))
    bench.state.expectLanesFrom(6)
    expect([bench.calls, bench.state.counters.framesDropped]).toEqual([['full', 'room'], 8])
  })

  it('raising the expected lane number drops no frames of lanes that are open already', () => {
    const bench = early()
    const lane = bench.state.openLane(5)
    bench.state.expectLanesFrom(6)
    bench.arrive(5, number(1))
    expect(lane.take()).toEqual(number(1))
  })

  it('early frames that break the contract are reported when their lane is opened', () => {
    const bench = early()
    bench.state.onFrame(5, 0x04, Buffer.alloc(9), 0, 3)
    bench.state.openLane(5)
    expect(bench.calls).toEqual(['broken'])
    expect(bench.failures[0]).toBeInstanceOf(ProtocolError)
  })
})

describe('a lane', () => {
  it('a lane cannot be opened twice', () => {
    const { state } = new LinkBench()
    state.openLane(1)
    expect(() => state.openLane(1)).toThrow('lane 1 is open already')
  })

  it('opening a lane is announced, so a link starts reading only when it has one', () => {
    const { state } = new LinkBench()
    let opened = 0
    state.onLaneOpened = () => opened++
    state.openLane(1)
    expect([opened, state.laneCount]).toEqual([1, 1])
  })

  it('closing a lane of another link does nothing', () => {
    const [one, other] = [new LinkBench(), new LinkBench()]
    const lane = one.state.openLane(1)
    other.state.openLane(1)
    other.state.closeLane(lane, new Error('not mine'), true)
    expect([lane.end, other.state.laneCount]).toEqual([null, 1])
  })
})
