/**
 * Owns: what one party does for one group: it calls `makeSessions`, gives up at times, uses the sessions until one of
 * them ends, closes the others, and calls again.
 * Independent of: faults, other groups, and what is sent on a session.
 */
import type { StatewireError } from '../../codec/errors.ts'
import type { Network } from '../../actors/network/network.ts'
import type { Sessions } from '../../actors/network/session-calls.ts'
import type { Session } from '../../actors/session/session.ts'
import type { SimulatedProcess } from '../simulated-node.ts'
import { goneCodes, isPeerGone, isRefusedAtTimes } from './peer-changes.ts'
import { Chance } from './chance.ts'
import type { Member } from './member.ts'
import type { Group } from './plan.ts'
import { SessionTraffic } from './session-traffic.ts'
import type { World } from './world.ts'

/** What all calls that may belong together agree on. */
export function whatOf({ name, parties }: Group): string {
  return `'${name}' of ${parties.join(', ')}`
}

/** Longer than any run. */
const patienceMs = 10_000_000

export class GroupCalls {
  readonly group: Group
  readonly peers: readonly Member[]
  /** The sessions of the last call that succeeded, one for each peer of each. */
  traffics: SessionTraffic[] = []
  /** The sessions are made, and none of them has ended. */
  isWhole = false
  /** Every session of the running process. */
  readonly all: SessionTraffic[] = []
  readonly #world: World
  readonly #member: Member
  readonly #network: Network
  readonly #process: SimulatedProcess
  readonly #chance: Chance
  #onOver: () => void = () => {}

  constructor(options: {
    readonly world: World
    readonly member: Member
    readonly network: Network
    readonly process: SimulatedProcess
    readonly groupIndex: number
    readonly starts: number
  }) {
    const { world, member, groupIndex } = options
    this.#world = world
    this.#member = member
    this.#network = options.network
    this.#process = options.process
    this.group = world.plan.groups[groupIndex] as Group
    this.peers = this.group.parties.filter((index) => index !== member.index).map((index) => world.members[index]!)
    this.#chance = new Chance(world.plan.seed, 3, member.index, groupIndex, options.starts)
  }

  /** Ends with the process or its network. */
  async run(): Promise<void> {
    const { plan, network } = this.#world
    for (let round = 0; this.#isRunning; round += 1) {
      let sessions: Sessions
      try {
        sessions = await this.#make()
      } catch (error) {
        network.trace.note(this.#member.name, `has no ${this.#what}: ${(error as Error).message.slice(0, 40)}`)
        if (!this.#isRunning) return
        this.#checkFailure(error as StatewireError)
        // Until the peer is added again a call fails at once.
        const leastMs = isPeerGone(error) ? 10 : 0
        const pauseMs = Math.max(leastMs, plan.callPauseMs ?? this.#chance.spread(1, 50))
        if (pauseMs > 0) await new Promise<void>((resolve) => this.#later(resolve, pauseMs))
        continue
      }
      if (!this.#isRunning) return
      this.#world.model.made({
        party: this.#member.name,
        what: whatOf(this.group),
        ids: sessions.map(({ id }) => id),
      })
      network.trace.note(this.#member.name, `has ${this.#what}: ${sessions.map(({ id }) => id).join(', ')}`)
      await this.#use(sessions, round)
      if (!this.#isRunning) return
      // A group of which one session is over is over.
      for (const session of sessions) this.#close(session)
    }
  }

  get #isRunning(): boolean {
    return this.#member.network === this.#network && !this.#member.isAway
  }

  get #what(): string {
    const { name, count } = this.group
    return `${count} sessions ${name === '' ? '' : `'${name}' `}with ${this.peers.map((peer) => peer.name).join(', ')}`
  }

  #make(): Promise<Sessions> {
    const { plan, isCalm } = this.#world
    const isImpatient = !isCalm && this.#chance.is(plan.impatience)
    const isAborted = isImpatient && this.#chance.is(0.5)
    const forMs = this.#chance.is(0.5) ? this.#chance.spread(1, 50) : this.#chance.spread(50, 2000)
    const controller = new AbortController()
    if (isAborted) this.#later(() => controller.abort(), forMs)
    const { name, count } = this.group
    const asksForMore = isImpatient && this.#chance.is(plan.wrongCounts)
    return this.#world.track(
      this.#member.name,
      `makeSessions: ${this.#what}`,
      this.#network.makeSessions({
        ...(name === '' ? {} : { name }),
        count: asksForMore ? count + 1 : count,
        peers: this.peers.map(({ key }) => key.id),
        timeoutMs: isImpatient && !isAborted ? forMs : patienceMs,
        signal: controller.signal,
      }),
    )
  }

  /** A call fails because its caller gave up, because of another count, or for lack of memory. */
  #checkFailure({ code, message }: StatewireError): void {
    if (code === 'ERR_TIMED_OUT' || code === 'ERR_ABORTED') return
    if (this.#world.plan.changesPeers && goneCodes.has(code)) return
    if (code === 'ERR_NOT_ALLOWED' && isRefusedAtTimes(this.#world.plan)) return
    const { wrongCounts, memoryBudgetBytes } = this.#world.plan
    if (code === 'ERR_SESSION_COUNTS' && wrongCounts > 0) return
    if (memoryBudgetBytes !== null && (code === 'ERR_MEMORY_BUDGET' || code === 'ERR_SESSION_LIMIT')) return
    this.#world.model.breach('wrong', `${this.#member.name}: makeSessions failed: ${code}: ${message}`)
  }

  /** Resolves when one of them is over. */
  #use(sessions: Sessions, round: number): Promise<void> {
    const { plan } = this.#world
    return new Promise((resolve) => {
      this.#onOver = () => {
        this.isWhole = false
        resolve()
      }
      this.isWhole = true
      this.traffics = []
      for (const session of sessions)
        for (const peer of this.peers) {
          const traffic = new SessionTraffic({
            world: this.#world,
            session,
            me: this.#member.name,
            peer: peer.name,
            peerId: peer.key.id,
            ...this.#member.linkOf(peer.key.id, session, sessions.length),
            chance: this.#chance,
            values: round === 0 ? plan.valuesPerSession : Math.min(10, this.#chance.whole(0, plan.valuesPerSession)),
            valueBytesMax: plan.valueBytesMax,
            later: (callback, delayMs) => this.#later(callback, delayMs),
            close: () => this.#close(session),
            onOver: () => this.#onOver(),
          })
          this.traffics.push(traffic)
          this.all.push(traffic)
        }
    })
  }

  /** The application closes a session, with all its peers. */
  #close(session: Session): void {
    for (const traffic of this.traffics) if (traffic.session === session) traffic.closing()
    session.close()
  }

  #later(callback: () => void, delayMs: number): void {
    this.#process.clock.setTimeout(callback, delayMs)
  }
}
