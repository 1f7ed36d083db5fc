/**
 * Owns: the memory that a link has reserved for frames that are encoded, or sent and not acknowledged. It is taken and
 * given back in quanta, and a link that needs more waits in a queue.
 * Independent of: values and lanes; what a link holds is passed in as one number.
 */
import { sendQuantumBytes } from '../memory/node-memory.ts'
import type { LinkMemory } from '../memory/node-memory.ts'
import { retransmitFrameOverheadBytes } from '../epoch/retransmit-buffer.ts'

/** What a link asks for where memory is scarce, if its next value needs no more. */
const scarceQuantumBytes = sendQuantumBytes / 4

/** What a frame that waits holds of the memory budget: at least what it will cost once it is encoded. */
export interface QueuedMemory {
  /** The length of what is sent at its next turn. */
  readonly lengthBytes: number
  /** What becomes room of the link at its next turn. */
  readonly turnMemoryBytes: number
  /** 0 once all of it has. */
  memoryBytes: number
}

export class SendRoom {
  readonly #memory: LinkMemory
  #roomBytes = 0
  #giveUp: (() => boolean) | null = null

  constructor(memory: LinkMemory) {
    this.#memory = memory
  }

  /** Whether one more frame fits, besides those that cost `costBytes`. Nearly always one comparison. */
  fits(costBytes: number, frameLengthBytes: number): boolean {
    const lackBytes = costBytes + frameLengthBytes + retransmitFrameOverheadBytes - this.#roomBytes
    return lackBytes <= 0 || this.#reserve(lackBytes)
  }

  /** Reserved already, besides what costs `costBytes`. */
  leftBytes(costBytes: number): number {
    return this.#roomBytes - costBytes
  }

  #reserve(lackBytes: number): boolean {
    for (const bytes of [Math.max(lackBytes, sendQuantumBytes), Math.max(lackBytes, scarceQuantumBytes)]) {
      if (!this.#memory.reserveReplay(bytes)) continue
      this.#roomBytes += bytes
      this.stopWaiting()
      return true
    }
    return false
  }

  /** Whether a frame that waits may be sent. Its memory is reserved, so only other links can be in its way. */
  fitsQueued(costBytes: number, send: QueuedMemory): boolean {
    if (this.fits(costBytes, send.lengthBytes)) return true
    if (!this.#memory.mayMove) return false
    this.#move(costBytes, send)
    return true
  }

  /**
   * Calls back when it may. A link has one place in the queue.
   * @param next what is sent then, if anything still waits
   */
  wait(costBytes: () => number, next: () => QueuedMemory | undefined, onRoom: () => void): void {
    if (this.#giveUp !== null) return
    let isServed = false
    const giveUp = this.#memory.whenReplay(0, () => {
      isServed = true
      this.#giveUp = null
      this.#move(costBytes(), next())
      onRoom()
    })
    // Served at once. A call that asked again in the meantime has the place in the queue.
    if (!isServed) this.#giveUp = giveUp
  }

  /** Memory of the queue becomes room. */
  #move(costBytes: number, send: QueuedMemory | undefined): void {
    this.charge(costBytes)
    if (send === undefined) return
    const bytes = send.turnMemoryBytes
    this.#memory.moveToReplay(bytes)
    this.#roomBytes += bytes
    send.memoryBytes -= bytes
  }

  stopWaiting(): void {
    this.#giveUp?.()
    this.#giveUp = null
  }

  /** Frames of the link's own were sent whether there was room or not. */
  charge(costBytes: number): void {
    if (costBytes <= this.#roomBytes) return
    this.#memory.takeReplay(costBytes - this.#roomBytes)
    this.#roomBytes = costBytes
  }

  /** Frames were acknowledged. Gives back what is not needed soon; while others wait, all that is not needed now. */
  trim(costBytes: number): void {
    const excessBytes = this.#roomBytes - costBytes
    if (excessBytes <= 0) return
    const keptBytes = this.#memory.isWanted ? 0 : sendQuantumBytes
    if (excessBytes < 2 * keptBytes) return
    this.#give(excessBytes - keptBytes)
  }

  /** Nothing is held any more. */
  clear(): void {
    this.stopWaiting()
    this.#give(this.#roomBytes)
  }

  #give(bytes: number): void {
    this.#roomBytes -= bytes
    this.#memory.releaseReplay(bytes)
  }
}
