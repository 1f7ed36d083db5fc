/**
 * Owns: when links write: batches of few links at the end of their tick, those of many when they are long or nothing
 * more arrives; standalone acks after a few ticks.
 * Independent of: what is written.
 */
import { describe, expect, it } from 'vitest'
import type { Clock } from '../../actors/base/environment.ts'
import { WriteScheduler, type LinkWrites } from '../../actors/link/write-scheduler.ts'

/** Steps of the event loop by hand: the end of a tick, and then the next one. */
class Loop {
  tick = 0
  readonly #ends: (() => void)[] = []
  readonly #immediates: (() => void)[] = []
  readonly clock = {
    nextTick: (call: () => void) => void this.#ends.push(call),
    setImmediate: (call: () => void) => void this.#immediates.push(call),
  } as Partial<Clock> as Clock

  endTick(): void {
    for (const call of this.#ends.splice(0)) call()
  }
  nextTick(): void {
    this.tick++
    for (const call of this.#immediates.splice(0)) call()
  }
  ticks(count: number): void {
    for (let left = count; left > 0; left--) this.nextTick()
  }
  get checksDue(): number {
    return this.#immediates.length
  }
  get isIdle(): boolean {
    return this.#ends.length + this.#immediates.length === 0
  }
}

class TestLink implements LinkWrites {
  pendingBytes = 0
  isAckDue = false
  readonly batches: number[] = []
  /** The ticks in which its ack was written. */
  readonly acks: number[] = []
  readonly #loop: Loop
  readonly #scheduler: WriteScheduler
  #isRequested = false
  /** What the write of an ack causes. */
  onAck = (): void => {}

  constructor(loop: Loop, scheduler: WriteScheduler) {
    this.#loop = loop
    this.#scheduler = scheduler
  }
  add(bytes: number): void {
    this.pendingBytes += bytes
    if (this.#isRequested) return
    this.#isRequested = true
    this.#scheduler.requestBatch(this)
  }
  writeBatch(): void {
    this.#isRequested = false
    this.batches.push(this.pendingBytes)
    this.pendingBytes = 0
  }
  owe(): void {
    this.isAckDue = true
    this.#scheduler.requestAck(this)
  }
  writeAck(): void {
    this.acks.push(this.#loop.tick)
    this.onAck()
  }
}

function bench(count: number): { loop: Loop; scheduler: WriteScheduler; links: TestLink[] } {
  const loop = new Loop()
  const scheduler = new WriteScheduler(loop.clock)
  return { loop, scheduler, links: Array.from({ length: count }, () => new TestLink(loop, scheduler)) }
}

const written = (links: readonly TestLink[]): number[][] => links.map(({ batches }) => batches)

describe('write batches', () => {
  it('write batches of few links are written at the end of their tick, each once', () => {
    const { loop, links } = bench(15)
    for (let value = 0; value < 3; value++) for (const link of links) link.add(100)
    expect(written(links).flat()).toEqual([])
    loop.endTick()
    expect(written(links)).toEqual(links.map(() => [300]))
    expect(loop.isIdle).toBe(true)
  })

  it('write batches of many links are written a tick later if nothing more arrives', () => {
    const { loop, scheduler, links } = bench(16)
    for (const link of links) link.add(100)
    loop.endTick()
    expect([written(links).flat(), scheduler.heldBatches]).toEqual([[], 16])
    loop.nextTick()
    expect(written(links)).toEqual(links.map(() => [100]))
    expect([scheduler.heldBatches, loop.isIdle]).toEqual([0, true])
  })

  it('write batches of many links wait while each gets more data, until they are long enough', () => {
    const { loop, links } = bench(16)
    for (let tick = 0; tick < 4; tick++) {
      // The application's tick comes first, as it requested first.
      for (const link of links) link.add(10_000)
      loop.endTick()
      if (tick > 0) loop.nextTick()
    }
    expect(written(links)).toEqual(links.map(() => [40_000]))
  })

  it('write batches wait for at most eight ticks', () => {
    const { loop, links } = bench(16)
    for (let tick = 0; tick <= 8; tick++) {
      expect(written(links).flat()).toEqual([])
      for (const link of links) link.add(10)
      loop.endTick()
      if (tick > 0) loop.nextTick()
    }
    expect(written(links)).toEqual(links.map(() => [90]))
  })

  it('long write batches do not wait, however many links there are', () => {
    const { loop, links } = bench(16)
    for (const [index, link] of links.entries()) link.add(index === 3 ? 32 * 1024 : 10)
    loop.endTick()
    expect(written(links).flatMap((sizes, index) => sizes.map(() => index))).toEqual([3])
  })

  it('write batches can be requested again after they were written', () => {
    const { loop, links } = bench(16)
    for (let round = 0; round < 3; round++) {
      for (const link of links) link.add(5)
      loop.endTick()
      loop.nextTick()
    }
    expect(written(links)).toEqual(links.map(() => [5, 5, 5]))
  })

  it.each([
    ['batches of many links', false],
    ['an ack', true],
  ])('write batches that are requested while %s wait get a tick of their own', (_, isAck) => {
    const { loop, links } = bench(isAck ? 17 : 33)
    const [owing, ...others] = links as [TestLink, ...TestLink[]]
    const [first, late] = isAck ? [[], others] : [others.slice(0, 16), others.slice(16)]
    if (isAck) owing.owe()
    for (const link of first) link.add(5)
    loop.endTick()
    for (const link of late) link.add(7)
    loop.endTick()
    loop.nextTick()
    // Nothing more can have arrived within their own tick.
    expect([written(first), written(late)]).toEqual([first.map(() => [5]), late.map(() => [])])
    loop.nextTick()
    expect(written(late)).toEqual(late.map(() => [7]))
    loop.nextTick()
    expect(loop.isIdle).toBe(true)
  })
})

describe('standalone acks', () => {
  function owing(count: number): { loop: Loop; links: TestLink[] } {
    const { loop, links } = bench(count)
    for (const link of links) link.owe()
    return { loop, links }
  }

  it('a standalone ack is written in the third tick, and nothing is due after it', () => {
    const {
      loop,
      links: [link],
    } = owing(1)
    loop.ticks(10)
    expect([link!.acks, loop.checksDue]).toEqual([[3], 0])
  })

  it('an ack that was sent along with data is not written again', () => {
    const {
      loop,
      links: [link],
    } = owing(1)
    loop.nextTick()
    link!.isAckDue = false
    loop.ticks(5)
    expect([link!.acks, loop.checksDue]).toEqual([[2], 0])
  })

  it('a standalone ack waits for its own ticks, whatever else waits', () => {
    const {
      loop,
      links: [first, second],
    } = bench(2)
    first!.owe()
    loop.nextTick()
    second!.owe()
    loop.ticks(5)
    expect([first!.acks, second!.acks]).toEqual([[3], [4]])
  })

  it('a standalone ack that becomes due again by its own write waits again, with one check per tick', () => {
    const {
      loop,
      links: [link, other],
    } = owing(2)
    link!.onAck = () => void (link!.acks.length < 3 && link!.owe())
    for (let tick = 0; tick < 12; tick++) {
      loop.nextTick()
      expect(loop.checksDue).toBeLessThanOrEqual(1)
    }
    expect([link!.acks, other!.acks]).toEqual([[3, 6, 9], [3]])
  })

  it.each([
    [15, 3],
    [16, 1],
    [64, 1],
  ])('the standalone acks of each of %d links are written in tick %d', (count, tick) => {
    const { loop, links } = owing(count)
    loop.ticks(5)
    expect(links.map(({ acks }) => acks)).toEqual(links.map(() => [tick]))
  })
})
