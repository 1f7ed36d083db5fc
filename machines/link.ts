/**
 * Owns: the life of one link: (peer, connection id), which outlives its sockets.
 * Refuses to know: frames, back-off, and how a connection shakes hands.
 *
 *   down.requesting   dialer: asked the reconnector for a dial
 *   down.expecting    acceptor: the claim (peer, connection id) is open; the listener will bring a socket
 *   connecting        a connection lives and is not authenticated
 *   ready             authenticated, held until the sessions it shall carry exist; passed by where bytes are read at once
 *   up                fresh, then stable: the back-off is forgotten at the first frame, or after 10 s
 *   closing           the connection flushes
 *   closed | failed   final; failed only where a lost connection may not be replaced
 */
import { setup } from './xstate.ts'
import { placeholders, resting } from './chart.ts'
import type { Cause, ChartContext, ChartInput, ChildEvent, DeadlinePassed, StateMeta } from './chart.ts'

export interface LinkFacts {
  readonly peer: string
  readonly connectionId: number
  readonly role: 'dialer' | 'acceptor'
  /** What identifies the lanes of now on the wire; null in a dialect that does not resume. */
  readonly epoch: string | null
  /** The number of its connection, counted from 1; 0 before the first. */
  readonly attempt: number
  readonly remoteAddress: string | null
  /** What a lost connection means: another one, or the end. */
  readonly onConnectionLost: 'reconnect' | 'fail'
  /** It takes a connection over at once, sessions or not, and is of use only then: what the hellos come to may end the lanes that it has. */
  readonly readsAtOnce: boolean
}

/** @typeParam Offer what an inbound connection offers; the chart passes it on */
export type LinkEvent<Offer = unknown> =
  | { readonly type: 'dial.granted'; readonly addresses: readonly string[] }
  | { readonly type: 'dial.unresolved'; readonly cause: Cause }
  | { readonly type: 'link.claimed'; readonly handover: Offer }
  | { readonly type: 'connection.authenticated'; readonly connection: string }
  | { readonly type: 'connection.errored'; readonly connection: string }
  | {
      readonly type: 'connection.closed'
      readonly connection?: string
      readonly cause: Cause
      readonly authenticated: boolean
    }
  | { readonly type: 'pump.started' }
  | { readonly type: 'pump.failed'; readonly cause: Cause }
  | { readonly type: 'link.adopt' }
  | { readonly type: 'link.close'; readonly cause: Cause }
  | { readonly type: 'reconnector.restarted' }
  | { readonly type: 'link.wanted' }
  | { readonly type: 'link.retry' }
  | { readonly type: 'link.unwanted'; readonly cause: Cause }
  | ChildEvent
  | DeadlinePassed

export const linkActions = [
  'requestDial',
  'requestOnce',
  'retryNow',
  'cancelDial',
  'openClaim',
  'closeClaim',
  'dial',
  'accept',
  'replace',
  'endDial',
  'notifyReady',
  'adopt',
  'resetBackoff',
  'recordErrored',
  'recordLost',
  'recordUnresolved',
  'failConnection',
  'dropConnection',
  'closeConnection',
  'notifyFailed',
  'recordRestart',
  'escalate',
] as const

const authenticated = [{ guard: 'readsAtOnce', target: 'up' }, { target: 'ready' }] as const

