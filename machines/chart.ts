/**
 * Owns: the words that all charts share: how a state says that it may wait, what a child's end looks like,
 * and what a placeholder is.
 * Refuses to know: how a deadline is kept or a child restarted (actors/statechart/chart-actor.ts, actors/statechart/children.ts).
 *
 * Every state of every chart either names a deadline in its `meta`, or carries the tag `resting` (it may last for ever,
 * and why is said in its description), or is final. test/machines/deadlines.test.ts enumerates them.
 */

/** A state that may last: nothing is owed to it. */
export const resting = 'resting'

/** The limits that bound a state's time, by their name in the options. */
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

/**
 * Put on a state as `meta`. States that name the same deadline and follow each other share one running timer:
 * that is how one deadline covers a whole handshake. Leaving for a state that does not name it ends it.
 */
export interface StateMeta {
  readonly deadline?: DeadlineName
}

/** What an actor gets when the deadline of the state it is in has passed. */
export interface DeadlinePassed {
  readonly type: 'deadline.passed'
  readonly deadline: DeadlineName
}

/** What a parent hears of its children; made from XState's own done and error events by actors/statechart/children.ts. */
export type ChildEvent =
  | { readonly type: 'child.done'; readonly id: string; readonly kind: string; readonly output: unknown }
  | { readonly type: 'child.failed'; readonly id: string; readonly kind: string; readonly error: unknown }
  | { readonly type: 'child.restarted'; readonly id: string; readonly kind: string; readonly error: unknown }
  | { readonly type: 'child.escalated'; readonly id: string; readonly kind: string; readonly error: unknown }

/** Why something ended, in a form that travels in events: a stable code and a sentence. */
export interface Cause {
  readonly code: string
  readonly message: string
  /** What it means for the next dial, where that is not an ordinary failure: see actors/link/reconnector.ts. */
  readonly retry?: 'free' | 'next' | 'wait' | 'cap' | 'stale'
}

/**
 * The context of every chart: a few facts for people who look, and the body that does the work.
 * `body` belongs to actors/; a chart passes it on and never looks inside. It serialises to a short word.
 */
export interface ChartContext<Facts> {
  readonly facts: Facts
  readonly body: unknown
}

export interface ChartInput<Facts> {
  readonly facts: Facts
  readonly body: unknown
}

/** An action without an implementation: the pure chart can be drawn, walked and tested, but not run by mistake. */
export function placeholder(name: string): () => void {
  return () => {
    throw new Error(`the action ${name} was not provided: use the actor of the same name in actors/`)
  }
}

/** Placeholders for a list of action names, typed so that a chart can only name one of them. */
export function placeholders<const Names extends readonly string[]>(names: Names): Record<Names[number], () => void> {
  return Object.fromEntries(names.map((name) => [name, placeholder(name)])) as Record<Names[number], () => void>
}
