/**
 * The contract of replay: whoever watches an actor cannot tell whether XState worked out what its chart did or whether it was
 * repeated: same actions, states, tags and inspection events, in the same order.
 * Owns: both ways through random lives of every chart. Refuses to know: what any chart is for.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createActor } from 'xstate'
import type { AnyActorRef, AnyEventObject, AnyMachineSnapshot, AnyStateMachine, InspectionEvent } from 'xstate'
import { ChartReplay } from '../../actors/chart-replay.ts'
import type { AnyScope } from '../../actors/children.ts'
import * as machines from '../../machines/index.ts'
import { setup } from './tiny-chart.ts'

const charts = Object.values(machines).filter((value): value is never => typeof value === 'object' && '__xstatenode' in value) as readonly AnyStateMachine[]

/** One actor of a chart, and everything that was seen of it. */
class Watched {
  readonly lines: string[] = []
  readonly ref: AnyActorRef

  constructor(logic: unknown, input: unknown) {
    const inspect = (event: InspectionEvent): void => {
      if (event.type === '@xstate.action') this.lines.push(`action ${event.action.type}`)
      else if (event.type === '@xstate.microstep') this.lines.push(`microstep by ${event.event.type}: ${event._transitions.map(({ eventType, target }) => `${eventType} ${target?.map(({ id }) => id).join(',')}`).join('; ')} to ${show(event.snapshot as AnyMachineSnapshot)}`)
      else if (event.type === '@xstate.snapshot') this.lines.push(`snapshot by ${event.event.type}: ${show(event.snapshot as AnyMachineSnapshot)}`)
    }
    this.ref = createActor(logic as never, { input, inspect } as never) as unknown as AnyActorRef
    this.ref.subscribe({ error: (error) => this.lines.push(`failed: ${String(error)}`) })
    this.ref.start()
  }

  send(events: readonly AnyEventObject[]): readonly string[] {
    for (const event of events) if (this.ref.getSnapshot().status === 'active') this.ref.send(event)
    return this.lines
  }
}

function show(snapshot: AnyMachineSnapshot): string {
  return `${snapshot.status} ${JSON.stringify(snapshot.value)} ${[...snapshot.tags].join(',')} ${JSON.stringify(snapshot.context)} ${snapshot.matches(snapshot.value as never)}`
}

const done: string[] = []
function withActions(machine: AnyStateMachine): AnyStateMachine {
  const actions = Object.fromEntries(Object.keys(machine.implementations.actions).map((name) => [name, ({ event, context }: { event: AnyEventObject; context: unknown }) => {
    done.push(`${name} of ${event.type} with ${JSON.stringify(context)}`)
    if ('throwsIn' in event && event['throwsIn'] === name) throw new Error(`a bug in ${name}`)
  }]))
  return machine.provide({ actions: actions as never })
}

/** The logic that chart-actor.ts makes of it, without body and children. */
function replayed(machine: AnyStateMachine): unknown {
  const replay = new ChartReplay(machine)
  return {
    getInitialSnapshot: (scope: AnyScope, input: object) => replay.first(scope, input),
    transition: (snapshot: AnyMachineSnapshot, event: AnyEventObject, scope: AnyScope) => replay.transition(snapshot, event, scope),
    start: (snapshot: AnyMachineSnapshot) => replay.start(snapshot),
    getPersistedSnapshot: (snapshot: unknown) => snapshot,
  }
}

const factsArbitrary = fc.record({
  role: fc.constantFrom('dialer', 'acceptor'),
  begins: fc.constantFrom('connecting', 'connected', 'claimed'),
  onConnectionLost: fc.constantFrom('reconnect', 'fail', 'resume'),
  purpose: fc.constantFrom('sessions', 'control'),
})

function eventArbitrary(machine: AnyStateMachine): fc.Arbitrary<AnyEventObject> {
  const types = [...(machine.events as readonly string[]), 'nobody.knows', 'child.done', 'xstate.error.actor.nobody']
  const actions = Object.keys(machine.implementations.actions)
  return fc.record({ type: fc.constantFrom(...types), authenticated: fc.boolean(), throwsIn: fc.oneof({ weight: 20, arbitrary: fc.constant('nothing') }, fc.constantFrom(...actions, 'nothing')) })
}

function livesOf(machine: AnyStateMachine): fc.Arbitrary<[object, AnyEventObject[]]> {
  return fc.tuple(factsArbitrary, fc.array(eventArbitrary(machine), { maxLength: 30 }))
}

describe('a chart that is replayed', () => {
  it.each(charts.map((machine) => [machine.id, machine] as const))('does and shows what XState makes of it: %s', (_id, machine) => {
    const provided = withActions(machine)
    const logic = replayed(provided)
    fc.assert(
      fc.property(livesOf(machine), ([facts, events]) => {
        const context = { facts, body: 'body' }
        done.length = 0
        const expected = [...new Watched(provided, context).send(events), ...done]
        // The first may be worked out in part, the second is a repetition of it.
        for (let i = 0; i < 2; i++) {
          done.length = 0
          expect([...new Watched(logic, context).send(events), ...done]).toEqual(expected)
        }
      }),
      { numRuns: 100 },
    )
  })

  it('is worked out once: guards are asked again, and XState is not', () => {
    let asked = 0
    const machine = setup.extend({ guards: { isAsked: () => ++asked > 0 } }).createMachine({ id: 'once', context: ({ input }) => input as never, initial: 'a', states: { a: { on: { go: { guard: 'isAsked', target: 'b' } } }, b: { on: { back: 'a' } } } })
    const { ref } = new Watched(replayed(machine), {})
    const nodes = (): unknown => (ref.getSnapshot() as unknown as { _nodes: unknown })._nodes
    ref.send({ type: 'go' })
    const first = nodes()
    ref.send({ type: 'back' })
    ref.send({ type: 'go' })
    expect([nodes() === first, asked]).toEqual([true, 2])
  })

  it('is left to XState where a guard has no name, because its answer would not be known again', () => {
    const machine = setup.createMachine({ id: 'nameless', context: ({ input }) => input as never, initial: 'a', states: { a: { on: { go: { guard: ({ event }) => event['may'] === true, target: 'b' } } }, b: { on: { go: 'a' } } } })
    const { ref } = new Watched(replayed(machine), {})
    const values = [true, true, false, true].map((may) => {
      ref.send({ type: 'go', may } as never)
      return ref.getSnapshot().value as string
    })
    expect(values).toEqual(['b', 'a', 'a', 'b'])
  })

})
