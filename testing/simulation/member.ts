/**
 * Owns: one party of a simulation: its node, the network that runs there now, and its links.
 * Independent of: faults, and what its application does with the network (calls.ts).
 */
import { createNetwork } from '../../actors/network/create-network.ts'
import type { Network } from '../../actors/network/network.ts'
import type { Identity } from '../../actors/tls/identity.ts'
import type { SimulatedNode, SimulatedProcess } from '../simulated-node.ts'
import { supervisorServices } from '../../actors/network/supervisor.ts'
import type { LinkEpoch } from '../../protocol/native/epoch/link-epoch.ts'
import type { NativeLink } from '../../protocol/native/link/native-link.ts'
import { Chance } from './chance.ts'
import type { Plan } from './plan.ts'
import type { SessionTraffic } from './session-traffic.ts'
import { MessageTraffic } from './message-traffic.ts'
import { StreamTraffic } from './stream-traffic.ts'
import { GroupCalls, whatOf } from './calls.ts'
import type { Session } from '../../actors/session/session.ts'
import type { Twin } from './twin.ts'
import type { World } from './world.ts'

const port = 1

export class Member {
  readonly index: number
  readonly node: SimulatedNode
  readonly key: Identity
  network: Network | null = null
  /** How often its process ended, by a crash or a shutdown. */
  ends = 0
  /** Not started again yet, after a crash or a shutdown. */
  isAway = true
  /** The second process with its key, if there ever was one. */
  twin: Twin | null = null
  /** How often the running process was told that its clock went back, by peer. */
  readonly behind = new Map<string, number>()
  /** The clock of the running process was set back since an earlier one began. */
  isBehind = false
  /** It is leaving a peer, or has left it, and has not taken it back yet; one at a time. */
  leaving: { readonly peer: Member; hasLeft: boolean } | null = null
  /** How often it left each peer by a call, by name. */
  readonly partings = new Map<string, number>()
  #latestWallMs = 0
  readonly #world: World
  /** Of the running process: one for each group that it belongs to. */
  #calls: GroupCalls[] = []
  #messages: MessageTraffic | null = null
  #streams: StreamTraffic | null = null
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

  get url(): string {
    return `tcp://${this.node.name}:${port}`
  }

