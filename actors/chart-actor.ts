/**
 * Owns: how a pure chart becomes a living actor: its body, its children, its deadlines, and that nothing outlives it.
 * Refuses to know: any particular chart.
 *
 * What XState leaves open and this closes, for every actor in one place:
 * - An action that throws leaves the children running without an owner, and `exit` actions do not run on stop.
 *   Here the body is disposed of and the children are stopped however the actor ends: done, stopped, or thrown.
 * - `after` costs every actor of the system (see timer-wheel.ts). Here a state's `meta.deadline` is an entry in the wheel.
 * - Machine children are copied at each spawn. Here they are a Map (children.ts).
 */
import type { ActorLogic, ActorSystem, AnyActorRef, AnyEventObject, AnyMachineSnapshot, AnyStateMachine } from '../machines/xstate.ts'
import type { DeadlineName, StateMeta } from '../machines/chart.ts'
import { ChartReplay } from './chart-replay.ts'
import { Children } from './children.ts'
import type { AnyScope } from './children.ts'
import type { Deadline, TimerWheel } from './timer-wheel.ts'

/** What an actor's body may use of the actor around it. */
export interface ActorPort {
  readonly id: string
  readonly children: Children
  readonly ref: AnyActorRef
  /** An event to the own chart. */
  send(event: AnyEventObject): void
  /** An event to the parent's chart. */
  tell(event: AnyEventObject): void
  /** To whoever listens with `ref.on(type)`. */
  emit(event: AnyEventObject): void
}

/** What does the work of an actor. One body an actor; a restarted actor gets a new one. */
export interface Body {
  /** Shown in inspectors as part of the context: plain, small, and free of payload and key material. */
  facts(): object
  /** Releases everything the body holds. Runs exactly once, whatever ended the actor; must not throw. */
  dispose(): void
  deadlineMs(deadline: DeadlineName): number
}

/** The part of a network's services that this file needs; input of every chart actor carries it. */
export interface ActorHost {
  readonly wheel: TimerWheel
  readonly nowMs: () => number
  /** Actors that are alive: counted so that a test can show that none is left. */
  actorBorn(id: string): void
  actorGone(id: string): void
}

/** The methods of a body that take an event, or nothing: what a chart may name as its actions. */
export type ActionName<B> = string & { [Name in keyof B]: B[Name] extends (event: never) => void ? Name : never }[keyof B]

/** One is made at each birth. */
export interface BodyClass<Input, B extends Body> {
  readonly prototype: B
  new (input: Input, port: ActorPort): B
}

export interface ChartActorOptions<Input, B extends Body> {
  readonly machine: AnyStateMachine
  readonly body: BodyClass<Input, B>
  readonly host: (input: Input) => ActorHost
  /** The placeholders of the chart. Each is a method of the body's class: a function between the two would be compiled with all that the method calls, once more. */
  readonly actions: readonly ActionName<B>[]
  /** False: the event comes too late to mean anything (of a connection that was replaced, say) and is dropped. */
  readonly isCurrent?: (body: B, event: AnyEventObject) => boolean
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- `AnyActorSystem` is not exported by XState 5
export interface ChartLogic<Input> extends ActorLogic<AnyMachineSnapshot, AnyEventObject, Input, ActorSystem<any>, AnyEventObject> {
  readonly config: unknown
  /** Logic travels in events that ask for a child; an inspector has the chart already. */
  toJSON(): string
}

type Nodes = readonly { meta?: StateMeta }[]
const known = new WeakMap<Nodes, readonly DeadlineName[]>()

/** What the active states ask for; the same states come again and again. */
function deadlinesOf(nodes: Nodes): readonly DeadlineName[] {
  let names = known.get(nodes)
  if (names === undefined) {
    names = [...new Set(nodes.flatMap(({ meta }) => (meta?.deadline === undefined ? [] : [meta.deadline])))]
    known.set(nodes, names)
  }
  return names
}

interface SetDeadline {
  readonly name: DeadlineName
  readonly deadline: Deadline
}

/**
 * What a chart's context holds in the place of its body. It shows itself as a word, so an inspector sees nothing of what is inside.
 * And it is how an event finds the body: a WeakMap of actors would be asked three times an event, and a scavenge would take what it
 * holds for alive.
 */
class Life<B extends Body> {
  #body: B | null
  readonly #children: Children
  readonly #host: ActorHost
  readonly #ref: AnyActorRef
  /** One or two at most: a Map would make its table anew at nearly every change. */
  #deadlines: SetDeadline[] = []
  #nodes: unknown = null

  constructor(ref: AnyActorRef, body: B, children: Children, host: ActorHost) {
    this.#body = body
    this.#children = children
    this.#host = host
    this.#ref = ref
  }

  /** Null once the actor has ended. */
  get body(): B | null {
    return this.#body
  }

  get children(): Children {
    return this.#children
  }

  begin(): void {
    this.#host.actorBorn(this.#ref.id)
  }

