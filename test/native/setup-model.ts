/**
 * Owns: the model of session set-up: parties whose applications call, abort and close, links that are reset on either
 * side, processes that restart, and what must hold at the end.
 * Independent of: sockets, bytes and clocks: each step is one random choice.
 */
import { SessionSetup } from '../../protocol/native/setup/session-setup.ts'
import type { SetupHandle, SetupResult } from '../../protocol/native/setup/setup-port.ts'
import { seededRandom } from '../../testing/seeded-random.ts'
import { ModelBudget, ModelLink, modelPort } from './setup-model-link.ts'
import type { Chance, ModelLane, ModelOwner, ModelSide } from './setup-model-link.ts'

const linksMax = 3
/** Far more than any run needs that ends. */
const settleStepsMax = 60_000

/** Shares of the steps in percent; what is left delivers frames. */
export interface ModelFaults {
  readonly resets: number
  readonly restarts: number
  readonly aborts: number
  readonly closes: number
  /** Percent of the calls. */
  readonly wrongCounts: number
  readonly refusals: number
  /** 2 to 4 if it is 0. */
  readonly parties: number
}

export const noFaults: ModelFaults = {
  resets: 0,
  restarts: 0,
  aborts: 0,
  closes: 0,
  wrongCounts: 0,
  refusals: 0,
  parties: 0,
}

/** The sessions of one call that is done. */
interface Group {
  readonly app: ModelApp
  readonly result: SetupResult<ModelLane>
  isLive: boolean
}

interface PendingModelCall {
  readonly count: number
  /** Null while it is made: it may fail at once. */
  handle: SetupHandle | null
}

class ModelApp {
  readonly party: ModelParty
  readonly name: string
  readonly peers: readonly string[]
  readonly count: number
  pending: PendingModelCall[] = []
  held: Group[] = []

  constructor(party: ModelParty, name: string, peers: readonly string[], count: number) {
    this.party = party
    this.name = name
    this.peers = peers
    this.count = count
  }

  call(count: number): void {
    const { world } = this.party
    const call: PendingModelCall = { count, handle: null }
    const ended = (): void => {
      this.pending = this.pending.filter((each) => each !== call)
    }
    this.pending.push(call)
    call.handle = this.party.setup.call({
      name: this.name,
      count,
      peers: this.peers,
      onDone: (result) => {
        ended()
        world.tally.done += 1
        this.#hold(result)
      },
      onFailed: () => {
        ended()
        world.tally.failed += 1
      },
    })
  }

  abort(index: number): void {
    const [call] = this.pending.splice(index, 1)
    call?.handle?.abort()
  }

  close(group: Group): void {
    group.isLive = false
    this.held = this.held.filter((each) => each !== group)
    for (const lane of lanesOf(group)) lane.close()
  }

  #hold(result: SetupResult<ModelLane>): void {
    const group: Group = { app: this, result, isLive: true }
    this.held.push(group)
    this.party.world.groups.push(group)
    for (const lane of lanesOf(group)) {
      if (!lane.isOpen) throw new Error(`${lane.key} had ended when its call was done`)
      lane.onEnded = () => this.close(group)
      lane.sendValue()
    }
  }
}

function lanesOf({ result }: Group): ModelLane[] {
  return result.sessions.flatMap((lanes) => [...lanes.values()])
}

class ModelParty implements ModelOwner {
  readonly world: SetupModel
  readonly index: number
  readonly budget: ModelBudget
  links: number
  setup!: SessionSetup<ModelLane>
  apps: ModelApp[] = []
  /** By peer: the number of links in use. */
  readonly inUse = new Map<string, number>()

  constructor(world: SetupModel, index: number) {
    this.world = world
    this.index = index
    this.budget = new ModelBudget(world.chance)
    this.links = 1 + world.chance(linksMax)
  }

  get name(): string {
    return `p${this.index}`
  }

