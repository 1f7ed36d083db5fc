/**
 * Owns: one party of a simulation: its node, the network that runs there now, and its application: a group of sessions
 * with every peer, made again whenever one ends.
 * Independent of: faults, and what the sessions do.
 */
import { createNetwork } from '../../actors/network/create-network.ts'
import type { Network } from '../../actors/network/network.ts'
import type { Identity } from '../../actors/tls/identity.ts'
import type { SimulatedNode, SimulatedProcess } from '../simulated-node.ts'
import { supervisorServices } from '../../actors/network/supervisor.ts'
import type { LinkEpoch } from '../../protocol/native/epoch/link-epoch.ts'
import type { NativeLink } from '../../protocol/native/link/native-link.ts'
import type { Place } from './model.ts'
import { Chance } from './chance.ts'
import type { Plan } from './plan.ts'
import { SessionTraffic } from './session-traffic.ts'
import type { World } from './world.ts'

const port = 1

/** The current sessions with one peer. */
interface Batch {
  readonly traffics: SessionTraffic[]
  isOver: boolean
}

export class Member {
  readonly index: number
  readonly node: SimulatedNode
  readonly key: Identity
  network: Network | null = null
  /** How often its process ended, by a crash or a shutdown. */
  ends = 0
  /** Not started again yet, after a crash or a shutdown. */
  isAway = true
  readonly #world: World
  readonly #batches = new Map<number, Batch>()
  /** Every session of the running process. */
  #all: SessionTraffic[] = []
  #process: SimulatedProcess | null = null
  #starts = 0

  constructor(world: World, index: number, name: string, key: Identity) {
    this.#world = world
    this.index = index
    this.key = key
    this.node = world.network.node(name)
  }

  get name(): string {
    return this.node.name
  }

