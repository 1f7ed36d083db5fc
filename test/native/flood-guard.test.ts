/**
 * Owns: which frames without data a peer may send, and what earns it more. Independent of: frames and links.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FloodGuard, floodBurst } from '../../protocol/native/lanes/flood-guard.ts'

const nothingCarried = { carriedFrames: (): number => 0 }

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

describe('control frames', () => {
  it('control frames are a flood beyond a burst, and at once again afterwards', () => {
    const guard = new FloodGuard(nothingCarried, 0)
    expect(framesUntilFlood(guard, 0)).toBe(floodBurst)
    expect(framesUntilFlood(guard, 0)).toBe(0)
  })

  it('the allowance for control frames refills at a thousand a second, up to a burst', () => {
    const guard = new FloodGuard(nothingCarried, 0)
    framesUntilFlood(guard, 0)
    expect(framesUntilFlood(guard, 500)).toBe(500)
    expect(framesUntilFlood(guard, 3_600_000)).toBe(floodBurst)
  })

  it('the keep-alive pings of a link over a year are no flood', () => {
    const guard = new FloodGuard(nothingCarried, 0)
    expect(() => {
      for (let ping = 1; ping < 3_000_000; ping++) guard.frame(ping * 10_000)
    }).not.toThrow()
  })

  it('values in both directions refill the allowance, each for up to four control frames', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 1_000 }), fc.integer({ min: 0, max: 1_000 })), { maxLength: 200 }),
        (exchanges) => {
          let values = 0
          const guard = new FloodGuard({ carriedFrames: () => values }, 0)
          for (const [sent, received] of exchanges) {
            values += sent + received
            for (let frame = 0; frame < 4 * (sent + received); frame++) guard.frame(0)
          }
        },
      ),
      { numRuns: 30 },
    )
  })

  it('sessions that are made refill the allowance for control frames', () => {
    const guard = new FloodGuard(nothingCarried, 0)
    framesUntilFlood(guard, 0)
    for (let session = 0; session < 100; session++) guard.sessionMade()
    expect(framesUntilFlood(guard, 0)).toBe(800)
  })
})

it('a frame costs at most 65 however long it is', () => {
  const guard = new FloodGuard(nothingCarried, 0)
  let frames = 0
  expect(() => {
    for (; frames < floodBurst; frames++) guard.unwanted(2 ** 31, 0)
  }).toThrow('control frames faster')
  expect(frames).toBe(Math.floor(floodBurst / 65))
})

it('a control frame that needs an answer costs four', () => {
  const guard = new FloodGuard(nothingCarried, 0)
  let frames = 0
  expect(() => {
    for (; frames < floodBurst; frames++) {
      guard.unwanted(0, 0)
      guard.answer(0)
    }
  }).toThrow('control frames faster')
  expect(frames).toBe(floodBurst / 4)
})

describe('the cost of chunks', () => {
  it('a chunk of one byte costs an eighth of a frame, and a longer one nothing', () => {
    const guard = new FloodGuard(nothingCarried, 0)
    for (let chunk = 0; chunk < 1_000_000; chunk++) guard.chunk(256, 0)
    for (let chunk = 0; chunk < 8 * floodBurst; chunk++) guard.chunk(1, 0)
    expect(() => guard.chunk(1, 0)).toThrow('control frames faster')
  })
})

describe('values for a closed session', () => {
  it('values for a closed session are no flood within the credit at its close, plus one of any length', () => {
    const guard = new FloodGuard(nothingCarried, 0)
    framesUntilFlood(guard, 0)
    guard.sessionClosed(1_000)
    for (let value = 0; value < 10; value++) guard.late(100, 0)
    guard.late(2 ** 30, 0)
    expect(() => guard.late(5, 0)).toThrow('control frames faster')
  })

  it('values for a closed session are charged by their bytes if there was no credit', () => {
    const guard = new FloodGuard(nothingCarried, 0)
    guard.sessionClosed(0)
    guard.sessionClosed(-5)
    let values = 0
    expect(() => {
      for (; values < 10_000; values++) guard.late(16_384, 0)
    }).toThrow('control frames faster')
    expect(values).toBe(Math.floor(floodBurst / 17))
  })
})