  recordAgree(set: bigint): void {
    this.world.agreed.add(`${this.name} ${set}`)
  }

  /** A new process. */
  start(): void {
    const { world } = this
    const random = (bits: number): bigint =>
      BigInt(world.chance(2 ** 31)) * (bits > 31 ? 2n ** 31n : 1n) + BigInt(bits > 31 ? world.chance(2 ** 31) : 0)
    this.setup = new SessionSetup<ModelLane>({ randomBits: random })
    this.inUse.clear()
    this.budget.reserved = 0
    for (const other of world.parties) {
      if (other === this) continue
      const side = (link: number): ModelSide | undefined => world.sideOf(this, other, link)
      const links = (): number | null => this.inUse.get(other.name) ?? null
      this.setup.addPeer(other.name, modelPort(this.index > other.index, side, links, this.budget))
    }
    this.apps = world.names
      .filter(({ parties }) => parties.includes(this.index))
      .map(({ name, parties, count }) => {
        const peers = parties.filter((index) => index !== this.index).map((index) => `p${index}`)
        return new ModelApp(this, name, world.shuffle(peers), count)
      })
  }
}

export class SetupModel {
  readonly chance: Chance
  readonly parties: ModelParty[] = []
  readonly names: { name: string; parties: number[]; count: number }[]
  readonly groups: Group[] = []
  /** By party and set: who has sent Agree. */
  readonly agreed = new Set<string>()
  readonly tally = { done: 0, failed: 0, resets: 0, restarts: 0, aborts: 0 }
  readonly #faults: ModelFaults
  readonly #links = new Map<string, readonly ModelLink[]>()
  readonly #allLinks: readonly ModelLink[]
  readonly #sides: readonly ModelSide[]
  #slow = new Set<ModelSide>()

  constructor(seed: number, faults: ModelFaults) {
    const random = seededRandom(seed)
    this.chance = (below) => Math.floor(random.fraction() * below)
    this.#faults = faults
    const parties = faults.parties > 0 ? faults.parties : 2 + this.chance(3)
    const all = [...Array(parties).keys()]
    this.names = [
      { name: '', parties: all, count: 1 + this.chance(5) },
      { name: 'x', parties: this.shuffle(all).slice(0, 2), count: 1 + this.chance(3) },
    ]
    for (const index of all) this.parties.push(new ModelParty(this, index))
    for (const party of this.parties) party.budget.refusing = faults.refusals
    for (const [a, lesser] of this.parties.entries())
      for (const greater of this.parties.slice(a + 1)) {
        const names = [lesser.name, greater.name] as const
        const links = [...Array(linksMax).keys()].map((index) => new ModelLink(names, [lesser, greater], index))
        this.#links.set(names.join(), links)
      }
    this.#allLinks = [...this.#links.values()].flat()
    this.#sides = this.#allLinks.flatMap(({ sides }) => sides)
    for (const party of this.parties) party.start()
  }

