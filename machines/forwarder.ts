/**
 * Owns: the life of one direction of a link's bytes. One chart serves both directions, with one pump each in
 * actors/link/forwarder.ts.
 * Independent of: the bytes. The chart gets events when the flow blocks or drains, never for a transfer.
 *
 * opening there is no socket
 *   authenticating   a socket performs its handshake; nothing is forwarded
 *   open             flowing, or blocked. Out: the socket's buffer is full. In: the application has too much unread
 *   errored          the socket failed and is not released yet
 */
import { setup } from './xstate.ts'
import { placeholders, resting } from './chart.ts'
import type { ChartContext, ChartInput, StateMeta } from './chart.ts'

export interface ForwarderFacts {
  readonly direction: 'out' | 'in'
}

export type ForwarderEvent =
  | { readonly type: 'connection.started' }
  | { readonly type: 'connection.opened' }
  | { readonly type: 'connection.errored' }
  | { readonly type: 'connection.closed' }
  | { readonly type: 'pump.blocked' }
  | { readonly type: 'pump.drained' }
  | { readonly type: 'pump.crashed'; readonly error: unknown }
  | { readonly type: 'forwarder.close' }

export const forwarderActions = ['crash'] as const

export const forwarderMachine = setup({
  types: {
    context: {} as ChartContext<ForwarderFacts>,
    events: {} as ForwarderEvent,
    input: {} as ChartInput<ForwarderFacts>,
    meta: {} as StateMeta,
    tags: {} as typeof resting,
  },
  actions: placeholders(forwarderActions),
}).createMachine({
  id: 'forwarder',
  context: ({ input }) => ({ facts: input.facts, body: input.body }),
  initial: 'opening',
  on: {
    'connection.started': '.authenticating',
    'connection.errored': '.errored',
    'connection.closed': '.opening',
    'forwarder.close': '.closed',
    'pump.crashed': { actions: 'crash' },
  },
  states: {
    opening: {
      description: 'Waits for a socket; its link has the deadline.',
      tags: resting,
      on: { 'connection.opened': 'open', 'connection.closed': {}, 'connection.errored': {} },
    },
    authenticating: {
      description: 'Its connection has the deadline.',
      tags: resting,
      on: { 'connection.opened': 'open' },
    },
    open: {
      initial: 'flowing',
      states: {
        flowing: {
          description: 'At full speed; transfers are not events of the chart.',
          tags: resting,
          on: { 'pump.blocked': 'blocked' },
        },
        blocked: {
          description: 'Back-pressure: the receiving end accepts no more for now.',
          tags: resting,
          on: { 'pump.drained': 'flowing' },
        },
      },
    },
    errored: {
      description: 'Its connection has the deadline.',
      tags: resting,
      on: { 'connection.errored': {} },
    },
    closed: { type: 'final' },
  },
})
