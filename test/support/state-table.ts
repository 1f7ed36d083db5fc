/**
 * Owns: writing a chart as a state × event table, as text that people read and a test compares.
 * Independent of: any particular chart, and what its actions do: nothing is executed here.
 *
 * A block is a state. A line is an event that has an effect in it: the state it leads to, and the actions it would run;
 * `stays` where it runs actions and the state remains the same. An event without a line is ignored there. A final state
 * handles nothing. For a second life, only the blocks that differ from those above are written.
 */
import { getAdjacencyMap } from 'xstate/graph'
import { initialTransition, transition } from 'xstate'
import type { AnyEventObject, AnyMachineSnapshot, AnyStateMachine } from 'xstate'

export interface TableOptions {
  /** One set of facts for each kind of life; the rows of each are headed by its name. */
  readonly lives: Readonly<Record<string, object>>
  /** The whole alphabet: every event, and every variant of it that a guard distinguishes. */
  readonly events: readonly (AnyEventObject & { readonly as?: string })[]
}

export interface StateTable {
  readonly text: string
  /** Every state that was reached, in dot notation, over all lives. */
  readonly reached: ReadonlySet<string>
  /** Every leaf of the chart. */
  readonly leaves: ReadonlySet<string>
  /** Events that had an effect somewhere. */
  readonly handled: ReadonlySet<string>
  /** Names of the events in the chart itself. */
  readonly alphabet: ReadonlySet<string>
  /** Reached states in which the machine is done. */
  readonly finals: ReadonlySet<string>
}

const inputOf = (facts: object): { facts: object; body: unknown } => ({ facts, body: null })

export function nameOf(value: unknown): string {
  if (typeof value === 'string') return value
  return Object.entries(value as Record<string, unknown>)
    .map(([key, inner]) => `${key}.${nameOf(inner)}`)
    .join(' + ')
}

interface Step {
  readonly to: string
  readonly actions: readonly string[]
}

function stepOf(machine: AnyStateMachine, from: AnyMachineSnapshot, event: AnyEventObject): Step {
  const [next, actions] = transition(machine, from as never, event as never)
  return { to: nameOf((next as AnyMachineSnapshot).value), actions: actions.map(({ type }) => type) }
}

function blockOf(
  machine: AnyStateMachine,
  state: AnyMachineSnapshot,
  options: TableOptions,
  handled: Set<string>,
): string[] {
  const name = nameOf(state.value)
  if (state.status === 'done') return [`${name}, final`]
  const lines = options.events.flatMap(({ as, ...event }) => {
    const { to, actions } = stepOf(machine, state, event as AnyEventObject)
    if (to === name && actions.length === 0) return []
    handled.add(event.type)
    return [
      `  ${(as ?? event.type).padEnd(34)} -> ${(to === name ? 'stays' : to).padEnd(30)} ${actions.join(' ')}`.trimEnd(),
    ]
  })
  return [name, ...lines]
}

function leavesOf(machine: AnyStateMachine): Set<string> {
  const leaves = new Set<string>()
  const visit = (node: AnyStateMachine['root']): void => {
    const inner = Object.values(node.states)
    if (inner.length === 0 && node.always === undefined) leaves.add(node.path.join('.'))
    for (const child of inner) visit(child as AnyStateMachine['root'])
  }
  visit(machine.root)
  return leaves
}

export function stateTable(machine: AnyStateMachine, options: TableOptions): StateTable {
  const handled = new Set<string>()
  const reached = new Set<string>()
  const finals = new Set<string>()
  const lines: string[] = []
  const written = new Set<string>()
  for (const [life, facts] of Object.entries(options.lives)) {
    const input = inputOf(facts)
    const [first, actions] = initialTransition(machine, input as never)
    lines.push(
      `# ${life}: begins ${nameOf((first as AnyMachineSnapshot).value)} ${actions.map(({ type }) => type).join(' ')}`.trimEnd(),
    )
    const map = getAdjacencyMap(machine, {
      input: input as never,
      events: options.events as never,
      stopWhen: (state) => (state as AnyMachineSnapshot).status === 'done',
      serializeState: (state) => nameOf((state as AnyMachineSnapshot).value) as never,
    })
    for (const { state } of Object.values(map)) {
      const snapshot = state as unknown as AnyMachineSnapshot
      reached.add(nameOf(snapshot.value))
      if (snapshot.status === 'done') finals.add(nameOf(snapshot.value))
      const block = blockOf(machine, snapshot, options, handled)
      if (!written.has(block.join('\n'))) lines.push(...block)
      written.add(block.join('\n'))
    }
  }
  return {
    text: lines.join('\n'),
    reached,
    leaves: leavesOf(machine),
    handled,
    finals,
    alphabet: new Set(machine.events.filter((name) => name !== '*')),
  }
}
