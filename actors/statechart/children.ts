/**
 * Owns: the children of one actor in a Map: their restart types, intensity and period, and stopping them in reverse
 * order.
 * Independent of: what the children do, and how their parent's chart reacts to their end.
 *
 * Not XState's `spawnChild`, which copies the whole record of children at each spawn and stop; with thousands of
 * children that takes seconds. These are ordinary XState actors of the same system, so one `inspect` observer sees them
 * all.
 *
 * Supervision as in OTP. Permanent: always restarted. Transient: restarted after a failure. Temporary: never restarted.
 * Restarts are counted per child: one bad child must not use up the budget of the others.
 */
import { createActor } from '../../machines/xstate.ts'
import type { ActorLogic, ActorScope, AnyActorRef, AnyEventObject } from '../../machines/xstate.ts'
import type { ChildEvent } from '../../machines/chart.ts'

export type RestartType = 'permanent' | 'transient' | 'temporary'

/** Up to `restartsMax` restarts within `periodMs` are tolerated; one more escalates. */
export interface Intensity {
  readonly restartsMax: number
  readonly periodMs: number
}

/**
 * 5 in 10 s: tolerates a burst from one bad input, while a child that fails at each start escalates quickly. Small
 * because levels multiply.
 */
export const defaultIntensity: Intensity = { restartsMax: 5, periodMs: 10_000 }

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a parent holds children of all kinds
export type AnyChildLogic = ActorLogic<any, any, any, any, any>

export interface ChildSpec {
  /** Readable and unique below this parent: "connection:0.3". */
  readonly id: string
  /** The kind of actor, shown by inspectors as its source: "connection". */
  readonly kind: string
  readonly logic: AnyChildLogic
  readonly input: unknown
  readonly restart: RestartType
  readonly intensity?: Intensity
}

interface Child {
  readonly spec: ChildSpec
  ref: AnyActorRef
  restartedAtMs: number[]
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- see above
export type AnyScope = ActorScope<any, any, any, any>

/**
 * The input of a child while it passes through XState, which shows it to inspectors. It may hold keys, sockets or
 * BigInts.
 */
class HiddenInput {
  readonly #input: unknown
  readonly #kind: string

  constructor(input: unknown, kind: string) {
    this.#input = input
    this.#kind = kind
  }

  get value(): unknown {
    return this.#input
  }

  toJSON(): string {
    return `<input of a ${this.#kind}>`
  }
}

/** Unwraps the input that a parent passed to a child; any other input is returned as it is. */
export function inputOf<Input>(input: Input): Input {
  return input instanceof HiddenInput ? (input.value as Input) : input
}

/** Shared by actors without children, which are most of them. Always empty. */
const none: Map<string, Child> = new Map()

export class Children {
  readonly #scope: AnyScope
  readonly #nowMs: () => number
  #children: Map<string, Child> = none

  constructor(scope: AnyScope, nowMs: () => number) {
    this.#scope = scope
    this.#nowMs = nowMs
  }

  get size(): number {
    return this.#children.size
  }

  get(id: string): AnyActorRef | undefined {
    return this.#children.get(id)?.ref
  }

  ids(): IterableIterator<string> {
    return this.#children.keys()
  }

  refs(): AnyActorRef[] {
    return [...this.#children.values()].map((child) => child.ref)
  }

  spawn(spec: ChildSpec): AnyActorRef {
    if (this.#children === none) this.#children = new Map()
    if (this.#children.has(spec.id)) throw new Error(`a child ${spec.id} exists already`)
    const child: Child = { spec, ref: this.#create(spec), restartedAtMs: [] }
    this.#children.set(spec.id, child)
    child.ref.start()
    return child.ref
  }

  /** Ends a child now, without an event. */
  stop(id: string): void {
    const child = this.#children.get(id)
    if (child === undefined) return
    this.#children.delete(id)
    this.#scope.stopChild(child.ref)
  }

  /** Stops all children. Later ones may depend on earlier ones, so the last one stops first. */
  stopAll(): void {
    // Most actors have none.
    if (this.#children.size === 0) return
    const ids = [...this.#children.keys()].reverse()
    for (const id of ids) this.stop(id)
  }

  /**
   * Converts XState's event for the end of a child into the chart's own event. Undefined for any other event and for
   * unknown children.
   */
  interpret(event: AnyEventObject): ChildEvent | undefined {
    // The common case: most events are not about a child.
    const actorId = event['actorId'] as string | undefined
    if (actorId === undefined) return undefined
    const isDone = event.type.startsWith('xstate.done.actor.')
    if (!isDone && !event.type.startsWith('xstate.error.actor.')) return undefined
    const child = this.#children.get(actorId)
    if (child === undefined) return undefined
    const { id, kind, restart } = child.spec
    const failed = !isDone
    if (restart === 'temporary' || (restart === 'transient' && !failed)) {
      this.#children.delete(id)
      return failed
        ? { type: 'child.failed', id, kind, error: event['error'] }
        : { type: 'child.done', id, kind, output: event['output'] }
    }
    const { restartsMax, periodMs } = child.spec.intensity ?? defaultIntensity
    const nowMs = this.#nowMs()
    child.restartedAtMs = child.restartedAtMs.filter((atMs) => nowMs - atMs < periodMs)
    if (child.restartedAtMs.length >= restartsMax) {
      this.#children.delete(id)
      return { type: 'child.escalated', id, kind, error: event['error'] }
    }
    child.restartedAtMs.push(nowMs)
    child.ref = this.#create(child.spec)
    child.ref.start()
    return { type: 'child.restarted', id, kind, error: event['error'] }
  }

  #create(spec: ChildSpec): AnyActorRef {
    const { id, kind, logic } = spec
    const input = new HiddenInput(spec.input, kind)
    return createActor(logic, { parent: this.#scope.self, id, src: kind, input }) as AnyActorRef
  }
}
