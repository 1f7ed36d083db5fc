/**
 * Owns: the rules of supervision for one parent and its children: restart type × reason of the end, intensity and
 * period, counting per child, the order of stopping.
 * Independent of: charts, networks (supervision.test.ts).
 */
import { describe, expect, it } from 'vitest'
import { createActor } from 'xstate'
import type { AnyActorRef, AnyEventObject } from 'xstate'
import { Children, defaultIntensity, inputOf } from '../../../actors/statechart/children.ts'
import type { AnyChildLogic, AnyScope, ChildSpec, Intensity, RestartType } from '../../../actors/statechart/children.ts'
import type { ChildEvent } from '../../../machines/index.ts'

/** A parent that only has children, and records the events that it gets of them. */
class Parent {
  nowMs = 0
  readonly events: ChildEvent[] = []
  readonly log: string[] = []
  readonly children: Children
  readonly ref: AnyActorRef

  constructor() {
    let children: Children | undefined
    const logic = {
      getInitialSnapshot: (scope: AnyScope) => {
        children = new Children(scope, () => this.nowMs)
        return { status: 'active' }
      },
      transition: (snapshot: object, event: AnyEventObject) => {
        const childEvent = this.children.interpret(event)
        if (childEvent !== undefined) this.events.push(childEvent)
        return snapshot
      },
      getPersistedSnapshot: (snapshot: object) => snapshot,
    } as unknown as AnyChildLogic
    this.ref = createActor(logic, { id: 'parent' }) as AnyActorRef
    this.ref.start()
    this.children = children as unknown as Children
  }

  /** A child that ends on request: `normal`, or with a thrown error. */
  readonly #child: AnyChildLogic = {
    getInitialSnapshot: (_scope: AnyScope, given: { id: string; failsAtStart: boolean }) => {
      const { id, failsAtStart } = inputOf(given)
      return { status: 'active', id, fails: failsAtStart }
    },
    start: (snapshot: { id: string; fails: boolean }) => {
      this.log.push(`${snapshot.id} started`)
      if (snapshot.fails) throw new Error(`${snapshot.id} cannot start`)
    },
    transition: (snapshot: { id: string }, event: AnyEventObject) => {
      if (event.type === 'end') return { ...snapshot, status: 'done', output: 'bye' }
      if (event.type === 'fail') throw new Error('a bug')
      if (event.type === 'xstate.stop') {
        this.log.push(`${snapshot.id} stopped`)
        return { ...snapshot, status: 'stopped' }
      }
      return snapshot
    },
    getPersistedSnapshot: (snapshot: object) => snapshot,
  } as unknown as AnyChildLogic

  spawn(id: string, restart: RestartType, more: { intensity?: Intensity; failsAtStart?: boolean } = {}): AnyActorRef {
    const { intensity, failsAtStart = false } = more
    const spec: ChildSpec = {
      id,
      kind: 'child',
      logic: this.#child,
      input: { id, failsAtStart },
      restart,
      ...(intensity === undefined ? {} : { intensity }),
    }
    return this.children.spawn(spec)
  }

  send(id: string, type: string): void {
    this.children.get(id)?.send({ type })
  }

  get words(): string[] {
    return this.events.map(({ type, id }) => `${type.replace('child.', '')} ${id}`)
  }
}

describe('children of an actor', () => {
  /** normal: it is done. shutdown: its parent stops it. abnormal: it throws. */
  const grid: [RestartType, 'normal' | 'shutdown' | 'abnormal', string, string[]][] = [
    ['permanent', 'normal', 'is restarted', ['restarted x']],
    ['permanent', 'shutdown', 'stays stopped', []],
    ['permanent', 'abnormal', 'is restarted', ['restarted x']],
    ['transient', 'normal', 'is over, and its parent gets its output', ['done x']],
    ['transient', 'shutdown', 'stays stopped', []],
    ['transient', 'abnormal', 'is restarted', ['restarted x']],
    ['temporary', 'normal', 'is over, and its parent gets its output', ['done x']],
    ['temporary', 'shutdown', 'stays stopped', []],
    ['temporary', 'abnormal', 'is over, and its parent gets its error', ['failed x']],
  ]

  it.each(grid)('a %s child with a %s end %s', (restart, reason, _, expected) => {
    const parent = new Parent()
    const before = parent.spawn('x', restart)
    if (reason === 'shutdown') parent.children.stop('x')
    else before.send({ type: reason === 'normal' ? 'end' : 'fail' })
    expect(parent.words).toEqual(expected)
    const after = parent.children.get('x')
    if (expected[0] === 'restarted x') {
      expect(after).toBeDefined()
      expect(after).not.toBe(before)
      expect(after?.getSnapshot().status).toBe('active')
    } else expect(after).toBeUndefined()
    expect(before.getSnapshot().status).not.toBe('active')
  })

  it('a parent gets the output of a child that is done, and the error of one that failed', () => {
    const parent = new Parent()
    parent.spawn('x', 'transient').send({ type: 'end' })
    parent.spawn('y', 'temporary').send({ type: 'fail' })
    expect(parent.events).toMatchObject([
      { type: 'child.done', kind: 'child', output: 'bye' },
      { type: 'child.failed', error: { message: 'a bug' } },
    ])
  })

  it('a child cannot be spawned while its id is taken, and can be after that child has ended', () => {
    const parent = new Parent()
    parent.spawn('x', 'temporary')
    expect(() => parent.spawn('x', 'temporary')).toThrow('x exists already')
    parent.send('x', 'end')
    parent.spawn('x', 'temporary')
    expect(parent.children.size).toBe(1)
  })
})

