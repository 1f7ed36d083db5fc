/**
 * Owns: when dials are granted. It re-creates only connections that were requested, with growing delays while they
 * fail, and a bounded number at a time.
 * Independent of: sockets. It grants; links dial.
 */
import { setup } from './xstate.ts'
import { placeholders, resting } from './chart.ts'
import type { Cause, ChartContext, ChartInput, StateMeta } from './chart.ts'

export interface ReconnectorFacts {
  readonly dialsMax: number
  /** Dials that were granted and have not ended. */
  readonly dialing: number
  /** Links that dial, wait, or may ask again. */
  readonly links: number
}

/** @typeParam Link the actor that gets the grant */
export type ReconnectorEvent<Link = unknown> =
  | { readonly type: 'dial.request'; readonly key: string; readonly link: Link; readonly host: string }
  | { readonly type: 'dial.cancel'; readonly key: string }
  | { readonly type: 'dial.ended'; readonly key: string }
  | { readonly type: 'dial.reset'; readonly key: string }
  | {
      readonly type: 'dial.judged'
      readonly key: string
      readonly retry: 'now' | 'free' | 'next' | 'wait' | 'cap' | 'stale'
    }
  | { readonly type: 'dial.forget'; readonly key: string }
  | { readonly type: 'dial.hurry'; readonly peer: string }
  | { readonly type: 'dial.due'; readonly key: string }
  | { readonly type: 'dial.resolved'; readonly key: string; readonly addresses: readonly string[] }
  | { readonly type: 'dial.unresolved'; readonly key: string; readonly cause: Cause }
  | { readonly type: 'slots.used' }
  | { readonly type: 'slots.free' }
  | { readonly type: 'reconnector.stop' }

export const reconnectorActions = [
  'enqueue',
  'cancel',
  'end',
  'reset',
  'judge',
  'forget',
  'hurry',
  'resolve',
  'giveUp',
  'grant',
  'grantWaiting',
  'stopAll',
] as const

export const reconnectorMachine = setup({
  types: {
    context: {} as ChartContext<ReconnectorFacts>,
    events: {} as ReconnectorEvent,
    input: {} as ChartInput<ReconnectorFacts>,
    meta: {} as StateMeta,
    tags: {} as typeof resting,
  },
  actions: placeholders(reconnectorActions),
}).createMachine({
  id: 'reconnector',
  context: ({ input }) => ({ facts: input.facts, body: input.body }),
  initial: 'granting',
  on: {
    'dial.request': { actions: 'enqueue' },
    'dial.cancel': { actions: 'cancel' },
    'dial.ended': { actions: 'end' },
    'dial.reset': { actions: 'reset' },
    'dial.judged': { actions: 'judge' },
    'dial.forget': { actions: 'forget' },
    'dial.hurry': { actions: 'hurry' },
    'dial.due': { actions: 'resolve' },
    'dial.resolved': { actions: 'grant' },
    'dial.unresolved': { actions: 'giveUp' },
    'reconnector.stop': '.stopped',
  },
  states: {
    granting: {
      description: 'There is room for another dial.',
      tags: resting,
      on: { 'slots.used': 'saturated' },
    },
    saturated: {
      description: 'The limit of concurrent dials is reached; each dial has its own deadline.',
      tags: resting,
      on: { 'slots.free': { target: 'granting', actions: 'grantWaiting' } },
    },
    stopped: { type: 'final', entry: 'stopAll' },
  },
})
