/** Owns: when batches leave: few at the end of their turn, many when they are long or nothing more comes. Refuses to know: links. */
import { describe, expect, it } from 'vitest'
import { FlushSchedule } from '../../actors/flush-schedule.ts'
import type { Batch } from '../../actors/flush-schedule.ts'
import type { Clock } from '../../actors/environment.ts'

/** Steps of the loop by hand: the end of a turn, and then the next one. */
class Loop {
  readonly #ticks: (() => void)[] = []
  readonly #immediates: (() => void)[] = []
  readonly clock = { nextTick: (call: () => void) => void this.#ticks.push(call), setImmediate: (call: () => void) => void this.#immediates.push(call) } as Partial<Clock> as Clock

  endTurn(): void {
    for (const call of this.#ticks.splice(0)) call()
  }
  nextTurn(): void {
    for (const call of this.#immediates.splice(0)) call()
  }
  get isIdle(): boolean {
    return this.#ticks.length + this.#immediates.length === 0
  }
}

class TestBatch implements Batch {
  pendingBytes = 0
  readonly left: number[] = []
  readonly #schedule: FlushSchedule
  #isRequested = false

  constructor(schedule: FlushSchedule) {
    this.#schedule = schedule
  }
  add(bytes: number): void {
    this.pendingBytes += bytes
    if (this.#isRequested) return
    this.#isRequested = true
    this.#schedule.request(this)
  }
  leave(): void {
    this.#isRequested = false
    this.left.push(this.pendingBytes)
    this.pendingBytes = 0
  }
}

function bench(count: number): { loop: Loop; schedule: FlushSchedule; batches: TestBatch[] } {
  const loop = new Loop()
  const schedule = new FlushSchedule(loop.clock)
  return { loop, schedule, batches: Array.from({ length: count }, () => new TestBatch(schedule)) }
}

const left = (batches: readonly TestBatch[]): number[][] => batches.map((batch) => batch.left)

describe('batches of one turn', () => {
  it('leave at its end, each once, if they are few', () => {
    const { loop, batches } = bench(15)
    for (let value = 0; value < 3; value++) for (const batch of batches) batch.add(100)
    expect(left(batches).flat()).toEqual([])
    loop.endTurn()
    expect(left(batches)).toEqual(batches.map(() => [300]))
    expect(loop.isIdle).toBe(true)
  })

  it('leave a turn later if they are many and nothing more comes', () => {
    const { loop, schedule, batches } = bench(16)
    for (const batch of batches) batch.add(100)
    loop.endTurn()
    expect([left(batches).flat(), schedule.held]).toEqual([[], 16])
    loop.nextTurn()
    expect(left(batches)).toEqual(batches.map(() => [100]))
    expect([schedule.held, loop.isIdle]).toEqual([0, true])
  })

  it('wait while more comes to each of many, until they are long enough', () => {
    const { loop, batches } = bench(16)
    for (let turn = 0; turn < 4; turn++) {
      // The application's turn comes first, as it asked first.
      for (const batch of batches) batch.add(10_000)
      loop.endTurn()
      if (turn > 0) loop.nextTurn()
    }
    expect(left(batches)).toEqual(batches.map(() => [40_000]))
  })

  it('wait for eight turns at most', () => {
    const { loop, batches } = bench(16)
    for (let turn = 0; turn <= 8; turn++) {
      expect(left(batches).flat()).toEqual([])
      for (const batch of batches) batch.add(10)
      loop.endTurn()
      if (turn > 0) loop.nextTurn()
    }
    expect(left(batches)).toEqual(batches.map(() => [90]))
  })

  it('that are long do not wait, in whatever crowd', () => {
    const { loop, batches } = bench(16)
    for (const [index, batch] of batches.entries()) batch.add(index === 3 ? 32 * 1024 : 10)
    loop.endTurn()
    expect(left(batches).flatMap((sizes, index) => sizes.map(() => index))).toEqual([3])
  })

  it('are asked for again after they have left', () => {
    const { loop, batches } = bench(16)
    for (let round = 0; round < 3; round++) {
      for (const batch of batches) batch.add(5)
      loop.endTurn()
      loop.nextTurn()
    }
    expect(left(batches)).toEqual(batches.map(() => [5, 5, 5]))
  })

  it('wait for a turn of their own if they come while a crowd waits', () => {
    const { loop, batches } = bench(17)
    const [late, ...crowd] = batches as [TestBatch, ...TestBatch[]]
    for (const batch of crowd) batch.add(5)
    loop.endTurn()
    late.add(7)
    loop.endTurn()
    loop.nextTurn()
    // Nothing more can have come to it within its own turn.
    expect(left(batches)).toEqual([[], ...crowd.map(() => [5])])
    loop.nextTurn()
    expect([late.left, loop.isIdle]).toEqual([[7], true])
  })
})
