/**
 * Owns: what holds for every chart: its state × event table is the one written down, every event of its alphabet means
 * something somewhere, every state can be reached, and its ends are the ends that are named.
 * Refuses to know: any particular chart; each has a file beside this one.
 */
import { expect, it } from 'vitest'
import type { AnyEventObject, AnyStateMachine } from 'xstate'
import { stateTable } from '../support/state-table.ts'
import type { TableOptions } from '../support/state-table.ts'

/** An event by its name, where nothing of it but the name matters to the chart. */
export const named = (...types: readonly string[]): AnyEventObject[] => types.map((type) => ({ type }))

/** What a chart hears of its children; no guard looks at more than the kind of end. */
export const childEvents = named('child.done', 'child.failed', 'child.restarted', 'child.escalated')

export interface ChartContract extends TableOptions {
  readonly table: string
  readonly finals: readonly string[]
  /** Events that others send to it and that mean nothing to it in any state. */
  readonly ignored: readonly string[]
}

export function chartContract(machine: AnyStateMachine, contract: ChartContract): void {
  const found = stateTable(machine, contract)
  const sent = new Set(contract.events.map(({ type }) => type))

  it('does in each state, at each event, what the table says and nothing else', () => {
    expect(`\n${found.text}\n`).toBe(contract.table)
  })

  it('knows no event that is missing in the alphabet of this test', () => {
    expect([...found.alphabet].filter((type) => !sent.has(type))).toEqual([])
  })

  it(`gives every event of its alphabet a meaning in some state${contract.ignored.length === 0 ? '' : `, except ${contract.ignored.join(', ')}`}`, () => {
    expect([...sent].filter((type) => !found.handled.has(type)).sort()).toEqual([...contract.ignored].sort())
  })

  it('reaches every one of its states', () => {
    expect([...found.leaves].filter((leaf) => !found.reached.has(leaf))).toEqual([])
  })

  it(`ends in ${contract.finals.join(' or ')}, each of which is reached`, () => {
    expect([...found.finals].sort()).toEqual([...contract.finals].sort())
  })
}
