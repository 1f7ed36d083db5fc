/**
 * Owns: the life of one socket, from the first packet to the last: opening → authenticating → open → closing → closed,
 * and errored in between where something broke. A connection is never reused; reconnecting makes a new one.
 * Independent of: which carrier, which dialect, and every byte.
 *
 *                 dialer                                       acceptor
 *   opening       connecting → connected (securing)            connected (securing)
 *   authenticating greeting → authenticated                    greeting → claimed (who are you for?) → closed: its link has
 *                                                              taken the socket into a connection that begins authenticated
 *   open          adopted by its link: bytes flow
 *   closing       what was written is flushed, then the socket ends
 *   errored       lasts until the socket is really gone, so that it can be seen
 *   closed        with a cause
 */
import { setup } from './xstate.ts'
import { placeholders, resting } from './chart.ts'
import type { Cause, ChartContext, ChartInput, DeadlinePassed, StateMeta } from './chart.ts'

export interface ConnectionFacts {
  readonly role: 'dialer' | 'acceptor'
  readonly remoteAddress: string
  /** `off`: the network uses none. Once it is established, the key of the other side was checked. */
  readonly tls: 'off' | 'pending' | 'established'
  readonly isAuthenticated: boolean
  /** The first state: a dialled pipe connects, an accepted one is connected, one that its link took has shaken hands. */
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
          description: 'The socket is there; the carrier proves identities, if it is one that does.',
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
          description:
            'The other side said who it is and which link it is for. The link takes the socket over, or it is refused.',
          meta: { deadline: 'handshakeTimeoutMs' },
          entry: 'notifyClaimed',
          on: {
            'connection.handOn': { target: '#connection.closed', actions: 'handOn' },
          },
        },
        authenticated: {
          description:
            'Both sides agreed; nothing is read until a link adopts the connection. The link or its batch has the deadline.',
          tags: resting,
          entry: 'notifyAuthenticated',
          on: { 'connection.adopt': '#connection.open' },
        },
      },
    },
    open: {
      description: 'Bytes flow. Lasts as long as both sides like.',
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
      description: 'Destroyed, and not yet released by the carrier.',
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
