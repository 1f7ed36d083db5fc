/**
 * Owns: what holds for every actor of this package, however it ends: its body is disposed of once, its children are
 * stopped, its deadlines are gone, and it is not counted as alive any more.
 * Independent of: the charts of the package; it brings tiny ones of its own.
 */
import { describe, expect, it, vi } from 'vitest'
import { createActor } from 'xstate'
import type { AnyActorRef } from 'xstate'
import { bodyOf, chartActor } from '../../../actors/statechart/chart-actor.ts'
import type { ActorHost, ActorPort, Body, ChartLogic } from '../../../actors/statechart/chart-actor.ts'
import { TimerWheel } from '../../../actors/base/timer-wheel.ts'
import { resting, setup } from './tiny-chart.ts'
import type { TinyContext } from './tiny-chart.ts'
import { VirtualClock } from '../../../testing/index.ts'

class World implements ActorHost {
  readonly clock = new VirtualClock()
  readonly wheel = new TimerWheel(this.clock)
  readonly nowMs = (): number => this.clock.nowMs()
  readonly alive = new Set<AnyActorRef>()
  disposed: string[] = []
  asked = 0
  actorStarted(ref: AnyActorRef): void {
    this.alive.add(ref)
  }
  actorStopped(ref: AnyActorRef): void {
    this.alive.delete(ref)
  }
  get aliveActors(): number {
    return this.alive.size
  }
}

interface Input {
  readonly world: World
  readonly bugAt?: 'birth' | 'start'
}

