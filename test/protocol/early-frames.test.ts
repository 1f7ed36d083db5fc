/**
 * Owns: the buffer for frames of later sessions: what is kept, when it is full, what is released. Independent of:
 * values.
 */
import { describe, expect, it } from 'vitest'
import { EarlyFrames } from '../../protocol/ampc/early-frames.ts'

/** A body of 36 bytes costs 100 with its overhead. */
const body = Buffer.alloc(36, 7)
const keep = (frames: EarlyFrames, laneId: number): boolean => frames.keep(laneId, 0x0c, body, 0, body.length)

describe('early frames', () => {
  it('early frames are dropped for every lane before the first expected lane is known', () => {
    expect(keep(new EarlyFrames(1000), 2 ** 32 - 1)).toBe(false)
  })

  it.each([
    [6, false],
    [7, true],
    [8, true],
  ])('an early frame for lane %i is kept, with lanes expected from 7 on: %s', (laneId, kept) => {
    const frames = new EarlyFrames(1000)
    frames.expectFrom(7)
    expect(keep(frames, laneId)).toBe(kept)
  })

  it.each([
    [9, false],
    [10, true],
    [11, true],
  ])('a buffer of 1000 bytes is full after %i early frames of 100 bytes: %s', (count, isFull) => {
    const frames = new EarlyFrames(1000)
    frames.expectFrom(0)
    for (let i = 0; i < count; i++) keep(frames, i % 3)
    expect(frames.isFull).toBe(isFull)
  })

  it('early frames are returned once, in order, and release their memory', () => {
    const frames = new EarlyFrames(200)
    frames.expectFrom(0)
    frames.keep(1, 0x0c, Buffer.from('..first..'), 2, 7)
    frames.keep(1, 0x01, Buffer.from('second'), 0, 6)
    expect(frames.take(1).map(({ descriptor, buffer }) => [descriptor, String(buffer)])).toEqual([
      [0x0c, 'first'],
      [0x01, 'second'],
    ])
    expect([frames.take(1), frames.isFull]).toEqual([[], false])
  })

  it('early frames are copies: the chunk they came in may be reused', () => {
    const frames = new EarlyFrames(1000)
    frames.expectFrom(0)
    const chunk = Buffer.from('before')
    frames.keep(1, 0x0c, chunk, 0, 6)
    chunk.fill('x')
    expect(String(frames.take(1)[0]?.buffer)).toBe('before')
  })

  it('early frames of lanes that can no longer be opened are released, and no others', () => {
    const frames = new EarlyFrames(300)
    frames.expectFrom(0)
    for (const laneId of [1, 1, 2]) keep(frames, laneId)
    expect([frames.isFull, frames.expectFrom(2), frames.isFull]).toEqual([true, 2, false])
    expect([frames.take(1).length, frames.take(2).length]).toEqual([0, 1])
  })

  it('clear() drops all early frames', () => {
    const frames = new EarlyFrames(100)
    frames.expectFrom(0)
    keep(frames, 1)
    frames.clear()
    expect([frames.isFull, frames.take(1)]).toEqual([false, []])
  })
})
