/**
 * Owns: how long a peer that repeatedly breaks the protocol is kept out. Independent of: what a protocol error is.
 */
import { expect, it } from 'vitest'
import { ProtocolErrorPenalty } from '../../protocol/protocol-error-penalty.ts'

it('the first protocol error has no penalty, and each further one doubles it, up to a cap', () => {
  const penalty = new ProtocolErrorPenalty(2_000)
  const left: number[] = []
  for (let nowMs = 0; left.length < 7; nowMs += 3_000) {
    penalty.note(nowMs)
    left.push(Math.max(0, penalty.leftMs(nowMs)))
  }
  expect(left).toEqual([0, 250, 500, 1_000, 2_000, 2_000, 2_000])
})

it('a penalty is over when its time has passed', () => {
  const penalty = new ProtocolErrorPenalty(30_000)
  penalty.note(0)
  penalty.note(10)
  expect([penalty.leftMs(259), penalty.leftMs(260)]).toEqual([1, 0])
})

it('penalties are forgotten a minute after the last one ended, and not before', () => {
  const penalty = new ProtocolErrorPenalty(1_000_000)
  for (let breach = 0; breach < 12; breach++) penalty.note(breach)
  const untilMs = 11 + 250 * 2 ** 10
  expect(penalty.leftMs(11)).toBe(untilMs - 11)
  penalty.note(untilMs + 60_000)
  expect(penalty.leftMs(untilMs + 60_000)).toBe(250 * 2 ** 11)
  const againMs = untilMs + 60_000 + 250 * 2 ** 11
  penalty.note(againMs + 60_001)
  expect(penalty.leftMs(againMs + 60_001)).toBeLessThanOrEqual(0)
})
