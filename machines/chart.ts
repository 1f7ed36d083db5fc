/**
 * Owns: what all charts share: how a state declares its deadline, the events for a child's end, and action
 * placeholders.
 * Independent of: how a deadline is kept or a child restarted (actors/statechart/chart-actor.ts,
 * actors/statechart/children.ts).
 *
 * Every state of every chart names a deadline in its `meta`, or has the tag `resting` (it may last forever; its
 * description says why), or is final. test/machines/deadlines.test.ts checks this.
 */

/** Tag of a state that may last forever. */
export const resting = 'resting'

/** The limits that bound a state's time, by their option names. */
export type DeadlineName =
  | 'dialTimeoutMs'
  | 'handshakeTimeoutMs'
  | 'closeTimeoutMs'
  | 'stableAfterMs'
  | 'grantTimeoutMs'
  | 'connectTimeoutMs'
  | 'backoffMaxMs'
  | 'makeSessionsTimeoutMs'
  | 'bindTimeoutMs'
  | 'shutdownTimeoutMs'
  | 'streamOpenTimeoutMs'

/**
 * A state's `meta`. Consecutive states that name the same deadline share one running timer, so one deadline can cover a
 * whole handshake. Entering a state that does not name it cancels it.
 */
export interface StateMeta {
  readonly deadline?: DeadlineName
}

/** Sent to an actor when a deadline of its current state has passed. */
export interface DeadlinePassed {
  readonly type: 'deadline.passed'
  readonly deadline: DeadlineName
}

/**
 * Sent to a parent about its children; actors/statechart/children.ts creates these from XState's done and error events.
 */
export type ChildEvent =
  | { readonly type: 'child.done'; readonly id: string; readonly kind: string; readonly output: unknown }
  | { readonly type: 'child.failed'; readonly id: string; readonly kind: string; readonly error: unknown }
  | { readonly type: 'child.restarted'; readonly id: string; readonly kind: string; readonly error: unknown }
  | { readonly type: 'child.escalated'; readonly id: string; readonly kind: string; readonly error: unknown }

/** A reason as plain data for events: a stable code and a sentence. */
export interface Cause {
  readonly code: string
  readonly message: string
  /** How to redial, if this is not an ordinary failure: see actors/link/reconnector.ts. */
  readonly retry?: 'now' | 'free' | 'next' | 'wait' | 'cap' | 'stale'
}

/**
 * The context of every chart: a few facts for inspectors, and the body that does the work. `body` belongs to actors/; a
 * chart passes it on and never reads it. It serialises to a short word.
 */
export interface ChartContext<Facts> {
  readonly facts: Facts
  readonly body: unknown
}

export interface ChartInput<Facts> {
  readonly facts: Facts
  readonly body: unknown
}

/** An action without an implementation: the pure chart can be drawn, traversed and tested, but not run by mistake. */
export function placeholder(name: string): () => void {
  return () => {
    throw new Error(`the action ${name} was not provided: use the actor of the same name in actors/`)
  }
}

/** Placeholders for a list of action names, typed so that a chart can only use those names. */
export function placeholders<const Names extends readonly string[]>(names: Names): Record<Names[number], () => void> {
  return Object.fromEntries(names.map((name) => [name, placeholder(name)])) as Record<Names[number], () => void>
}
