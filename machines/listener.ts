/**
 * Owns: the life of the place where connections come in: bound or not.
 * Refuses to know: who is let in (protocol/admission.ts) and how they shake hands (the connection actors below it).
 * Its accept loop never waits for a handshake: each accepted socket is a child of its own.
 */
import { setup } from './xstate.ts'
import { placeholders, resting } from './chart.ts'
import type { Cause, ChartContext, ChartInput, ChildEvent, DeadlinePassed, StateMeta } from './chart.ts'

export interface ListenerFacts {
  /** With the real port once it is bound. */
  readonly address: string
  /** Accepted sockets that are no link's yet. */
  readonly handshakes: number
}

/** @typeParam Pipe an accepted socket @typeParam Offer an inbound connection that said for which link it is */
export type ListenerEvent<Pipe = unknown, Offer = unknown> =
  | { readonly type: 'listener.bound'; readonly address: string }
  | { readonly type: 'listener.failed'; readonly cause: Cause }
  | { readonly type: 'pipe.accepted'; readonly id: string; readonly pipe: Pipe }
  | { readonly type: 'connection.claimed'; readonly connection: string }
  | {
      readonly type: 'admission.decided'
      readonly connection: string
      readonly handover: Offer
      readonly refused: Cause | null
    }
  | {
      readonly type: 'connection.errored'
      readonly connection: string
      readonly remoteAddress: string
      readonly cause: Cause
    }
  | {
      readonly type: 'connection.closed'
      readonly connection: string
      readonly remoteAddress: string
      readonly cause: Cause | null
    }
  | { readonly type: 'listener.close' }
  | ChildEvent
  | DeadlinePassed

export const listenerActions = [
  'bind',
  'notifyListening',
  'admit',
  'place',
  'decide',
  'forget',
  'recordFailed',
  'refusePipe',
  'recordFailure',
  'notifyFailed',
  'unbind',
  'fail',
] as const

export const listenerMachine = setup({
  types: {
    context: {} as ChartContext<ListenerFacts>,
    events: {} as ListenerEvent,
    input: {} as ChartInput<ListenerFacts>,
    meta: {} as StateMeta,
    tags: {} as typeof resting,
  },
  actions: placeholders(listenerActions),
}).createMachine({
  id: 'listener',
  context: ({ input }) => ({ facts: input.facts, body: input.body }),
  initial: 'binding',
  on: {
    'connection.claimed': { actions: 'place' },
    'admission.decided': { actions: 'decide' },
    'connection.errored': { actions: 'recordFailed' },
    'connection.closed': { actions: ['recordFailed', 'forget'] },
    'child.done': { actions: 'forget' },
    'child.failed': { actions: 'forget' },
    'pipe.accepted': { actions: 'refusePipe' },
    'listener.close': '.closed',
  },
  states: {
    binding: {
      meta: { deadline: 'bindTimeoutMs' },
      entry: 'bind',
      on: {
        'listener.bound': 'listening',
        'listener.failed': { target: 'errored', actions: 'recordFailure' },
        'deadline.passed': { target: 'errored', actions: 'recordFailure' },
      },
    },
    listening: {
      description: 'Accepts. Each accepted socket has its own deadlines.',
      tags: resting,
      entry: 'notifyListening',
      on: { 'pipe.accepted': { actions: 'admit' }, 'listener.failed': { target: 'errored', actions: 'recordFailure' } },
    },
    errored: {
      description: 'Fails the actor: its supervisor restarts it, and fails with it when that does not help.',
      tags: resting,
      entry: ['unbind', 'notifyFailed', 'fail'],
    },
    closed: { type: 'final', entry: 'unbind' },
  },
})
