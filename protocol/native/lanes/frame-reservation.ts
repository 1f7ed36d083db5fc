/**
 * Owns: that a value longer than the window of its lane is read on only once there is memory for it: the one frame of a link
 * that is being put together (docs/protocol.md, native).
 * Refuses to know: bytes; sockets, which stop and go on by its word.
 */
import type { ReceivingLane } from './receiving-lane.ts'
import type { LinkMemory } from '../memory/node-memory.ts'

export interface ReadingControl {
  onReadingStops(): void
  onReadingGoesOn(): void
}

export class FrameReservation {
  readonly #memory: LinkMemory
  readonly #control: ReadingControl
  #lane: ReceivingLane | null = null
  #giveUp: (() => boolean) | null = null

  constructor(memory: LinkMemory, control: ReadingControl) {
    this.#memory = memory
    this.#control = control
  }

  /** The link must not read on. */
  get isWaiting(): boolean {
    return this.#giveUp !== null
  }

  /** At the end of a chunk, a frame of this lane is there in part. */
  reserve(lane: ReceivingLane, frameLengthBytes: number): void {
    if (this.#giveUp !== null || lane.end !== null) return
    this.#lane = lane
    const lackBytes = frameLengthBytes - lane.window.ownCountBytes - lane.memory.frameBytes
    if (lackBytes <= 0) return
    let isReserved = false
    const giveUp = this.#memory.whenFrame(lackBytes, () => {
      isReserved = true
      lane.memory.addFrame(lackBytes)
      if (this.#giveUp === null) return
      this.#giveUp = null
      this.#control.onReadingGoesOn()
    })
    if (isReserved) return
    this.#giveUp = giveUp
    this.#control.onReadingStops()
  }

  /** The lane is over: what still comes on it is dropped. */
  laneEnded(lane: ReceivingLane): void {
    if (this.#lane === lane) this.forget()
  }

  /** The connection has ended, and with it the frame that was there in part. */
  forget(): void {
    const lane = this.#lane
    const giveUp = this.#giveUp
    this.#lane = null
    this.#giveUp = null
    if (lane !== null) lane.memory.settle(Math.max(0, -lane.window.ownCountBytes))
    if (giveUp === null) return
    giveUp()
    this.#control.onReadingGoesOn()
  }
}
