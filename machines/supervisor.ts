/**
 * Owns: the life of a whole network, as the application sees it.
 * Independent of: peers, sockets, frames. Only the listener and the reconnector can fail it.
 *
 * starting until the listener is bound (at once if it does not listen)
 *   running
 *   draining   accepts nothing new; accepted values are acknowledged; then session groups end, and links send Goodbye
 *   stopped    final
 *   failed     with the cause: binding failed, or the listener or reconnector exceeded its restart intensity
 */
import { setup } from './xstate.ts'
import { placeholders, resting } from './chart.ts'
import type { Cause, ChartContext, ChartInput, ChildEvent, DeadlinePassed, StateMeta } from './chart.ts'

export interface SupervisorFacts {
  readonly identity: string
  readonly dialect: string
  /** The number of peers; each is an actor of its own. A list of them would be in every snapshot. */
  readonly peers: number
}

/** The commands of RFC 33. */
export const commandNames = [
  'peer.add',
  'peer.remove',
  'peer.connect',
  'peer.disconnect',
  'message.send',
  'message.multicast',
  'message.broadcast',
] as const

export type CommandName = (typeof commandNames)[number]

/**
 * @typeParam Request a call that makes sessions
 * @typeParam Command a command, opaque: the chart decides only whether it is carried out
 */
export type SupervisorChartEvent<Request = unknown, Command = unknown> =
  | { readonly type: 'listener.listening'; readonly address: string }
  | { readonly type: 'listener.failed'; readonly cause: Cause }
  | { readonly type: 'listener.notWanted' }
  | { readonly type: 'sessions.make'; readonly request: Request }
  | { readonly type: 'control.open'; readonly request: Request }
  | { readonly type: CommandName; readonly command: Command }
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
  'runCommand',
  'refuseCommand',
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

/** The same action for each command. */
const commands = <Action extends 'runCommand' | 'refuseCommand'>(actions: Action) =>
  ({
    'peer.add': { actions },
    'peer.remove': { actions },
    'peer.connect': { actions },
    'peer.disconnect': { actions },
    'message.send': { actions },
    'message.multicast': { actions },
    'message.broadcast': { actions },
  }) as const

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
    ...commands('refuseCommand'),
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
        // If binding fails at the start, the configuration is wrong: fail at once.
        'listener.failed': { target: 'failed', actions: 'recordFailure' },
        'deadline.passed': { target: 'failed', actions: 'recordFailure' },
        'sessions.make': { actions: 'makeGroup' },
        'control.open': { actions: 'makeGroup' },
        ...commands('runCommand'),
      },
    },
    running: {
      description: 'Until the application shuts it down.',
      tags: resting,
      entry: 'notifyReady',
      on: {
        'sessions.make': { actions: 'makeGroup' },
        'control.open': { actions: 'makeGroup' },
        ...commands('runCommand'),
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
      description: 'Fails the actor with the cause, so that its parent gets an error event and not a done event.',
      tags: resting,
      entry: ['notifyFailed', 'fail'],
    },
  },
})
