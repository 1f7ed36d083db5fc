/**
 * Owns: the life of a whole network, from the application's point of view.
 * Refuses to know: peers, sockets, frames. Only the listener and the reconnector can fail it.
 *
 *   starting   until the listener is bound (at once where nothing listens)
 *   running
 *   draining   takes nothing new; what was accepted is acknowledged; then batches end, and links say Goodbye
 *   stopped    final
 *   failed     the actor fails with the cause: the port cannot be bound, or the listener or reconnector failed beyond its intensity
 */
import { setup } from './xstate.ts'
import { placeholders, resting } from './chart.ts'
import type { Cause, ChartContext, ChartInput, ChildEvent, DeadlinePassed, StateMeta } from './chart.ts'

export interface SupervisorFacts {
  readonly identity: string
  readonly dialect: string
  /** How many; each is an actor of its own. A list of a thousand would be in every snapshot that an inspector gets. */
  readonly peers: number
}

/** @typeParam Request a call that makes sessions */
export type SupervisorChartEvent<Request = unknown> =
  | { readonly type: 'listener.listening'; readonly address: string }
  | { readonly type: 'listener.failed'; readonly cause: Cause }
  | { readonly type: 'listener.notWanted' }
  | { readonly type: 'sessions.make'; readonly request: Request }
  | { readonly type: 'control.open'; readonly request: Request }
  | {
      readonly type: 'link.ready' | 'link.up' | 'link.down' | 'link.failed'
      readonly peer: string
      readonly link: string
    }
  | { readonly type: 'links.settled' }
  | { readonly type: 'pool.emptied'; readonly kind: string }
  | { readonly type: 'network.quiet' }
  | { readonly type: 'network.shutdown' }
  | ChildEvent
  | DeadlinePassed

export const supervisorActions = [
  'begin',
  'notifyReady',
  'makeGroup',
  'recordLink',
  'refuse',
  'recordRestart',
  'recordFailure',
  'drain',
  'drainGroups',
  'drainPeers',
  'notifyStopped',
  'notifyFailed',
  'fail',
] as const

export const supervisorMachine = setup({
  types: {
    context: {} as ChartContext<SupervisorFacts>,
    events: {} as SupervisorChartEvent,
    input: {} as ChartInput<SupervisorFacts>,
    meta: {} as StateMeta,
    tags: {} as typeof resting,
  },
  actions: placeholders(supervisorActions),
}).createMachine({
  id: 'supervisor',
  context: ({ input }) => ({ facts: input.facts, body: input.body }),
  initial: 'starting',
  on: {
    'sessions.make': { actions: 'refuse' },
    'control.open': { actions: 'refuse' },
    'link.ready': { actions: 'recordLink' },
    'link.up': { actions: 'recordLink' },
    'link.down': { actions: 'recordLink' },
    'link.failed': { actions: 'recordLink' },
    'child.restarted': { actions: 'recordRestart' },
    'child.escalated': { target: '.failed', actions: 'recordFailure' },
    'network.shutdown': '.draining',
  },
  states: {
    starting: {
      meta: { deadline: 'bindTimeoutMs' },
      entry: 'begin',
      on: {
        'listener.listening': 'running',
        'listener.notWanted': 'running',
        // A port that cannot be bound at the start is a mistake of the configuration: say so at once.
        'listener.failed': { target: 'failed', actions: 'recordFailure' },
        'deadline.passed': { target: 'failed', actions: 'recordFailure' },
        'sessions.make': { actions: 'makeGroup' },
        'control.open': { actions: 'makeGroup' },
      },
    },
    running: {
      description: 'Until the application has enough of it.',
      tags: resting,
      entry: 'notifyReady',
      on: {
        'sessions.make': { actions: 'makeGroup' },
        'control.open': { actions: 'makeGroup' },
      },
    },
    draining: {
      meta: { deadline: 'shutdownTimeoutMs' },
      entry: 'drain',
      on: {
        'network.shutdown': {},
        'links.settled': { actions: 'drainGroups' },
        'pool.emptied': { actions: 'drainPeers' },
        'network.quiet': 'stopped',
        'deadline.passed': 'stopped',
        'child.restarted': {},
        'child.escalated': {},
      },
    },
    stopped: { type: 'final', entry: 'notifyStopped' },
    failed: {
      description: 'Fails the actor with the cause, so that whoever spawned it hears of an error and not of an end.',
      tags: resting,
      entry: ['notifyFailed', 'fail'],
    },
  },
})
