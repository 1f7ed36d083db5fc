/**
 * Owns: that nothing waits forever by oversight: every state of every chart in which an actor can stay names a
 * deadline, or carries the tag `resting` and says in its description why it may last.
 * Independent of: how long a deadline is, and what keeps it (actors/statechart/chart-actor.ts).
 */
import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { setup } from 'xstate'
import type { AnyStateMachine, AnyStateNode } from 'xstate'
import * as charts from '../../machines/index.ts'
import type { StateMeta } from '../../machines/index.ts'

const machines = Object.entries(charts)
  .filter((entry): entry is [string, AnyStateMachine & (typeof entry)[1]] => entry[0].endsWith('Machine'))
  .map(([name, machine]) => ({ name, machine: machine as unknown as AnyStateMachine }))

function nodesBelow(node: AnyStateNode): AnyStateNode[] {
  return Object.values(node.states).flatMap((child) => [child, ...nodesBelow(child)])
}

const hasDeadline = (node: AnyStateNode): boolean => (node.meta as StateMeta | undefined)?.deadline !== undefined
const isResting = (node: AnyStateNode): boolean => node.tags.includes(charts.resting)
/** A state with an unguarded eventless transition is left at once. */
const isTransient = (node: AnyStateNode): boolean => node.always?.some(({ guard }) => guard === undefined) ?? false

/**
 * What is wrong with a state, in words. A compound state is covered by its children, and covers them by its own
 * deadline.
 */
function faultsOf(node: AnyStateNode, covered = false): string[] {
  const isCovered = covered || hasDeadline(node)
  const children = Object.values(node.states)
  const faults: string[] = []
  if (isResting(node) && (node.description ?? '').trim() === '') faults.push(`${node.id} rests without saying why`)
  if (isResting(node) && hasDeadline(node)) faults.push(`${node.id} has a deadline and rests`)
  if (children.length > 0) return [...faults, ...children.flatMap((child) => faultsOf(child, isCovered))]
  if (node.type === 'final' || node.type === 'history' || isTransient(node)) return faults
  if (!isCovered && !isResting(node)) faults.push(`${node.id} has no deadline and does not rest`)
  return faults
}

const faultsOfChart = (machine: AnyStateMachine): string[] =>
  Object.values(machine.root.states).flatMap((node) => faultsOf(node))

describe('every chart', () => {
  it('every chart in the machines folder is checked for deadlines', () => {
    const files = readdirSync(new URL('../../machines/', import.meta.url)).map((file) => file.replace('.ts', ''))
    const expected = files.filter((file) => !['chart', 'index', 'xstate'].includes(file))
    const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    expect(machines.map(({ name }) => kebab(name.replace('Machine', ''))).sort()).toEqual(expected.sort())
    expect(expected.length).toBeGreaterThanOrEqual(9)
  })
})

describe.each(machines)('$name', ({ name, machine }) => {
  it(`${name} bounds every state in which it can stay, or says why it may stay there`, () => {
    expect(faultsOfChart(machine)).toEqual([])
  })

  it(`${name} handles every deadline that it sets`, () => {
    const waiting = nodesBelow(machine.root).filter(hasDeadline)
    const unhandled = waiting.filter((node) => {
      for (let at: AnyStateNode | undefined = node; at !== undefined; at = at.parent)
        if (at.on['deadline.passed'] !== undefined) return false
      return true
    })
    expect(unhandled.map(({ id }) => id)).toEqual([])
  })

  it(`${name} uses no timers and no invoked children of XState`, () => {
    const nodes = [machine.root, ...nodesBelow(machine.root)]
    expect(nodes.filter(({ after, invoke }) => after.length > 0 || invoke.length > 0).map(({ id }) => id)).toEqual([])
  })
})

describe('the deadline check', () => {
  const chart = (states: object): AnyStateMachine =>
    setup({}).createMachine({ id: 'x', initial: 'a', states: states as never }) as unknown as AnyStateMachine

  it.each<[string, object, string[]]>([
    ['finds a state that waits forever', { a: {} }, ['x.a has no deadline and does not rest']],
    [
      'finds such a state below another one',
      { a: { initial: 'b', states: { b: {} } } },
      ['x.a.b has no deadline and does not rest'],
    ],
    ['finds a resting state without a reason', { a: { tags: 'resting' } }, ['x.a rests without saying why']],
    [
      'finds a resting state with a deadline',
      { a: { tags: 'resting', description: 'why', meta: { deadline: 'dialTimeoutMs' } } },
      ['x.a has a deadline and rests'],
    ],
    [
      'finds a transient state that may stay because of its guard',
      { a: { always: { guard: () => false, target: 'b' } }, b: { type: 'final' } },
      ['x.a has no deadline and does not rest'],
    ],
    ['accepts a resting state that says why', { a: { tags: 'resting', description: 'why' } }, []],
    [
      'accepts a deadline, even if only the parent state has it',
      { a: { meta: { deadline: 'dialTimeoutMs' }, initial: 'b', states: { b: {} } } },
      [],
    ],
    ['accepts final states and states that are left at once', { a: { always: 'b' }, b: { type: 'final' } }, []],
  ])('the deadline check %s', (_, states, faults) => {
    expect(faultsOfChart(chart(states))).toEqual(faults)
  })
})
