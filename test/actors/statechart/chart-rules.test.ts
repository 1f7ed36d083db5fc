/**
 * Owns: that a chart which does more than change its state is refused when it is compiled, and says why.
 * Independent of: the charts of this package, all of which are accepted (compiled-chart.test.ts).
 */
import { describe, expect, it } from 'vitest'
import { assign, fromPromise, raise, setup } from 'xstate'
import type { AnyStateMachine } from 'xstate'
import { CompiledChart } from '../../../actors/statechart/compiled-chart.ts'

const kit = setup({
  actions: { act: () => {}, assigns: assign({}) },
  guards: { may: () => true },
  actors: { work: fromPromise(() => Promise.resolve()) },
})

function chart(a: object, more: object = {}): AnyStateMachine {
  const states = { a, b: {}, ...more }
  return kit.createMachine({ id: 'x', initial: 'a', states: states as never }) as unknown as AnyStateMachine
}

const compile = (machine: AnyStateMachine): unknown => new CompiledChart(machine, { act: null })
const plain = setup({ actions: { act: () => {} }, guards: { may: () => true } })
const plainChart = (a: object): AnyStateMachine =>
  plain.createMachine({ id: 'x', initial: 'a', states: { a, b: {}, h: {} } as never }) as unknown as AnyStateMachine

describe('compiling a chart', () => {
  it.each<[string, object, string]>([
    ['an inline action', { entry: () => {} }, 'x.a has an unknown action, or one without a name'],
    ['an action that is not provided', { entry: 'other' }, 'x.a has an unknown action, or one without a name'],
    [
      'an inline guard',
      { on: { go: { guard: () => true, target: 'b' } } },
      'x.a has an unknown guard, or one without a name',
    ],
    ['an inline guard of an eventless transition', { always: { guard: () => true, target: 'b' } }, 'unknown guard'],
    ['params that are computed', { entry: { type: 'act', params: () => ({}) } }, 'x.a computes the params of act'],
    ['a raised event', { entry: raise({ type: 'go' }) }, 'x.a has an unknown action, or one without a name'],
    ['a delayed transition', { after: { 5: 'b' } }, 'x.a has a delayed transition'],
    ['an invoked actor', { invoke: { src: fromPromise(() => Promise.resolve()) } }, 'x.a invokes an actor'],
    ['a wildcard', { on: { '*': 'b' } }, 'x.a has a wildcard transition'],
    ['a partial wildcard', { on: { 'pipe.*': 'b' } }, 'x.a has a wildcard transition'],
    [
      'an end of a child of XState',
      { on: { 'xstate.done.actor.y': 'b' } },
      'x.a has a transition for xstate.done.actor.y',
    ],
    [
      'an onDone',
      { initial: 'c', states: { c: { type: 'final' } }, onDone: 'b' },
      'x.a has a transition for xstate.done.state.x.a',
    ],
    ['a history state', { initial: 'c', states: { c: {}, d: { type: 'history' } } }, 'x.a.d is a history state'],
    ['an output', { type: 'final', output: () => 5 }, 'x.a has an output'],
  ])('compiling a chart refuses %s', (_what, state, message) => {
    expect(() => compile(plainChart(state))).toThrow(message)
  })

  it('compiling a chart refuses a named action that is an assign of XState', () => {
    expect(() => compile(chart({}))).toThrow('chart x cannot be compiled: the action assigns is not a plain function')
  })

  it('compiling a chart accepts names with constant params', () => {
    const state = {
      entry: { type: 'act', params: { way: 1 } },
      on: { go: { guard: { type: 'may', params: 5 }, target: 'b' } },
    }
    expect(() => compile(plainChart(state))).not.toThrow()
  })
})
