/**
 * Owns: the timer wheel: never early, in order, no call after a cancel, whatever a callback does to the wheel.
 * Independent of: what deadlines are for.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TimerWheel } from '../../actors/base/timer-wheel.ts'
import type { Deadline } from '../../actors/base/timer-wheel.ts'
import { VirtualClock } from '../../testing/index.ts'

/** Deadlines are rounded up to this. */
const slotMs = 4

function create(): {
  clock: VirtualClock
  wheel: TimerWheel
  log: string[]
  at: (delayMs: number, name: string) => Deadline
} {
  const clock = new VirtualClock()
  const wheel = new TimerWheel(clock)
  const log: string[] = []
  return {
    clock,
    wheel,
    log,
    at: (delayMs, name) => wheel.schedule(delayMs, () => log.push(`${name} at ${clock.nowMs()}`)),
  }
}

describe('a deadline', () => {
  it.each([
    [0, 0],
    [1, 4],
    [3, 4],
    [4, 4],
    [5, 8],
    [1000, 1000],
    [1001, 1004],
  ])('a deadline of %i ms passes at %i', async (delayMs, atMs) => {
    const { clock, log, at } = create()
    at(delayMs, 'x')
    await clock.advance(2000)
    expect(log).toEqual([`x at ${atMs}`])
  })

  it('a deadline in the past passes at once', async () => {
    const { clock, log, at } = create()
    at(-500, 'x')
    await clock.settle()
    expect(log).toEqual(['x at 0'])
  })

  it.each([2 ** 31, 2 ** 40])(
    'a deadline of %i ms asks the clock only for delays that a Node timer can hold, and passes on time',
    async (delayMs) => {
      const { clock, log, at } = create()
      const asked: number[] = []
      const { setTimeout } = clock
      clock.setTimeout = (callback, askedMs) => (asked.push(askedMs), setTimeout.call(clock, callback, askedMs))
      at(delayMs, 'x')
      await clock.advance(delayMs + slotMs)
      expect(Math.max(...asked)).toBeLessThanOrEqual(2 ** 31 - 1)
      expect(log).toEqual([`x at ${delayMs}`])
    },
  )

  it('a cancelled deadline does not pass, and cancelling it twice has no effect', async () => {
    const { clock, wheel, log, at } = create()
    const deadline = at(10, 'x')
    deadline.cancel()
    deadline.cancel()
    await clock.advance(100)
    expect([log, wheel.size, clock.timers]).toEqual([[], 0, 0])
  })

  it('deadlines that are set and cancelled repeatedly leave nothing in the wheel', async () => {
    const { clock, wheel, at } = create()
    for (const others of [0, 1]) {
      const other = others === 0 ? null : at(100_000, 'other')
      for (let time = 0; time < 1000; time++) {
        at(10, 'x').cancel()
        await clock.advance(5)
      }
      expect(wheel.moments).toBeLessThanOrEqual(others === 0 ? 0 : 4)
      other?.cancel()
    }
  })

  it('cancelling a deadline that has passed has no effect', async () => {
    const { clock, wheel, at } = create()
    const deadline = at(10, 'x')
    at(20, 'y')
    await clock.advance(10)
    await clock.advance(5)
    deadline.cancel()
    expect(wheel.size).toBe(1)
  })
})

describe('the timer wheel', () => {
  it('the timer wheel uses one clock timer for any number of deadlines, and none without', async () => {
    const { clock, wheel, at } = create()
    const all = Array.from({ length: 1000 }, (_, i) => at(i, `${i}`))
    expect([wheel.size, clock.timers]).toEqual([1000, 1])
    for (const deadline of all.slice(0, 999)) deadline.cancel()
    expect([wheel.size, clock.timers]).toEqual([1, 1])
    all[999]?.cancel()
    expect([wheel.size, clock.timers]).toEqual([0, 0])
  })

  it('the timer wheel resets its timer when an earlier deadline is set', async () => {
    const { clock, log, at } = create()
    at(1000, 'late')
    at(8, 'soon')
    await clock.advance(8)
    expect(log).toEqual(['soon at 8'])
  })

  it('the timer wheel keeps the order of time between slots, and the order of setting within one', async () => {
    const { clock, log, at } = create()
    at(40, 'c')
    at(8, 'a')
    at(7, 'b')
    await clock.advance(40)
    expect(log).toEqual(['a at 8', 'b at 8', 'c at 40'])
  })

  it('the timer wheel keeps that order when it is late and several deadlines are due at once', () => {
    let nowMs = 0
    let fire = (): void => {}
    const late = new TimerWheel({
      wallMs: () => 0,
      nowMs: () => nowMs,
      setTimeout: (callback) => ((fire = callback), 1),
      clearTimeout() {},
      nextTick() {},
      setImmediate() {},
    })
    const log: string[] = []
    for (const delayMs of [30, 10, 20]) late.schedule(delayMs, () => log.push(`${delayMs}`))
    nowMs = 500
    fire()
    expect([log, late.size]).toEqual([['10', '20', '30'], 0])
  })

  it('the timer wheel fires nothing early when the clock wakes it early', () => {
    let nowMs = 0
    let fire = (): void => {}
    let armedMs = -1
    const wheel = new TimerWheel({
      wallMs: () => 0,
      nowMs: () => nowMs,
      setTimeout: (callback, delayMs) => ((fire = callback), (armedMs = delayMs), 1),
      clearTimeout() {},
      nextTick() {},
      setImmediate() {},
    })
    let passed = 0
    wheel.schedule(100, () => passed++)
    nowMs = 99.2
    fire()
    expect(passed).toBe(0)
    expect(armedMs).toBeCloseTo(0.8)
    nowMs = 100
    fire()
    expect(passed).toBe(1)
  })

  it('the timer wheel drops every deadline at clear', async () => {
    const { clock, wheel, log, at } = create()
    for (const delayMs of [1, 10, 100]) at(delayMs, 'x')
    wheel.clear()
    await clock.advance(200)
    expect([log, wheel.size, clock.timers]).toEqual([[], 0, 0])
  })
})

