/**
 * Owns: running a chart as an actor: its body, children, deadlines, and cleanup.
 * Independent of: any particular chart.
 *
 * XState leaves three gaps, which this file closes for every actor:
 * - An action that throws leaves children running, and `exit` actions do not run on stop. Here the body is disposed of
 *   and the children are stopped however the actor ends: done, stopped, or failed.
 * - `after` costs every actor of the system (see timer-wheel.ts). Here a state's `meta.deadline` is a timer in the
 *   wheel.
 * - The children of a machine are copied at each spawn. Here they are in a Map (children.ts).
 */
import type {
  ActorLogic,
  ActorSystem,
  AnyActorRef,
  AnyActorScope,
  AnyEventObject,
  AnyMachineSnapshot,
  AnyStateMachine,
} from '../../machines/xstate.ts'
import type { DeadlineName } from '../../machines/chart.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'
import { Children, inputOf } from './children.ts'
import { CompiledChart } from './compiled-chart.ts'
import type { ChartState, Outcome } from './compiled-chart.ts'
import { isActive, send } from './send.ts'
import { StateDeadlines } from './state-deadlines.ts'
import { parentOf, sendFrom } from './xstate-internals.ts'

/** What a body may use of its actor. */
export interface ActorPort<Event extends AnyEventObject = AnyEventObject> {
  readonly id: string
  readonly children: Children
  readonly ref: AnyActorRef
  /** Sends an event to this actor's own chart. */
  send(event: Event): void
  /** Sends an event to the parent's chart. */
  tell(event: AnyEventObject): void
  /** Emits an event to the listeners of `ref.on(type)`. */
  emit(event: AnyEventObject): void
}

/** Does the work of an actor. Each actor has its own body; a restarted actor gets a new one. */
export interface Body {
  /**
   * Shown by inspectors as `context.facts`, and read each time an inspector asks: plain, small, without payload or
   * keys. Guards see the facts of the moment at which the actor was created. Must not throw.
   */
  facts(): object
  /** Counters, sampled while an inspector is attached. */
  figures?(): object
  /** Releases everything that the body holds. Runs exactly once, however the actor ends. Must not throw. */
  dispose(): void
  deadlineMs(deadline: DeadlineName): number
}

/** What this file needs from the network; part of the input of every chart actor. */
export interface ActorHost {
  readonly wheel: TimerWheel
  readonly nowMs: () => number
  actorStarted(ref: AnyActorRef): void
  actorStopped(ref: AnyActorRef): void
}

/** Accepts either direction: a chart types a cause's code as a string, a body as an error code. */
type Comparable<A, B> = [A] extends [B] ? true : [B] extends [A] ? true : false
type RequiredKeys<T> = { [Key in keyof T]-?: object extends Pick<T, Key> ? never : Key }[keyof T]

/** The events that have every field that a method needs. */
type Fitting<Event, Taken> = Event extends unknown
  ? [Exclude<RequiredKeys<Taken>, keyof Event>] extends [never]
    ? false extends { [Key in keyof Taken & keyof Event]-?: Comparable<Required<Taken>[Key], Event[Key]> }[keyof Taken &
        keyof Event]
      ? never
      : Event
    : never
  : never

/**
 * The methods of a body that a chart may name as actions. They take no argument, or fields that some event of the chart
 * has.
 */
export type ActionName<B, Event> = string &
  {
    [Name in keyof B]: B[Name] extends () => void
      ? Name
      : B[Name] extends (event: infer Taken) => void
        ? [Fitting<Event, Taken>] extends [never]
          ? never
          : Name
        : never
  }[keyof B]

export interface BodyClass<Input, B extends Body, Event extends AnyEventObject> {
  readonly prototype: B
  new (input: Input, port: ActorPort<Event>): B
}

