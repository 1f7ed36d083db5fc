/**
 * Owns: the contract of session ids on native links: the same on both sides, the same on all links of a peer, with a
 * bound on ids used in advance.
 */
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
  test('session ids start at 0 on each link and epoch; a group starts at the greatest next id of all links', () => {
    expect(new LinkSessions().nextId).toBe(0)
    expect([firstIdOfBatch([0, 0], 4), firstIdOfBatch([3, 8, 0], 1)]).toEqual([0, 8])
    expect([0, 1, 2, 3].map((index) => linkOfSession(index, 3))).toEqual([0, 1, 2, 0])
  })

  test('session ids end at 0x40000000', () => {
    expect(firstIdOfBatch([0x3fff_fffe], 2)).toBe(0x3fff_fffe)
    expectError('ERR_SESSION_IDS_USED_UP', () => firstIdOfBatch([0x3fff_fffe], 3))
  })

  test('session ids that were skipped, or are on another link, count as closed', () => {
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

describe('a skipped session that the peer waits for', () => {
  test('a skipped session is reset when the group that skips it is made, whether or not the peer closed it', () => {
    const link = new LinkSessions()
    link.rememberCredit(0, 10)
    link.rememberCredit(1, 10)
    link.rememberReset(1, { code: 0, reason: '' })
    expect(link.takeBatch(3, 2, [3, 4])).toEqual([
      { id: 0, kind: 'reset' },
      { id: 1, kind: 'reset' },
    ])
  })

  test('a skipped session is reset when its Credit comes later', () => {
    const link = new LinkSessions()
    link.takeBatch(3, 2, [3, 4])
    expect(link.creditedLate(2)).toEqual([{ id: 2, kind: 'reset' }])
  })

  test('a skipped session is reset if it was made on another link, because the peer numbers it differently', () => {
    const link = new LinkSessions()
    link.rememberCredit(1, 10)
    expect(link.takeBatch(0, 4, [0, 2])).toEqual([{ id: 1, kind: 'reset' }])
    expect(link.creditedLate(3)).toEqual([{ id: 3, kind: 'reset' }])
  })

  test('a skipped session is distinguished from one that was made, closed and already reset', () => {
    const link = new LinkSessions()
    expect(link.takeBatch(0, 1025, range(0, 1025))).toEqual([])
    for (const id of range(0, 1025)) link.make(id)
    for (const id of [0, 1024]) link.close(id)
    expect([0, 1024].map((id) => link.creditedLate(id))).toEqual([[], []])
  })
})

describe('a session that the peer closed before it was made here', () => {
  test('a session that the peer made and closed before it was made here is skipped by the next group', () => {
    const link = new LinkSessions()
    for (const id of [0, 1, 2]) link.rememberCredit(id, 10)
    expect(link.nextId).toBe(0)
    link.rememberReset(1, { code: resetCodes.application, reason: 'closed' })
    expect(link.nextId).toBe(2)
    link.takeBatch(2, 1, [2])
    expect([link.nextId, link.make(2).early?.creditBytes]).toEqual([3, 10])
  })

  test('a session that the peer closed for a reason the caller must get is not skipped', () => {
    const link = new LinkSessions()
    link.rememberReset(0, { code: resetCodes.limit, reason: 'ERR_MEMORY_BUDGET' })
    expect(link.nextId).toBe(0)
  })
})

describe('early frames for sessions not made here yet', () => {
  test("the peer's frames for sessions not made yet are kept until those are made", () => {
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

  test("the peer's frames are kept for 1,024 sessions not made yet, and one more is a protocol error", () => {
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

  test('the total credit kept for sessions not made yet is bounded', () => {
    const link = new LinkSessions()
    link.rememberCredit(0, 2 ** 31 - 1)
    expectProtocolError('ERR_CREDIT_OVERFLOW', () => {
      link.rememberCredit(0, 1)
    })
  })

  test("the peer's frames for skipped sessions are discarded", () => {
    const link = new LinkSessions()
    for (const id of range(0, earlySessionsMax)) link.rememberCredit(id, 1)
    link.takeBatch(earlySessionsMax, 1, [earlySessionsMax])
    for (const id of range(earlySessionsMax + 1, earlySessionsMax)) link.rememberCredit(id, 1)
    expect(link.make(earlySessionsMax).early).toBeNull()
  })
})

describe('announcements of new sessions', () => {
  test('1,024 sessions that the peer has not answered are announced, and the others wait in order', () => {
    const link = new LinkSessions()
    link.takeBatch(0, 1030, range(0, 1030))
    const out = range(0, 1030).filter((id) => link.make(id).announce)
    expect([out.length, link.held]).toEqual([1024, 6])
    expect(link.answered(3)).toEqual([{ id: 1024, kind: 'credit' }])
    expect(link.answered(3)).toEqual([])
    // The peer made one whose Credit waits: it is sent at once, and takes no place in the queue.
    expect(link.answered(1027)).toEqual([{ id: 1027, kind: 'credit' }])
    expect([link.answered(0), link.answered(1), link.answered(2)].flat().map(({ id }) => id)).toEqual([
      1025, 1026, 1028,
    ])
  })

  test('an announcement does not wait if the peer announced the session first', () => {
    const link = new LinkSessions()
    for (const id of range(0, 1024)) link.rememberCredit(id, 1)
    link.takeBatch(0, 2048, range(0, 2048))
    expect(range(0, 2048).every((id) => link.make(id).announce)).toBe(true)
    expect(link.held).toBe(0)
  })

  test('a session closed while its Credit waits sends its Reset instead, in its place', () => {
    const link = new LinkSessions()
    link.takeBatch(0, 1025, range(0, 1025))
    for (const id of range(0, 1025)) link.make(id)
    expect(link.close(5)).toBe(true)
    expect(link.close(1024)).toBe(false)
    // Closing an announced session frees no place: the peer still remembers it.
    expect(link.held).toBe(1)
    expect(link.answered(9)).toEqual([{ id: 1024, kind: 'reset' }])
  })

  test('a session that the peer has closed is not announced', () => {
    const link = new LinkSessions()
    link.takeBatch(0, 1026, range(0, 1026))
    for (const id of range(0, 1026)) link.make(id)
    expect(link.closedByPeer(1024)).toEqual([])
    expect(link.closedByPeer(0)).toEqual([{ id: 1025, kind: 'credit' }])
    expect([link.placeOf(0), link.held]).toEqual(['over', 0])
  })

  test('an honest peer never exceeds the bound, whatever the order of groups and deliveries', () => {
    const step = fc.oneof(
      fc.record({ group: fc.integer({ min: 1, max: 700 }), side: fc.nat(1) }),
      fc.record({ deliver: fc.integer({ min: 1, max: 600 }), side: fc.nat(1) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        // Both sides make the same groups, in the same order, at their own pace.
        const groups = steps.flatMap((one) => ('group' in one ? [one.group] : []))
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
          const count = groups[side.made]
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
          if ('group' in one) makeGroup(one.side)
          else receive(one.side, one.deliver)
        }
        for (let round = 0; round < 200; round += 1) {
          for (const who of [0, 1]) {
            makeGroup(who)
            receive(who, 1000)
          }
        }
        const total = groups.reduce((sum, count) => sum + count, 0)
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
