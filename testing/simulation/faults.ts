/**
 * Owns: causing the faults of a plan on the simulated network and its parties, and their end.
 * Independent of: when they happen, and what must hold in spite of them.
 */
import { Chance } from './chance.ts'
import type { Member } from './member.ts'
import { cutOf, longCutOf } from './plan-faults.ts'
import type { Fault, PeerChange } from './plan-faults.ts'
import { Twin } from './twin.ts'
import { changePeer } from './peer-changes.ts'
import type { World } from './world.ts'

export interface FaultCounts {
  breaks: number
  partitions: number
  stalls: number
  crashes: number
  leaves: number
  clockSteps: number
  twins: number
  disconnects: number
  removals: number
  cutPeers: number
}

export class Faults {
  readonly counts: FaultCounts = {
    breaks: 0,
    partitions: 0,
    stalls: 0,
    crashes: 0,
    leaves: 0,
    clockSteps: 0,
    twins: 0,
    disconnects: 0,
    removals: 0,
    cutPeers: 0,
  }
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  get total(): number {
    return Object.values(this.counts).reduce((sum: number, count: number) => sum + count, 0)
  }

  /** Faults that are no event at one time: connections that are cut, names and addresses. */
  begin(): void {
    const { plan, network, members } = this.#world
    const cuts = new Chance(plan.seed, 4)
    network.onConnected = (dialler, acceptor) => {
      const cut = this.#world.isCalm ? null : plan.cutsLongValues ? longCutOf(cuts) : cutOf(cuts, plan.cutShare)
      if (cut === null) return
      this.counts.breaks += 1
      network.breakAfter(cut.end === 'dialler' ? dialler : acceptor, cut.lengthBytes, cut.notified, cut)
    }
    if (plan.nameFaults !== null) network.names.chances = plan.nameFaults
    for (const { node } of members) {
      if (plan.hasDeadAddress) network.names.set(node.name, ['nowhere', node.name])
      if (plan.sharesAddress) node.seenAs = 'gateway'
    }
  }

  /** Ends those that do not end by themselves. */
  end(): void {
    const { network } = this.#world
    for (const pipe of network.pipes) pipe.cutAfterBytes = Infinity
    network.names.chances = { hangs: 0, 'not-found': 0 }
    network.names.release()
    network.heal()
  }

  cause(fault: Fault): void {
    const { network, members } = this.#world
    if (fault.kind === 'break') {
      const { pipes } = network
      const pipe = pipes[fault.pick % pipes.length]
      if (pipe === undefined) return
      this.counts.breaks += 1
      network.break(pipe, fault.notified, fault)
    } else if (fault.kind === 'partition') {
      this.counts.partitions += 1
      const [from, to] = [members[fault.from] as Member, members[fault.to] as Member]
      network.partition(from.node, to.node, { oneWay: fault.oneWay })
      network.clock.setTimeout(() => network.heal(), fault.forMs)
    } else if (fault.kind === 'clock') this.#step(members[fault.node] as Member, fault.byMs)
    else if (fault.kind === 'twin') this.#duplicate(members[fault.node] as Member, fault)
    else if (fault.kind === 'leavePeer') this.#leavePeer(fault.change)
    else this.#interrupt(members[fault.node] as Member, fault)
  }

  #interrupt(member: Member, fault: Fault & { readonly kind: 'stall' | 'crash' | 'leave' }): void {
    const { clock } = this.#world.network
    if (member.isAway || (fault.kind === 'leave' && member.process?.isStalled === true)) return
    if (fault.kind === 'stall') {
      this.counts.stalls += 1
      member.node.stall(fault.forMs)
      return
    }
    const startAgain = (): void => {
      this.#step(member, fault.clockByMs)
      clock.setTimeout(() => member.start(), fault.forMs)
    }
    if (fault.kind === 'crash') {
      this.counts.crashes += 1
      member.crash(fault.isSilent)
      startAgain()
    } else {
      this.counts.leaves += 1
      void member.leave().then(startAgain)
    }
  }

  #leavePeer(change: PeerChange): void {
    if (!changePeer(this.#world, change)) return
    if (change.how === 'disconnect') this.counts.disconnects += 1
    else if (change.how === 'remove') this.counts.removals += 1
    else this.counts.cutPeers += 1
  }

  #duplicate(member: Member, { clockByMs, forMs, isSilent }: Fault & { readonly kind: 'twin' }): void {
    this.counts.twins += 1
    const twin = (member.twin = new Twin(this.#world, member))
    twin.start(clockByMs)
    this.#world.network.clock.setTimeout(() => twin.end(isSilent), forMs)
  }

  #step(member: Member, byMs: number): void {
    if (byMs === 0) return
    this.counts.clockSteps += 1
    // Microseconds of its own: no two processes of a machine begin at exactly the same time of its clock.
    member.node.stepWallClock(byMs + this.counts.clockSteps / 1000)
  }
}
