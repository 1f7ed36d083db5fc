/**
 * Owns: the life of one `makeSessions` call and of the sessions it made: they come up together, and in mode `fail`
 * they end together.
 * Refuses to know: sockets, frames, and how links come up.
 *
 *   queued       waits for its turn: calls to one peer are served in the order they were made
 *   connecting   waits until the links to all its peers are ready
 *   validating   each session sends its number in the batch and expects the same from every peer
 *   open         the sessions are the application's
 *   closing      its links flush
 *   closed | failed   final, with a cause
 */
import { setup } from './xstate.ts'
import { placeholders, resting } from './chart.ts'
import type { Cause, ChartContext, ChartInput, DeadlinePassed, StateMeta } from './chart.ts'

export interface BatchFacts {
  readonly peers: readonly string[]
  readonly sessions: number
  readonly connectionsPerPeer: number
  /** Links that are up, of all that it needs. */
  readonly readyLinks: number
  /** The connections of a control channel stand each for itself: who leaves after the barrier must not end that of the others. */
  readonly purpose: 'sessions' | 'control'
  /** `fail`: one lost connection ends the batch. `reconnect`: its links outlive it. `resume`: nothing is lost with a connection. */
  readonly onConnectionLost: 'resume' | 'reconnect' | 'fail'
}

export type BatchEvent =
  | { readonly type: 'turn.granted' }
  | { readonly type: 'link.ready'; readonly peer: string; readonly link: string }
  | { readonly type: 'link.up'; readonly peer: string; readonly link: string }
  | { readonly type: 'link.down'; readonly peer: string; readonly link: string; readonly cause: Cause }
  | { readonly type: 'link.failed'; readonly peer: string; readonly link: string; readonly cause: Cause }
  | { readonly type: 'batch.whole' }
  | { readonly type: 'batch.validated' }
  | { readonly type: 'batch.fail'; readonly cause: Cause }
  | { readonly type: 'batch.close'; readonly cause: Cause }
  | DeadlinePassed

export const batchActions = ['takeTurn', 'openLinks', 'noteReady', 'validate', 'settle', 'noteDown', 'noteGone', 'noteFailure', 'releaseLinks', 'reject', 'tellClosed'] as const

export const batchMachine = setup({
  types: {
    context: {} as ChartContext<BatchFacts>,
    events: {} as BatchEvent,
    input: {} as ChartInput<BatchFacts>,
    meta: {} as StateMeta,
    tags: {} as typeof resting,
  },
  actions: placeholders(batchActions),
  guards: {
    isControl: ({ context }) => context.facts.purpose === 'control',
    resumes: ({ context }) => context.facts.onConnectionLost === 'resume',
  },
}).createMachine({
  id: 'batch',
  context: ({ input }) => ({ facts: input.facts, body: input.body }),
  initial: 'queued',
  on: {
    'link.failed': { target: '.failed', actions: 'noteFailure' },
    'batch.fail': { target: '.failed', actions: 'noteFailure' },
    'batch.close': { target: '.failed', actions: 'noteFailure' },
    'deadline.passed': { target: '.failed', actions: 'noteFailure' },
  },
  states: {
    queued: {
      meta: { deadline: 'batchTimeoutMs' },
      entry: 'takeTurn',
      on: { 'turn.granted': 'connecting' },
    },
    connecting: {
      meta: { deadline: 'batchTimeoutMs' },
      entry: 'openLinks',
      on: {
        'link.ready': { actions: 'noteReady' },
        'link.up': { actions: 'noteReady' },
        'link.down': { actions: 'noteDown' },
        'batch.whole': 'validating',
      },
    },
    validating: {
      meta: { deadline: 'batchTimeoutMs' },
      entry: 'validate',
      on: {
        'batch.validated': 'open',
        // A validation that may have been lost cannot be told from one that never came: the whole call is made again.
        'link.down': [{ guard: 'resumes', actions: 'noteDown' }, { target: 'failed', actions: 'noteFailure' }],
      },
    },
    open: {
      description: 'The sessions are in use.',
      tags: resting,
      entry: 'settle',
      on: {
        'link.down': { actions: 'noteDown' },
        'link.failed': [{ guard: 'isControl', actions: 'noteGone' }, { target: 'failed', actions: 'noteFailure' }],
        'batch.close': { target: 'closed', actions: 'noteFailure' },
      },
    },
    closed: { type: 'final', entry: ['releaseLinks', 'tellClosed'] },
    failed: { type: 'final', entry: ['releaseLinks', 'reject', 'tellClosed'] },
  },
})
