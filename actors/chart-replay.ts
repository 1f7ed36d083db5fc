/**
 * Owns: that what a chart does is worked out by XState once for each state, event and answer of its guards, and done again
 * from then on without working it out: the same actions, snapshots and inspection events in the same order.
 * Refuses to know: any particular chart, and what its actions do.
 *
 * XState takes 2–8 µs to find out what a transition is, and a connect with its end takes 75 of them; their repetition costs
 * 0.3 µs. It is right because a chart here decides by nothing but its state, the type of the event, and guards that look at
 * facts and event, and changes nothing but its state. What is seen to do more is left to XState each time.
 */
import type { AnyEventObject, AnyMachineSnapshot, AnyStateMachine } from '../machines/xstate.ts'
import type { ChildEvent } from '../machines/chart.ts'
import type { AnyScope } from './children.ts'

type Guard = (args: { context: unknown; event: AnyEventObject }, params: unknown) => boolean

/** The parts of a snapshot that are a function of the state alone: one of each a state, whoever is in it. */
interface Configuration {
  readonly status: AnyMachineSnapshot['status']
  readonly _nodes: readonly { readonly id: string }[]
  readonly value: unknown
  readonly tags: unknown
}

interface Action {
  readonly type: string
  readonly params: unknown
  readonly exec: unknown
}

/** Of one kind or the other: an action, or the end of a microstep. */
interface Step {
  readonly action: Action | null
  /** Null: the snapshot stays the same object, as XState leaves it. */
  readonly configuration: Configuration | null
  readonly transitions: unknown
}

interface Answer {
  readonly guard: Guard
  readonly isYes: boolean
}

interface Plan {
  /** In the order in which XState asked. */
  readonly answers: readonly Answer[]
  /** Null: not to be repeated. */
  readonly steps: readonly Step[] | null
}

interface Recording {
  readonly answers: Answer[]
  readonly steps: Step[]
  last: AnyMachineSnapshot | null
  isRepeatable: boolean
}

interface MicrostepEvent {
  readonly type: string
  readonly snapshot: AnyMachineSnapshot
  readonly _transitions: unknown
}

/** What XState's `ActorScope` has and does not declare. */
interface InnerScope {
  readonly self: unknown
  readonly system: { _sendInspectionEvent(event: unknown): void }
  actionExecutor(action: Action & { readonly info: unknown }): void
}

/** What children.ts makes of their ends. */
const childEvents: readonly ChildEvent['type'][] = ['child.done', 'child.failed', 'child.restarted', 'child.escalated']
const initType = 'xstate.init'

export class ChartReplay {
  readonly #machine: AnyStateMachine
  #events: ReadonlySet<string>
  readonly #plans = new Map<unknown, Map<string, Plan[]>>()
  readonly #configurations = new Map<string, Configuration>()
  #recording: Recording | null = null
  #context: unknown
  #template: AnyMachineSnapshot | null = null

  constructor(machine: AnyStateMachine) {
    // Only what the chart has a word for, or every actor hears: there is no end of other types. And only where each guard has a
    // name to be asked by.
    this.#events = new Set(hasNamedGuards(machine) ? [...(machine.events as readonly string[]), ...childEvents] : [])
    this.#machine = machine.provide({ guards: this.#watched(machine.implementations.guards as Readonly<Record<string, Guard>>) as never })
    // XState evaluates a `context` function by an `assign`, and its development build warns of each one under a custom
    // action, which is where children are made here: so the context is handed to it ready made.
    const context = (): unknown => this.#context
    this.#machine.config = { ...machine.config, get context() { return context() } } as never
  }

  /** @param context what the machine's `context` comes to for this actor */
  first(scope: AnyScope, context: unknown): AnyMachineSnapshot {
    const event = { type: initType, input: undefined }
    const plan = this.#find(null, context, event)
    if (plan !== undefined && plan.steps !== null) return this.#repeat(plan.steps, { ...(this.#template as AnyMachineSnapshot), context, children: {}, historyValue: {} } as AnyMachineSnapshot, event, scope)
    const work = (inner: AnyScope): AnyMachineSnapshot => {
      this.#context = context
      return this.#machine.getInitialSnapshot(inner as never, undefined as never) as AnyMachineSnapshot
    }
    if (plan !== undefined || this.#events.size === 0) return work(scope)
    const result = this.#learn(null, context, event, scope, work)
    this.#template ??= result
    return result
  }

  start(snapshot: AnyMachineSnapshot): void {
    this.#machine.start(snapshot as never)
  }

  transition(snapshot: AnyMachineSnapshot, event: AnyEventObject, scope: AnyScope): AnyMachineSnapshot {
    const plan = this.#find((snapshot as unknown as Configuration)._nodes, snapshot.context, event)
    if (plan !== undefined && plan.steps !== null) return this.#repeat(plan.steps, snapshot, event, scope)
    if (plan !== undefined || !this.#events.has(event.type)) return this.#work(snapshot, event, scope)
    return this.#learn(snapshot, snapshot.context, event, scope, (inner) => this.#work(snapshot, event, inner))
  }

  #work(snapshot: AnyMachineSnapshot, event: AnyEventObject, scope: AnyScope): AnyMachineSnapshot {
    return this.#machine.transition(snapshot as never, event as never, scope as never) as AnyMachineSnapshot
  }

  #find(nodes: unknown, context: unknown, event: AnyEventObject): Plan | undefined {
    const plans = this.#plans.get(nodes)?.get(event.type)
    if (plans === undefined) return undefined
    const args = { context, event }
    search: for (const plan of plans) {
      for (const { guard, isYes } of plan.answers) if (guard(args, undefined) !== isYes) continue search
      return plan
    }
    return undefined
  }