export interface ChartActorOptions<Input, B extends Body, Event extends AnyEventObject = AnyEventObject> {
  readonly machine: AnyStateMachine
  readonly body: BodyClass<Input, B, Event>
  readonly host: (input: Input) => ActorHost
  /** The chart's action placeholders. Each is a method of the body's class. */
  readonly actions: readonly ActionName<B, Event>[]
  /** Returns false for an event that is too late to matter, such as one of a replaced connection. */
  readonly isCurrent?: (body: B, event: AnyEventObject) => boolean
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- `AnyActorSystem` is not exported by XState 5
type AnyActorSystem = ActorSystem<any>

export interface ChartLogic<Input> extends ActorLogic<
  AnyMachineSnapshot,
  AnyEventObject,
  Input,
  AnyActorSystem,
  AnyEventObject
> {
  readonly config: unknown
  /** Hides the logic in events that ask for a child; an inspector has the chart already. */
  toJSON(): string
}

/** Runs one action of a chart. */
type Run = (info: { readonly context: CellContext; readonly event: AnyEventObject }) => void

/** Everything that one live actor holds: its body, children, deadlines, and its state in the chart. */
class ActorCell {
  state: ChartState<Run> | null = null
  readonly children: Children
  readonly context: CellContext
  readonly #host: ActorHost
  readonly #ref: AnyActorRef
  readonly #deadlines: StateDeadlines
  #body: Body | null
  /** The initial facts, for guards. */
  readonly #firstFacts: object
  #lastFacts: object = {}

  constructor(ref: AnyActorRef, body: Body, children: Children, host: ActorHost) {
    this.#body = body
    this.#firstFacts = body.facts()
    this.#host = host
    this.#ref = ref
    this.children = children
    this.context = new CellContext(this)
    this.#deadlines = new StateDeadlines(
      host.wheel,
      (name) => body.deadlineMs(name),
      (name) => ref.send({ type: 'deadline.passed', deadline: name }),
    )
  }

  /** Null once the actor has ended. */
  get body(): Body | null {
    return this.#body
  }

  /** The context that guards read. */
  facts(): object {
    return this.#firstFacts
  }

  liveFacts(): object {
    return this.#body?.facts() ?? this.#lastFacts
  }

  start(): void {
    this.#host.actorStarted(this.#ref)
    this.settle()
  }

  /** Runs the actions of a transition. An actor that stays in its state keeps its snapshot, as in XState. */
  perform(
    outcome: Outcome<Run>,
    before: AnyMachineSnapshot | null,
    event: AnyEventObject,
    scope: AnyActorScope,
  ): AnyMachineSnapshot {
    const { state, actions } = outcome
    const { context } = this
    if (actions.length > 0) {
      const info = { context, event, self: scope.self as unknown, system: scope.system as unknown }
      for (const { type, params, run } of actions) {
        // XState reports the action to inspectors, and holds back those of the initial state until the actor starts.
        scope.actionExecutor({ type, params, info, exec: run } as never)
      }
    }
    if (state === this.state && before !== null) return before
    this.state = state
    return { ...state.template, context } as unknown as AnyMachineSnapshot
  }

  /** Updates the deadlines and the snapshot to the actor's current state. */
  settle(): void {
    if (this.#body === null || this.state === null) return
    if (this.state.status === 'active') this.#deadlines.enter(this.state.deadlines)
    else this.end()
  }

  end(): void {
    const body = this.#body
    if (body === null) return
    this.#lastFacts = body.facts()
    this.#body = null
    this.#deadlines.clear()
    this.children.stopAll()
    body.dispose()
    this.#host.actorStopped(this.#ref)
  }

  toJSON(): string {
    return `<body of ${this.#ref.id}>`
  }
}

/** The context of an actor's snapshots: one object for its whole life. The facts are read when an inspector asks. */
class CellContext {
  readonly body: ActorCell

  constructor(body: ActorCell) {
    this.body = body
  }

  get facts(): object {
    return this.body.liveFacts()
  }

