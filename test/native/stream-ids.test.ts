/** Owns: which stream ids the peer may open, and which of its streams are over, by table and against a plain model. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { StreamIds, streamStepsMax } from '../../protocol/native/streams/stream-ids.ts'

const even = 0x8000_0000
const odd = even + 1
const lastEven = 0xffff_fffe
const lastOdd = 0xffff_fffd
const wrongId = expect.objectContaining({ code: 'ERR_STREAM_ID' }) as Error

describe('an Open', () => {
  test.each<[name: string, isPeerGreater: boolean, ids: readonly number[], isLastAllowed: boolean]>([
    ['the first even id of a lesser peer', false, [even], true],
    ['an odd id of a lesser peer', false, [odd], false],
    ['the first odd id of a greater peer', true, [odd], true],
    ['an even id of a greater peer', true, [even], false],
    ['the last even id as the first', false, [lastEven], true],
    ['the last odd id as the first', true, [lastOdd], true],
    ['the next id', true, [odd, odd + 2], true],
    ['the same id again', true, [odd, odd], false],
    ['the id before the last', true, [odd + 2, odd], false],
    ['an id that skips some', true, [odd, odd + 2000], true],
    ['an id 2^29 steps ahead', true, [odd, odd + 2 * streamStepsMax], true],
    ['an id 2^29 + 1 steps ahead', true, [odd, odd + 2 * streamStepsMax + 2], false],
    ['the first odd id after the last one', true, [lastOdd, odd], true],
    ['the first even id after the last one', false, [lastEven, even], true],
    ['the last odd id after the first', true, [odd, lastOdd], false],
    ['an id 2^29 steps ahead around the end', false, [lastEven, even + 2 * (streamStepsMax - 1)], true],
    ['an id 2^29 + 1 steps ahead around the end', false, [lastEven, even + 2 * streamStepsMax], false],
  ])('an Open with %s is allowed or not by its rule', (_, isPeerGreater, ids, isLastAllowed) => {
    const opened = new StreamIds(isPeerGreater)
    for (const id of ids.slice(0, -1)) opened.opened(id, false)
    const open = (): void => opened.opened(ids.at(-1) as number, false)
    if (isLastAllowed) expect(open).not.toThrow()
    else expect(open).toThrow(wrongId)
  })

  test('an Open with an id in use is refused', () => {
    expect(() => new StreamIds(true).opened(odd, true)).toThrow(wrongId)
  })

  test('an Open that is refused changes nothing', () => {
    const ids = new StreamIds(true)
    ids.opened(odd, false)
    expect(() => ids.opened(even + 10, false)).toThrow(wrongId)
    expect(() => ids.checkOver(odd + 2)).toThrow(wrongId)
    ids.opened(odd + 2, false)
  })
})

describe('another frame', () => {
  test('a stream is over if it is not ahead of the last Open, and was never opened if it is', () => {
    const ids = new StreamIds(true)
    expect(() => ids.checkOver(odd)).toThrow(wrongId)
    ids.opened(odd + 4, false)
    for (const id of [odd, odd + 2, odd + 4]) expect(() => ids.checkOver(id)).not.toThrow()
    for (const id of [odd + 6, odd + 4 + 2 * streamStepsMax, even, even + 4])
      expect(() => ids.checkOver(id)).toThrow(wrongId)
  })

  test('any ids give what counting one step after the other around the range gives', () => {
    // A model with small steps: only ids near the ends of the range and near each other.
    const near = fc.oneof(fc.integer({ min: 0, max: 8 }), fc.integer({ min: -8, max: -1 }))
    fc.assert(
      fc.property(fc.boolean(), near, near, (isPeerGreater, from, to) => {
        const [first, last] = isPeerGreater ? [odd, lastOdd] : [even, lastEven]
        const idOf = (place: number): number => (place < 0 ? last + 2 * (place + 1) : first + 2 * place)
        const ids = new StreamIds(isPeerGreater)
        ids.opened(idOf(from), false)
        const isAhead = (to - from + 32) % 32 >= 1 && to > from
        const open = (): void => ids.opened(idOf(to), false)
        if (isAhead) {
          expect(() => ids.checkOver(idOf(to))).toThrow(wrongId)
          expect(open).not.toThrow()
        } else {
          expect(() => ids.checkOver(idOf(to))).not.toThrow()
          expect(open).toThrow(wrongId)
        }
      }),
    )
  })
})
