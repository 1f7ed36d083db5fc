/**
 * Owns: the contract of credit on one lane, and of the node's memory budget.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { grownWindowBytesMax, ReceiveWindow, SendCredit } from '../../protocol/native/lanes/credit.ts'
import { MemoryBudget } from '../../protocol/native/memory/memory-budget.ts'
import { expectError, expectProtocolError } from '../codec/harness.ts'

const maxWindow = 2 ** 31 - 1

describe('credit for sending', () => {
  test('a lane may send a frame of any size while its credit is above 0, and nothing at or below 0', () => {
    const credit = new SendCredit(10)
    credit.spend(1000)
    expect([credit.balanceBytes, credit.canSend]).toEqual([-990, false])
    expectError('ERR_INTERNAL', () => {
      credit.spend(1)
    })
    expect(credit.grant(990)).toBe(false)
    expect(credit.canSend).toBe(false)
    expect(credit.grant(1)).toBe(true)
    expect(credit.grant(1)).toBe(false)
  })

  test('a session may send nothing before the peer’s first Credit', () => {
    expect(new SendCredit(0).canSend).toBe(false)
  })

  test('credit for sending is never more than 2^31 - 1 bytes', () => {
    const credit = new SendCredit(maxWindow - 1)
    credit.grant(1)
    expectProtocolError('ERR_CREDIT_OVERFLOW', () => credit.grant(1))
    expectProtocolError('ERR_CREDIT_OVERFLOW', () => new SendCredit(maxWindow + 1))
    expectProtocolError('ERR_CREDIT_OVERFLOW', () => new SendCredit(5).grant(2 ** 32 - 1))
  })
})

describe('credit for receiving', () => {
  test("a frame is refused if and only if this side's remaining credit is 0 or less", () => {
    const window = new ReceiveWindow({ windowBytes: 10, mayGrow: () => false })
    window.arrive(9)
    window.arrive(100)
    expect([window.ownCountBytes, window.unreadBytes]).toEqual([-99, 109])
    expectProtocolError('ERR_CREDIT_EXCEEDED', () => {
      window.arrive(1)
    })
    const exact = new ReceiveWindow({ windowBytes: 10, mayGrow: () => false })
    exact.arrive(10)
    expectProtocolError('ERR_CREDIT_EXCEEDED', () => {
      exact.arrive(1)
    })
  })

  test('credit is returned when half of the window has been read', () => {
    const window = new ReceiveWindow({ windowBytes: 100, mayGrow: () => false })
    for (let count = 0; count < 5; count += 1) window.arrive(20)
    expect([window.take(20, 0, 1), window.take(20, 0, 1), window.take(20, 0, 1), window.take(20, 0, 1)]).toEqual([
      0, 0, 60, 0,
    ])
    expect([window.ownCountBytes, window.unreadBytes]).toEqual([60, 20])
  })

  test('a window doubles up to 4 MiB if half is read within two round trips, and never shrinks', () => {
    const asked: number[] = []
    const window = new ReceiveWindow({ windowBytes: 1024 * 1024, mayGrow: (bytes) => asked.push(bytes) > 0 })
    const takeHalf = (nowMs: number, roundTripMs: number | null): number => {
      const half = window.windowBytes / 2
      window.arrive(half)
      return window.take(half, nowMs, roundTripMs)
    }
    expect(takeHalf(0, 10)).toBe(512 * 1024)
    expect(takeHalf(20, null)).toBe(512 * 1024)
    expect(takeHalf(41, 10)).toBe(512 * 1024)
    expect(takeHalf(61, 10)).toBe(1536 * 1024)
    expect(window.windowBytes).toBe(2 * 1024 * 1024)
    takeHalf(62, 10)
    expect(takeHalf(63, 10)).toBe(grownWindowBytesMax / 2)
    expect([window.windowBytes, asked]).toEqual([grownWindowBytesMax, [1024 * 1024, 2 * 1024 * 1024]])
    takeHalf(10_000, 10)
    expect(window.windowBytes).toBe(grownWindowBytesMax)
  })

  test('a window does not grow if the budget denies it, or if it started above 4 MiB', () => {
    for (const window of [
      new ReceiveWindow({ windowBytes: 100, mayGrow: () => false }),
      new ReceiveWindow({ windowBytes: 8 * 1024 * 1024, mayGrow: () => true }),
    ]) {
      const before = window.windowBytes
      for (let count = 0; count < 3; count += 1) {
        window.arrive(before)
        window.take(before, count, 10)
      }
      expect(window.windowBytes).toBe(before)
    }
  })

  test('credit never refuses an honest frame, overflows, or blocks a lane, whatever the sender does', () => {
    const step = fc.oneof(
      fc.record({ send: fc.integer({ min: 5, max: 3000 }) }),
      fc.constantFrom('deliver', 'take', 'credit'),
    )
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4000 }),
        fc.array(step, { maxLength: 200 }),
        fc.integer({ min: 0, max: 3 }),
        (windowBytes, steps, roundTripMs) => {
          const credit = new SendCredit(windowBytes)
          let grownBytes = 0
          const window = new ReceiveWindow({
            windowBytes,
            mayGrow: (bytes) => bytes < 20_000 && (grownBytes += bytes) > 0,
          })
          const [underWay, unread, credits]: number[][] = [[], [], []]
          const act = (one: (typeof steps)[number], nowMs: number): boolean => {
            if (typeof one === 'object') {
              if (!credit.canSend) return false
              credit.spend(one.send)
              underWay!.push(one.send)
            } else if (one === 'deliver' && underWay!.length > 0) {
              const frame = underWay!.shift()!
              window.arrive(frame)
              unread!.push(frame)
            } else if (one === 'take' && unread!.length > 0) {
              const given = window.take(unread!.shift()!, nowMs, roundTripMs)
              if (given > 0) credits!.push(given)
            } else if (one === 'credit' && credits!.length > 0) credit.grant(credits!.shift()!)
            else return false
            const sum = (list: number[]): number => list.reduce((total, bytes) => total + bytes, 0)
            expect(window.ownCountBytes).toBe(credit.balanceBytes + sum(underWay!) + sum(credits!))
            expect(window.unreadBytes).toBe(sum(unread!))
            expect(window.windowBytes).toBe(windowBytes + grownBytes)
            return true
          }
          for (const [nowMs, one] of steps.entries()) act(one, nowMs)
          // Everything is read and credited, so the sender may continue.
          const rest = ['deliver', 'take', 'credit'] as const
          while (rest.map((one) => act(one, 1000)).includes(true));
          expect(credit.canSend).toBe(true)
          expect(credit.balanceBytes).toBeGreaterThanOrEqual(Math.floor(windowBytes / 2))
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('the memory budget', () => {
  test('the memory budget serves waiting senders in order', () => {
    const budget = new MemoryBudget(100)
    const served: string[] = []
    expect(budget.tryReserve('replay', 90)).toBe(true)
    budget.whenReserved('sendQueues', 50, () => served.push('large'))
    const giveUp = budget.whenReserved('sendQueues', 5, () => served.push('small'))
    budget.whenReserved('replay', 20, () => served.push('last'))
    expect([served, budget.tryReserve('replay', 1), budget.waiting]).toEqual([[], false, 3])
    expect(giveUp()).toBe(true)
    budget.release('replay', 30)
    expect(served).toEqual([])
    budget.release('replay', 20)
    expect(served).toEqual(['large'])
    budget.release('replay', 40)
    expect(served).toEqual(['large', 'last'])
    expect([giveUp(), budget.usedBytes, budget.waiting]).toEqual([false, 70, 0])
  })

  test('the memory budget serves the next sender when the first in the queue gives up', () => {
    const budget = new MemoryBudget(100)
    let served = false
    budget.force('replay', 60)
    const giveUp = budget.whenReserved('replay', 50, () => {})
    budget.whenReserved('replay', 40, () => {
      served = true
    })
    giveUp()
    expect(served).toBe(true)
  })

  test('the memory budget counts forced memory as debt, and fails loudly if more is given back than was taken', () => {
    const budget = new MemoryBudget(100)
    budget.force('sendQueues', 110)
    expect([budget.leftBytes, budget.isOverdrawn, budget.tryReserve('replay', 1)]).toEqual([0, true, false])
    budget.release('sendQueues', 20)
    expect(budget.leftBytes).toBe(10)
    expectError('ERR_INTERNAL', () => {
      budget.release('replay', 1)
    })
  })

  test('the memory budget allows a callback to release and ask again without skipping a waiting sender', () => {
    const budget = new MemoryBudget(10)
    const served: number[] = []
    budget.force('sendQueues', 10)
    for (const id of [1, 2, 3]) {
      budget.whenReserved('replay', 10, () => {
        served.push(id)
        budget.release('replay', 10)
      })
    }
    budget.release('sendQueues', 10)
    expect([served, budget.usedBytes]).toEqual([[1, 2, 3], 0])
  })

  test('the memory budget serves the first sender once nothing is in flight, whatever waits to be sent', () => {
    const budget = new MemoryBudget(100)
    let served = false
    budget.force('sendQueues', 90)
    budget.force('replay', 5)
    budget.whenReserved('replay', 40, () => {
      served = true
    })
    expect(served).toBe(false)
    budget.release('replay', 5)
    expect([served, budget.usedBytes, budget.leftBytes]).toEqual([true, 130, 0])
  })

  test('an overdrawn memory budget grants nothing, not even 0 bytes, unless nothing is in flight', () => {
    const budget = new MemoryBudget(100)
    budget.force('replay', 60)
    budget.force('sendQueues', 50)
    const served: string[] = []
    budget.whenReserved('replay', 0, () => {
      served.push('first')
      budget.force('replay', 20)
    })
    budget.whenReserved('replay', 0, () => served.push('second'))
    expect(served).toEqual([])
    budget.release('replay', 60)
    // 50 are left, so both go at once.
    expect([served, budget.usedBytes]).toEqual([['first', 'second'], 70])
    budget.force('sendQueues', 100)
    budget.whenReserved('replay', 0, () => served.push('third'))
    expect(served).toHaveLength(2)
    budget.release('replay', 20)
    expect([served.length, budget.isOverdrawn]).toEqual([3, true])
  })

  test('the memory budget always counts right, and no sender waits that could be served', () => {
    const step = fc.oneof(
      fc.record({ ask: fc.integer({ min: 1, max: 60 }) }),
      fc.record({ give: fc.nat(20) }),
      fc.record({ cancel: fc.nat(20) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const budget = new MemoryBudget(100)
        const held: number[] = []
        const asked: { bytes: number; cancel: () => boolean }[] = []
        const order: number[] = []
        for (const [index, one] of steps.entries()) {
          if ('ask' in one) {
            const entry = { bytes: one.ask, cancel: () => false }
            asked.push(entry)
            entry.cancel = budget.whenReserved('replay', one.ask, () => {
              order.push(index)
              held.push(one.ask)
              asked.splice(asked.indexOf(entry), 1)
            })
          } else if ('give' in one && held.length > 0)
            budget.release('replay', held.splice(one.give % held.length, 1)[0]!)
          else if ('cancel' in one && asked.length > 0) {
            const entry = asked[one.cancel % asked.length]!
            asked.splice(asked.indexOf(entry), 1)
            expect(entry.cancel()).toBe(true)
          }
          expect(budget.usedBytes).toBe(held.reduce((total, bytes) => total + bytes, 0))
          expect(budget.usedBytes).toBeLessThanOrEqual(100)
          expect(budget.waiting).toBe(asked.length)
          if (asked.length > 0) expect(asked[0]!.bytes).toBeGreaterThan(budget.leftBytes)
        }
        expect(order).toEqual([...order].sort((a, b) => a - b))
      }),
    )
  })
})
