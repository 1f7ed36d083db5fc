/** Owns: that the links of a node share one budget: the sum is right at every moment, a share is always there, and nobody waits for ever. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NodeMemory } from '../../protocol/native/memory/node-memory.ts'
import type { LinkMemory } from '../../protocol/native/memory/node-memory.ts'
import { SendRoom } from '../../protocol/native/lanes/send-room.ts'

const kib = 1024
const mib = 1024 * kib

describe('a link', () => {
  test('a link can use its share for sending whatever the others hold', () => {
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

  test('a link gets no more windows than three quarters of what is not set aside, and grows to a half', () => {
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

  test('a link lets the first value of a lane wait however little is left, and no further one', () => {
    const memory = new NodeMemory(mib, 1)
    const link = memory.open()
    while (link.reserveReplay(1)) if (!link.reserveReplay(4 * kib)) break
    while (link.reserveReplay(1)) {}
    expect([link.queueValue(100, false), link.queueValue(100, true)]).toEqual([false, true])
    link.unqueueValue(100)
    memory.invariants()
  })

  test('a link that is closed gives everything back, and takes nothing more', () => {
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
  test('links that wait to send are served first come, first served, a place each, and none is left out', () => {
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
        { frame: { lengthBytes: 16 * kib }, memoryBytes: 16 * kib + 64 },
        () => {
          served.push(index)
          fill(index)
        },
      )
    }
    for (const index of [0, 1, 2]) fill(index)
    expect(memory.waiting).toBe(3)
    // Whoever frees gets no more than its turn: the one that was acknowledged goes to the end as well.
    for (let turn = 0; turn < 30; turn++) {
      const index = held.indexOf(Math.max(...held))
      held[index]! -= 16 * kib + 32
      rooms[index]!.trim(held[index]!)
      memory.invariants()
      // A value that waits is a copy, whether there is room or not.
      expect(memory.usedBytes).toBeLessThanOrEqual(mib + links.length * (16 * kib + 64))
    }
    const turns = [0, 1, 2].map((index) => served.filter((one) => one === index).length)
    expect(served.length).toBeGreaterThan(20)
    expect(Math.max(...turns) - Math.min(...turns)).toBeLessThanOrEqual(1)
  })

  test('links that wait to send get what a longer value needs than all there is, once nothing else is on its way', () => {
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

describe('whatever links do', () => {
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

  test('whatever links do the sum is that of its holders, within the budget but for the one that is alone, and 0 when all are closed', () => {
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
        // What is taken unasked, or by a value that is alone, may be beyond the budget.
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