  toJSON(): { facts: object; body: string } {
    return { facts: this.facts, body: this.body.toJSON() }
  }
}

/**
 * Returns the body of an actor, for calls that bypass the mailbox. Undefined once the actor has ended, or if creating
 * its body threw.
 */
export function bodyOf(ref: AnyActorRef): Body | undefined {
  return (ref.getSnapshot() as { context?: CellContext }).context?.body.body ?? undefined
}

/** Gives a chart its body. The result is ordinary actor logic: create, spawn or invoke it. */
export function chartActor<Input, B extends Body, Event extends AnyEventObject = AnyEventObject>(
  options: ChartActorOptions<Input, B, Event>,
): ChartLogic<Input> {
  const { machine, isCurrent } = options
  const chart = new CompiledChart<Run>(machine, runsOf(options.body.prototype, options.actions))
  const cellOf = (snapshot: AnyMachineSnapshot): ActorCell => (snapshot.context as CellContext).body

  return {
    config: machine.config,
    toJSON: () => `<logic of ${machine.id}>`,
    getInitialSnapshot(scope, given) {
      const input = inputOf(given)
      const host = options.host(input)
      const ref = scope.self as AnyActorRef
      const children = new Children(scope, host.nowMs)
      const body = new options.body(input, portOf(ref, scope, children))
      const cell = new ActorCell(ref, body, children, host)
      return cell.perform(chart.first(cell), null, { type: 'xstate.init', input: undefined }, scope)
    },
    start(snapshot) {
      cellOf(snapshot).start()
    },
    transition(snapshot, event, scope) {
      const cell = cellOf(snapshot)
      const { body, state } = cell
      if (body === null || state === null) return snapshot
      if (event.type === 'xstate.stop') cell.end()
      else if (isCurrent?.(body as B, event) === false) return snapshot
      try {
        const translated = cell.children.interpret(event) ?? event
        const outcome = chart.next(state, cell, translated)
        // XState's own events (stop, the end of an unknown child) are left to XState.
        if (outcome === null) return machine.transition(snapshot, translated, scope) as AnyMachineSnapshot
        const next = cell.perform(outcome, snapshot, translated, scope)
        cell.settle()
        return next.status === 'done' && hasLostParent(scope) ? stopped(next) : next
      } catch (error) {
        cell.end()
        if (hasLostParent(scope)) return stopped(snapshot)
        throw error
      }
    },
    getPersistedSnapshot: (snapshot) => snapshot,
  }
}

/**
 * A parent may end because of its child's last event. XState would then report the child's end to a stopped parent.
 */
function hasLostParent(scope: AnyActorScope): boolean {
  const parent = parentOf(scope.self as AnyActorRef)
  return parent !== undefined && !isActive(parent)
}

function stopped(snapshot: AnyMachineSnapshot): AnyMachineSnapshot {
  return { ...snapshot, status: 'stopped' } as unknown as AnyMachineSnapshot
}

/** Actions of the initial state run outside `transition`, so each one ends the actor itself if it throws. */
function runsOf<B extends Body>(prototype: B, names: readonly (string & keyof B)[]): Record<string, Run> {
  const result: Record<string, Run> = {}
  for (const name of names) {
    const method = prototype[name] as (event: AnyEventObject) => void
    result[name] = ({ context: { body: cell }, event }) => {
      const { body } = cell
      if (body === null) return
      try {
        method.call(body as B, event)
      } catch (error) {
        cell.end()
        throw error
      }
    }
  }
  return result
}

function portOf(self: AnyActorRef, scope: AnyActorScope, children: Children): ActorPort {
  return {
    id: self.id,
    children,
    ref: self,
    send: (event) => send(self, event),
    tell: (event) => {
      const parent = parentOf(self)
      if (parent !== undefined && isActive(parent)) sendFrom(self, parent, event)
    },
    emit: (event) => scope.emit(event),
  }
}
