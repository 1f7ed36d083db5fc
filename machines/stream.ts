/**
 * Owns: the life of one stream, at the side that opens it and at the side that accepts it.
 * Independent of: its bytes, and of the link that carries it. The chart gets events when the stream changes, never for
 * a transfer.
 *
 * opening the Open has not left: there is no connection yet, or the peer allows no more streams
 *   authenticating   the peer decides whether it serves the stream
 *   open             bytes may flow in both directions, or in one
 *   errored          it failed, and is not destroyed yet: the application may read what had arrived
 */
import { setup } from './xstate.ts'
import { placeholders, resting } from './chart.ts'
import type { ChartContext, ChartInput, DeadlinePassed, StateMeta } from './chart.ts'

export interface StreamFacts {
  readonly peer: string
  readonly protocol: string
  readonly openedBy: 'self' | 'peer'
}

export type StreamEvent =
  | { readonly type: 'open.sent' }
  | { readonly type: 'stream.accepted' }
  | { readonly type: 'fin.sent' }
  | { readonly type: 'fin.received' }
  | { readonly type: 'stream.failed' }
  | { readonly type: 'stream.destroyed' }
  | DeadlinePassed

export const streamActions = ['giveUp', 'giveUpReading'] as const

export const streamMachine = setup({
  types: {
    context: {} as ChartContext<StreamFacts>,
    events: {} as StreamEvent,
    input: {} as ChartInput<StreamFacts>,
    meta: {} as StateMeta,
    tags: {} as typeof resting,
  },
  actions: placeholders(streamActions),
}).createMachine({
  id: 'stream',
  context: ({ input }) => ({ facts: input.facts, body: input.body }),
  initial: 'opening',
  on: {
    'stream.failed': '.errored',
    'stream.destroyed': '.closed',
  },
  states: {
    opening: {
      meta: { deadline: 'streamOpenTimeoutMs' },
      on: { 'open.sent': 'authenticating', 'deadline.passed': { actions: 'giveUp' } },
    },
    authenticating: {
      meta: { deadline: 'streamOpenTimeoutMs' },
      on: { 'stream.accepted': 'open', 'deadline.passed': { actions: 'giveUp' } },
    },
    open: {
      initial: 'both',
      states: {
        both: {
          description: 'Bytes may flow in both directions for as long as the application likes.',
          tags: resting,
          on: { 'fin.sent': 'reading', 'fin.received': 'writing' },
        },
        reading: {
          description: 'This side has finished writing; the peer decides when it has.',
          tags: resting,
          on: { 'fin.received': '#stream.closed' },
        },
        writing: {
          description: 'The peer has finished writing; the application decides when it has.',
          tags: resting,
          on: { 'fin.sent': '#stream.closed' },
        },
      },
    },
    errored: {
      meta: { deadline: 'closeTimeoutMs' },
      on: { 'stream.failed': {}, 'deadline.passed': { actions: 'giveUpReading' } },
    },
    closed: { type: 'final' },
  },
})
