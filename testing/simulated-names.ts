/**
 * Owns: the name service of a simulated network: which nodes a name stands for, and lookups that hang or fail.
 * Independent of: nodes and connections. The same seed gives the same faults and latencies.
 */
import type { Clock, Random } from '../actors/base/environment.ts'
import { seededRandom } from './seeded-random.ts'

/** `hangs`: no answer comes before `release`. `not-found`: the name does not exist (ENOTFOUND). */
export type NameFault = 'hangs' | 'not-found'

export class SimulatedNames {
  /** The chance of each fault, from 0 to 1, at every lookup. None if not set. */
  chances: Readonly<Record<NameFault, number>> = { hangs: 0, 'not-found': 0 }
  /** The least and the most that a lookup takes, drawn for each. */
  latencyMs: readonly [number, number] = [0, 0]
  readonly #random: Random
  readonly #note: (node: string, event: string) => void
  readonly #nodes = new Map<string, readonly string[]>()
  readonly #faults = new Map<string, NameFault>()
  #hanging: (() => void)[] = []

  constructor(seed: number, note: (node: string, event: string) => void) {
    this.#random = seededRandom(seed)
    this.#note = note
  }

  /** Names stand for the node of the same name until they are set. @param nodes in order of preference */
  set(name: string, nodes: readonly string[]): void {
    this.#nodes.set(name, nodes)
  }

  /** Every lookup of the name fails like this, or works again after null. */
  fail(name: string, fault: NameFault | null): void {
    if (fault === null) this.#faults.delete(name)
    else this.#faults.set(name, fault)
  }

  /** Answers the lookups that hang. */
  release(): void {
    const hanging = this.#hanging
    this.#hanging = []
    for (const answer of hanging) answer()
  }

  /** @param node the node that asks; the lookup takes time on its `clock` */
  async lookup(node: string, clock: Clock, name: string): Promise<readonly string[]> {
    const fault = this.#faults.get(name) ?? this.#drawn()
    const [leastMs, mostMs] = this.latencyMs
    const delayMs = mostMs === 0 ? 0 : leastMs + this.#random.fraction() * (mostMs - leastMs)
    if (fault !== null) this.#note(node, `looks up ${name}: ${fault}`)
    if (fault === 'hangs') await new Promise<void>((resolve) => this.#hanging.push(resolve))
    if (delayMs > 0) await new Promise<void>((resolve) => clock.setTimeout(resolve, delayMs))
    if (fault === 'not-found') throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' })
    return this.#nodes.get(name) ?? [name]
  }

  #drawn(): NameFault | null {
    const { hangs, 'not-found': notFound } = this.chances
    if (hangs + notFound === 0) return null
    const drawn = this.#random.fraction()
    return drawn < hangs ? 'hangs' : drawn < hangs + notFound ? 'not-found' : null
  }
}
