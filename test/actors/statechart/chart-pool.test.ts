/**
 * Owns: the life of members of a chart pool: start, run to completion, deadlines, and that a member is disposed of once
 * however it ends. compiled-chart.test.ts shows that transitions are those of XState.
 * Independent of: the charts of this package.
 */
import { beforeEach, describe, expect, it } from 'vitest'
import { ChartPool, PoolMember } from '../../../actors/statechart/chart-pool.ts'
import { TimerWheel } from '../../../actors/base/timer-wheel.ts'
import { VirtualClock } from '../../../testing/index.ts'
import { resting, setup } from './tiny-chart.ts'
import type { TinyContext } from './tiny-chart.ts'

const deadlineMs = 1000

/** a ─go→ b (rests) ─go→ over; the deadline of a ends in late; haveChildren sends go; bug throws. */
const machine = setup.createMachine({
  id: 'member',
  context: ({ input }) => input as TinyContext,
  initial: 'deciding',
  on: { bug: { actions: 'bug' }, chain: { actions: ['haveChildren', 'ask'] }, end: '.over' },
  states: {
    deciding: { always: [{ guard: 'beginsBadly', target: 'bad' }, { target: 'a' }] },
    bad: { tags: resting, description: 'x', entry: 'bug' },
    a: { meta: { deadline: 'dialTimeoutMs' }, on: { go: 'b', 'deadline.passed': 'late' } },
    b: { tags: resting, description: 'x', on: { go: 'over' } },
    late: { tags: resting, description: 'x' },
    over: { type: 'final' },
  },
})

let pool: ChartPool<Member>
let lines: string[]
let clock: VirtualClock
let wheel: TimerWheel

class Member extends PoolMember {
  readonly begins: string
  constructor(begins = 'well') {
    super()
    this.begins = begins
  }
  facts(): object {
    return { begins: this.begins }
  }
  dispose(): void {
    lines.push('disposed')
  }
  deadlineMs(): number {
    return deadlineMs
  }
  haveChildren(): void {
    pool.send(this, { type: 'go' })
  }
  ask(event: { type: string }): void {
    lines.push(`asked in ${JSON.stringify(pool.valueOf(this))} by ${event.type}`)
  }
  bug(): void {
    throw new TypeError('a bug')
  }
}

beforeEach(() => {
  lines = []
  clock = new VirtualClock()
  wheel = new TimerWheel(clock)
  const onError = (_member: Member, error: unknown): void => void lines.push(String(error))
  pool = new ChartPool<Member>({
    machine: machine as never,
    wheel,
    member: Member,
    actions: ['haveChildren', 'ask', 'bug'],
    onError,
  })
})

function started(begins?: string): Member {
  const member = new Member(begins)
  pool.start(member)
  return member
}

describe('a chart pool', () => {
  it('a pool member enters the first state of its chart and follows its events', () => {
    const member = started()
    expect([pool.size, pool.valueOf(member), [...pool.members()]]).toEqual([1, 'a', [member]])
    pool.send(member, { type: 'go' })
    pool.send(member, { type: 'unknown.event' })
    expect(pool.valueOf(member)).toBe('b')
  })

  it('a pool member handles an event that it sends to itself after the current one', () => {
    const member = started()
    pool.send(member, { type: 'chain' })
    expect([lines, pool.valueOf(member)]).toEqual([['asked in "a" by chain'], 'b'])
  })

  it('a pool member is disposed of once when it reaches a final state, and drops later events', () => {
    const member = started()
    for (const type of ['go', 'go', 'go', 'bug']) pool.send(member, { type })
    pool.end(member)
    expect([lines, pool.size, pool.valueOf(member), wheel.size]).toEqual([['disposed'], 0, undefined, 0])
  })

  it.each([
    ['in a transition', 'well'],
    ['when it starts', 'bad'],
  ])('a pool member is disposed of and its error is reported if an action throws %s', (_when, begins) => {
    const member = started(begins)
    pool.send(member, { type: 'bug' })
    pool.send(member, { type: 'go' })
    expect([lines, pool.size, wheel.size]).toEqual([['disposed', 'TypeError: a bug'], 0, 0])
  })

  it('a chart pool holds nothing after all its members were ended', () => {
    for (let i = 0; i < 3; i++) started()
    expect([pool.size, wheel.size]).toEqual([3, 3])
    pool.endAll()
    expect([lines, pool.size, wheel.size]).toEqual([['disposed', 'disposed', 'disposed'], 0, 0])
  })

  it('a pool member gets the deadline of its state, and loses it with the state', async () => {
    const [late, early] = [started(), started()]
    pool.send(early, { type: 'go' })
    expect(wheel.size).toBe(1)
    await clock.advance(deadlineMs)
    expect([pool.valueOf(late), pool.valueOf(early), wheel.size]).toEqual(['late', 'b', 0])
  })

  it('a pool member cannot be started twice', () => {
    const member = started()
    expect(() => pool.start(member)).toThrow('started once')
  })
})

describe('a watcher of a chart pool', () => {
  it('the watcher of a chart pool gets each transition and each end while it is set', () => {
    const seen: string[] = []
    pool.watch({
      onTransition: (_member, value, event) => void seen.push(`${event.type}: ${JSON.stringify(value)}`),
      onEnd: (_member, how) => void seen.push(how),
    })
    const [first, second, third] = [started(), started(), started()]
    pool.send(first, { type: 'end' })
    pool.send(second, { type: 'bug' })
    pool.watch(null)
    pool.end(third)
    expect(seen).toEqual([...Array<string>(3).fill('xstate.init: "a"'), 'end: "over"', 'done', 'error'])
  })
})