  shuffle<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, order: this.chance(2 ** 30) }))
      .sort((a, b) => a.order - b.order)
      .map(({ item }) => item)
  }

  sideOf(own: ModelParty, peer: ModelParty, link: number): ModelSide | undefined {
    const isLesser = own.index < peer.index
    const names = isLesser ? [own.name, peer.name] : [peer.name, own.name]
    return this.#links.get(names.join())?.[link]?.sides[isLesser ? 0 : 1]
  }

  step(): void {
    const { resets, restarts, aborts, closes } = this.#faults
    const steps: readonly (readonly [percent: number, run: () => void])[] = [
      [resets, () => this.#reset()],
      [restarts, () => this.#restart(this.parties[this.chance(this.parties.length)]!)],
      [aborts, () => this.#abort(this.#apps[this.chance(this.#apps.length)]!)],
      [closes, () => this.#close(this.#apps[this.chance(this.#apps.length)]!)],
      [5, () => this.#call(this.#apps[this.chance(this.#apps.length)]!)],
      [10, () => this.#connect(this.#allLinks[this.chance(this.#allLinks.length)]!)],
      [20, () => this.#adopt()],
      [20, () => this.#admitWant()],
    ]
    let roll = this.chance(1000)
    const step = steps.find(([percent]) => (roll -= percent * 10) < 0)
    if (step === undefined) this.#deliver()
    else step[1]()
  }

  /** The faults stop: everything is delivered, and each application calls until it has its sessions. */
  settle(stepsMax = settleStepsMax): void {
    for (const { budget } of this.parties) budget.refusing = 0
    for (const app of this.#apps) this.#calmDown(app)
    for (let steps = 0; steps < stepsMax; steps += 1) {
      for (const app of this.#apps) if (app.pending.length + app.held.length === 0) app.call(app.count)
      for (const link of this.#allLinks) this.#connect(link)
      if (!this.#isBusy()) return
      this.#admitWant()
      this.#adopt()
      this.#deliver()
    }
    throw new Error('the parties do not come to rest')
  }

  check(): void {
    this.#checkPairing()
    for (const party of this.parties) {
      if (party.budget.reserved !== 0) throw new Error(`${party.name} still reserves ${party.budget.reserved} windows`)
      for (const app of party.apps) {
        if (app.pending.length > 0) throw new Error(`${party.name} still waits: ${progressOf(app)}`)
        if (app.held.length !== 1) throw new Error(`${party.name} has ${app.held.length} groups named '${app.name}'`)
      }
    }
    for (const { name } of this.names) {
      const sets = this.#apps.filter((app) => app.name === name).map(({ held }) => held[0]?.result.set)
      if (new Set(sets).size !== 1) throw new Error(`the parties have different sets named '${name}'`)
    }
    const held = new Set(this.#apps.flatMap((app) => app.held.flatMap(lanesOf)))
    for (const side of this.#sides)
      for (const lane of side.lanes.values()) if (!held.has(lane)) throw new Error(`${lane.key} is left over`)
  }

  /** Two calls that are done share all their lanes or none, and have the same set then. */
  #checkPairing(): void {
    const ends = new Map<string, string[]>()
    for (const { app, result } of this.groups)
      for (const [session, lanes] of result.sessions.entries())
        for (const [peer, { key }] of lanes) {
          const names = [app.party.name, peer].sort().join()
          const what = `session ${session} of ${result.sessions.length} in set ${result.set} for ${names}`
          ends.set(key, [...(ends.get(key) ?? []), what])
        }
    for (const [key, found] of ends)
      if (found.length > 2 || new Set(found).size > 1) throw new Error(`${key} is ${found.join(' and ')}`)
    const bySet = new Map<string, Group>()
    for (const group of this.groups) bySet.set(`${group.app.party.name} ${group.result.set}`, group)
    for (const { app, result } of this.groups)
      for (const peer of app.peers) {
        if (!this.agreed.has(`${peer} ${result.set}`))
          throw new Error(`${app.party.name} has set ${result.set}, and ${peer} never agreed to it`)
        const other = bySet.get(`${peer} ${result.set}`)
        for (const [session, lanes] of result.sessions.entries())
          if (other !== undefined && other.result.sessions[session]?.get(app.party.name)?.key !== lanes.get(peer)?.key)
            throw new Error(`set ${result.set} has different lanes at ${app.party.name} and ${peer}`)
      }
  }

  get #apps(): ModelApp[] {
    return this.parties.flatMap(({ apps }) => apps)
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[this.chance(items.length)]
  }

  #isBusy(): boolean {
    return this.#sides.some((side) => side.outgoing.length + side.waitingWants.length + side.offered > 0)
  }

  /** Some links are much slower than the others, for a while. */
  #deliver(): void {
    if (this.chance(40) === 0) {
      const pairs = [...this.#links.values()].filter(() => this.chance(3) === 0)
      this.#slow = new Set(pairs.flat().flatMap(({ sides }) => sides.filter(() => this.chance(4) > 0)))
    }
    const all = this.#sides.filter((side) => side.outgoing.length > 0)
    const fast = all.filter((side) => !this.#slow.has(side))
    const side = this.#pick(fast.length === 0 || this.chance(60) === 0 ? all : fast)
    side?.link.deliver(side.link.sides.indexOf(side))
  }

  #admitWant(): void {
    this.#pick(this.#sides.filter((side) => side.waitingWants.length > 0))?.admitWant()
  }

  #reset(): void {
    const side = this.#pick(this.#sides.filter(({ epoch }) => epoch > 0))
    if (side === undefined) return
    this.tally.resets += 1
    side.reset(this.chance(side.outgoing.length + 1))
  }

  #restart(party: ModelParty): void {
    this.tally.restarts += 1
    if (this.chance(3) === 0) party.links = 1 + this.chance(linksMax)
    for (const side of this.#sides) {
      if (side.owner !== party) continue
      side.outgoing = side.outgoing.slice(0, this.chance(side.outgoing.length + 1))
      side.crash()
    }
    party.start()
  }

  #abort(app: ModelApp): void {
    if (app.pending.length === 0) return
    this.tally.aborts += 1
    app.abort(this.chance(app.pending.length))
    if (this.chance(2) === 0) app.call(app.count)
  }

  #close(app: ModelApp): void {
    if (app.held.length > 0) app.close(this.#pick(app.held) as Group)
  }

  #call(app: ModelApp): void {
    if (app.pending.length < 2) app.call(app.count + (this.chance(100) < this.#faults.wrongCounts ? 1 : 0))
  }

  #connect(link: ModelLink): void {
    const [a, b] = link.sides
    const isHalf = (a.offered > 0 && a.offered === b.epoch) || (b.offered > 0 && b.offered === a.epoch)
    if (link.isConnected || (isHalf && this.chance(50) > 0)) return
    if (link.index > 0) {
      const numbers = link.sides.map((side) => (side.owner as ModelParty).inUse.get(side.peer) ?? 0)
      if (link.index >= Math.min(...numbers)) return
    }
    this.#adopted(link.connect(this.chance(2)))
  }

  #adopt(): void {
    const side = this.#pick(this.#sides.filter(({ offered }) => offered > 0))
    if (side === undefined) return
    side.adopt(side.offered)
    this.#adopted(side)
  }

  #adopted(side: ModelSide): void {
    const party = side.owner as ModelParty
    const peer = this.parties.find(({ name }) => name === side.peer) as ModelParty
    if (side.link.index === 0) {
      const links = Math.min(party.links, peer.links)
      const before = party.inUse.get(peer.name)
      party.inUse.set(peer.name, links)
      for (let link = links; link < linksMax; link += 1) this.sideOf(party, peer, link)?.expire()
      if (before !== links) party.setup.linksChanged(peer.name)
    }
    party.setup.linkUp(side.peer, side.link.index)
  }

  /** Applications stop what the end of a run cannot wait for: calls beyond one, and calls with a wrong count. */
  #calmDown(app: ModelApp): void {
    for (let index = app.pending.length - 1; index >= 0; index -= 1)
      if (app.pending[index]?.count !== app.count) app.abort(index)
    while (app.pending.length > 1) app.abort(this.chance(app.pending.length))
    while (app.held.length > 1) app.close(this.#pick(app.held) as Group)
    if (app.held.length + app.pending.length < 2) return
    if (this.chance(2) === 0) app.abort(0)
    else app.close(app.held[0] as Group)
  }
}

function progressOf(app: ModelApp): string {
  return app.pending
    .flatMap(({ handle }) => [...(handle?.progress() ?? [])].map(([peer, progress]) => `${peer} ${progress}`))
    .join(', ')
}
