/** Owns: the contract of session ids on native links: the same on both sides, the same on all links of a peer, bounded ahead. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { resetCodes } from '../../codec/native-frames.ts'
import {
  earlySessionsMax,
  firstIdOfBatch,
  linkOfSession,
  LinkSessions,
} from '../../protocol/native/lanes/session-numbering.ts'
import { expectError, expectProtocolError } from '../codec/harness.ts'

const range = (first: number, count: number): number[] => Array.from({ length: count }, (_, index) => first + index)

describe('session ids', () => {
  test('session ids begin at 0 on each link and epoch; a batch begins at the greatest next id of all links', () => {
    expect(new LinkSessions().nextId).toBe(0)
    expect([firstIdOfBatch([0, 0], 4), firstIdOfBatch([3, 8, 0], 1)]).toEqual([0, 8])
    expect([0, 1, 2, 3].map((index) => linkOfSession(index, 3))).toEqual([0, 1, 2, 0])
  })

  test('session ids end at 0x40000000', () => {
    expect(firstIdOfBatch([0x3fff_fffe], 2)).toBe(0x3fff_fffe)
    expectError('ERR_SESSION_IDS_USED_UP', () => firstIdOfBatch([0x3fff_fffe], 3))
  })

  test('session ids that were passed over, or ride on another link, count as closed', () => {
    const link = new LinkSessions()
    link.takeBatch(5, 4, [5, 7])
    expect([0, 4, 5, 6, 7, 8, 9].map((id) => link.placeOf(id))).toEqual([
      'over',
      'over',
      'open',
      'over',
      'open',
      'over',
      'early',
    ])
    expect(link.nextId).toBe(9)
    link.close(5)
    expect(link.placeOf(5)).toBe('over')
    expectError('ERR_INTERNAL', () => {
      link.takeBatch(8, 1, [])
    })
  })
})

describe('a session that was passed over, and that the peer waits for,', () => {
  test('a session that was passed over, and that the peer waits for, is reset when the batch is made that passes over it, closed by the peer or not: it counts it as unanswered', () => {
    const link = new LinkSessions()
    link.rememberCredit(0, 10)
    link.rememberCredit(1, 10)
    link.rememberReset(1, { code: 0, reason: '' })
    expect(link.takeBatch(3, 2, [3, 4])).toEqual([
      { id: 0, kind: 'reset' },
      { id: 1, kind: 'reset' },
    ])
  })

  test('a session that was passed over, and that the peer waits for, is reset when its Credit comes later', () => {
    const link = new LinkSessions()
    link.takeBatch(3, 2, [3, 4])
    expect(link.creditedLate(2)).toEqual([{ id: 2, kind: 'reset' }])
  })

  test('a session that was passed over, and that the peer waits for, is reset where it was made on another link: the peer has other numbers', () => {
    const link = new LinkSessions()
    link.rememberCredit(1, 10)
    expect(link.takeBatch(0, 4, [0, 2])).toEqual([{ id: 1, kind: 'reset' }])
    expect(link.creditedLate(3)).toEqual([{ id: 3, kind: 'reset' }])
  })

  test('a session that was passed over, and that the peer waits for, is not confused with one that was made and closed, which was reset already', () => {
    const link = new LinkSessions()
    expect(link.takeBatch(0, 1025, range(0, 1025))).toEqual([])
    for (const id of range(0, 1025)) link.make(id)
    for (const id of [0, 1024]) link.close(id)
    expect([0, 1024].map((id) => link.creditedLate(id))).toEqual([[], []])
  })
})

describe('a session that the peer made and closed before it was made here', () => {
  test('a session that the peer made and closed before it was made here was given up: the next batch begins behind it', () => {
    const link = new LinkSessions()
    for (const id of [0, 1, 2]) link.rememberCredit(id, 10)
    expect(link.nextId).toBe(0)
    link.rememberReset(1, { code: resetCodes.application, reason: 'closed' })
    expect(link.nextId).toBe(2)
    link.takeBatch(2, 1, [2])
    expect([link.nextId, link.make(2).early?.creditBytes]).toEqual([3, 10])
  })

  test('a session that the peer made and closed before it was made here for a reason that the caller has to hear is not passed over', () => {
    const link = new LinkSessions()
    link.rememberReset(0, { code: resetCodes.limit, reason: 'ERR_MEMORY_BUDGET' })
    expect(link.nextId).toBe(0)
  })
})

describe('what the peer says of sessions that are not made here yet', () => {
  test('what the peer says of sessions that are not made here yet is remembered until they are made', () => {
    const link = new LinkSessions()
    link.rememberCredit(2, 10)
    link.rememberCredit(2, 5)
    link.rememberReset(1, { code: 0, reason: 'gone' })
    link.takeBatch(0, 4, [0, 1, 2, 3])
    expect([0, 1, 2].map((id) => link.make(id).early)).toEqual([
      null,
      { creditBytes: 0, reset: { code: 0, reason: 'gone' } },
      { creditBytes: 15, reset: null },
    ])
  })

  test('what the peer says of sessions that are not made here yet is remembered of 1,024 sessions; one more is a breach', () => {
    const link = new LinkSessions()
    for (const id of range(0, earlySessionsMax)) link.rememberCredit(id, 1)
    link.rememberCredit(0, 1)
    link.rememberReset(1, { code: 0, reason: '' })
    expectProtocolError('ERR_EARLY_SESSIONS', () => {
      link.rememberCredit(earlySessionsMax, 1)
    })
    expectProtocolError('ERR_EARLY_SESSIONS', () => {
      link.rememberReset(earlySessionsMax, { code: 0, reason: '' })
    })
  })

  test('what the peer says of sessions that are not made here yet is bounded in its sum', () => {
    const link = new LinkSessions()
    link.rememberCredit(0, 2 ** 31 - 1)
    expectProtocolError('ERR_CREDIT_OVERFLOW', () => {
      link.rememberCredit(0, 1)
    })
  })

  test('what the peer says of sessions that are not made here yet is forgotten of sessions that are passed over', () => {
    const link = new LinkSessions()
    for (const id of range(0, earlySessionsMax)) link.rememberCredit(id, 1)
    link.takeBatch(earlySessionsMax, 1, [earlySessionsMax])
    for (const id of range(earlySessionsMax + 1, earlySessionsMax)) link.rememberCredit(id, 1)
    expect(link.make(earlySessionsMax).early).toBeNull()
  })
})

describe('what this side says of sessions', () => {
  test('what this side says of sessions goes out for 1,024 that the peer has not answered; the others wait, in order', () => {
    const link = new LinkSessions()
    link.takeBatch(0, 1030, range(0, 1030))
    const out = range(0, 1030).filter((id) => link.make(id).announce)
    expect([out.length, link.held]).toEqual([1024, 6])
    expect(link.answered(3)).toEqual([{ id: 1024, kind: 'credit' }])
    expect(link.answered(3)).toEqual([])
    // The peer made one whose Credit waits: it goes out at once, and takes nobody's place.
    expect(link.answered(1027)).toEqual([{ id: 1027, kind: 'credit' }])
    expect([link.answered(0), link.answered(1), link.answered(2)].flat().map(({ id }) => id)).toEqual([
      1025, 1026, 1028,
    ])
  })

  test('what this side says of sessions does not wait where the peer was first', () => {
    const link = new LinkSessions()
    for (const id of range(0, 1024)) link.rememberCredit(id, 1)
    link.takeBatch(0, 2048, range(0, 2048))
    expect(range(0, 2048).every((id) => link.make(id).announce)).toBe(true)
    expect(link.held).toBe(0)
  })

  test('what this side says of sessions of one that is closed while its Credit waits is its Reset, in its place', () => {
    const link = new LinkSessions()
    link.takeBatch(0, 1025, range(0, 1025))
    for (const id of range(0, 1025)) link.make(id)
    expect(link.close(5)).toBe(true)
    expect(link.close(1024)).toBe(false)
    // Closing what was announced frees no place: the peer still remembers it.
    expect(link.held).toBe(1)
    expect(link.answered(9)).toEqual([{ id: 1024, kind: 'reset' }])
  })

  test('what this side says of sessions of one that the peer has closed is nothing', () => {
    const link = new LinkSessions()
    link.takeBatch(0, 1026, range(0, 1026))
    for (const id of range(0, 1026)) link.make(id)
    expect(link.closedByPeer(1024)).toEqual([])
    expect(link.closedByPeer(0)).toEqual([{ id: 1025, kind: 'credit' }])
    expect([link.placeOf(0), link.held]).toEqual(['over', 0])
  })

  test('what this side says of sessions never makes an honest peer break the bound, whatever the order of batches and deliveries', () => {
    const step = fc.oneof(
      fc.record({ batch: fc.integer({ min: 1, max: 700 }), side: fc.nat(1) }),
      fc.record({ deliver: fc.integer({ min: 1, max: 600 }), side: fc.nat(1) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        // Both sides make the same batches, in the same order, at their own pace.
        const batches = steps.flatMap((one) => ('batch' in one ? [one.batch] : []))
        const sides = [0, 1].map(() => ({
          link: new LinkSessions(),
          made: 0,
          credited: new Set<number>(),
          inbox: [] as number[],
        }))
        const receive = (who: number, count: number): void => {
          const [side, other] = [sides[who]!, sides[1 - who]!]
          for (const id of side.inbox.splice(0, count)) {
            if (side.link.placeOf(id) === 'early') side.link.rememberCredit(id, 1)
            else {
              side.credited.add(id)
              other.inbox.push(...side.link.answered(id).map((announcement) => announcement.id))
            }
          }
        }
        const makeGroup = (who: number): void => {
          const [side, other] = [sides[who]!, sides[1 - who]!]
          const count = batches[side.made]
          if (count === undefined) return
          side.made += 1
          const first = firstIdOfBatch([side.link.nextId], count)
          side.link.takeBatch(first, count, range(first, count))
          for (const id of range(first, count)) {
            const { early, announce } = side.link.make(id)
            if (early !== null) side.credited.add(id)
            if (announce) other.inbox.push(id)
          }
        }
        for (const one of steps) {
          if ('batch' in one) makeGroup(one.side)
          else receive(one.side, one.deliver)
        }
        for (let round = 0; round < 200; round += 1) {
          for (const who of [0, 1]) {
            makeGroup(who)
            receive(who, 1000)
          }
        }
        const total = batches.reduce((sum, count) => sum + count, 0)
        expect(sides.map(({ link, credited, inbox }) => [link.nextId, credited.size, link.held, inbox.length])).toEqual(
          [
            [total, total, 0, 0],
            [total, total, 0, 0],
          ],
        )
      }),
      { numRuns: 100 },
    )
  })
})
