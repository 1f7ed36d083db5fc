/**
 * Owns: the life of one link, identified by (peer, connection id), which outlives its sockets.
 * Independent of: frames, back-off, and the handshake of a connection.
 *
 * down.requesting dialer: has asked the reconnector for a dial
 *   down.paused       not wanted: only the peer may dial, if at all
 *   down.expecting    acceptor: waits for the listener to bring a socket for (peer, connection id)
 *   connecting        has a connection that is not authenticated
 *   ready             authenticated; waits until its sessions exist. Skipped where bytes are read at once
 *   up                fresh, then stable: the back-off is reset at the first frame, or after 10 s
 *   closing           the connection flushes
 *   closed | failed   final; failed only where a lost connection may not be replaced
 */
import { setup } from './xstate.ts'
import { placeholders, resting } from './chart.ts'
import type { Cause, ChartContext, ChartInput, ChildEvent, DeadlinePassed, StateMeta } from './chart.ts'

export interface LinkFacts {
  readonly peer: string
  readonly linkIndex: number
  readonly role: 'dialer' | 'acceptor'
  /** This side dials, or waits for a dial as usual. Otherwise it only takes the peer's dials. */
  readonly isWanted: boolean
  /** Identifies the current lanes on the wire; null in a dialect that does not resume. */
  readonly epoch: string | null
  /** The index of its current connection, counted from 1; 0 before the first. */
  readonly attempt: number
  readonly remoteAddress: string | null
  /** Whether a lost connection is replaced or ends the link. */
  readonly onConnectionLost: 'reconnect' | 'fail'
  /** Whether it takes over a connection at once, with or without sessions: the hellos may end the lanes that exist. */
  readonly readsAtOnce: boolean
}

/** @typeParam Offer an inbound connection, which the chart passes on */
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
  /** The peer's desired state has changed. */
  | { readonly type: 'link.resume' }
  | { readonly type: 'link.pause'; readonly cause: Cause }
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
  'pauseConnection',
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
    isPaused: ({ context }) => !context.facts.isWanted,
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
    // A protocol error or a bug in a pump ends the connection; the chart gets the event for that end.
    'pump.failed': { actions: 'failConnection' },
    // The peer does not have this link any more, or a connection is no good. It is no violation: what it carried stays.
    'link.unwanted': { actions: 'dropConnection' },
    // Goodbye, if the connection is up. The link stays.
    'link.pause': { actions: 'pauseConnection' },
    'connection.closed': [
      { guard: 'mayReconnect', target: '.down', actions: 'recordLost' },
      { target: '.failed', actions: 'recordLost' },
    ],
  },
  states: {
    down: {
      initial: 'deciding',
      states: {
        deciding: {
          always: [
            { guard: 'isPaused', target: 'paused' },
            { guard: 'isDialer', target: 'requesting' },
            { target: 'expecting' },
          ],
        },
        paused: {
          description: 'This side does not dial. It takes the dials of a peer that is connected on demand.',
          tags: resting,
          entry: 'openClaim',
          on: {
            'link.claimed': '#link.accepting',
            'link.resume': 'deciding',
            'link.pause': {},
          },
        },
        requesting: {
          description:
            'The reconnector grants a dial no later than the back-off cap; if the request is lost, it is sent again. ' +
            'A link that the peer may not have waits until that is known. The other side may dial first if it can.',
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
            'link.resume': 'deciding',
            'link.pause': 'deciding',
            'deadline.passed': { target: 'requesting', reenter: true },
          },
        },
        expecting: {
          description: 'The other side dials when it can; the session group has the deadline.',
          tags: resting,
          entry: 'openClaim',
          exit: 'closeClaim',
          on: { 'link.claimed': { target: '#link.accepting' }, 'link.resume': 'deciding', 'link.pause': 'deciding' },
        },
      },
    },
    connecting: {
      description:
        'The connection has deadlines of its own; this one covers a connection that does not report its end.',
      meta: { deadline: 'connectTimeoutMs' },
      entry: 'dial',
      on: {
        'connection.authenticated': authenticated,
        // Simultaneous open: the other connection stays.
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
      description: 'Nothing is read before the sessions exist; their session group has the deadline.',
      tags: resting,
      entry: ['endDial', 'notifyReady'],
      on: { 'link.adopt': 'up', 'link.claimed': { target: 'accepting', actions: 'replace' } },
    },
    up: {
      initial: 'fresh',
      // Lets the reconnector stay idle until bytes arrive, not the other way round.
      entry: ['adopt', 'endDial'],
      on: {
        'connection.errored': { actions: 'recordErrored' },
        // Only the dialer dials, so a new claim means that the peer has given up the current connection.
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
