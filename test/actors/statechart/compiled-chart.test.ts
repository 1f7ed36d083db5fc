/**
 * Owns: the proof that a compiled chart is the XState machine: for every chart, over random lives and over every state
 * and event, actors (front end A) and pool members (front end B) run the same actions in the same order, reach the same
 * states, and fail with the same errors as XState's own actor.
 * Independent of: what any chart is for.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createActor } from 'xstate'
import type { AnyActorRef, AnyEventObject, AnyMachineSnapshot, AnyStateMachine, InspectionEvent } from 'xstate'
import { chartActor } from '../../../actors/statechart/chart-actor.ts'
import type { ActorHost, ActorPort, Body } from '../../../actors/statechart/chart-actor.ts'
import { ChartPool, PoolMember } from '../../../actors/statechart/chart-pool.ts'
import { CompiledChart } from '../../../actors/statechart/compiled-chart.ts'
import { TimerWheel } from '../../../actors/base/timer-wheel.ts'
import * as machines from '../../../machines/index.ts'
import { VirtualClock } from '../../../testing/index.ts'

const charts = Object.values(machines).filter(
  (value): value is never => typeof value === 'object' && '__xstatenode' in value,
) as readonly AnyStateMachine[]

/** An event that says what the actions do with it: `throwsIn` makes one fail, `sends` makes one send to itself. */
interface ProbeEvent extends AnyEventObject {
  readonly throwsIn?: string
  readonly sendsIn?: string
  readonly sends?: ProbeEvent
}

interface Life {
  readonly facts: object
  readonly events: readonly ProbeEvent[]
}

/** The actions that ran, in order. */
type Lines = string[]

const actionNames = (machine: AnyStateMachine): string[] => Object.keys(machine.implementations.actions)

function act(lines: Lines, name: string, event: ProbeEvent, send: (event: ProbeEvent) => void): void {
  lines.push(`${name} of ${event.type}`)
  if (event.sendsIn === name && event.sends !== undefined) send(event.sends)
  if (event.throwsIn === name) throw new Error(`a bug in ${name}`)
}

function formatValue({ status, value, tags }: AnyMachineSnapshot): string {
  return `${status} ${JSON.stringify(value)} ${[...tags].join(',')}`
}

/** Sends the events to an actor; returns the lines of its actions and of an inspector. */
function live(logic: unknown, input: unknown, lines: Lines, events: readonly ProbeEvent[]): Lines {
  const inspect = (event: InspectionEvent): void => {
    if (event.type === '@xstate.action') lines.push(`action ${event.action.type}`)
    if (event.type !== '@xstate.snapshot') return
    const snapshot = event.snapshot as AnyMachineSnapshot
    const { children, historyValue, output, error } = JSON.parse(JSON.stringify(snapshot)) as Record<string, unknown>
    const more = JSON.stringify({ children, historyValue, output, error })
    const { value } = snapshot
    lines.push(
      `snapshot by ${event.event.type}: ${formatValue(snapshot)} ${String(snapshot.matches(value as never))} ${more}`,
    )
  }
  const ref = createActor(logic as never, { input, inspect } as never) as unknown as AnyActorRef
  ref.subscribe({ error: (error) => lines.push(`failed: ${String(error)}`) })
  ref.start()
  for (const event of events) if (ref.getSnapshot().status === 'active') ref.send(event)
  const { status, value } = ref.getSnapshot() as AnyMachineSnapshot
  if (status === 'active') ref.stop()
  return [...lines, `${status} ${JSON.stringify(value)}`]
}

/** XState's own actor. */
function asMachine(machine: AnyStateMachine): (life: Life) => Lines {
  let lines: Lines = []
  const actions = actionNames(machine).map((name) => [
    name,
    ({ event, self }: { event: ProbeEvent; self: AnyActorRef }) => act(lines, name, event, (sent) => self.send(sent)),
  ])
  const provided = machine.provide({ actions: Object.fromEntries(actions) as never })
  return ({ facts, events }) => live(provided, { facts, body: null }, (lines = []), events)
}

const clock = new VirtualClock()
const wheel = new TimerWheel(clock)
const host: ActorHost = { wheel, nowMs: () => clock.nowMs(), actorStarted() {}, actorStopped() {} }

/** Front end A: the actor of this package. */
function asActor(machine: AnyStateMachine): (life: Life) => Lines {
  let lines: Lines = []
  class ProbeBody implements Body {
    readonly #facts: object
    readonly port: ActorPort
    constructor(input: { facts: object }, port: ActorPort) {
      this.#facts = input.facts
      this.port = port
    }
    facts(): object {
      return this.#facts
    }
    dispose(): void {}
    deadlineMs(): number {
      return 1000
    }
  }
  for (const name of actionNames(machine)) {
    const value = function (this: ProbeBody, event: ProbeEvent): void {
      act(lines, name, event, (sent) => this.port.send(sent))
    }
    Object.defineProperty(ProbeBody.prototype, name, { value })
  }
  const actions = actionNames(machine) as never
  const logic = chartActor<{ facts: object }, ProbeBody>({ machine, host: () => host, body: ProbeBody, actions })
  return ({ facts, events }) => live(logic, { facts }, (lines = []), events)
}

