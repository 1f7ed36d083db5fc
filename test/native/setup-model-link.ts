/**
 * Owns: a link of the model of session set-up: two sides with epochs of their own, and frames that arrive in order or
 * are lost with the epoch.
 * Independent of: what the parties do. Resumption is not modelled: a socket that breaks and resumes only delays frames.
 */
import { StatewireError } from '../../codec/errors.ts'
import { SessionIds } from '../../protocol/native/setup/session-ids.ts'
import type { SessionSetup } from '../../protocol/native/setup/session-setup.ts'
import type { SetupFrame } from '../../codec/setup-frames.ts'
import type { LanesToOpen, SentWant, SetupPort, WantFrame } from '../../protocol/native/setup/setup-port.ts'

export type Chance = (below: number) => number

interface LaneFrame {
  readonly type: 'Reset' | 'Value'
  readonly id: number
}

type ModelFrame = SetupFrame | LaneFrame

function isLaneFrame(frame: ModelFrame): frame is LaneFrame {
  return frame.type === 'Reset' || frame.type === 'Value'
}

export class ModelLane {
  readonly side: ModelSide
  readonly id: number
  readonly epoch: number
  readonly windowBytes: number
  creditBytes: number
  isOpen = true
  onEnded: () => void

  constructor(side: ModelSide, id: number, opening: LanesToOpen) {
    this.side = side
    this.id = id
    this.epoch = side.epoch
    this.windowBytes = opening.windowBytes
    this.creditBytes = opening.creditBytes
    this.onEnded = opening.onEnded
  }

  /** The same text for the two ends of one lane, and for no others. */
  get key(): string {
    return `${this.side.link.name} epoch ${this.epoch} id ${this.id}`
  }

  end(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.side.lanes.delete(this.id)
    this.onEnded()
  }

  close(): void {
    if (!this.isOpen) return
    this.side.write({ type: 'Reset', id: this.id })
    this.end()
  }

  /** As an application does that got the session. */
  sendValue(): void {
    if (this.creditBytes <= 0) throw new Error(`no credit on ${this.key}`)
    if (this.isOpen) this.side.write({ type: 'Value', id: this.id })
  }
}

/** What a side needs of the party that it belongs to. */
export interface ModelOwner {
  readonly setup: SessionSetup<ModelLane>
  readonly links: number
  /** The party has sent Agree with this set. */
  recordAgree(set: bigint): void
}

export class ModelSide {
  readonly link: ModelLink
  readonly peer: string
  readonly owner: ModelOwner
  /** 0: no hello was adopted since the last reset. */
  epoch = 0
  /** The greatest epoch that it had. Frames up to it are not for the present one. */
  lastEpoch = 0
  /** The epoch of a hello that the other side has adopted and this side has not. */
  offered = 0
  ids = new SessionIds()
  readonly lanes = new Map<number, ModelLane>()
  outgoing: { readonly epoch: number; readonly frame: ModelFrame }[] = []
  waitingWants: WantFrame[] = []

  constructor(link: ModelLink, peer: string, owner: ModelOwner) {
    this.link = link
    this.peer = peer
    this.owner = owner
  }

  write(frame: ModelFrame): void {
    if (this.epoch > 0) this.outgoing.push({ epoch: this.epoch, frame })
  }

  sendWant(frame: WantFrame): SentWant {
    this.waitingWants.push(frame)
    return {
      withdraw: () => {
        const isWaiting = this.waitingWants.includes(frame)
        this.waitingWants = this.waitingWants.filter((each) => each !== frame)
        return isWaiting
      },
    }
  }

  admitWant(): void {
    const frame = this.waitingWants.shift()
    if (frame !== undefined) this.write(frame)
  }

  /** @param inFlight how many of the frames sent so far still reach the other side */
  reset(inFlight: number): void {
    if (this.epoch === 0) return
    this.outgoing = this.outgoing.slice(0, inFlight)
    this.waitingWants = []
    this.epoch = 0
    this.ids = new SessionIds()
    this.owner.setup.linkReset(this.peer, this.link.index)
    for (const lane of this.lanes.values()) lane.end()
  }

  /** The link is not in use any more. */
  expire(): void {
    this.reset(0)
    this.#forgetOffer()
  }

