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
import { post } from './post.ts'
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

export interface ChartActorOptions<Input, B extends Body> {
  readonly machine: AnyStateMachine
  readonly createBody: (input: Input, port: ActorPort) => B
  readonly host: (input: Input) => ActorHost
  /** The placeholders of the chart. Each is a method of the body: a function between the two would be compiled with all that the method calls, once more. */
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

class Life<B extends Body> {
  readonly body: B
  readonly children: Children
  readonly host: ActorHost
  readonly #ref: AnyActorRef
  readonly #onEnd: () => void
  /** One or two at most: a Map would make its table anew at nearly every change. */
  #deadlines: SetDeadline[] = []
  #nodes: unknown = null
  #ended = false

  constructor(ref: AnyActorRef, body: B, children: Children, host: ActorHost, onEnd: () => void) {
    this.body = body
    this.children = children
    this.host = host
    this.#ref = ref
    this.#onEnd = onEnd
  }

  begin(): void {
    this.host.actorBorn(this.#ref.id)
  }

  /** Sets what the entered states ask for and drops what the left ones asked for. */
  watch(snapshot: AnyMachineSnapshot): void {
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
    for (const name of wanted) if (!deadlines.some((set) => set.name === name)) this.#set(name)
  }

  #set(name: DeadlineName): void {
    const deadline = this.host.wheel.schedule(this.body.deadlineMs(name), () => {
      this.#deadlines = this.#deadlines.filter((set) => set.name !== name)
      this.#ref.send({ type: 'deadline.passed', deadline: name })
    })
    this.#deadlines.push({ name, deadline })
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    for (const { deadline } of this.#deadlines) deadline.cancel()
    this.#deadlines = []
    this.children.stopAll()
    this.body.dispose()
    this.host.actorGone(this.#ref.id)
    this.#onEnd()
  }
}

/** Gives a chart its body. The result is ordinary actor logic: create, spawn or invoke it. */
export function chartActor<Input, B extends Body>(options: ChartActorOptions<Input, B>): ChartLogic<Input> {
  /**
   * An entry is deleted with the end of its actor, and not left to the collector: a scavenge takes the values of a WeakMap for
   * alive, and these lead to their keys, so that all that had ended would be copied twice and then be marked.
   */
  const lives = new WeakMap<object, Life<B>>()
  const chart = new ChartReplay(options.machine.provide({ actions: provided(options.actions, lives) as never }))

  return {
    config: options.machine.config,
    toJSON: () => `<logic of ${options.machine.id}>`,
    getInitialSnapshot(scope, input) {
      const host = options.host(input)
      const self = scope.self as AnyActorRef
      const children = new Children(scope as AnyScope, host.nowMs)
      const body = options.createBody(input, portOf(self, scope as AnyScope, children))
      lives.set(self, new Life(self, body, children, host, () => lives.delete(self)))
      return chart.first(scope as AnyScope, { facts: body.facts(), body: new Opaque(self.id) })
    },
    start(snapshot, scope) {
      const life = lives.get(scope.self)
      life?.begin()
      life?.watch(snapshot)
      chart.start(snapshot)
    },
    transition(snapshot, event, scope) {
      const life = lives.get(scope.self)
      if (life === undefined) return snapshot
      if (event.type === 'xstate.stop') life.end()
      else if (options.isCurrent?.(life.body, event) === false) return snapshot
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

/** Stands in a chart's context for the body, so that an inspector shows a word and nothing of what is inside. */
class Opaque {
  readonly #id: string
  constructor(id: string) {
    this.#id = id
  }
  toJSON(): string {
    return `<body of ${this.#id}>`
  }
}

interface ActionArgs {
  readonly self: object
  readonly event: never
}

/** Actions of a first snapshot run outside `transition`, so each ends the actor's life itself when it throws. */
function provided<B extends Body>(actions: readonly ActionName<B>[], lives: WeakMap<object, Life<B>>): Record<string, (args: ActionArgs) => void> {
  const result: Record<string, (args: ActionArgs) => void> = {}
  for (const name of actions) {
    result[name] = ({ self, event }) => {
      const life = lives.get(self)
      if (life === undefined) return
      try {
        const body = life.body as Record<ActionName<B>, (event: never) => void>
        body[name](event)
      } catch (error) {
        life.end()
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
    send: (event) => post(self, event),
    tell: (event) => {
      const parent = (self as unknown as { _parent?: AnyActorRef })._parent
      if (parent !== undefined) (scope.system as unknown as { _relay(source: AnyActorRef, target: AnyActorRef, event: AnyEventObject): void })._relay(self, parent, event)
    },
    emit: (event) => scope.emit(event),
  }
}
