/**
 * Owns: an `inspect` observer that records which actors exist, their parents, and their states.
 * Independent of: what any of them does.
 */
import type { AnyActorRef, InspectionEvent } from 'xstate'

interface Node {
  readonly id: string
  readonly chart: string | null
  readonly children: Node[]
  state: string
  hasEnded: boolean
}

export class ActorTree {
  readonly #nodes = new Map<AnyActorRef, Node>()
  #root: Node | null = null
  #rootId = ''

  /** For `createActor(machine, { inspect: tree.inspect })`. */
  readonly inspect = (event: InspectionEvent): void => {
    const ref = event.actorRef as AnyActorRef
    if (event.type === '@xstate.actor')
      this.#nodes.set(ref, { id: ref.id, chart: chartOf(ref), children: [], state: '', hasEnded: false })
    const node = this.#nodes.get(ref)
    if (node === undefined) return
    this.#rootId = event.rootId
    // The parent sends an actor its first event.
    if (event.type === '@xstate.event' && event.event.type === 'xstate.init') {
      const parent = event.sourceRef === undefined ? undefined : this.#nodes.get(event.sourceRef as AnyActorRef)
      if (parent === undefined) this.#root ??= node
      else parent.children.push(node)
    }
    // An actor that fails has no last snapshot; its parent gets the error.
    const dead =
      event.type === '@xstate.event' && event.event.type.startsWith('xstate.error.actor.')
        ? this.#nodes.get(event.sourceRef as AnyActorRef)
        : undefined
    if (dead !== undefined) dead.hasEnded = true
    if (event.type === '@xstate.snapshot') {
      const snapshot = event.snapshot as { status: string; value?: unknown }
      if (snapshot.value !== undefined) node.state = stateOf(snapshot.value)
      node.hasEnded = snapshot.status !== 'active'
    }
  }

  /** How many actors were created, and how many of them are still alive. */
  get counts(): { readonly made: number; readonly alive: number } {
    return { made: this.#nodes.size, alive: [...this.#nodes.values()].filter((node) => !node.hasEnded).length }
  }

  /** For a viewer that attaches late: each living actor and its snapshot, as events like those that it missed. */
  announcements(): InspectionEvent[] {
    const events: InspectionEvent[] = []
    for (const [ref, { hasEnded }] of this.#nodes) {
      if (hasEnded) continue
      const common = { rootId: this.#rootId, actorRef: ref }
      events.push({ type: '@xstate.actor', ...common })
      events.push({
        type: '@xstate.snapshot',
        ...common,
        event: { type: 'announced' },
        snapshot: ref.getSnapshot() as never,
      })
    }
    return events
  }

  /** The living actors, one per line. */
  lines(): string[] {
    return this.#root === null ? [] : linesOf(this.#root, '', '')
  }
}

function linesOf(node: Node, first: string, rest: string): string[] {
  const name = `${first}${shortened(node.id)}`.padEnd(44)
  const lines = [`${name} ${node.state}${node.chart === null ? '' : `  (chart: ${node.chart})`}`.trimEnd()]
  const children = node.children.filter((child) => !child.hasEnded)
  for (const [index, child] of children.entries()) {
    const isLast = index === children.length - 1
    lines.push(...linesOf(child, `${rest}${isLast ? '└─ ' : '├─ '}`, `${rest}${isLast ? '   ' : '│  '}`))
  }
  return lines
}

/** The actor of a peer is named after its key; the first characters are enough to identify it. */
function shortened(id: string): string {
  return id.replace(/[0-9a-v]{52}/, (key) => `${key.slice(0, 7)}…`)
}

/** A statechart's definition is what inspectors draw; promises and the like have none. */
function chartOf(ref: AnyActorRef): string | null {
  const config = (ref as unknown as { logic: { config?: { id?: string; states?: object } } }).logic.config
  return config?.states === undefined ? null : `${config.id}, ${Object.keys(config.states).length} states`
}

/** `{ up: 'stable' }` is written up.stable. */
function stateOf(value: unknown): string {
  if (typeof value === 'string') return value
  return Object.entries(value as Record<string, unknown>)
    .map(([key, inner]) => `${key}.${stateOf(inner)}`)
    .join(' & ')
}