  start(): void {
    const { plan, members } = this.#world
    const { node } = this
    const others = members.filter((member) => member !== this)
    this.isAway = false
    this.#starts += 1
    const process = (this.#process = node.process)
    const network = (this.network = createNetwork(
      {
        identity: this.key,
        listen: `tcp://${node.name}:${port}`,
        peers: others.map((other) => ({
          id: other.key.id,
          ...(plan.bothDial || other.index < this.index ? { url: `tcp://${other.name}:${port}` } : {}),
        })),
        security: 'plaintext',
        // A process may restart with another number of links than before, and than its peers have.
        connectionParallelism: new Chance(plan.seed, 4, this.index, this.#starts).whole(1, plan.links),
        limits: limitsOf(plan),
      },
      { environment: node.environment },
    ))
    network.ref.on('*', (event) => this.#world.recordEvent(this, event))
    this.#world.track(this.name, 'ready', network.ready()).catch(() => {})
    for (const other of others) void this.#useSessions(process, network, other)
  }

  /** Repeats: makes a group with one peer, uses it until one of its sessions ends. */
  async #useSessions(process: SimulatedProcess, network: Network, peer: Member): Promise<void> {
    const { plan } = this.#world
    const chance = new Chance(plan.seed, 3, this.index, peer.index, this.#starts)
    const later = (callback: () => void, delayMs: number): void => void process.clock.setTimeout(callback, delayMs)
    for (let round = 0; this.network === network && !this.isAway; round += 1) {
      let sessions
      try {
        sessions = await this.#world.track(
          this.name,
          `makeSessions with ${peer.name}`,
          network.makeSessions({
            count: plan.sessions,
            peers: [peer.key.id],
            timeoutMs: chance.is(0.1) ? chance.whole(50, 2000) : 10_000_000,
          }),
        )
      } catch (error) {
        this.#world.network.trace.note(
          this.name,
          `has no sessions with ${peer.name}: ${(error as Error).message.slice(0, 40)}`,
        )
        if (this.network !== network || this.isAway) return
        await new Promise<void>((resolve) => later(resolve, chance.spread(1, 50)))
        continue
      }
      if (this.network !== network || this.isAway) return
      this.#world.network.trace.note(
        this.name,
        `has sessions ${sessions.map(({ id }) => id).join(', ')} with ${peer.name}`,
      )
      const linksUsed = Math.min(sessions.length, this.#linksInUse(peer.key.id))
      const batch: Batch = { traffics: [], isOver: false }
      await new Promise<void>((resolve) => {
        const onOver = (): void => {
          batch.isOver = true
          resolve()
        }
        for (const session of sessions) {
          const traffic = new SessionTraffic({
            world: this.#world,
            session,
            me: this.name,
            peer: peer.name,
            peerId: peer.key.id,
            place: this.#placeOf(peer.key.id, session.id, session.index % linksUsed),
            chance,
            values: round === 0 ? plan.valuesPerSession : Math.min(10, chance.whole(0, plan.valuesPerSession)),
            valueBytesMax: plan.valueBytesMax,
            later,
            onOver,
          })
          batch.traffics.push(traffic)
          this.#all.push(traffic)
        }
        this.#batches.set(peer.index, batch)
      })
      if (this.network !== network || this.isAway) return
      // Both sides must agree: a group of which one session is over is over.
      for (const traffic of batch.traffics) if (!traffic.isOver) traffic.close()
    }
  }

  /** All sessions are open, and everything sent on them is acknowledged. */
  get isDrained(): boolean {
    if (this.isAway) return false
    for (const other of this.#world.members) {
      if (other === this || other.hasLeft) continue
      const batch = this.#batches.get(other.index)
      if (batch === undefined || batch.isOver || !batch.traffics.every(({ isFlushed }) => isFlushed)) return false
    }
    return true
  }

  get traffics(): SessionTraffic[] {
    return [...this.#batches.values()].flatMap(({ traffics }) => traffics)
  }

  hasLeft = false

  /**
   * After a Goodbye a link knows nothing of the peer any more. Links without sessions may not have noticed their end.
   */
  knows(peer: Member): boolean {
    return this.#linksTo(peer.key.id)
      .slice(0, Math.min(this.#world.plan.sessions, this.#linksInUse(peer.key.id)))
      .some(({ known }) => known !== 0n)
  }

  #placeOf(peer: string, session: number, link: number): Place {
    const { epoch, known } = this.#linksTo(peer)[link]!
    return { link, session, mine: epoch, theirs: known }
  }

  #linksInUse(peer: string): number {
    const services = this.network === null ? undefined : supervisorServices(this.network.ref)
    return services?.baseLinks.inUse(peer).length ?? 0
  }

  #linksTo(peer: string): readonly LinkEpoch[] {
    const services = this.network === null ? undefined : supervisorServices(this.network.ref)
    return services === undefined ? [] : services.baseLinks.of(peer).map(({ state }) => (state as NativeLink).epoch)
  }

  /** Of every link: frames that were sent and are not acknowledged. */
  get heldFrames(): number {
    return this.#world.members
      .flatMap(({ key }) => this.#linksTo(key.id))
      .reduce((sum, { retransmit }) => sum + retransmit.heldFrames, 0)
  }

  crash(isSilent: boolean): void {
    this.isAway = true
    this.network = null
    this.ends += 1
    this.node.crash(isSilent)
    this.#world.forgetPromises(this.name)
    // Includes sessions that are over: what they received can be read until the process dies.
    for (const traffic of this.#all) traffic.bury()
    this.#all = []
    this.#batches.clear()
  }

  /** Sends Goodbye. @returns when nothing of it is left */
  async leave(): Promise<void> {
    const { network } = this
    if (network === null) return
    this.isAway = true
    this.ends += 1
    for (const traffic of this.#all) {
      traffic.inbox.isClosed = true
      if (!traffic.isOver) traffic.life.isOver = true
      traffic.isOver = true
    }
    this.#all = []
    this.#batches.clear()
    await this.#world.track(this.name, 'shutdown', network.shutdown())
    const { actors, deadlines, handles } = network.resources
    if (actors + deadlines + handles > 0)
      this.#world.model.breach(
        'wrong',
        `${this.name} has stopped, and ${actors} actors, ${deadlines} deadlines, ${handles} handles of it are left`,
      )
    if (this.network === network) this.network = null
  }

  get process(): SimulatedProcess | null {
    return this.#process
  }
}

function limitsOf(plan: Plan): Record<string, number> {
  return {
    backoffMinMs: 15,
    backoffMaxMs: plan.backoffMaxMs,
    connectBurst: 1_000_000,
    pendingInboundMax: 64,
    pendingInboundPerAddressMax: 64,
    resumeTimeoutMs: plan.resumeTimeoutMs,
    replayWindowBytes: plan.replayWindowBytes,
    laneWindowBytes: plan.laneWindowBytes,
    highWaterMarkBytes: plan.highWaterMarkBytes,
    maxMessageLengthBytes: 65_536,
  }
}
