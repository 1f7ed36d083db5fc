/**
 * Owns: the memory for a value longer than the window of its lane: it is read on only once there is memory for it. It
 * is the one frame of a link that is being assembled (docs/protocol.md).
 * Independent of: bytes; sockets, which stop and continue when this reports it.
 */
import type { ReceivingLane } from './receiving-lane.ts'
import type { LinkMemory } from '../memory/node-memory.ts'

export interface ReadingControl {
  pauseReading(): void
  resumeReading(): void
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

  /** At the end of a chunk, part of a frame of this lane has arrived. */
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
      this.#control.resumeReading()
    })
    if (isReserved) return
    this.#giveUp = giveUp
    this.#control.pauseReading()
  }

  /** The lane has ended: what still comes on it is dropped. */
  laneEnded(lane: ReceivingLane): void {
    if (this.#lane === lane) this.forget()
  }

  /** The connection has ended, and with it the frame that had arrived in part. */
  forget(): void {
    const lane = this.#lane
    const giveUp = this.#giveUp
    this.#lane = null
    this.#giveUp = null
    if (lane !== null) lane.memory.settle(Math.max(0, -lane.window.ownCountBytes))
    if (giveUp === null) return
    giveUp()
    this.#control.resumeReading()
  }
}
