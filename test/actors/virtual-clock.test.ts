/**
 * Owns: the clock and the random numbers that tests and simulations use.
 * Independent of: what runs on them.
 */
import { describe, expect, it } from 'vitest'
import { seededRandom, VirtualClock } from '../../testing/index.ts'

describe('the virtual clock', () => {
  it('the virtual clock stands still until it is advanced', async () => {
    const clock = new VirtualClock()
    const log: number[] = []
    clock.setTimeout(() => log.push(clock.nowMs()), 10)
    await clock.settle()
    expect([log, clock.nowMs(), clock.timers]).toEqual([[], 0, 1])
    await clock.advance(9)
    expect(log).toEqual([])
    await clock.advance(1)
    expect([log, clock.nowMs(), clock.timers]).toEqual([[10], 10, 0])
  })

  it('the virtual clock runs promises, then ticks, then immediates, then timers that are due', async () => {
    const clock = new VirtualClock()
    const log: string[] = []
    clock.setTimeout(() => log.push('timer'), 0)
    clock.setImmediate(() => log.push('immediate'))
    clock.nextTick(() => {
      log.push('tick')
      void Promise.resolve().then(() => log.push('promise of the tick'))
      clock.nextTick(() => log.push('tick of the tick'))
    })
    void Promise.resolve().then(() => log.push('promise'))
    await clock.settle()
    expect(log).toEqual(['promise', 'tick', 'promise of the tick', 'tick of the tick', 'immediate', 'timer'])
  })

  it('the virtual clock fires timers in the order of time, then in the order of setting', async () => {
    const clock = new VirtualClock()
    const log: string[] = []
    for (const [delayMs, name] of [
      [20, 'c'],
      [10, 'a'],
      [10, 'b'],
      [-5, 'first'],
    ] as const)
      clock.setTimeout(() => log.push(`${name} at ${clock.nowMs()}`), delayMs)
    await clock.advance(100)
    expect([log, clock.nowMs()]).toEqual([['first at 0', 'a at 10', 'b at 10', 'c at 20'], 100])
  })

  it('the virtual clock stops at each timer on the way, so timers that it sets are on time', async () => {
    const clock = new VirtualClock()
    const log: number[] = []
    const again = (): void => {
      log.push(clock.nowMs())
      clock.setTimeout(again, 30)
    }
    clock.setTimeout(again, 30)
    await clock.advance(100)
    expect(log).toEqual([30, 60, 90])
  })

  it('the virtual clock does not fire cleared timers', async () => {
    const clock = new VirtualClock()
    let fired = 0
    clock.clearTimeout(clock.setTimeout(() => fired++, 5))
    await clock.advance(10)
    expect([fired, clock.timers]).toEqual([0, 0])
  })

  it('the virtual clock fails with a list of pending work when it does not become quiet', async () => {
    const clock = new VirtualClock()
    const again = (): void => clock.setImmediate(again)
    again()
    await expect(clock.settle(50)).rejects.toThrow('did not become quiet: 0 ticks, 1 immediates, 0 timers pending')
  })

  it('the virtual clock advances until a condition holds, and no further', async () => {
    const clock = new VirtualClock()
    let count = 0
    const again = (): void => void (count++, clock.setTimeout(again, 100))
    again()
    await clock.until('five', () => count === 5)
    expect(clock.nowMs()).toBe(400)
  })

  it.each([
    ['nothing is left to happen', 0],
    ['the next thing happens at 5000 ms', 5000],
  ])('the virtual clock explains why a condition was not reached: %s', async (why, timerMs) => {
    const clock = new VirtualClock()
    if (timerMs > 0) clock.setTimeout(() => {}, timerMs)
    await expect(clock.until('peace', () => false, 1000)).rejects.toThrow(
      `peace did not come about within 1000 ms of virtual time: ${why}`,
    )
  })

  it('the virtual clock advances until a promise settles, and returns its result or its error', async () => {
    const clock = new VirtualClock()
    const later = new Promise((resolve) => clock.setTimeout(() => resolve('done'), 1000))
    expect(await clock.run(later)).toBe('done')
    await expect(clock.run(Promise.reject(new Error('no')))).rejects.toThrow('no')
    await expect(clock.run(new Promise(() => {}))).rejects.toThrow('nothing is left to happen')
  })
})

describe('seeded random', () => {
  it('seeded random numbers are the same for the same seed and differ for another', () => {
    const numbers = (seed: number): number[] => {
      const random = seededRandom(seed)
      return Array.from({ length: 50 }, () => random.fraction())
    }
    expect(numbers(1)).toEqual(numbers(1))
    expect(numbers(1)).not.toEqual(numbers(2))
    expect(seededRandom(5).bytes(32)).toEqual(seededRandom(5).bytes(32))
  })

  it('seeded random fractions are from 0 up to but not including 1, and evenly spread', () => {
    const random = seededRandom(42)
    const tenths = Array<number>(10).fill(0)
    for (let i = 0; i < 10_000; i++) {
      const fraction = random.fraction()
      expect(fraction >= 0 && fraction < 1).toBe(true)
      tenths[Math.floor(fraction * 10)]!++
    }
    for (const count of tenths) expect(Math.abs(count - 1000)).toBeLessThan(150)
  })

  it.each([0, 1, 16, 1000])('seeded random returns %i bytes on request', (length) => {
    expect(seededRandom(1).bytes(length)).toHaveLength(length)
  })
})