describe('a callback of the timer wheel', () => {
  it('a callback may set a deadline for now, which passes at once', async () => {
    const { clock, wheel, log, at } = create()
    wheel.schedule(8, () => void at(0, 'inner'))
    await clock.advance(8)
    expect(log).toEqual(['inner at 8'])
  })

  it('a callback may set a later deadline', async () => {
    const { clock, wheel, log, at } = create()
    wheel.schedule(8, () => void at(8, 'inner'))
    await clock.advance(100)
    expect(log).toEqual(['inner at 16'])
  })

  it('a callback may cancel another deadline of the same moment', async () => {
    const { clock, wheel, log, at } = create()
    wheel.schedule(8, () => other.cancel())
    const other = at(8, 'other')
    await clock.advance(100)
    expect([log, wheel.size]).toEqual([[], 0])
  })

  it('a callback may cancel the last deadline of its moment and set another for now, which still passes', async () => {
    const { clock, wheel, log, at } = create()
    wheel.schedule(8, () => {
      other.cancel()
      at(0, 'inner')
    })
    const other = at(8, 'other')
    await clock.advance(100)
    expect([log, wheel.size]).toEqual([['inner at 8'], 0])
  })

  it('a callback may cancel all other deadlines and set one for later, which still passes', async () => {
    const { clock, wheel, log, at } = create()
    wheel.schedule(8, () => {
      other.cancel()
      at(8, 'inner')
    })
    const other = at(50, 'other')
    await clock.advance(100)
    expect([log, wheel.size, wheel.moments]).toEqual([['inner at 16'], 0, 0])
  })

  it('a callback may clear the wheel', async () => {
    const { clock, wheel, log, at } = create()
    wheel.schedule(8, () => wheel.clear())
    at(8, 'same moment')
    at(50, 'later')
    await clock.advance(100)
    expect([log, wheel.size]).toEqual([[], 0])
  })

  it('a callback that throws does not prevent other deadlines', async () => {
    const { clock, wheel, log, at } = create()
    wheel.schedule(8, () => {
      throw new Error('a bug')
    })
    at(8, 'same moment')
    at(20, 'later')
    await expect(clock.advance(100)).rejects.toThrow('a bug')
    await clock.advance(100)
    expect([log.length, wheel.size]).toEqual([2, 0])
  })
})

describe('random use of the timer wheel', () => {
  it('each deadline passes once, in order, never early, at most one slot late; cancelled ones never', async () => {
    const step = fc.record({
      delayMs: fc.nat(60),
      waitMs: fc.nat(20),
      cancels: fc.option(fc.nat(20), { nil: undefined }),
      inner: fc.option(fc.nat(30), { nil: undefined }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { clock, wheel } = create()
        const passed = new Map<number, number>()
        const all: { deadline: Deadline; dueMs: number; cancelled: boolean }[] = []
        let lastSlot = 0
        const set = (delayMs: number, inner?: number): void => {
          const place = all.length
          const dueMs = clock.nowMs() + delayMs
          const deadline = wheel.schedule(delayMs, () => {
            expect(passed.has(place)).toBe(false)
            expect(Math.ceil(dueMs / slotMs)).toBeGreaterThanOrEqual(lastSlot)
            lastSlot = Math.ceil(dueMs / slotMs)
            passed.set(place, clock.nowMs())
            if (inner !== undefined) set(inner)
          })
          all.push({ deadline, dueMs, cancelled: false })
        }
        for (const { delayMs, waitMs, cancels, inner } of steps) {
          set(delayMs, inner)
          const target = cancels === undefined ? undefined : all[cancels]
          if (target !== undefined && !passed.has(cancels as number)) {
            target.deadline.cancel()
            target.cancelled = true
          }
          await clock.advance(waitMs)
        }
        await clock.advance(500)
        for (const [place, { dueMs, cancelled }] of all.entries()) {
          const atMs = passed.get(place)
          if (cancelled) expect(atMs).toBeUndefined()
          else {
            expect(atMs).toBeGreaterThanOrEqual(dueMs)
            expect(atMs).toBeLessThan(dueMs + slotMs)
          }
        }
        expect([wheel.size, clock.timers]).toEqual([0, 0])
      }),
    )
  })
})
