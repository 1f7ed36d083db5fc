/**
 * Owns: a second process with the key of a party, on another machine, as after a copy of its configuration: it connects
 * to the peers, and dies.
 * Independent of: which of the two is connected, which the stale rule decides.
 */
import { createNetwork } from '../../actors/network/create-network.ts'
import { isFault } from './judge.ts'
import type { Member } from './member.ts'
import type { World } from './world.ts'

export class Twin {
  readonly of: Member
  /** How often a peer had a connection with either process since the twin began, by peer. */
  readonly opened = new Map<string, number>()
  readonly #world: World
  readonly #node
  /** The number of all faults when it began. */
  faultsBefore = 0
  #isRunning = false

  constructor(world: World, of: Member) {
    this.#world = world
    this.of = of
    this.#node = world.network.node(`${of.name}-twin`)
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  /** @param clockByMs how far its clock is from that of the other process */
  start(clockByMs: number): void {
    const { members, network, model } = this.#world
    this.#isRunning = true
    this.faultsBefore = this.#world.faults.total
    this.#node.stepWallClock(this.of.node.wallOffsetMs + clockByMs - this.#node.wallOffsetMs)
    const others = members.filter((member) => member !== this.of)
    const twin = createNetwork(
      {
        identity: this.of.key,
        peers: others.map(({ key, url }) => ({ id: key.id, urls: url })),
        security: 'plaintext',
        connectionParallelism: 1,
        limits: this.of.limits,
      },
      { environment: this.#node.environment },
    )
    twin.ref.on('*', (event) => {
      if (isFault(event)) model.breach('wrong', `${this.#node.name}: ${event.type}: ${event.cause.message}`)
    })
    // Nobody else uses the name: the call never ends, and keeps the links wanted.
    for (const { key } of others)
      twin.makeSessions({ name: 'twin', count: 1, peers: [key.id], timeoutMs: 10_000_000 }).catch(() => {})
    network.trace.note(this.#node.name, 'starts')
  }

  end(isSilent: boolean): void {
    this.#isRunning = false
    this.#node.crash(isSilent)
  }
}
