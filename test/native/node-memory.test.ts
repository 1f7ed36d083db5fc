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

  test('windows get at most half of the budget, and growing ones three quarters of that', () => {
    const memory = new NodeMemory(2 * mib, 1)
    const link = memory.open()
    expect([link.growWindow(768 * kib + 1), link.growWindow(768 * kib), link.growWindow(1)]).toEqual([
      false,
      true,
      false,
    ])
    while (link.openWindow(64 * kib) > 0) {}
    expect(link.held.windowsBytes).toBe(mib)
    memory.invariants()
  })

  test.each([
    [4, 64, 64],
    [16, 64, 64],
    [17, 64, 60],
    [256, 64, 4],
    [257, 64, 0],
    [1024, 1, 1],
    [1025, 1, 0],
  ])('%i new lanes that want %i KiB each share equally what is left of 1 MiB: %i KiB', (lanes, wanted, each) => {
    const link = new NodeMemory(2 * mib, 1).open()
    expect(Math.floor(link.openWindow(wanted * kib, lanes) / kib)).toBe(each)
  })

  test.each([1, 2, 16, 128])(
    'the windows of hellos have room on each of %i links and leave half to sessions',
    (links) => {
      const memory = new NodeMemory(8 * mib, links)
      const windows = Array.from({ length: links }, () => memory.open().openHelloWindows(64 * kib))
      expect(Math.min(...windows)).toBeGreaterThanOrEqual(4 * kib)
      expect(memory.held.windowsBytes).toBe(3 * windows.reduce((sum, one) => sum + one, 0))
      expect(memory.held.windowsBytes).toBeLessThanOrEqual(2 * mib)
      memory.invariants()
    },
  )

  test('full windows and long frames hold up no sender, and a full sender holds up neither', () => {
    const memory = new NodeMemory(mib, 1)
    const link = memory.open()
    while (link.openWindow(4 * kib) > 0) {}
    link.whenLongFrame(512 * kib, () => {})
    let sentBytes = 0
    while (link.reserveReplay(16 * kib)) sentBytes += 16 * kib
    expect([link.held.windowsBytes, link.held.largeFramesBytes, sentBytes]).toEqual([512 * kib, 512 * kib, mib])
    memory.invariants()
  })

  test('the windows of several lanes are equal parts of what is left, or none of them has room', () => {
    const memory = new NodeMemory(2 * mib, 2)
    const [link, other] = [memory.open(), memory.open()]
    const mostBytes = mib
    expect(link.openWindow(64 * kib, 5)).toBe(64 * kib)
    const leftBytes = mostBytes - 5 * 64 * kib
    expect(link.openWindow(64 * kib, Math.floor(leftBytes / (4 * kib)) + 1)).toBe(0)
    expect(link.openWindow(64 * kib, 100)).toBe(Math.floor(leftBytes / 100))
    link.passWindows(2 * 64 * kib, other)
    expect([link.held.windowsBytes, other.held.windowsBytes]).toEqual([
      3 * 64 * kib + 100 * Math.floor(leftBytes / 100),
      2 * 64 * kib,
    ])
    memory.invariants()
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
        () => ({ lengthBytes: 16 * kib, memoryBytes: 16 * kib + 64, turnMemoryBytes: 16 * kib + 64 }),
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

  test('windows stay within half of the budget, sending within as much as the budget, and both are 0 when all links are closed', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const memory = new NodeMemory(mib, links)
        const all = Array.from({ length: links }, () => memory.open())
        const model = all.map(() => ({
          windows: [] as number[],
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
            own.windows = own.replay = own.queued = []
          }
          memory.invariants()
          const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0)
          expect(memory.usedBytes).toBe(
            sum(model.map(({ windows, replay, queued }) => sum(windows) + sum(replay) + sum(queued))),
          )
          expect(memory.held.windowsBytes).toBeLessThanOrEqual(mib / 2)
          expect(memory.held.sendQueueBytes + memory.held.replayBytes).toBeLessThanOrEqual(mib + unaskedBytes)
        }
        for (const giveUp of waits) giveUp()
        for (const link of all) link.close()
        memory.invariants()
        expect([memory.usedBytes, memory.waiting]).toEqual([0, 0])
      }),
    )
  })
})
