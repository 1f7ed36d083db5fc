/**
 * Owns: the life of a parent of many children of one kind (peers, session groups).
 * Independent of: what the children are. They are in a Map of the actor, not in the snapshot: see
 * actors/statechart/children.ts.
 */
import { setup } from './xstate.ts'
import { placeholders, resting } from './chart.ts'
import type { Cause, ChartContext, ChartInput, ChildEvent, StateMeta } from './chart.ts'

export interface PoolFacts {
  readonly kind: string
  readonly children: number
}

/**
 * @typeParam Spec how a child is created
 * @typeParam Event what children are sent
 */
export type PoolEvent<Spec = unknown, Event = unknown> =
  | { readonly type: 'pool.add'; readonly spec: Spec }
  | { readonly type: 'pool.drain'; readonly cause: Cause }
  | { readonly type: 'pool.pass'; readonly to?: string; readonly event: Event }
  | { readonly type: 'pool.empty' }
  | ChildEvent

export const poolActions = ['begin', 'add', 'drain', 'pass', 'recordEnd', 'notifyEmpty'] as const

export const poolMachine = setup({
  types: {
    context: {} as ChartContext<PoolFacts>,
    events: {} as PoolEvent,
    input: {} as ChartInput<PoolFacts>,
    meta: {} as StateMeta,
    tags: {} as typeof resting,
  },
  actions: placeholders(poolActions),
}).createMachine({
  id: 'pool',
  context: ({ input }) => ({ facts: input.facts, body: input.body }),
  initial: 'running',
  on: {
    'child.done': { actions: 'recordEnd' },
    'child.failed': { actions: 'recordEnd' },
    'child.restarted': { actions: 'recordEnd' },
    'child.escalated': { actions: 'recordEnd' },
    'pool.pass': { actions: 'pass' },
  },
  states: {
    running: {
      description: 'Takes new children.',
      tags: resting,
      entry: 'begin',
      on: { 'pool.add': { actions: 'add' }, 'pool.drain': 'draining' },
    },
    draining: {
      description: 'Its children close, each within its own deadline; takes no new ones.',
      tags: resting,
      entry: 'drain',
      on: { 'pool.empty': 'empty' },
    },
    empty: { type: 'final', entry: 'notifyEmpty' },
  },
})
