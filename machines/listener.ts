/**
 * Owns: the life of the listener: bound or not.
 * Independent of: who is admitted (protocol/admission.ts) and the handshakes (connection actors). Its accept loop never
 * waits for a handshake: each accepted socket is a child of its own.
 */
import { setup } from './xstate.ts'
import { placeholders, resting } from './chart.ts'
import type { Cause, ChartContext, ChartInput, ChildEvent, DeadlinePassed, StateMeta } from './chart.ts'

export interface ListenerFacts {
  /** With the real port once it is bound. */
  readonly address: string
  /** Accepted sockets that do not belong to a link yet. */
  readonly handshakes: number
}

/**
 * @typeParam Pipe an accepted socket
 * @typeParam Offer an inbound connection that has named its link
 */
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
      description: 'Fails the actor. Its supervisor restarts it, and fails if that does not help.',
      tags: resting,
      entry: ['unbind', 'notifyFailed', 'fail'],
    },
    closed: { type: 'final', entry: 'unbind' },
  },
})