  get limits(): Record<string, number> {
    return limitsOf(this.#world.plan)
  }

  start(): void {
    const { plan, members } = this.#world
    const { node } = this
    const others = members.filter((member) => member !== this)
    this.isAway = false
    this.#starts += 1
    this.leaving = null
    this.behind.clear()
    const wallMs = node.environment.clock.wallMs()
    this.isBehind = wallMs <= this.#latestWallMs
    this.#latestWallMs = Math.max(this.#latestWallMs, wallMs)
    const process = (this.#process = node.process)
    const network = (this.network = createNetwork(
      {
        identity: this.key,
        listen: this.url,
        peers: others.map((other) => this.optionOf(other)),
        security: 'plaintext',
        // A process may restart with another number of links than before, and than its peers have.
        connectionParallelism: new Chance(plan.seed, 4, this.index, this.#starts).whole(1, plan.links),
        limits: this.limits,
        ...(plan.memoryBudgetBytes === null ? {} : { memoryBudgetBytes: plan.memoryBudgetBytes }),
      },
      { environment: node.environment },
    ))
    network.ref.on('*', (event) => this.#world.judge.event(this, event))
    this.#world.track(this.name, 'ready', network.ready()).catch(() => {})
    this.#calls = plan.groups.flatMap(({ parties }, groupIndex) =>
      parties.includes(this.index)
        ? [
            new GroupCalls({
              world: this.#world,
              member: this,
              network,
              process,
              groupIndex,
              starts: this.#starts,
            }),
          ]
        : [],
    )
    for (const calls of this.#calls) void calls.run()
    if (plan.messagesPerPeer > 0)
      this.#messages = new MessageTraffic({
        world: this.#world,
        member: this,
        network,
        chance: new Chance(plan.seed, 8, this.index, this.#starts),
        later: (callback, delayMs) => process.clock.setTimeout(callback, delayMs),
      })
    if (plan.streams !== null)
      this.#streams = new StreamTraffic({
        world: this.#world,
        member: this,
        network,
        process,
        chance: new Chance(plan.seed, 14, this.index, this.#starts),
      })
  }

  /** A peer as it is configured. */
  optionOf(other: Member): { readonly id: string; readonly urls?: string } {
    const dials = this.#world.plan.bothDial || other.index < this.index
    return { id: other.key.id, ...(dials ? { urls: other.url } : {}) }
  }

  /** All sessions are open, and everything sent on them is acknowledged. */
  get isDrained(): boolean {
    return (
      !this.isAway &&
      this.#messages?.isDrained !== false &&
      this.#streams?.isDrained !== false &&
      this.#calls.every(
        ({ peers, isWhole, traffics }) =>
          peers.some(({ hasLeft }) => hasLeft) || (isWhole && traffics.every(({ isFlushed }) => isFlushed)),
      )
    )
  }

  /** The sessions that it has in groups of one name and the same parties, as one text. */
  setsOf(what: string): string {
    const calls = this.#calls.filter(({ group }) => whatOf(group) === what)
    return calls
      .map(({ traffics }) => traffics.map(({ session }) => session.id).sort()[0])
      .sort()
      .join(' ')
  }

  get traffics(): SessionTraffic[] {
    return this.#calls.flatMap(({ traffics }) => traffics)
  }

  hasLeft = false

  /**
   * After a Goodbye a link knows nothing of the peer any more. Links without sessions may not have noticed their end.
   */
  knows(peer: Member): boolean {
    return this.#linksTo(peer.key.id)
      .slice(0, this.#linksUsed(peer))
      .some(({ known }) => known !== 0n)
  }

  /** The links that sessions with a peer may be on. */
  #linksUsed(peer: Member): number {
    const { groups } = this.#world.plan
    const counts = groups
      .filter(({ parties }) => parties.includes(this.index) && parties.includes(peer.index))
      .map(({ count }) => count)
    return Math.min(Math.max(0, ...counts), this.#linksInUse(peer.key.id))
  }

  /** @param count the number of sessions that were made together */
  linkOf(peer: string, session: Session, count: number): { readonly link: number; readonly epoch: bigint } {
    // A peer may be removed before its sessions are used.
    const link = session.index % Math.max(1, Math.min(count, this.#linksInUse(peer)))
    return { link, epoch: this.#linksTo(peer)[link]?.epoch ?? 0n }
  }

  #linksInUse(peer: string): number {
    const services = this.network === null ? undefined : supervisorServices(this.network.ref)
    return services?.baseLinks.inUse(peer).length ?? 0
  }

  /** The links to a peer that are in use. */
  linksTo(peer: Member): readonly NativeLink[] {
    const services = this.network === null ? undefined : supervisorServices(this.network.ref)
    return services === undefined ? [] : services.baseLinks.inUse(peer.key.id).map(({ state }) => state as NativeLink)
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
    this.leaving = null
    this.network = null
    this.ends += 1
    this.node.crash(isSilent)
    this.#world.forgetPromises(this.name)
    // Includes sessions that are over: what they received can be read until the process dies.
    for (const { all } of this.#calls) for (const traffic of all) traffic.bury()
    this.#calls = []
  }

  /** Sends Goodbye. @returns when nothing of it is left */
  async leave(): Promise<void> {
    const { network } = this
    if (network === null) return
    this.isAway = true
    this.ends += 1
    for (const { all } of this.#calls)
      for (const traffic of all) {
        traffic.inbox.isClosed = true
        if (!traffic.isOver) traffic.life.isOver = true
        traffic.isOver = true
      }
    this.#calls = []
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
    pendingInboundMax: 64,
    ...(plan.sharesAddress ? {} : { connectBurst: 1_000_000, pendingInboundPerAddressMax: 64 }),
    resumeTimeoutMs: plan.resumeTimeoutMs,
    replayWindowBytes: plan.replayWindowBytes,
    laneWindowBytes: plan.laneWindowBytes,
    ...(plan.streams === null
      ? {}
      : { streamsMax: plan.streams.limit, streamOpenTimeoutMs: plan.streams.openTimeoutMs }),
    highWaterMarkBytes: plan.highWaterMarkBytes,
    maxMessageLengthBytes: Math.max(65_536, plan.valueBytesMax + 64),
  }
}
