/**
 * Owns: a chart as a lookup table. XState computes each transition once, on a copy of the machine; afterwards the next
 * state and the actions are looked up. Only public functions of XState are used.
 * Independent of: actors, and what the actions do. Used by chart-actor.ts and chart-pool.ts.
 *
 * How a transition is computed: the copy's guards answer from a script. If XState asks a guard that the script does not
 * cover, the table gets a question, and each answer is explored when it first occurs. This is valid because a chart
 * here changes nothing but its state, and decides by its state, the event type and named guards. A chart that uses
 * anything else is refused by chart-rules.ts.
 *
 * All guards of a transition are asked before its first action runs; XState asks the guards of eventless transitions
 * later. Therefore a guard may read only the event and facts that do not change.
 */
import { createMachine, transition } from '../../machines/xstate.ts'
import type { AnyActorScope, AnyEventObject, AnyMachineSnapshot, AnyStateMachine } from '../../machines/xstate.ts'
import type { DeadlineName, StateMeta } from '../../machines/chart.ts'
import { checkChart } from './chart-rules.ts'

export interface ChartAction<Run> {
  readonly type: string
  readonly params: unknown
  readonly run: Run
}

/** One configuration of a chart. There is one object per configuration, shared by all actors in it. */
export interface ChartState<Run> {
  /** Position in `CompiledChart.states`. */
  readonly index: number
  readonly status: AnyMachineSnapshot['status']
  readonly deadlines: readonly DeadlineName[]
  /** A snapshot of the machine in this state. Each actor has a context of its own. */
  readonly template: AnyMachineSnapshot
  readonly branches: Map<string, Branch<Run>>
}

/** What a transition does. */
export interface Outcome<Run> {
  readonly state: ChartState<Run>
  readonly actions: readonly ChartAction<Run>[]
}

/** A guard that decides between two branches. A branch is null until its answer occurs. */
interface Question<Run> {
  readonly guard: Guard
  readonly params: unknown
  /** The answers of the guards asked before this one. */
  readonly before: readonly boolean[]
  yes: Branch<Run> | null
  no: Branch<Run> | null
}

type Branch<Run> = Question<Run> | Outcome<Run>
type Guard = (args: { readonly context: unknown; readonly event: AnyEventObject }, params: unknown) => boolean

/** Where guards find an actor's facts. */
export interface FactSource {
  facts(): object
}

const initEvent = { type: 'xstate.init' }

export class CompiledChart<Run> {
  readonly machine: AnyStateMachine
  readonly states: ChartState<Run>[] = []
  readonly #actions: Readonly<Record<string, Run>>
  readonly #probe: AnyStateMachine
  readonly #eventTypes: ReadonlySet<string>
  readonly #byKey = new Map<string, ChartState<Run>>()
  #first: Branch<Run> | null = null
  /** The guards that XState has asked in the current exploration. */
  #asked: { readonly name: string; readonly params: unknown }[] = []
  #script: readonly boolean[] = []

  /** @param actions the function for each action that the chart names */
  constructor(machine: AnyStateMachine, actions: Readonly<Record<string, Run>>) {
    checkChart(machine, Object.keys(actions))
    this.machine = machine
    this.#actions = actions
    this.#eventTypes = new Set(machine.events as readonly string[])
    this.#probe = this.#makeProbe()
  }

  /** The transition that enters the chart. */
  first(facts: FactSource): Outcome<Run> {
    this.#first ??= this.#learn(null, initEvent, [])
    return this.#decide(this.#first, null, facts, initEvent)
  }

  /** Null if the chart has no such event in any state. */
  next(state: ChartState<Run>, facts: FactSource, event: AnyEventObject): Outcome<Run> | null {
    let branch = state.branches.get(event.type)
    if (branch === undefined) {
      // Event types are unbounded; those that the chart handles are not.
      if (!this.#eventTypes.has(event.type)) return null
      branch = this.#learn(state, event, [])
      state.branches.set(event.type, branch)
    }
    return 'state' in branch ? branch : this.#decide(branch, state, facts, event)
  }

  #decide(first: Branch<Run>, state: ChartState<Run> | null, source: FactSource, event: AnyEventObject): Outcome<Run> {
    let branch = first
    if ('state' in branch) return branch
    const args = { context: { facts: source.facts(), body: null }, event }
    while (!('state' in branch)) {
      const question: Question<Run> = branch
      if (question.guard(args, question.params)) {
        branch = question.yes ??= this.#learn(state, event, [...question.before, true])
      } else {
        branch = question.no ??= this.#learn(state, event, [...question.before, false])
      }
    }
    return branch
  }

