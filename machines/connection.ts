/**
 * Owns: the life of one socket: opening → authenticating → open → closing → closed, with errored in between after a
 * failure. A connection is never reused; reconnecting creates a new one.
 * Independent of: the transport, the dialect, and the bytes.
 *
 *                 dialer                                       acceptor
 *   opening       connecting → connected (securing)            connected (securing)
 *   authenticating greeting → authenticated                    greeting → claimed (which link is it for?) → closed: its
 *                                                              link moves the socket to a new, authenticated connection
 *   open          adopted by its link: bytes flow
 *   closing       what was written is flushed, then the socket ends
 *   errored       lasts until the socket is released, so that the state is visible
 *   closed        with a cause
 */
import { setup } from './xstate.ts'
import { placeholders, resting } from './chart.ts'
import type { Cause, ChartContext, ChartInput, DeadlinePassed, StateMeta } from './chart.ts'

export interface ConnectionFacts {
  readonly role: 'dialer' | 'acceptor'
  readonly remoteAddress: string
  /** `off`: the network does not use TLS. Once established, the other side's key has been verified. */
  readonly tls: 'off' | 'pending' | 'established'
  readonly isAuthenticated: boolean
  /**
   * The initial state: a dialled pipe connects, an accepted one is connected, and one that its link took has completed
   * its handshake.
   */
  readonly begins: 'connecting' | 'connected' | 'authenticated'
}

export type ConnectionEvent =
  | { readonly type: 'pipe.opened' }
  | { readonly type: 'pipe.secured' }
  | { readonly type: 'pipe.failed'; readonly cause: Cause }
  | { readonly type: 'pipe.ended'; readonly cause: Cause }
  | { readonly type: 'pipe.closed'; readonly cause: Cause | null }
  | { readonly type: 'handshake.claimed' }
  | { readonly type: 'handshake.verified' }
  | { readonly type: 'handshake.failed'; readonly cause: Cause }
  | { readonly type: 'connection.handOn' }
  | { readonly type: 'connection.adopt' }
  | { readonly type: 'connection.close'; readonly cause: Cause }
  | { readonly type: 'connection.fail'; readonly cause: Cause }
  | DeadlinePassed

export const connectionActions = [
  'secure',
  'greet',
  'notifyClaimed',
  'notifyAuthenticated',
  'handOn',
  'endPipe',
  'destroyPipe',
  'recordCause',
  'notifyErrored',
  'notifyClosed',
] as const

export const connectionMachine = setup({
  types: {
    context: {} as ChartContext<ConnectionFacts>,
    events: {} as ConnectionEvent,
    input: {} as ChartInput<ConnectionFacts>,
    meta: {} as StateMeta,
    tags: {} as typeof resting,
  },
  actions: placeholders(connectionActions),
  guards: {
    beginsConnecting: ({ context }) => context.facts.begins === 'connecting',
    beginsAuthenticated: ({ context }) => context.facts.begins === 'authenticated',
  },
}).createMachine({
  id: 'connection',
  context: ({ input }) => ({ facts: input.facts, body: input.body }),
  initial: 'opening',
  on: {
    'connection.close': { target: '.closing', actions: 'recordCause' },
    'connection.fail': { target: '.errored', actions: 'recordCause' },
    'pipe.failed': { target: '.errored', actions: 'recordCause' },
    'handshake.failed': { target: '.errored', actions: 'recordCause' },
    'deadline.passed': { target: '.errored', actions: 'recordCause' },
    'pipe.ended': { target: '.closing', actions: 'recordCause' },
    'pipe.closed': { target: '.closed', actions: 'recordCause' },
  },
  states: {
    opening: {
      initial: 'beginning',
      states: {
        beginning: {
          always: [
            { guard: 'beginsConnecting', target: 'connecting' },
            { guard: 'beginsAuthenticated', target: '#connection.authenticating.authenticated' },
            { target: 'connected' },
          ],
        },
        connecting: {
          meta: { deadline: 'dialTimeoutMs' },
          on: { 'pipe.opened': 'connected' },
        },
        connected: {
          description: 'The socket is connected; the transport proves identities, if it can.',
          meta: { deadline: 'handshakeTimeoutMs' },
          entry: 'secure',
          on: { 'pipe.secured': '#connection.authenticating' },
        },
      },
    },
    authenticating: {
      initial: 'greeting',
      states: {
        greeting: {
          meta: { deadline: 'handshakeTimeoutMs' },
          entry: 'greet',
          on: { 'handshake.claimed': 'claimed', 'handshake.verified': 'authenticated' },
        },
        claimed: {
          description: 'The hello named the peer and the link. The link takes the socket over, or refuses it.',
          meta: { deadline: 'handshakeTimeoutMs' },
          entry: 'notifyClaimed',
          on: {
            'connection.handOn': { target: '#connection.closed', actions: 'handOn' },
          },
        },
        authenticated: {
          description:
            'Both sides agreed; nothing is read until a link adopts the connection. The link or its session group ' +
            'has the deadline.',
          tags: resting,
          entry: 'notifyAuthenticated',
          on: { 'connection.adopt': '#connection.open' },
        },
      },
    },
    open: {
      description: 'Bytes flow until either side ends the connection.',
      tags: resting,
    },
    closing: {
      meta: { deadline: 'closeTimeoutMs' },
      entry: 'endPipe',
      on: {
        'connection.close': {},
        'pipe.ended': {},
        'deadline.passed': { target: 'errored' },
      },
    },
    errored: {
      description: 'Destroyed, and not yet released by the transport.',
      meta: { deadline: 'closeTimeoutMs' },
      entry: ['destroyPipe', 'notifyErrored'],
      on: {
        'connection.close': {},
        'connection.fail': {},
        'pipe.failed': {},
        'pipe.ended': {},
        'handshake.failed': {},
        'pipe.closed': 'closed',
        'deadline.passed': 'closed',
      },
    },
    closed: { type: 'final', entry: 'notifyClosed' },
  },
})