class TinyBody implements Body {
  readonly port: ActorPort
  readonly #input: Input
  constructor(input: Input, port: ActorPort) {
    if (input.bugAt === 'birth') throw new TypeError('a bug at birth')
    this.#input = input
    this.port = port
  }
  facts(): object {
    return { begins: this.#input.bugAt === 'start' ? 'bad' : 'good', asked: this.#input.world.asked }
  }
  deadlineMs(): number {
    return 1000
  }
  dispose(): void {
    this.#input.world.disposed.push(this.port.id)
  }
  haveChildren(): void {
    for (const id of ['first', 'second'])
      this.port.children.spawn({
        id,
        kind: 'leaf',
        logic: leaf,
        input: { world: this.#input.world },
        restart: 'permanent',
      })
  }

  ask(): void {
    this.#input.world.asked++
  }

  bug(): void {
    throw new TypeError('a bug in an action')
  }
}

const leafMachine = setup.createMachine({
  id: 'leaf',
  context: ({ input }) => input as TinyContext,
  initial: 'a',
  states: { a: { tags: resting, description: 'x' } },
})

/** a ─go→ b (same deadline as a) ─go→ c (no deadline) ; bug → throws ; end → done */
const tinyMachine = setup.createMachine({
  id: 'tiny',
  context: ({ input }) => input as TinyContext,
  initial: 'deciding',
  on: { bug: { actions: 'bug' }, end: '.over', ask: '.asking', stay: '.staying' },
  states: {
    deciding: { always: [{ guard: 'beginsBadly', target: 'bad' }, { target: 'a' }] },
    bad: { tags: resting, description: 'x', entry: ['haveChildren', 'bug'] },
    a: { meta: { deadline: 'dialTimeoutMs' }, entry: 'haveChildren', on: { go: 'b', 'deadline.passed': 'late' } },
    b: { meta: { deadline: 'dialTimeoutMs' }, on: { go: 'c', 'deadline.passed': 'late' } },
    c: { tags: resting, description: 'x', on: { 'deadline.passed': 'late', go: 'a2' } },
    a2: { meta: { deadline: 'closeTimeoutMs' }, on: { 'deadline.passed': 'late' } },
    asking: {
      meta: { deadline: 'dialTimeoutMs' },
      entry: 'ask',
      on: { 'deadline.passed': { target: 'asking', reenter: true } },
    },
    staying: { meta: { deadline: 'dialTimeoutMs' }, on: { 'deadline.passed': { actions: 'ask' } } },
    late: { tags: resting, description: 'x' },
    over: { type: 'final' },
  },
})

const leaf: ChartLogic<Input> = chartActor({
  machine: leafMachine,
  host: (input: Input) => input.world,
  body: TinyBody,
  actions: [],
})
const tiny: ChartLogic<Input> = chartActor<Input, TinyBody>({
  machine: tinyMachine,
  host: (input: Input) => input.world,
  body: TinyBody,
  actions: ['haveChildren', 'ask', 'bug'],
})

function begin(bugAt?: Input['bugAt']): { world: World; ref: AnyActorRef; errors: unknown[] } {
  const world = new World()
  const errors: unknown[] = []
  const ref = createActor(tiny as never, {
    id: 'tiny',
    input: { world, ...(bugAt === undefined ? {} : { bugAt }) } as never,
  }) as unknown as AnyActorRef
  ref.subscribe({ error: (error) => errors.push(error) })
  ref.start()
  return { world, ref, errors }
}

function assertNothingLeft(world: World): void {
  expect(world.disposed.toSorted()).toEqual(['first', 'second', 'tiny'])
  expect([world.aliveActors, world.wheel.size, world.clock.timers]).toEqual([0, 0, 0])
}

describe('chart actors', () => {
  it('a living actor counts as alive, with its children and its deadline', () => {
    const { world, ref } = begin()
    expect([world.aliveActors, world.wheel.size, world.disposed]).toEqual([3, 1, []])
    ref.stop()
  })

  it('an actor has a body while it lives, and none if the constructor of the body threw', () => {
    const [{ ref }, failing] = [begin(), begin('birth')]
    expect(bodyOf(ref)).toBeInstanceOf(TinyBody)
    ref.stop()
    expect([bodyOf(ref), bodyOf(failing.ref), failing.errors]).toMatchObject([
      undefined,
      undefined,
      [{ message: 'a bug at birth' }],
    ])
  })

  it('an actor that is done leaves nothing', () => {
    const { world, ref, errors } = begin()
    ref.send({ type: 'end' })
    expect([ref.getSnapshot().status, errors]).toEqual(['done', []])
    assertNothingLeft(world)
  })

  it('an actor that is stopped leaves nothing, although no exit action runs then', () => {
    const { world, ref } = begin()
    ref.stop()
    assertNothingLeft(world)
  })

  it('an actor whose action throws leaves nothing: its children are stopped with it', () => {
    const { world, ref, errors } = begin()
    ref.send({ type: 'bug' })
    expect(errors).toMatchObject([{ name: 'TypeError', message: 'a bug in an action' }])
    expect(ref.getSnapshot().status).toBe('error')
    assertNothingLeft(world)
  })

  it('an actor whose action throws in the first snapshot leaves nothing', () => {
    const { world, errors } = begin('start')
    expect(errors).toMatchObject([{ message: 'a bug in an action' }])
    assertNothingLeft(world)
  })

  it('an actor stops its children, the last one first, before it disposes of its body', () => {
    const { world, ref } = begin()
    ref.stop()
    expect(world.disposed).toEqual(['second', 'first', 'tiny'])
  })

  it('an actor is disposed of once, whatever comes after its end', () => {
    const { world, ref } = begin()
    ref.send({ type: 'bug' })
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    ref.send({ type: 'end' })
    warn.mockRestore()
    ref.stop()
    expect(world.disposed.filter((id) => id === 'tiny')).toHaveLength(1)
  })

  it('an inspector sees the current facts of an actor, and the last ones after its end', () => {
    const { world, ref } = begin()
    const factsNow = (): unknown => (JSON.parse(JSON.stringify(ref.getSnapshot())) as { context: unknown }).context
    expect(factsNow()).toEqual({ facts: { begins: 'good', asked: 0 }, body: '<body of tiny>' })
    world.asked = 7
    expect(factsNow()).toEqual({ facts: { begins: 'good', asked: 7 }, body: '<body of tiny>' })
    ref.stop()
    world.asked = 8
    expect(factsNow()).toEqual({ facts: { begins: 'good', asked: 7 }, body: '<body of tiny>' })
  })

  it('an inspector sees a word in place of the body of an actor', () => {
    const { ref } = begin()
    expect(JSON.parse(JSON.stringify(ref.getSnapshot().context))).toEqual({
      facts: { begins: 'good', asked: 0 },
      body: '<body of tiny>',
    })
    ref.stop()
  })
})

describe('the deadline of a state', () => {
  it('the deadline of a state passes when the state has lasted that long, and not earlier', async () => {
    const { world, ref } = begin()
    await world.clock.advance(999)
    expect(ref.getSnapshot().value).toBe('a')
    await world.clock.advance(1)
    expect(ref.getSnapshot().value).toBe('late')
    ref.stop()
  })

  it('a deadline continues over successive states that name the same one', async () => {
    const { world, ref } = begin()
    await world.clock.advance(600)
    ref.send({ type: 'go' })
    expect([ref.getSnapshot().value, world.wheel.size]).toEqual(['b', 1])
    await world.clock.advance(400)
    expect(ref.getSnapshot().value).toBe('late')
    ref.stop()
  })

  it('a deadline ends with the last state that names it', async () => {
    const { world, ref } = begin()
    ref.send({ type: 'go' })
    ref.send({ type: 'go' })
    expect([ref.getSnapshot().value, world.wheel.size]).toEqual(['c', 0])
    await world.clock.advance(5000)
    expect(ref.getSnapshot().value).toBe('c')
    ref.stop()
  })

  it('a deadline is armed again when the state re-enters itself on it', async () => {
    const { world, ref } = begin()
    ref.send({ type: 'ask' })
    for (let passed = 1; passed <= 3; passed++) {
      await world.clock.advance(1000)
      expect([ref.getSnapshot().value, world.wheel.size, world.asked]).toEqual(['asking', 1, passed + 1])
    }
    ref.stop()
  })

  it('a deadline is armed again when the state only runs an action on it', async () => {
    const { world, ref } = begin()
    ref.send({ type: 'stay' })
    for (let passed = 1; passed <= 3; passed++) {
      await world.clock.advance(1000)
      expect([ref.getSnapshot().value, world.wheel.size, world.asked]).toEqual(['staying', 1, passed])
    }
    ref.stop()
  })

  it('a state that names another deadline arms a new one', async () => {
    const { world, ref } = begin()
    await world.clock.advance(900)
    for (let i = 0; i < 3; i++) ref.send({ type: 'go' })
    await world.clock.advance(999)
    expect(ref.getSnapshot().value).toBe('a2')
    await world.clock.advance(1)
    expect(ref.getSnapshot().value).toBe('late')
    ref.stop()
  })
})
