/**
 * Owns: that the links of a node share one budget: the sum is right at every moment, each link always has its share,
 * and no sender waits forever.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NodeMemory } from '../../protocol/native/memory/node-memory.ts'
import type { LinkMemory } from '../../protocol/native/memory/node-memory.ts'
import { SendRoom } from '../../protocol/native/lanes/send-room.ts'

const kib = 1024
const mib = 1024 * kib

describe('the budget of a link', () => {
  test('a link can use its share for sending whatever the other links hold', () => {
    const memory = new NodeMemory(mib, 2)
    const [greedy, modest] = [memory.open(), memory.open()]
    while (greedy.reserveReplay(16 * kib)) {}
    expect([memory.usedBytes, modest.reserveReplay(memory.shareBytes), modest.reserveReplay(1)]).toEqual([
      mib - memory.shareBytes,
      true,
      false,
    ])
    expect(memory.usedBytes).toBe(mib)
  })

  test('the windows of a link get at most three quarters of the shared memory, and growth stops at a half', () => {
    const memory = new NodeMemory(2 * mib, 1)
    const link = memory.open()
    const poolBytes = 2 * mib - memory.shareBytes
    expect([link.growWindow(poolBytes / 2 + 1), link.growWindow(poolBytes / 2), link.growWindow(1)]).toEqual([
      false,
      true,
      false,
    ])
    while (link.openWindow(64 * kib) > 0) {}
    expect(link.held.windowsBytes).toBe((poolBytes * 3) / 4)
  })

  test('a link queues the first value of a lane however little memory is left, and no second one', () => {
    const memory = new NodeMemory(mib, 1)
    const link = memory.open()
    while (link.reserveReplay(1)) if (!link.reserveReplay(4 * kib)) break
    while (link.reserveReplay(1)) {}
    expect([link.queueValue(100, false), link.queueValue(100, true)]).toEqual([false, true])
    link.unqueueValue(100)
    memory.invariants()
  })

  test('a closed link returns all its memory, and takes no more', () => {
    const memory = new NodeMemory(mib, 2)
    const link = memory.open()
    link.openWindow(64 * kib)
    link.takeFrame(300 * kib)
    link.takeReplay(400 * kib)
    link.queueValue(10, true)
    link.close()
    memory.invariants()
    expect([memory.usedBytes, link.openWindow(1), link.growWindow(1), link.reserveReplay(1)]).toEqual([
      0,
      0,
      false,
      false,
    ])
    link.releaseReplay(400 * kib)
    link.closeWindow(64 * kib)
    expect(memory.usedBytes).toBe(0)
  })
})

describe('links that wait to send', () => {
  test('links that wait to send are served first come, first served, one place each, and none is left out', () => {
    const memory = new NodeMemory(mib, 3)
    const links = [memory.open(), memory.open(), memory.open()]
    const rooms = links.map((link) => new SendRoom(link))
    const held = [0, 0, 0]
    const served: number[] = []
    const fill = (index: number): void => {
      const room = rooms[index]!
      while (held[index]! < 2 * mib && room.fits(held[index]!, 16 * kib)) held[index]! += 16 * kib + 32
      links[index]!.queueValue(16 * kib + 64, true)
      room.wait(
        () => held[index]!,
        { lengthBytes: 16 * kib, memoryBytes: 16 * kib + 64 },
        () => {
          served.push(index)
          fill(index)
        },
      )
    }
    for (const index of [0, 1, 2]) fill(index)
    expect(memory.waiting).toBe(3)
    // A link that frees memory gets only its share: the acknowledged one also goes to the end of the queue.
    for (let round = 0; round < 30; round++) {
      const index = held.indexOf(Math.max(...held))
      held[index]! -= 16 * kib + 32
      rooms[index]!.trim(held[index]!)
      memory.invariants()
      // A value that waits is a copy, even if there is no room.
      expect(memory.usedBytes).toBeLessThanOrEqual(mib + links.length * (16 * kib + 64))
    }
    const counts = [0, 1, 2].map((index) => served.filter((one) => one === index).length)
    expect(served.length).toBeGreaterThan(20)
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
  })

  test('a value longer than the whole budget is sent once nothing else is in flight', () => {
    const memory = new NodeMemory(mib, 2)
    const [long, other] = [memory.open(), memory.open()]
    other.openWindow(64 * kib)
    expect(other.reserveReplay(400 * kib)).toBe(true)
    let isServed = false
    expect(long.reserveReplay(3 * mib)).toBe(false)
    long.whenReplay(3 * mib, () => (isServed = true))
    expect([isServed, other.reserveReplay(10 * kib)]).toEqual([false, false])
    other.releaseReplay(400 * kib)
    expect(isServed).toBe(true)
    long.releaseReplay(3 * mib)
    memory.invariants()
    expect(memory.held).toEqual({ windowsBytes: 64 * kib, largeFramesBytes: 0, sendQueueBytes: 0, replayBytes: 0 })
  })
})

describe('any sequence of operations', () => {
  const links = 3
  const step = fc.record({
    link: fc.nat(links - 1),
    what: fc.constantFrom(
      'openWindow',
      'closeWindow',
      'grow',
      'frame',
      'releaseFrame',
      'reserve',
      'release',
      'queue',
      'unqueue',
      'wait',
      'giveUp',
      'own',
      'close',
    ),
    bytes: fc.integer({ min: 1, max: 300 * kib }),
  })

  test('the sum of the links stays within the budget, except for a lone value, and is 0 when all are closed', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const memory = new NodeMemory(mib, links)
        const all = Array.from({ length: links }, () => memory.open())
        const model = all.map(() => ({
          windows: [] as number[],
          frames: [] as number[],
          replay: [] as number[],
          queued: [] as number[],
          isClosed: false,
        }))
        const waits: (() => boolean)[] = []
        // Memory forced without a check, or taken by a lone value, may exceed the budget.
        let unaskedBytes = 0
        for (const { link: index, what, bytes } of steps) {
          const link = all[index] as LinkMemory
          const own = model[index]!
          if (own.isClosed) continue
          if (what === 'openWindow') own.windows.push(link.openWindow(bytes))
          else if (what === 'closeWindow') link.closeWindow(own.windows.pop() ?? 0)
          else if (what === 'grow' && link.growWindow(bytes)) own.windows.push(bytes)
          else if (what === 'frame') {
            link.takeFrame(bytes)
            own.frames.push(bytes)
            unaskedBytes += bytes
          } else if (what === 'releaseFrame') link.releaseFrame(own.frames.pop() ?? 0)
          else if (what === 'reserve' && link.reserveReplay(bytes)) own.replay.push(bytes)
          else if (what === 'release') link.releaseReplay(own.replay.pop() ?? 0)
          else if (what === 'queue' && link.queueValue(bytes, own.queued.length === 0)) {
            if (own.queued.push(bytes) === 1) unaskedBytes += bytes
          } else if (what === 'unqueue') link.unqueueValue(own.queued.pop() ?? 0)
          else if (what === 'own') {
            link.takeReplay(bytes)
            own.replay.push(bytes)
            unaskedBytes += bytes
          } else if (what === 'wait') {
            waits.push(
              link.whenReplay(bytes, () => {
                own.replay.push(bytes)
                unaskedBytes += bytes
              }),
            )
          } else if (what === 'giveUp') waits.pop()?.()
          else if (what === 'close' && waits.length === 0) {
            link.close()
            own.isClosed = true
            own.windows = own.frames = own.replay = own.queued = []
          }
          memory.invariants()
          const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0)
          expect(memory.usedBytes).toBe(
            sum(
              model.map(
                ({ windows, frames, replay, queued }) => sum(windows) + sum(frames) + sum(replay) + sum(queued),
              ),
            ),
          )
          expect(memory.usedBytes).toBeLessThanOrEqual(mib + unaskedBytes)
        }
        for (const giveUp of waits) giveUp()
        for (const link of all) link.close()
        memory.invariants()
        expect([memory.usedBytes, memory.waiting]).toEqual([0, 0])
      }),
    )
  })
})