  #repeat(steps: readonly Step[], first: AnyMachineSnapshot, event: AnyEventObject, scope: AnyScope): AnyMachineSnapshot {
    const { self, system } = scope as unknown as InnerScope
    const info = { context: first.context as unknown, event, self, system }
    let snapshot = first
    for (const { action, configuration, transitions } of steps) {
      if (action !== null) {
        ;(scope as unknown as InnerScope).actionExecutor({ type: action.type, info, params: action.params, exec: action.exec })
        continue
      }
      if (configuration !== null) snapshot = inConfiguration(snapshot, configuration)
      if (transitions !== null) system._sendInspectionEvent({ type: '@xstate.microstep', actorRef: self, event, snapshot, _transitions: transitions })
    }
    return snapshot
  }

  /** XState does it, and everything that it does passes by here. */
  #learn(before: AnyMachineSnapshot | null, context: unknown, event: AnyEventObject, scope: AnyScope, work: (scope: AnyScope) => AnyMachineSnapshot): AnyMachineSnapshot {
    const recording: Recording = { answers: [], steps: [], last: before, isRepeatable: true }
    const outer = this.#recording
    this.#recording = recording
    let result: AnyMachineSnapshot
    try {
      result = work(this.#listening(scope, recording))
    } finally {
      this.#recording = outer
    }
    if (result.status === 'error') return result
    if (!isOfKnownShape(result, scope)) {
      // Another XState than the one this was written for: it does all of its work itself.
      this.#events = new Set()
      return result
    }
    if (result.context !== context || Object.keys(result.children as object).length > 0) recording.isRepeatable = false
    if (recording.last !== result) recording.steps.push({ action: null, configuration: this.#configurationOf(result), transitions: null })
    const nodes = before === null ? null : (before as unknown as Configuration)._nodes
    let plans = this.#plans.get(nodes)
    if (plans === undefined) this.#plans.set(nodes, (plans = new Map()))
    const known = plans.get(event.type) ?? []
    plans.set(event.type, known)
    known.push({ answers: recording.answers, steps: recording.isRepeatable ? recording.steps : null })
    return recording.isRepeatable ? inConfiguration(result, this.#configurationOf(result)) : result
  }

  #listening(scope: AnyScope, recording: Recording): AnyScope {
    const { system } = scope as unknown as InnerScope
    const inner: InnerScope = {
      ...(scope as unknown as InnerScope),
      system: {
        ...system,
        _sendInspectionEvent: (event: MicrostepEvent) => {
          if (event.type === '@xstate.microstep') {
            recording.steps.push({ action: null, configuration: event.snapshot === recording.last ? null : this.#configurationOf(event.snapshot), transitions: event._transitions })
            recording.last = event.snapshot
          }
          system._sendInspectionEvent(event)
        },
      },
      actionExecutor: (action) => {
        const { type, params, exec } = action
        // What XState itself does to a snapshot or an actor is not to be guessed.
        if (type.startsWith('xstate.') || typeof exec !== 'function') recording.isRepeatable = false
        recording.steps.push({ action: { type, params, exec }, configuration: null, transitions: null })
        this.#recording = null
        try {
          ;(scope as unknown as InnerScope).actionExecutor(action)
        } finally {
          this.#recording = recording
        }
      },
    }
    return inner as unknown as AnyScope
  }

  #watched(guards: Readonly<Record<string, Guard>>): Record<string, Guard> {
    const result: Record<string, Guard> = {}
    for (const [name, guard] of Object.entries(guards)) {
      result[name] = (args, params) => {
        const isYes = guard(args, params)
        const recording = this.#recording
        if (recording !== null) {
          if (params !== undefined) recording.isRepeatable = false
          recording.answers.push({ guard, isYes })
        }
        return isYes
      }
    }
    return result
  }

  #configurationOf(snapshot: AnyMachineSnapshot): Configuration {
    const { status, _nodes, value, tags } = snapshot as unknown as Configuration
    const key = `${status} ${_nodes.map(({ id }) => id).sort().join(' ')}`
    let configuration = this.#configurations.get(key)
    if (configuration === undefined) this.#configurations.set(key, (configuration = { status, _nodes, value, tags }))
    return configuration
  }
}

function isOfKnownShape(snapshot: AnyMachineSnapshot, scope: AnyScope): boolean {
  const { _nodes } = snapshot as unknown as Partial<Configuration>
  const { system, actionExecutor } = scope as unknown as Partial<InnerScope>
  return Array.isArray(_nodes) && typeof actionExecutor === 'function' && typeof system?._sendInspectionEvent === 'function'
}

function inConfiguration(snapshot: AnyMachineSnapshot, { status, _nodes, value, tags }: Configuration): AnyMachineSnapshot {
  const { output, error, machine, context, children, historyValue, matches, hasTag, can, getMeta, toJSON } = snapshot as unknown as Record<string, unknown>
  // Written out: a spread of so many takes ten times as long.
  return { status, output, error, machine, context, _nodes, value, tags, children, historyValue, matches, hasTag, can, getMeta, toJSON } as unknown as AnyMachineSnapshot
}

interface Node {
  readonly transitions: ReadonlyMap<string, readonly { readonly guard?: unknown }[]>
  readonly always?: readonly { readonly guard?: unknown }[]
}

function hasNamedGuards(machine: AnyStateMachine): boolean {
  const nodes = [...(machine as unknown as { idMap: ReadonlyMap<string, Node> }).idMap.values()]
  const transitions = nodes.flatMap((node) => [...[...node.transitions.values()].flat(), ...(node.always ?? [])])
  return transitions.every(({ guard }) => guard === undefined || (typeof guard === 'string' && typeof machine.implementations.guards[guard as never] === 'function'))
}