  /** Sets what the entered states ask for and drops what the left ones asked for. */
  watch(snapshot: AnyMachineSnapshot): void {
    const body = this.#body
    if (body === null) return
    if (snapshot.status !== 'active') return this.end()
    // The active state nodes; `getMeta()` would build an object of them at each transition.
    const nodes = (snapshot as unknown as { _nodes: Nodes })._nodes
    if (nodes === this.#nodes) return
    this.#nodes = nodes
    const wanted = deadlinesOf(nodes)
    const deadlines = this.#deadlines
    for (let at = deadlines.length - 1; at >= 0; at--) {
      const { name, deadline } = deadlines[at] as SetDeadline
      if (wanted.includes(name)) continue
      deadline.cancel()
      deadlines.splice(at, 1)
    }
    for (const name of wanted) if (!deadlines.some((set) => set.name === name)) this.#set(name, body)
  }

  #set(name: DeadlineName, body: B): void {
    const deadline = this.#host.wheel.schedule(body.deadlineMs(name), () => {
      this.#deadlines = this.#deadlines.filter((set) => set.name !== name)
      // A state that stays active when its deadline passes gets it again: XState keeps the same `_nodes` then.
      this.#nodes = null
      this.#ref.send({ type: 'deadline.passed', deadline: name })
    })
    this.#deadlines.push({ name, deadline })
  }

  end(): void {
    const body = this.#body
    if (body === null) return
    this.#body = null
    for (const { deadline } of this.#deadlines) deadline.cancel()
    this.#deadlines = []
    this.#children.stopAll()
    body.dispose()
    this.#host.actorGone(this.#ref.id)
  }

  toJSON(): string {
    return `<body of ${this.#ref.id}>`
  }
}

interface Context<B extends Body> {
  readonly facts: object
  readonly body: Life<B>
}

/** The body behind an actor, for whoever calls it past the mailbox. Undefined once it has ended, and where its making threw. */
export function bodyOf(ref: AnyActorRef): Body | undefined {
  return (ref.getSnapshot() as { context?: Context<Body> }).context?.body.body ?? undefined
}

/** Gives a chart its body. The result is ordinary actor logic: create, spawn or invoke it. */
export function chartActor<Input, B extends Body>(options: ChartActorOptions<Input, B>): ChartLogic<Input> {
  const chart = new ChartReplay(options.machine.provide({ actions: provided(options) as never }))
  const lifeIn = (snapshot: AnyMachineSnapshot): Life<B> => (snapshot.context as Context<B>).body

  return {
    config: options.machine.config,
    toJSON: () => `<logic of ${options.machine.id}>`,
    getInitialSnapshot(scope, input) {
      const host = options.host(input)
      const self = scope.self as AnyActorRef
      const children = new Children(scope as AnyScope, host.nowMs)
      const body = new options.body(input, portOf(self, scope as AnyScope, children))
      return chart.first(scope as AnyScope, { facts: body.facts(), body: new Life(self, body, children, host) } satisfies Context<B>)
    },
    start(snapshot) {
      const life = lifeIn(snapshot)
      life.begin()
      life.watch(snapshot)
      chart.start(snapshot)
    },
    transition(snapshot, event, scope) {
      const life = lifeIn(snapshot)
      const { body } = life
      if (body === null) return snapshot
      if (event.type === 'xstate.stop') life.end()
      else if (options.isCurrent?.(body, event) === false) return snapshot
      try {
        const next = chart.transition(snapshot, life.children.interpret(event) ?? event, scope as AnyScope)
        life.watch(next)
        return next
      } catch (error) {
        life.end()
        throw error
      }
    },
    getPersistedSnapshot: (snapshot) => snapshot,
  }
}

interface ActionArgs<B extends Body> {
  readonly context: Context<B>
  readonly event: never
}

/** Actions of a first snapshot run outside `transition`, so each ends the actor's life itself when it throws. */
function provided<B extends Body>({ body: { prototype }, actions }: Pick<ChartActorOptions<never, B>, 'body' | 'actions'>): Record<string, (args: ActionArgs<B>) => void> {
  const result: Record<string, (args: ActionArgs<B>) => void> = {}
  for (const name of actions) {
    // Found here and not at each call: of so many names V8 keeps no cache.
    const method = prototype[name] as (event: never) => void
    result[name] = ({ context, event }) => {
      const { body } = context.body
      if (body === null) return
      try {
        method.call(body, event)
      } catch (error) {
        context.body.end()
        throw error
      }
    }
  }
  return result
}

function portOf(self: AnyActorRef, scope: AnyScope, children: Children): ActorPort {
  return {
    id: self.id,
    children,
    ref: self,
    send: (event) => self.send(event),
    tell: (event) => {
      const parent = (self as unknown as { _parent?: AnyActorRef })._parent
      if (parent !== undefined) (scope.system as unknown as { _relay(source: AnyActorRef, target: AnyActorRef, event: AnyEventObject): void })._relay(self, parent, event)
    },
    emit: (event) => scope.emit(event),
  }
}
