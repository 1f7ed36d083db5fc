/**
 * Owns: the life of one direction of a link's bytes; one chart, two directions, and one pump each in actors/link/forwarder.ts.
 * Refuses to know: the bytes. A forwarder hears that it is blocked or drained, never that something was sent.
 *
 *   opening          there is no socket
 *   authenticating   a socket shakes hands; nothing is forwarded
 *   open             flowing, or blocked: out, the socket takes no more; in, the application has too much unread
 *   errored          the socket broke and is not released yet
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
      description: 'Waits for a socket; its link decides how long.',
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
          description: 'As fast as both sides like; what passes is not told to the chart.',
          tags: resting,
          on: { 'pump.blocked': 'blocked' },
        },
        blocked: {
          description: 'Back-pressure: as long as the other side does not take more.',
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