/** Front end B: a member of a pool. Its lines are those of actions, failures, and the state at the end. */
function asMember(machine: AnyStateMachine): (life: Life) => Lines {
  let lines: Lines = []
  class ProbeMember extends PoolMember {
    readonly #facts: object
    constructor(facts: object) {
      super()
      this.#facts = facts
    }
    facts(): object {
      return this.#facts
    }
    dispose(): void {}
    deadlineMs(): number {
      return 1000
    }
  }
  for (const name of actionNames(machine)) {
    const value = function (this: ProbeMember, event: ProbeEvent): void {
      act(lines, name, event, (sent) => pool.send(this, sent))
    }
    Object.defineProperty(ProbeMember.prototype, name, { value })
  }
  const onError = (_member: unknown, error: unknown): void => void lines.push(`failed: ${String(error)}`)
  const actions = actionNames(machine) as never
  const pool = new ChartPool<ProbeMember>({ machine, wheel, member: ProbeMember, actions, onError })
  return ({ facts, events }) => {
    lines = []
    const member = new ProbeMember(facts)
    let isDone = false
    let value: unknown
    pool.watch({
      onTransition: (_member, reached) => (value = reached),
      onEnd: (_member, how) => (isDone = how === 'done'),
    })
    pool.start(member)
    for (const event of events) pool.send(member, event)
    const isFailed = lines.at(-1)?.startsWith('failed') === true
    pool.end(member)
    expect([pool.size, wheel.size]).toEqual([0, 0])
    return [...lines, isFailed ? 'error' : `${isDone ? 'done' : 'active'} ${JSON.stringify(value)}`]
  }
}

/** The lines of an actor that front end B can show. */
function withoutInspection(lines: Lines): Lines {
  const kept = lines.filter((line) => !line.startsWith('action ') && !line.startsWith('snapshot '))
  return kept.map((line) => (line.startsWith('error ') ? 'error' : line))
}

const factsArbitrary = fc.record({
  role: fc.constantFrom('dialer', 'acceptor'),
  begins: fc.constantFrom('connecting', 'connected', 'claimed'),
  onConnectionLost: fc.constantFrom('reconnect', 'fail', 'resume'),
  purpose: fc.constantFrom('sessions', 'control'),
  readsAtOnce: fc.boolean(),
})

/** Each answer of each guard occurs; the combinations are left to the random walks. */
const guardFacts = [
  { role: 'dialer', begins: 'connecting', onConnectionLost: 'reconnect', purpose: 'sessions', readsAtOnce: true },
  { role: 'acceptor', begins: 'connected', onConnectionLost: 'fail', purpose: 'control', readsAtOnce: false },
  { role: 'acceptor', begins: 'claimed', onConnectionLost: 'resume', purpose: 'sessions', readsAtOnce: true },
  { role: 'dialer', begins: 'connected', onConnectionLost: 'fail', purpose: 'sessions', readsAtOnce: false },
]

function eventTypes(machine: AnyStateMachine): string[] {
  return [...(machine.events as readonly string[]), 'unknown.event', 'child.done']
}

function eventArbitrary(machine: AnyStateMachine): fc.Arbitrary<ProbeEvent> {
  const type = fc.constantFrom(...eventTypes(machine))
  const authenticated = fc.boolean()
  const action = fc.oneof(
    { weight: 20, arbitrary: fc.constant('none') },
    fc.constantFrom('none', ...actionNames(machine)),
  )
  const sends = fc.record({ type, authenticated, throwsIn: action })
  const sendsIn = fc.constantFrom('none', ...actionNames(machine))
  return fc.record({ type, authenticated, throwsIn: action, sendsIn, sends })
}

/** Sequences of events that together enter every state of a chart and try every event there. */
function everyStateAndEvent(machine: AnyStateMachine): Life[] {
  const actions = Object.fromEntries(actionNames(machine).map((name) => [name, null]))
  const lives: Life[] = []
  for (const facts of guardFacts) {
    const chart = new CompiledChart<null>(machine, actions)
    const source = { facts: () => facts }
    const reached = new Set<number>()
    const queue = [{ state: chart.first(source).state, events: [] as readonly ProbeEvent[] }]
    for (let at = 0; at < queue.length; at++) {
      const { state, events } = queue[at] as (typeof queue)[number]
      if (reached.has(state.index) || state.status !== 'active') continue
      reached.add(state.index)
      for (const type of eventTypes(machine)) {
        for (const authenticated of [true, false]) {
          const path = [...events, { type, authenticated }]
          lives.push({ facts, events: path })
          const next = chart.next(state, source, path.at(-1) as AnyEventObject)
          if (next !== null) queue.push({ state: next.state, events: path })
        }
      }
    }
  }
  return lives
}

describe.each(charts.map((machine) => ({ machine, id: machine.id })))('the compiled chart $id', ({ machine, id }) => {
  const expected = asMachine(machine)
  const actual = asActor(machine)
  const member = asMember(machine)

  function compare(life: Life): void {
    const lines = expected(life)
    // Twice: the first life may be the one in which the table is filled.
    for (let i = 0; i < 2; i++) expect(actual(life)).toEqual(lines)
    expect(member(life)).toEqual(withoutInspection(lines))
  }

  it(`the compiled ${id} chart does what XState does, in every state at every event`, () => {
    for (const life of everyStateAndEvent(machine)) compare(life)
  })

  it(`the compiled ${id} chart does what XState does on random walks whose actions throw and send events`, () => {
    const lives = fc.record({ facts: factsArbitrary, events: fc.array(eventArbitrary(machine), { maxLength: 30 }) })
    fc.assert(fc.property(lives, compare), { numRuns: 100 })
  })
})
