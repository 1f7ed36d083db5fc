/**
 * Owns: the life of what opens streams to one peer: started by the first call, it ends when no connection can be made.
 * Independent of: streams that are open, which it does not own; and other peers.
 *
 * connecting the peer is not connected; the calls wait
 *   ready        streams are opened, as many at once as the peer allows
 *   failed       final: every call that waited got the cause. The next call starts another manager
 */
import { setup } from './xstate.ts'
import { placeholders, resting } from './chart.ts'
import type { Cause, ChartContext, ChartInput, DeadlinePassed, StateMeta } from './chart.ts'

export interface StreamManagerFacts {
  readonly peer: string
  readonly waiting: number
}

export type StreamManagerEvent =
  | { readonly type: 'manager.connected' }
  | { readonly type: 'manager.disconnected' }
  | { readonly type: 'manager.failed'; readonly cause: Cause }
  | { readonly type: 'link.close'; readonly cause: Cause }
  | DeadlinePassed

export const streamManagerActions = ['look', 'open', 'fail', 'giveUp'] as const

export const streamManagerMachine = setup({
  types: {
    context: {} as ChartContext<StreamManagerFacts>,
    events: {} as StreamManagerEvent,
    input: {} as ChartInput<StreamManagerFacts>,
    meta: {} as StateMeta,
    tags: {} as typeof resting,
  },
  actions: placeholders(streamManagerActions),
}).createMachine({
  id: 'streams',
  context: ({ input }) => ({ facts: input.facts, body: input.body }),
  initial: 'connecting',
  on: {
    'manager.failed': { target: '.failed', actions: 'fail' },
    'link.close': { target: '.closed', actions: 'fail' },
  },
  states: {
    connecting: {
      meta: { deadline: 'streamOpenTimeoutMs' },
      entry: 'look',
      on: { 'manager.connected': 'ready', 'deadline.passed': { target: 'failed', actions: 'giveUp' } },
    },
    ready: {
      description: 'Each stream that is opened has a deadline of its own.',
      tags: resting,
      entry: 'open',
      on: { 'manager.disconnected': 'connecting' },
    },
    failed: { type: 'final' },
    closed: { type: 'final' },
  },
})
