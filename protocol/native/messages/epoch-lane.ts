/**
 * Owns: one of the messages, requests and responses lanes of link 0: its credit in both directions and what waits on
 * it. The lane exists as long as its link; its balances begin again with each epoch.
 * Independent of: frames, and what it carries.
 */
import { responsesLane } from '../../../codec/native-frames.ts'
import { Deque } from '../../deque.ts'
import { ReceiveWindow, SendCredit } from '../lanes/credit.ts'
import type { AdoptedWindows } from '../lanes/lane-kind.ts'
import type { LongFrame } from '../lanes/long-frame.ts'
import type { ReceivingLane } from '../lanes/receiving-lane.ts'
import type { PendingSend, SendingLane } from '../lanes/sending-lane.ts'
import { LaneMemory } from '../memory/lane-memory.ts'
import type { LinkMemory } from '../memory/node-memory.ts'

export class EpochLane implements SendingLane, ReceivingLane {
  readonly id: number
  readonly isOwed: boolean
  end: Error | null = null
  credit: SendCredit
  window: ReceiveWindow
  /** What the window has grown by. The link holds the window of the hello itself. */
  memory: LaneMemory
  longArriving: LongFrame | null = null
  longReserved: LongFrame | null = null
  readonly waiting = new Deque<PendingSend>()
  long: PendingSend | null = null
  cutOff: Error | null = null
  encoded = 0
  lastFrame = 0
  readonly #link: LinkMemory
  readonly #createCredit: (lane: EpochLane, bytes: number) => SendCredit

  /** @param createCredit for a lane on which more than credit decides what may be sent */
  constructor(
    id: number,
    link: LinkMemory,
    createCredit = (_lane: EpochLane, bytes: number): SendCredit => new SendCredit(bytes),
  ) {
    this.id = id
    this.isOwed = id === responsesLane
    this.#link = link
    this.#createCredit = createCredit
    this.memory = new LaneMemory(link, 0)
    this.window = new ReceiveWindow({ windowBytes: 0, mayGrow: this.memory.grow })
    this.credit = createCredit(this, 0)
  }

  adopted({ receiveBytes, sendBytes }: AdoptedWindows): void {
    if (receiveBytes !== null) {
      this.#renewMemory()
      this.window = new ReceiveWindow({ windowBytes: receiveBytes, mayGrow: this.memory.grow })
    }
    if (sendBytes !== null) this.credit = this.#createCredit(this, sendBytes)
  }

  /** What waits was rejected. The lane has no credit until a hello gives some. */
  epochEnded(): void {
    this.#renewMemory()
    this.window = new ReceiveWindow({ windowBytes: 0, mayGrow: this.memory.grow })
    this.credit = this.#createCredit(this, 0)
    this.encoded = 0
    this.cutOff = null
  }

  #renewMemory(): void {
    this.memory.end()
    this.memory = new LaneMemory(this.#link, 0)
  }
}
