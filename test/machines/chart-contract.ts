/**
 * Owns: what holds for every chart: its state × event table is the one in the test, every event of its alphabet is
 * handled somewhere, every state can be reached, and its final states are the ones that are named.
 * Independent of: any particular chart; each has a file beside this one.
 */
import { expect, it } from 'vitest'
import type { AnyEventObject, AnyStateMachine } from 'xstate'
import { stateTable } from '../support/state-table.ts'
import type { TableOptions } from '../support/state-table.ts'

/** An event of which only the name matters to the chart. */
export const named = (...types: readonly string[]): AnyEventObject[] => types.map((type) => ({ type }))

/** The events that children cause; no guard looks at more than the kind of end. */
export const childEvents = named('child.done', 'child.failed', 'child.restarted', 'child.escalated')

export interface ChartContract extends TableOptions {
  readonly table: string
  readonly finals: readonly string[]
  /** Events that others send to it and that it handles in no state. */
  readonly ignored: readonly string[]
}

export function chartContract(machine: AnyStateMachine, contract: ChartContract): void {
  const name = machine.id
  const found = stateTable(machine, contract)
  const sent = new Set(contract.events.map(({ type }) => type))

  it(`the ${name} chart does exactly what its table says, in every state at every event`, () => {
    expect(`\n${found.text}\n`).toBe(contract.table)
  })

  it(`the ${name} chart has no event that its test does not send`, () => {
    expect([...found.alphabet].filter((type) => !sent.has(type))).toEqual([])
  })

  const exceptions = contract.ignored.length === 0 ? '' : `, except ${contract.ignored.join(', ')}`
  it(`the ${name} chart handles every event of its alphabet in some state${exceptions}`, () => {
    expect([...sent].filter((type) => !found.handled.has(type)).sort()).toEqual([...contract.ignored].sort())
  })

  it(`the ${name} chart reaches every one of its states`, () => {
    expect([...found.leaves].filter((leaf) => !found.reached.has(leaf))).toEqual([])
  })

  it(`the ${name} chart ends in ${contract.finals.join(' or ')} and reaches each of them`, () => {
    expect([...found.finals].sort()).toEqual([...contract.finals].sort())
  })
}
