/** Owns: what a peer may say that carries nothing, and what gives reason for it. Refuses to know: frames and links. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FloodGuard, floodBurst } from '../../protocol/native/lanes/flood-guard.ts'

const carried = (): { valuesSent: number; valuesReceived: number } => ({ valuesSent: 0, valuesReceived: 0 })

function framesUntilFlood(guard: FloodGuard, nowMs: number, framesMax = 100_000): number {
  for (let frames = 0; frames < framesMax; frames++) {
    try {
      guard.frame(nowMs)
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_FLOOD' })
      return frames
    }
  }
  return framesMax
}

describe('frames that carry nothing', () => {
  it('frames that carry nothing are a flood beyond a burst, and at once again afterwards', () => {
    const guard = new FloodGuard(carried(), 0)
    expect(framesUntilFlood(guard, 0)).toBe(floodBurst)
    expect(framesUntilFlood(guard, 0)).toBe(0)
  })

  it('frames that carry nothing are given back a thousand a second, up to a burst', () => {
    const guard = new FloodGuard(carried(), 0)
    framesUntilFlood(guard, 0)
    expect(framesUntilFlood(guard, 500)).toBe(500)
    expect(framesUntilFlood(guard, 3_600_000)).toBe(floodBurst)
  })

  it('frames that carry nothing of a link that pings for a year are none', () => {
    const guard = new FloodGuard(carried(), 0)
    expect(() => {
      for (let ping = 1; ping < 3_000_000; ping++) guard.frame(ping * 10_000)
    }).not.toThrow()
  })

  it('frames that carry nothing are given back by values, both ways, however many frames each value brings up to four', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 1_000 }), fc.integer({ min: 0, max: 1_000 })), { maxLength: 200 }),
        (turns) => {
          const values = carried()
          const guard = new FloodGuard(values, 0)
          for (const [sent, received] of turns) {
            values.valuesSent += sent
            values.valuesReceived += received
            for (let frame = 0; frame < 4 * (sent + received); frame++) guard.frame(0)
          }
        },
      ),
      { numRuns: 30 },
    )
  })

  it('frames that carry nothing are given back by sessions that are made', () => {
    const guard = new FloodGuard(carried(), 0)
    framesUntilFlood(guard, 0)
    for (let session = 0; session < 100; session++) guard.sessionMade()
    expect(framesUntilFlood(guard, 0)).toBe(800)
  })
})

it('a frame costs at most 65 however long it is', () => {
  const guard = new FloodGuard(carried(), 0)
  let frames = 0
  expect(() => {
    for (; frames < floodBurst; frames++) guard.unwanted(2 ** 31, 0)
  }).toThrow('carry nothing')
  expect(frames).toBe(Math.floor(floodBurst / 65))
})

it('frames that are answered cost four', () => {
  const guard = new FloodGuard(carried(), 0)
  let frames = 0
  expect(() => {
    for (; frames < floodBurst; frames++) {
      guard.unwanted(0, 0)
      guard.answer(0)
    }
  }).toThrow('carry nothing')
  expect(frames).toBe(floodBurst / 4)
})

describe('chunks', () => {
  it('chunks of a byte cost an eighth of a frame, longer ones nothing', () => {
    const guard = new FloodGuard(carried(), 0)
    for (let chunk = 0; chunk < 1_000_000; chunk++) guard.chunk(256, 0)
    for (let chunk = 0; chunk < 8 * floodBurst; chunk++) guard.chunk(1, 0)
    expect(() => guard.chunk(1, 0)).toThrow('carry nothing')
  })
})

describe('values for a session that is over', () => {
  it('values for a session that is over are no flood as far as there was credit when this side closed it, and one more of any length', () => {
    const guard = new FloodGuard(carried(), 0)
    framesUntilFlood(guard, 0)
    guard.sessionClosed(1_000)
    expect(guard.expectsLate).toBe(true)
    for (let value = 0; value < 10; value++) guard.late(100, 0)
    guard.late(2 ** 30, 0)
    expect(guard.expectsLate).toBe(false)
    expect(() => guard.late(5, 0)).toThrow('carry nothing')
  })

  it('values for a session that is over cost by their bytes where there was none', () => {
    const guard = new FloodGuard(carried(), 0)
    guard.sessionClosed(0)
    guard.sessionClosed(-5)
    let values = 0
    expect(() => {
      for (; values < 10_000; values++) guard.late(16_384, 0)
    }).toThrow('carry nothing')
    expect(values).toBe(Math.floor(floodBurst / 17))
  })
})
