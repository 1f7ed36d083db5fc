/**
 * Owns: which charts can be compiled. A chart that does more than change its state is refused, with a sentence that
 * names the state and the construct.
 * Independent of: how a chart is compiled, and any particular chart.
 */
import type { AnyStateMachine, AnyStateNode } from '../../machines/xstate.ts'

interface TransitionLike {
  readonly guard?: unknown
  readonly actions: readonly unknown[]
  readonly eventType: string
}

export function checkChart(machine: AnyStateMachine, provided: readonly string[]): void {
  const { actions, guards } = machine.implementations as { actions: object; guards: object }
  const refuse = (what: string): never => {
    throw new Error(`chart ${machine.id} cannot be compiled: ${what}`)
  }

  for (const [kind, table] of [
    ['action', actions],
    ['guard', guards],
  ] as const) {
    for (const [name, implementation] of Object.entries(table)) {
      // XState's own actions and guards (assign, and, not) are functions with properties.
      const isPlain = typeof implementation === 'function' && Object.keys(implementation as object).length === 0
      if (!isPlain) refuse(`the ${kind} ${name} is not a plain function`)
    }
  }

  /** The name of an action or a guard in a chart, alone or with constant params. */
  const checkName = (where: string, kind: string, used: unknown, known: readonly string[]): void => {
    const isNamed = typeof used === 'object' && used !== null
    const { type: name, params } = (isNamed ? used : { type: used }) as { type: unknown; params?: unknown }
    if (typeof name !== 'string' || !known.includes(name))
      return refuse(`${where} has an unknown ${kind}, or one without a name`)
    if (typeof params === 'function') refuse(`${where} computes the params of ${name}`)
  }

  const checkNode = (node: AnyStateNode): void => {
    const where = `state ${node.id}`
    if (node.invoke.length > 0) refuse(`${where} invokes an actor`)
    if (node.after.length > 0) refuse(`${where} has a delayed transition`)
    if (node.type === 'history') refuse(`${where} is a history state`)
    if (node.output !== undefined) refuse(`${where} has an output`)
    const transitions = [...[...node.transitions.values()].flat(), ...(node.always ?? [])] as TransitionLike[]
    for (const { eventType } of transitions) {
      if (eventType.includes('*')) refuse(`${where} has a wildcard transition`)
      if (eventType.startsWith('xstate.')) refuse(`${where} has a transition for ${eventType}`)
    }
    const used = [...node.entry, ...node.exit, ...transitions.flatMap((candidate) => [...candidate.actions])]
    for (const action of used) checkName(where, 'action', action, provided)
    for (const { guard } of transitions) {
      if (guard !== undefined) checkName(where, 'guard', guard, Object.keys(guards))
    }
    for (const child of Object.values(node.states)) checkNode(child)
  }
  checkNode(machine.root)
}