  #forgetOffer(): void {
    this.offered = 0
    this.lastEpoch = this.link.lastEpoch
  }

  /** The process is gone, and nothing is called. */
  crash(): void {
    this.epoch = 0
    this.#forgetOffer()
    this.ids = new SessionIds()
    this.lanes.clear()
    this.waitingWants = []
  }

  adopt(epoch: number): void {
    this.reset(0)
    this.offered = 0
    this.epoch = epoch
    this.lastEpoch = epoch
  }

  receive(frame: ModelFrame): void {
    if (!isLaneFrame(frame)) {
      this.owner.setup.onFrame(this.peer, this.link.index, frame)
      return
    }
    const lane = this.lanes.get(frame.id)
    const place = this.ids.placeOf(frame.id)
    if (lane === undefined && (place === 'unmade' || (place === 'refused' && frame.type === 'Value')))
      throw new Error(`${frame.type} for id ${frame.id}, which is ${place}`)
    if (frame.type === 'Reset') lane?.end()
  }
}

export class ModelLink {
  readonly name: string
  readonly index: number
  readonly sides: readonly [ModelSide, ModelSide]
  lastEpoch = 0

  constructor(names: readonly [string, string], owners: readonly [ModelOwner, ModelOwner], index: number) {
    this.name = `${names.join('-')} link ${index}`
    this.index = index
    this.sides = [new ModelSide(this, names[1], owners[0]), new ModelSide(this, names[0], owners[1])]
  }

  get isConnected(): boolean {
    const [a, b] = this.sides
    return a.epoch > 0 && a.epoch === b.epoch
  }

  /** A hello is exchanged: the first side adopts it at once, the other one later. @returns the first side */
  connect(first: number): ModelSide {
    const side = this.sides[first] as ModelSide
    const other = this.sides[1 - first] as ModelSide
    this.lastEpoch += 1
    side.adopt(this.lastEpoch)
    other.offered = this.lastEpoch
    return side
  }

  /** @returns the side that gets a frame now: the oldest one of its epoch, or null if there is none */
  deliver(from: number): ModelSide | null {
    const sender = this.sides[from] as ModelSide
    const receiver = this.sides[1 - from] as ModelSide
    const next = sender.outgoing[0]
    if (next === undefined || next.epoch > receiver.lastEpoch) return null
    sender.outgoing.shift()
    if (next.epoch === receiver.epoch) receiver.receive(next.frame)
    return receiver
  }
}

/** The memory and the limits of one party. */
export class ModelBudget {
  /** Reserved and neither released nor passed to a lane. */
  reserved = 0
  refusing = 0
  readonly #chance: Chance

  constructor(chance: Chance) {
    this.#chance = chance
  }

  reserve(lanes: number): number {
    if (this.#chance(100) < this.refusing)
      throw new StatewireError('ERR_SESSION_LIMIT', 'this side has too many sessions')
    this.reserved += lanes
    return 1000
  }
}

export function modelPort(
  isGreater: boolean,
  side: (link: number) => ModelSide | undefined,
  links: () => number | null,
  budget: ModelBudget,
): SetupPort<ModelLane> {
  const at = (link: number): ModelSide => {
    const found = side(link)
    if (found === undefined) throw new Error(`there is no link ${link}`)
    return found
  }
  const live = (link: number): ModelSide => {
    if (at(link).epoch === 0) throw new Error(`link ${link} is not up`)
    return at(link)
  }
  return {
    isGreater,
    get links() {
      return links()
    },
    isUp: (link) => (side(link)?.epoch ?? 0) > 0,
    ids: (link) => live(link).ids,
    send: (link, frame) => {
      if (frame.type === 'Agree') at(link).owner.recordAgree(frame.set)
      live(link).write(frame)
    },
    sendWant: (frame) => live(0).sendWant(frame),
    reserveWindows: (lanes) => budget.reserve(lanes),
    releaseWindows: (lanes) => (budget.reserved -= lanes),
    openLanes: (opening) => {
      const { link, firstId, count } = opening
      budget.reserved -= count
      return [...Array(count).keys()].map((index) => {
        const lane = new ModelLane(live(link), firstId + index, opening)
        if (lane.side.lanes.has(lane.id)) throw new Error(`${lane.key} is open twice`)
        lane.side.lanes.set(lane.id, lane)
        return lane
      })
    },
    grantCredit: (lanes, creditBytes) => {
      for (const lane of lanes) lane.creditBytes += creditBytes
    },
    resetLanes: (_, lanes) => {
      for (const lane of lanes) lane.close()
    },
  }
}
