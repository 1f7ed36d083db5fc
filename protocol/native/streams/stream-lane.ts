/**
 * Owns: the state of one stream on its link: who opened it, which of its two directions are finished, its credit.
 * Independent of: frames, other streams, and who reads and writes it.
 */
import { Deque } from '../../deque.ts'
import type { StreamEvents, StreamOpening, StreamPort, StreamReset } from '../../streams.ts'
import { ReceiveWindow, SendCredit } from '../lanes/credit.ts'
import type { ReceivingLane } from '../lanes/receiving-lane.ts'
import type { PendingSend, SendingLane } from '../lanes/sending-lane.ts'
import { LaneMemory } from '../memory/lane-memory.ts'
import type { LinkMemory } from '../memory/node-memory.ts'

/** What a stream asks of the streams of its link. */
export interface StreamOwner {
  accept(lane: StreamLane): boolean
  trySend(lane: StreamLane, bytes: Uint8Array): boolean
  waitToSend(lane: StreamLane, bytes: Uint8Array, resolve: () => void, reject: (error: Error) => void): () => boolean
  finish(lane: StreamLane): void
  reset(lane: StreamLane, reset: StreamReset): void
  taken(lane: StreamLane, lengthBytes: number, frames: number): void
  whenAcked(lane: StreamLane, resolve: () => void, reject: (error: Error) => void): () => void
}

export class StreamLane implements StreamPort, SendingLane, ReceivingLane {
  id = 0
  readonly isOwed = false
  /** Why nothing more is sent on it, or null. */
  end: Error | null = null
  credit = noCredit
  window = noWindow
  readonly memory: LaneMemory
  /** A stream has no long frames. */
  longArriving = null
  longReserved = null
  long: PendingSend | null = null
  readonly waiting = new Deque<PendingSend>()
  cutOff: Error | null = null
  encoded = 0
  lastFrame = 0
  /** Bytes in the frames that are counted by `encoded`. */
  encodedBytes = 0
  waitingBytes = 0
  /** What its Open says, until it has left. */
  opening: StreamOpening | null
  events: StreamEvents | null = null
  /** Takes the Open back while it waits for room. */
  takeBack: (() => boolean) | null = null
  readonly isOwn: boolean
  isAccepted = false
  hasFinished = false
  hasPeerFinished = false
  isOver = false
  readonly #owner: StreamOwner

  /** @param opening of a stream of this side; null for one of the peer */
  constructor(owner: StreamOwner, link: LinkMemory, opening: StreamOpening | null) {
    this.#owner = owner
    this.memory = new LaneMemory(link, 0)
    this.opening = opening
    this.isOwn = opening !== null
  }

  /** Its receiving window is granted. */
  granted(windowBytes: number): void {
    this.memory.opened(windowBytes)
    this.window = new ReceiveWindow({ windowBytes, mayGrow: this.memory.grow })
  }

  accept(): boolean {
    return this.#owner.accept(this)
  }

  trySend(bytes: Uint8Array): boolean {
    return this.#owner.trySend(this, bytes)
  }

  waitToSend(bytes: Uint8Array, resolve: () => void, reject: (error: Error) => void): () => boolean {
    return this.#owner.waitToSend(this, bytes, resolve, reject)
  }

  finish(): void {
    this.#owner.finish(this)
  }

  reset(reset: StreamReset): void {
    this.#owner.reset(this, reset)
  }

  taken(lengthBytes: number, frames = 1): void {
    this.#owner.taken(this, lengthBytes, frames)
  }

  whenAcked(resolve: () => void, reject: (error: Error) => void): () => void {
    return this.#owner.whenAcked(this, resolve, reject)
  }
}

/** Of streams that nothing was granted on yet. */
const noCredit = new SendCredit(0)
const noWindow = new ReceiveWindow({ windowBytes: 0, mayGrow: () => false })
