/**
 * Owns: a set of actors of one kind under one name. The chart is machines/pool.ts.
 * Independent of: what its children are; the creator of the pool supplies their specs and the event that closes them.
 */
import { poolActions, poolMachine } from '../../machines/pool.ts'
import type { PoolEvent, PoolFacts } from '../../machines/pool.ts'
import type { ChildEvent, DeadlineName } from '../../machines/chart.ts'
import type { AnyEventObject } from '../../machines/xstate.ts'
import { chartActor } from '../statechart/chart-actor.ts'
import type { ActorPort, Body, ChartLogic } from '../statechart/chart-actor.ts'
import type { ChildSpec } from '../statechart/children.ts'
import { causeOf } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import type { Services } from './services.ts'
import type { Deadline } from '../base/timer-wheel.ts'
import { send } from '../statechart/send.ts'

export interface PoolInput {
  readonly services: Services
  readonly kind: string
  /** The initial children. */
  readonly first: readonly ChildSpec[]
  /** Creates the event that asks a child to close. */
  readonly closing: (cause: Cause) => AnyEventObject
  /** A child was restarted and has lost its state. */
  readonly onRestarted?: (id: string) => void
  /**
   * An initial child failed more often than its restart intensity allows. It is set aside, and started again after
   * `forMs`.
   */
  readonly setAside?: { readonly forMs: number; onSetAside(id: string, cause: Cause): void }
}

class PoolBody implements Body {
  readonly #input: PoolInput
  readonly #port: ActorPort<PoolEvent<ChildSpec, AnyEventObject>>
  readonly #setAside = new Set<Deadline>()
  #draining = false

  constructor(input: PoolInput, port: ActorPort<PoolEvent<ChildSpec, AnyEventObject>>) {
    this.#input = input
    this.#port = port
  }

  facts(): PoolFacts {
    return { kind: this.#input.kind, children: this.#port.children.size }
  }

  deadlineMs(deadline: DeadlineName): number {
    throw new Error(`a pool has no deadline ${deadline}`)
  }

  dispose(): void {
    for (const deadline of this.#setAside) deadline.cancel()
  }

  begin(): void {
    for (const spec of this.#input.first) this.#port.children.spawn(spec)
  }

  add(event: { spec: ChildSpec }): void {
    // A peer that was removed and is added again: its old actor may still wait for an answer to its Goodbye.
    this.#port.children.stop(event.spec.id)
    this.#port.children.spawn(event.spec)
    if (this.#input.first.includes(event.spec)) this.#input.onRestarted?.(event.spec.id)
  }

  /** Sends the event to one child by id, or to all. */
  pass(event: { to?: string; event: AnyEventObject }): void {
    if (event.to !== undefined) send(this.#port.children.get(event.to), event.event)
    else for (const ref of this.#port.children.refs()) send(ref, event.event)
  }

  drain(event: { cause: Cause }): void {
    this.#draining = true
    for (const ref of this.#port.children.refs()) send(ref, this.#input.closing(event.cause))
    this.#notifyIfEmpty()
  }

  recordEnd(event: ChildEvent): void {
    if (event.type === 'child.restarted' || event.type === 'child.escalated' || event.type === 'child.failed') {
      const reason = causeOf(event.error, 'ERR_INTERNAL', `${event.id}: `)
      this.#input.services.emit({ type: 'child.restarted', parent: this.#port.id, child: event.id, cause: reason })
      if (event.type === 'child.restarted') this.#input.onRestarted?.(event.id)
      if (event.type === 'child.escalated') this.#putAside(event.id, reason)
    }
    this.#notifyIfEmpty()
  }

  #putAside(id: string, reason: Cause): void {
    const spec = this.#input.first.find((first) => first.id === id)
    const { setAside, services } = this.#input
    if (spec === undefined || setAside === undefined) return
    setAside.onSetAside(id, reason)
    const deadline = services.wheel.schedule(setAside.forMs, () => {
      this.#setAside.delete(deadline)
      this.#port.send({ type: 'pool.add', spec })
    })
    this.#setAside.add(deadline)
  }

  #notifyIfEmpty(): void {
    if (this.#draining && this.#port.children.size === 0) this.#port.send({ type: 'pool.empty' })
  }

  notifyEmpty(): void {
    this.#port.tell({ type: 'pool.emptied', kind: this.#input.kind })
  }
}

export const pool: ChartLogic<PoolInput> = chartActor<PoolInput, PoolBody, PoolEvent<ChildSpec, AnyEventObject>>({
  machine: poolMachine,
  host: (input) => input.services,
  body: PoolBody,
  actions: poolActions,
})
