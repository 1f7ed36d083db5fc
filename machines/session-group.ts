/**
 * Owns: the life of one `makeSessions` call and its sessions: they open together, and in mode `fail` they end together.
 * Independent of: sockets, frames, and how links come up.
 *
 * queued       in ampc: calls to one peer are served in the order they were made
 *   pairing      native: waits until the calls of all parties have found each other
 *   connecting   in ampc: waits until the links to all its peers are ready
 *   validating   in ampc: each session sends its index in the group and expects the same from every peer
 *   open         the application uses the sessions
 *   closing      its links flush
 *   closed | failed   final, with a cause
 */
import { setup } from './xstate.ts'
import { placeholders, resting } from './chart.ts'
import type { Cause, ChartContext, ChartInput, DeadlinePassed, StateMeta } from './chart.ts'

export interface SessionGroupFacts {
  readonly peers: readonly string[]
  readonly sessions: number
  readonly connectionsPerPeer: number
  /** Links that are up, of those that it needs. */
  readonly readyLinks: number
  /**
   * The connections of a control channel are independent: a peer that leaves after the barrier must not end the others.
   */
  readonly purpose: 'sessions' | 'control'
  /**
   * `fail`: one lost connection ends the group. `reconnect`: its links outlive it. `resume`: nothing is lost with a
   * connection.
   */
  readonly onConnectionLost: 'resume' | 'reconnect' | 'fail'
}

export type SessionGroupEvent =
  | { readonly type: 'turn.granted' }
  | { readonly type: 'link.ready'; readonly peer: string; readonly link: string }
  | { readonly type: 'link.up'; readonly peer: string; readonly link: string }
  | { readonly type: 'link.down'; readonly peer: string; readonly link: string; readonly cause: Cause }
  | { readonly type: 'link.failed'; readonly peer: string; readonly link: string; readonly cause: Cause }
  | { readonly type: 'group.whole' }
  | { readonly type: 'group.validated' }
  | { readonly type: 'group.fail'; readonly cause: Cause }
  | { readonly type: 'group.close'; readonly cause: Cause }
  | DeadlinePassed

export const sessionGroupActions = [
  'takeTurn',
  'pair',
  'openLinks',
  'recordReady',
  'validate',
  'settle',
  'recordDown',
  'recordGone',
  'recordFailure',
  'releaseLinks',
  'reject',
  'notifyClosed',
] as const

export const sessionGroupMachine = setup({
  types: {
    context: {} as ChartContext<SessionGroupFacts>,
    events: {} as SessionGroupEvent,
    input: {} as ChartInput<SessionGroupFacts>,
    meta: {} as StateMeta,
    tags: {} as typeof resting,
  },
  actions: placeholders(sessionGroupActions),
  guards: {
    isControl: ({ context }) => context.facts.purpose === 'control',
    resumes: ({ context }) => context.facts.onConnectionLost === 'resume',
  },
}).createMachine({
  id: 'group',
  context: ({ input }) => ({ facts: input.facts, body: input.body }),
  initial: 'queued',
  on: {
    'link.failed': { target: '.failed', actions: 'recordFailure' },
    'group.fail': { target: '.failed', actions: 'recordFailure' },
    'group.close': { target: '.failed', actions: 'recordFailure' },
    'deadline.passed': { target: '.failed', actions: 'recordFailure' },
  },
  states: {
    queued: {
      meta: { deadline: 'makeSessionsTimeoutMs' },
      entry: 'takeTurn',
      on: { 'turn.granted': [{ guard: 'resumes', target: 'pairing' }, { target: 'connecting' }] },
    },
    pairing: {
      meta: { deadline: 'makeSessionsTimeoutMs' },
      entry: 'pair',
      on: {
        'link.ready': { actions: 'recordReady' },
        'link.up': { actions: 'recordReady' },
        'link.down': { actions: 'recordDown' },
        'group.whole': 'validating',
      },
    },
    connecting: {
      meta: { deadline: 'makeSessionsTimeoutMs' },
      entry: 'openLinks',
      on: {
        'link.ready': { actions: 'recordReady' },
        'link.up': { actions: 'recordReady' },
        'link.down': { actions: 'recordDown' },
        'group.whole': 'validating',
      },
    },
    validating: {
      meta: { deadline: 'makeSessionsTimeoutMs' },
      entry: 'validate',
      on: {
        'group.validated': 'open',
        // A lost validation cannot be distinguished from one that was never sent, so the whole call starts over.
        'link.down': [
          { guard: 'resumes', actions: 'recordDown' },
          { target: 'failed', actions: 'recordFailure' },
        ],
      },
    },
    open: {
      description: 'The sessions are in use.',
      tags: resting,
      entry: 'settle',
      on: {
        'link.down': { actions: 'recordDown' },
        'link.failed': [
          { guard: 'isControl', actions: 'recordGone' },
          { target: 'failed', actions: 'recordFailure' },
        ],
        'group.close': { target: 'closed', actions: 'recordFailure' },
      },
    },
    closed: { type: 'final', entry: ['releaseLinks', 'notifyClosed'] },
    failed: { type: 'final', entry: ['releaseLinks', 'reject', 'notifyClosed'] },
  },
})