export const linkMachine = setup({
  types: {
    context: {} as ChartContext<LinkFacts>,
    events: {} as LinkEvent,
    input: {} as ChartInput<LinkFacts>,
    meta: {} as StateMeta,
    tags: {} as typeof resting,
  },
  actions: placeholders(linkActions),
  guards: {
    readsAtOnce: ({ context }) => context.facts.readsAtOnce,
    isDialer: ({ context }) => context.facts.role === 'dialer',
    mayReconnect: ({ context, event }) =>
      event.type === 'connection.closed' && (context.facts.onConnectionLost === 'reconnect' || !event.authenticated),
  },
}).createMachine({
  id: 'link',
  context: ({ input }) => ({ facts: input.facts, body: input.body }),
  initial: 'down',
  on: {
    'link.close': '.closing',
    'child.restarted': { actions: 'recordRestart' },
    'child.failed': { actions: 'recordRestart' },
    'child.escalated': { actions: 'escalate' },
    // A pump that finds a broken wire contract, or breaks itself, costs the connection; the chart hears of the end from it.
    'pump.failed': { actions: 'failConnection' },
    // The peer has no such link any more.
    'link.unwanted': { actions: 'dropConnection' },
    'connection.closed': [
      { guard: 'mayReconnect', target: '.down', actions: 'recordLost' },
      { target: '.failed', actions: 'recordLost' },
    ],
  },
  states: {
    down: {
      initial: 'deciding',
      states: {
        deciding: { always: [{ guard: 'isDialer', target: 'requesting' }, { target: 'expecting' }] },
        requesting: {
          description:
            'The reconnector grants at the latest at the cap of its back-off; if it was lost meanwhile, ask again. A link that the peer may not have asks when that is known. Where both sides may dial, the other may come first.',
          meta: { deadline: 'grantTimeoutMs' },
          entry: 'requestDial',
          exit: 'cancelDial',
          on: {
            'dial.granted': '#link.connecting',
            'dial.unresolved': { target: 'requesting', reenter: true, actions: 'recordUnresolved' },
            'link.claimed': '#link.accepting',
            'reconnector.restarted': { actions: 'requestDial' },
            'link.wanted': { actions: 'requestOnce' },
            'link.retry': { actions: 'retryNow' },
            'deadline.passed': { target: 'requesting', reenter: true },
          },
        },
        expecting: {
          description: 'The other side dials when it can; whoever asked for the link has the deadline.',
          tags: resting,
          entry: 'openClaim',
          exit: 'closeClaim',
          on: { 'link.claimed': { target: '#link.accepting' } },
        },
      },
    },
    connecting: {
      description:
        'Bounded by the deadlines of the connection; this one is for a connection that keeps silent about its end.',
      meta: { deadline: 'connectTimeoutMs' },
      entry: 'dial',
      on: {
        'connection.authenticated': authenticated,
        // Dials crossed, and the other one stays.
        'link.claimed': { target: 'accepting', actions: 'replace' },
        'deadline.passed': { actions: 'failConnection' },
      },
    },
    accepting: {
      meta: { deadline: 'connectTimeoutMs' },
      entry: 'accept',
      on: {
        'connection.authenticated': authenticated,
        'link.claimed': { target: 'accepting', reenter: true, actions: 'replace' },
        'deadline.passed': { actions: 'failConnection' },
      },
    },
    ready: {
      description: 'Nothing is read before the sessions exist; the batch that makes them has the deadline.',
      tags: resting,
      entry: ['endDial', 'notifyReady'],
      on: { 'link.adopt': 'up', 'link.claimed': { target: 'accepting', actions: 'replace' } },
    },
    up: {
      initial: 'fresh',
      // The reconnector can wait for bytes, and not they for it.
      entry: ['adopt', 'endDial'],
      on: {
        'connection.errored': { actions: 'recordErrored' },
        // Only the dialer dials, so a new claim means that the peer has given up the connection we still hold.
        'link.claimed': { target: 'accepting', actions: 'replace' },
      },
      states: {
        fresh: {
          meta: { deadline: 'stableAfterMs' },
          on: {
            'pump.started': { target: 'stable', actions: 'resetBackoff' },
            'deadline.passed': { target: 'stable', actions: 'resetBackoff' },
          },
        },
        stable: { description: 'Lasts as long as the connection.', tags: resting },
      },
    },
    closing: {
      meta: { deadline: 'closeTimeoutMs' },
      entry: 'closeConnection',
      on: {
        'link.close': {},
        'connection.closed': { target: 'closed', actions: 'recordLost' },
        'deadline.passed': 'closed',
      },
    },
    closed: { type: 'final' },
    failed: { type: 'final', entry: 'notifyFailed' },
  },
})
