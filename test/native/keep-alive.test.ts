/**
 * Owns: the contract of the watchdog: when it pings, when a peer is suspect and dead, and that this side's own stalls
 * do not count against the peer.
 */
import { describe, expect, test } from 'vitest'
import { defaultKeepAlive, KeepAlive } from '../../protocol/native/epoch/keep-alive.ts'
import { expectError } from '../codec/harness.ts'

const createWatchdog = (nowMs = 0): KeepAlive => new KeepAlive(defaultKeepAlive, nowMs)

/** Polls on time. */
function onTime(watchdog: KeepAlive, nowMs: number): string[] {
  return watchdog.poll(nowMs, nowMs)
}

describe('a ping', () => {
  test('a ping is sent after 10 s without a received byte', () => {
    const watchdog = createWatchdog()
    watchdog.sent(9000)
    expect(watchdog.nextAtMs).toBe(10_000)
    expect(onTime(watchdog, 9999)).toEqual([])
    expect(onTime(watchdog, 10_000)).toEqual(['ping'])
  })

  test('a ping is sent at most a quarter of a second early, at a time that many links share', () => {
    const dueAtMs = [0, 60, 120, 249].map((beginMs) => createWatchdog(beginMs).nextAtMs)
    expect(dueAtMs).toEqual([10_000, 10_000, 10_000, 10_000])
    expect(createWatchdog(250).nextAtMs).toBe(10_250)
  })

  test('a ping is sent after 10 s without a sent byte, even if bytes arrive all the time', () => {
    const watchdog = createWatchdog()
    for (let nowMs = 1000; nowMs <= 9000; nowMs += 1000) watchdog.received(nowMs)
    expect(onTime(watchdog, 10_000)).toEqual(['ping'])
    watchdog.ping(10_000)
    expect(watchdog.nextAtMs).toBe(19_000)
  })

  test('a ping is not repeated before another interval has passed', () => {
    const watchdog = createWatchdog()
    watchdog.ping(10_000)
    expect(onTime(watchdog, 10_001)).toEqual([])
    expect(onTime(watchdog, 15_000)).toEqual(['suspect'])
    expect(onTime(watchdog, 20_000)).toEqual(['ping', 'look-again'])
  })

  test('a ping measures the round trip by its own echo only', () => {
    const watchdog = createWatchdog()
    expect(watchdog.roundTripMs).toBeNull()
    const first = watchdog.ping(100)
    const second = watchdog.ping(200)
    watchdog.pong(first, 250)
    watchdog.pong(99n, 250)
    expect(watchdog.roundTripMs).toBeNull()
    watchdog.pong(second, 230)
    watchdog.pong(second, 900)
    expect(watchdog.roundTripMs).toBe(30)
  })
})

describe('silence', () => {
  test('silence of 15 s makes the connection suspect once, and a byte clears it', () => {
    const watchdog = createWatchdog()
    watchdog.ping(10_000)
    expect(watchdog.nextAtMs).toBe(15_000)
    expect(onTime(watchdog, 15_000)).toEqual(['suspect'])
    expect(watchdog.isSuspect).toBe(true)
    expect(onTime(watchdog, 15_001)).toEqual([])
    expect(watchdog.received(16_000)).toBe(true)
    expect([watchdog.isSuspect, watchdog.received(16_001)]).toEqual([false, false])
  })

  test('silence of 20 s declares the peer dead only after two more ticks of the event loop', () => {
    const watchdog = createWatchdog()
    onTime(watchdog, 15_000)
    expect(onTime(watchdog, 20_000)).toContain('look-again')
    expect(onTime(watchdog, 20_000)).not.toContain('look-again')
    expect(watchdog.lookAgain()).toBe('look-again')
    expect(watchdog.lookAgain()).toBe('dead')
  })

  test('a byte that arrives in the two ticks after 20 s of silence keeps the peer alive', () => {
    const watchdog = createWatchdog()
    onTime(watchdog, 20_000)
    watchdog.lookAgain()
    watchdog.received(20_000)
    watchdog.sent(20_000)
    expect(watchdog.lookAgain()).toBeNull()
    expect(watchdog.nextAtMs).toBeGreaterThan(20_000)
  })

  test('a timer that fires more than 1 s late grants one more period, once', () => {
    const watchdog = createWatchdog()
    watchdog.ping(19_000)
    expect(watchdog.poll(21_500, 20_000)).not.toContain('look-again')
    expect(watchdog.nextAtMs).toBe(29_000)
    expect(onTime(watchdog, 31_499)).not.toContain('look-again')
    expect(watchdog.poll(33_000, 31_500)).toContain('look-again')
  })

  test('a timer that fires up to 1 s late neither extends nor shortens the allowed silence', () => {
    expect(createWatchdog().poll(21_000, 20_000)).toContain('look-again')
    expect(createWatchdog().poll(21_001, 20_000)).not.toContain('look-again')
  })

  test('silence does not count while this side does not read, but this side still pings', () => {
    const watchdog = createWatchdog()
    watchdog.readingPaused(5000)
    watchdog.readingPaused(6000)
    expect(watchdog.nextAtMs).toBe(10_000)
    expect(onTime(watchdog, 60_000)).toEqual(['ping'])
    watchdog.ping(60_000)
    watchdog.readingResumed(65_000)
    watchdog.readingResumed(66_000)
    // 5 s of silence had passed before the pause.
    expect(onTime(watchdog, 74_999)).toEqual(['ping'])
    watchdog.ping(74_999)
    expect(onTime(watchdog, 75_000)).toEqual(['suspect'])
    expect(onTime(watchdog, 80_000)).toEqual(['look-again'])
  })
})

describe('keep-alive options', () => {
  test.each([
    { pingIntervalMs: 10_001, suspectAfterMs: 15_000, deadAfterMs: 30_000 },
    { pingIntervalMs: 0, suspectAfterMs: 15_000, deadAfterMs: 30_000 },
    { pingIntervalMs: 5000, suspectAfterMs: 6000, deadAfterMs: 9999 },
    { pingIntervalMs: 5000, suspectAfterMs: 5000, deadAfterMs: 20_000 },
    { pingIntervalMs: 5000, suspectAfterMs: 20_001, deadAfterMs: 20_000 },
    { pingIntervalMs: Number.NaN, suspectAfterMs: 15_000, deadAfterMs: 20_000 },
    { pingIntervalMs: 5000, suspectAfterMs: 15_000, deadAfterMs: Infinity },
  ])('keep-alive options that would declare a busy peer dead are refused: %o', (options) => {
    expectError('ERR_INVALID_OPTION', () => new KeepAlive(options, 0))
  })

  test('keep-alive options are accepted at their limits', () => {
    expect(
      () => new KeepAlive({ pingIntervalMs: 10_000, suspectAfterMs: 20_000, deadAfterMs: 20_000 }, 0),
    ).not.toThrow()
  })
})
