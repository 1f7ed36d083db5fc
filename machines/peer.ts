/**
 * Owns: the links to one peer, and containing the failures of its actors.
 * Independent of: sockets and frames; other peers.
 *
 * idle has no links
 *   active    has links
 *   errored   its actors failed too often; retried at the back-off cap. Other peers are not affected
 *   closing   its links flush
 *   closed    final
 */
import { setup } from './xstate.ts'
import { placeholders, resting } from './chart.ts'
import type { Cause, ChartContext, ChartInput, ChildEvent, DeadlinePassed, StateMeta } from './chart.ts'

export interface PeerFacts {
  readonly peer: string
  readonly links: number
}

/** @typeParam Request which link is needed, and by whom */
export type PeerEvent<Request = unknown> =
  | { readonly type: 'link.open'; readonly request: Request }
  | { readonly type: 'link.release'; readonly link: string; readonly cause: Cause }
  | { readonly type: 'link.break'; readonly link: string; readonly cause: Cause }
  | { readonly type: 'link.ready'; readonly link: string }
  | { readonly type: 'link.up'; readonly link: string }
  | { readonly type: 'link.down'; readonly link: string; readonly cause: Cause }
  | { readonly type: 'link.failed'; readonly link: string; readonly cause: Cause }
  | { readonly type: 'peer.empty' }
  | { readonly type: 'peer.close'; readonly cause: Cause; readonly withinMs?: number }
  | { readonly type: 'reconnector.restarted' }
  | { readonly type: 'link.retry' }
  | { readonly type: 'link.resume' }
  | { readonly type: 'link.pause'; readonly cause: Cause }
  /** Somebody wants a stream, and nothing opens streams to this peer yet. */
  | { readonly type: 'streams.start'; readonly openings: unknown }
  | ChildEvent
  | DeadlinePassed

export const peerActions = [
  'openLink',
  'releaseLink',
  'breakLink',
  'relay',
  'forgetLink',
  'wakeLinks',
  'pauseLinks',
  'recordRestart',
  'recordEscalation',
  'notifyErrored',
  'reopenLinks',
  'closeLinks',
  'refuseLink',
  'startStreams',
] as const

export const peerMachine = setup({
  types: {
    context: {} as ChartContext<PeerFacts>,
    events: {} as PeerEvent,
    input: {} as ChartInput<PeerFacts>,
    meta: {} as StateMeta,
    tags: {} as typeof resting,
  },
  actions: placeholders(peerActions),
}).createMachine({
  id: 'peer',
  context: ({ input }) => ({ facts: input.facts, body: input.body }),
  initial: 'idle',
  on: {
    'link.release': { actions: 'releaseLink' },
    'link.break': { actions: 'breakLink' },
    'link.ready': { actions: 'relay' },
    'link.up': { actions: 'relay' },
    'link.down': { actions: 'relay' },
    'link.failed': { actions: 'relay' },
    'child.done': { actions: 'forgetLink' },
    'child.failed': { actions: 'recordEscalation' },
    'child.restarted': { actions: 'recordRestart' },
    'child.escalated': { target: '.errored', actions: 'recordEscalation' },
    'reconnector.restarted': { actions: 'wakeLinks' },
    'link.retry': { actions: 'wakeLinks' },
    'link.resume': { actions: 'wakeLinks' },
    'link.pause': { actions: 'pauseLinks' },
    'streams.start': { actions: 'startStreams' },
    'peer.close': '.closing',
  },
  states: {
    idle: {
      description: 'It has no links.',
      tags: resting,
      on: { 'link.open': { target: 'active', actions: 'openLink' } },
    },
    active: {
      description: 'Its links have the deadlines.',
      tags: resting,
      on: { 'link.open': { actions: 'openLink' } },
    },
    errored: {
      meta: { deadline: 'backoffMaxMs' },
      entry: 'notifyErrored',
      on: {
        'link.open': { actions: 'openLink' },
        'child.escalated': { actions: 'recordEscalation' },
        'deadline.passed': { target: 'active', actions: 'reopenLinks' },
      },
    },
    closing: {
      meta: { deadline: 'shutdownTimeoutMs' },
      entry: 'closeLinks',
      on: {
        'link.open': { actions: 'refuseLink' },
        'child.failed': { actions: 'forgetLink' },
        'child.escalated': { actions: 'forgetLink' },
        'peer.empty': 'closed',
        'streams.start': {},
        'deadline.passed': 'closed',
        'peer.close': {},
      },
    },
    closed: { type: 'final' },
  },
})
