/**
 * Owns: that nothing waits for ever by oversight: every state of every chart in which an actor can rest names a deadline,
 * or carries the tag `resting` and says in its description why it may last.
 * Refuses to know: how long a deadline is, and who keeps it (actors/statechart/chart-actor.ts).
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
/** A state with an eventless way out that has no guard is left in the same breath. */
const isTransient = (node: AnyStateNode): boolean => node.always?.some(({ guard }) => guard === undefined) ?? false

/** What is wrong with a state, in words; a compound is covered by its children, and covers them by a deadline of its own. */
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
  it('every chart of the folder is looked at', () => {
    const files = readdirSync(new URL('../../machines/', import.meta.url)).map((file) => file.replace('.ts', ''))
    const expected = files.filter((file) => !['chart', 'index', 'xstate'].includes(file))
    expect(machines.map(({ name }) => name.replace('Machine', '')).sort()).toEqual(expected.sort())
    expect(expected.length).toBeGreaterThanOrEqual(9)
  })
})

describe.each(machines)('$name', ({ machine }) => {
  it('bounds every state in which it can rest, or says why it may rest there', () => {
    expect(faultsOfChart(machine)).toEqual([])
  })

  it('hears of every deadline that it sets', () => {
    const waiting = nodesBelow(machine.root).filter(hasDeadline)
    const deaf = waiting.filter((node) => {
      for (let at: AnyStateNode | undefined = node; at !== undefined; at = at.parent)
        if (at.on['deadline.passed'] !== undefined) return false
      return true
    })
    expect(deaf.map(({ id }) => id)).toEqual([])
  })

  it('uses no timers of XState and no children of XState: deadlines are in the wheel, children in a Map', () => {
    const nodes = [machine.root, ...nodesBelow(machine.root)]
    expect(nodes.filter(({ after, invoke }) => after.length > 0 || invoke.length > 0).map(({ id }) => id)).toEqual([])
  })
})

describe('the check itself', () => {
  const chart = (states: object): AnyStateMachine =>
    setup({}).createMachine({ id: 'x', initial: 'a', states: states as never }) as unknown as AnyStateMachine

  it.each<[string, object, string[]]>([
    ['finds a state that waits for ever', { a: {} }, ['x.a has no deadline and does not rest']],
    [
      'finds it below another one',
      { a: { initial: 'b', states: { b: {} } } },
      ['x.a.b has no deadline and does not rest'],
    ],
    ['finds a rest without a reason', { a: { tags: 'resting' } }, ['x.a rests without saying why']],
    [
      'finds a rest with a deadline',
      { a: { tags: 'resting', description: 'why', meta: { deadline: 'dialTimeoutMs' } } },
      ['x.a has a deadline and rests'],
    ],
    [
      'finds a transient state that may stay because of its guard',
      { a: { always: { guard: () => false, target: 'b' } }, b: { type: 'final' } },
      ['x.a has no deadline and does not rest'],
    ],
    ['is content with a rest that says why', { a: { tags: 'resting', description: 'why' } }, []],
    [
      'is content with a deadline, also where the parent has it',
      { a: { meta: { deadline: 'dialTimeoutMs' }, initial: 'b', states: { b: {} } } },
      [],
    ],
    ['is content with ends and with states that are left at once', { a: { always: 'b' }, b: { type: 'final' } }, []],
  ])('the check itself %s', (_, states, faults) => {
    expect(faultsOfChart(chart(states))).toEqual(faults)
  })
})
