/**
 * Owns: many members that follow one chart without being actors: for streams, where an XState actor each would cost
 * more than the work. A member holds its state as a small integer and gets events by plain calls.
 * Independent of: any particular chart, and who observes: a watcher is called only while one is set.
 *
 * The rules are those of actors (chart-actor.ts). An event sent while a member handles another is queued. Deadlines
 * belong to states. A member is disposed of exactly once, however it ends.
 */
import type { AnyEventObject, AnyStateMachine } from '../../machines/xstate.ts'
import type { DeadlineName } from '../../machines/chart.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'
import { CompiledChart } from './compiled-chart.ts'
import type { ChartState, Outcome } from './compiled-chart.ts'
import { StateDeadlines } from './state-deadlines.ts'

const notStarted = -1
const ended = -2

/** The base class of members: what the pool stores for each of them. */
export abstract class PoolMember {
  /** Owned by the pool: the index of the state in the compiled chart, or negative if the member is not active. */
  stateIndex = notStarted
  /** Owned by the pool: queued events. Null while the member handles none. */
  inbox: AnyEventObject[] | null = null
  /** Owned by the pool. Null until a state has a deadline. */
  deadlines: StateDeadlines | null = null

  /** See `Body.facts` in chart-actor.ts. Facts that a guard reads must not change. */
  abstract facts(): object
  figures?(): object
  abstract dispose(): void
  abstract deadlineMs(deadline: DeadlineName): number
}

/** How a member ended: in a final state, by `end`, or because an action threw. */
export type MemberEnd = 'done' | 'stopped' | 'error'

export interface PoolWatcher<Member> {
  onTransition?(member: Member, value: unknown, event: AnyEventObject): void
  onEnd?(member: Member, how: MemberEnd, event: AnyEventObject): void
}

type MemberAction<Member> = string &
  {
    [Name in keyof Member]: Member[Name] extends (event: never) => void ? Name : never
  }[keyof Member]
type Run<Member> = (member: Member, event: AnyEventObject) => void

export interface ChartPoolOptions<Member extends PoolMember> {
  readonly machine: AnyStateMachine
  readonly wheel: TimerWheel
  readonly member: { readonly prototype: Member }
  /** The chart's action placeholders. Each is a method of the member's class. */
  readonly actions: readonly MemberAction<Member>[]
  /** An action of a member threw, which ended the member. */
  readonly onError: (member: Member, error: unknown) => void
}

export class ChartPool<Member extends PoolMember> {
  readonly #chart: CompiledChart<Run<Member>>
  readonly #wheel: TimerWheel
  readonly #onError: (member: Member, error: unknown) => void
  readonly #members = new Set<Member>()
  #watcher: PoolWatcher<Member> | null = null

  constructor({ machine, wheel, member: { prototype }, actions, onError }: ChartPoolOptions<Member>) {
    const runs = actions.map((name) => {
      const method = prototype[name] as (event: AnyEventObject) => void
      return [name, (member: Member, event: AnyEventObject) => method.call(member, event)] as const
    })
    this.#chart = new CompiledChart(machine, Object.fromEntries(runs) as Record<string, Run<Member>>)
    this.#wheel = wheel
    this.#onError = onError
  }

  /** The configuration of the machine, which inspectors draw. */
  get config(): unknown {
    return this.#chart.machine.config
  }

  get size(): number {
    return this.#members.size
  }

  /** The live members, oldest first. */
  members(): IterableIterator<Member> {
    return this.#members.values()
  }

  /** The state of a live member, in XState's notation; undefined once it has ended. */
  valueOf(member: Member): unknown {
    return this.#chart.states[member.stateIndex]?.template.value
  }

  /** Sets the watcher; null removes it. */
  watch(watcher: PoolWatcher<Member> | null): void {
    this.#watcher = watcher
  }

  start(member: Member): void {
    if (member.stateIndex !== notStarted) throw new Error('a member of a pool is started once')
    this.#members.add(member)
    const event = { type: 'xstate.init' }
    this.#run(member, event, (): Outcome<Run<Member>> => this.#chart.first(member))
  }

  /** Sends an event to a member. Dropped if the member has ended. */
  send(member: Member, event: AnyEventObject): void {
    if (member.inbox !== null) member.inbox.push(event)
    else if (member.stateIndex >= 0) this.#run(member, event, null)
  }

  /** Ends a member now, whatever its state. */
  end(member: Member): void {
    this.#end(member, 'stopped', { type: 'xstate.stop' })
  }

  endAll(): void {
    for (const member of [...this.#members].reverse()) this.end(member)
  }

  /** Handles one event, and then those that it caused. */
  #run(member: Member, first: AnyEventObject, enter: (() => Outcome<Run<Member>>) | null): void {
    const inbox: AnyEventObject[] = []
    member.inbox = inbox
    let event = first
    try {
      if (enter !== null) this.#perform(member, enter(), event)
      else this.#handle(member, event)
      for (let at = 0; at < inbox.length; at++) {
        event = inbox[at] as AnyEventObject
        this.#handle(member, event)
      }
      member.inbox = null
    } catch (error) {
      this.#end(member, 'error', event)
      this.#onError(member, error)
    }
  }

  #handle(member: Member, event: AnyEventObject): void {
    const state = this.#chart.states[member.stateIndex]
    if (state === undefined) return
    const outcome = this.#chart.next(state, member, event)
    if (outcome !== null) this.#perform(member, outcome, event)
  }

  #perform(member: Member, { state, actions }: Outcome<Run<Member>>, event: AnyEventObject): void {
    for (const { run } of actions) {
      run(member, event)
      if (member.stateIndex === ended) return
    }
    member.stateIndex = state.index
    this.#watcher?.onTransition?.(member, state.template.value, event)
    if (state.status === 'active') this.#arm(member, state)
    else this.#end(member, 'done', event)
  }

  #arm(member: Member, { deadlines }: ChartState<Run<Member>>): void {
    if (member.deadlines === null) {
      if (deadlines.length === 0) return
      member.deadlines = new StateDeadlines(
        this.#wheel,
        (name) => member.deadlineMs(name),
        (name) => this.send(member, { type: 'deadline.passed', deadline: name }),
      )
    }
    member.deadlines.enter(deadlines)
  }

  #end(member: Member, how: MemberEnd, event: AnyEventObject): void {
    if (member.stateIndex === ended) return
    member.stateIndex = ended
    member.inbox = null
    member.deadlines?.clear()
    this.#members.delete(member)
    member.dispose()
    this.#watcher?.onEnd?.(member, how, event)
  }
}