describe('the intensity of restarts', () => {
  const intensity = { restartsMax: 3, periodMs: 1000 }

  it.each([
    [2, ['restarted', 'restarted'], true],
    [3, ['restarted', 'restarted', 'restarted'], true],
    [4, ['restarted', 'restarted', 'restarted', 'escalated'], false],
  ])(
    'a child with an intensity of 3 restarts per period causes, after failure %i, %j',
    (failures, expected, isAlive) => {
      const parent = new Parent()
      parent.spawn('x', 'permanent', { intensity })
      for (let i = 0; i < failures; i++) parent.send('x', 'fail')
      expect(parent.words).toEqual(expected.map((word) => `${word} x`))
      expect(parent.children.get('x') !== undefined).toBe(isAlive)
    },
  )

  it.each([
    [999, 'escalated x'],
    [1000, 'restarted x'],
  ])('restarts older than a period do not count: after %i ms the next failure is %s', (afterMs, expected) => {
    const parent = new Parent()
    parent.spawn('x', 'permanent', { intensity })
    for (let i = 0; i < 3; i++) parent.send('x', 'fail')
    parent.nowMs = afterMs
    parent.send('x', 'fail')
    expect(parent.words.at(-1)).toBe(expected)
  })

  it('restarts are counted per child, so one failing child does not use up the intensity of another', () => {
    const parent = new Parent()
    parent.spawn('bad', 'permanent', { intensity })
    parent.spawn('good', 'permanent', { intensity })
    for (let i = 0; i < 4; i++) parent.send('bad', 'fail')
    parent.send('good', 'fail')
    expect(parent.words.slice(-2)).toEqual(['escalated bad', 'restarted good'])
  })

  it('normal ends of a permanent child count towards its intensity', () => {
    const parent = new Parent()
    parent.spawn('x', 'permanent', { intensity })
    for (let i = 0; i < 4; i++) parent.send('x', 'end')
    expect(parent.words.at(-1)).toBe('escalated x')
  })

  it('a child that fails at every start is given up at its intensity', () => {
    const parent = new Parent()
    parent.spawn('x', 'permanent', { intensity, failsAtStart: true })
    expect(parent.words).toEqual(['restarted x', 'restarted x', 'restarted x', 'escalated x'])
    expect(parent.children.size).toBe(0)
  })

  it('the default intensity is 5 restarts in 10 s', () => {
    expect(defaultIntensity).toEqual({ restartsMax: 5, periodMs: 10_000 })
    const parent = new Parent()
    parent.spawn('x', 'transient')
    for (let i = 0; i < 6; i++) parent.send('x', 'fail')
    expect(parent.words).toEqual([...Array<string>(5).fill('restarted x'), 'escalated x'])
  })
})

describe('the order of stopping', () => {
  it('children are stopped from the last to the first, because later ones may depend on earlier ones', () => {
    const parent = new Parent()
    for (const id of ['a', 'b', 'c']) parent.spawn(id, 'permanent')
    parent.children.stopAll()
    expect(parent.log).toEqual(['a started', 'b started', 'c started', 'c stopped', 'b stopped', 'a stopped'])
    expect([parent.children.size, parent.words]).toEqual([0, []])
  })

  it('a restarted child keeps its place in the order of stopping', () => {
    const parent = new Parent()
    for (const id of ['a', 'b', 'c']) parent.spawn(id, 'permanent')
    parent.send('a', 'fail')
    parent.children.stopAll()
    expect(parent.log.slice(-3)).toEqual(['c stopped', 'b stopped', 'a stopped'])
  })

  it('stopping a child that does not exist has no effect', () => {
    const parent = new Parent()
    parent.children.stop('missing')
    expect(parent.children.size).toBe(0)
  })
})