  /** Lets XState compute what happens if the guards answer `script`. */
  #learn(from: ChartState<Run> | null, { type }: AnyEventObject, script: readonly boolean[]): Branch<Run> {
    this.#asked = []
    this.#script = script
    const probe = this.#probe
    const event = { type }
    const [snapshot, actions] = dryRun((scope) =>
      from === null
        ? probe.getInitialSnapshot(scope, undefined)
        : probe.transition(probe.resolveState({ value: from.template.value, context: {} }), event, scope),
    )
    if (snapshot.status === 'error') throw snapshot.error
    const open = this.#asked[script.length]
    if (open !== undefined) {
      const guard = this.machine.implementations.guards[open.name as never] as Guard
      return { guard, params: open.params, before: script, yes: null, no: null }
    }
    return {
      state: this.#stateOf(snapshot),
      actions: actions.map(({ type: name, params, info }) => {
        const run = this.#actions[name]
        if (run === undefined) throw new Error(`chart ${this.machine.id}: ${name} is not an action that it names`)
        if (info.event.type !== type) {
          throw new Error(`chart ${this.machine.id}: ${name} runs for ${info.event.type}, an event of XState's own`)
        }
        return { type: name, params, run }
      }),
    }
  }

  #stateOf(snapshot: AnyMachineSnapshot): ChartState<Run> {
    const { value, status } = snapshot
    const key = JSON.stringify(value)
    let state = this.#byKey.get(key)
    if (state === undefined) {
      const metas = Object.values(snapshot.getMeta() as Record<string, StateMeta | undefined>)
      const deadlines = metas.flatMap((meta) => (meta?.deadline === undefined ? [] : [meta.deadline]))
      const template = this.machine.resolveState({ value, context: {} }) as AnyMachineSnapshot
      state = {
        index: this.states.length,
        status,
        deadlines: [...new Set(deadlines)],
        template,
        branches: new Map(),
      }
      this.states.push(state)
      this.#byKey.set(key, state)
    }
    return state
  }

  #makeProbe(): AnyStateMachine {
    const { config, implementations } = this.machine
    const guards = Object.keys(implementations.guards).map((name) => [
      name,
      (_args: unknown, params: unknown) => this.#answer(name, params),
    ])
    const actions = Object.keys(implementations.actions).map((name) => [name, () => {}])
    // The context is constant: a function would run as an `assign`, about which XState warns inside another action.
    return createMachine({ ...config, context: {} } as never, {
      guards: Object.fromEntries(guards) as never,
      actions: Object.fromEntries(actions) as never,
    }) as unknown as AnyStateMachine
  }

  #answer(name: string, params: unknown): boolean {
    const asked = this.#asked
    let at = asked.findIndex((question) => question.name === name && question.params === params)
    if (at === -1) at = asked.push({ name, params }) - 1
    // After the script the result is discarded. "No" is the answer that ends loops of eventless transitions.
    return this.#script[at] ?? false
  }
}

interface RecordedAction {
  readonly type: string
  readonly params: unknown
  readonly info: { readonly event: AnyEventObject }
}

const idle = { status: 'active', output: undefined, error: undefined }

/**
 * Runs no action, but lists those that would run. A stand-in's `transition` keeps XState from entering the chart twice.
 */
function dryRun(work: (scope: AnyActorScope) => unknown): [AnyMachineSnapshot, readonly RecordedAction[]] {
  const logic = {
    getInitialSnapshot: () => idle,
    transition: (_snapshot: unknown, _event: unknown, scope: AnyActorScope) => work(scope),
    getPersistedSnapshot: (snapshot: unknown) => snapshot,
  }
  return transition(logic as never, idle as never, { type: 'dry.run' } as never) as never
}
