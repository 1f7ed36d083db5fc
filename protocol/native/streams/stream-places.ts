/**
 * Owns: when the Opens of this side leave: within the limit of the peer, once there is a connection and room, in order.
 * Independent of: what a stream does once its Open has left.
 */
import type { NativeOutbox } from '../lanes/native-outbox.ts'
import type { StreamLane } from './stream-lane.ts'

export interface StreamPlacesOptions {
  readonly outbox: NativeOutbox
  readonly isUp: () => boolean
  /** How many streams this side may have open there; null before a hello said so. */
  readonly peerStreamsMax: () => number | null
  /** Writes the Open of a stream, which has a place. */
  readonly send: (lane: StreamLane) => void
}

export class StreamPlaces {
  readonly #options: StreamPlacesOptions
  /** They wait for a connection, or for another stream to end. */
  #waiting = new Set<StreamLane>()
  /** They have a place, and wait for room only. */
  readonly #placed = new Set<StreamLane>()
  /** Streams of this side whose Open has left and that are not over. */
  open = 0

  constructor(options: StreamPlacesOptions) {
    this.#options = options
  }

  /** Those that wait included. */
  get size(): number {
    return this.open + this.#placed.size + this.#waiting.size
  }

  /** The next Open does not have to wait for another stream to end. */
  get isFree(): boolean {
    return this.#waiting.size === 0 && this.#hasPlace()
  }

  #hasPlace(): boolean {
    return this.#options.isUp() && this.open + this.#placed.size < (this.#options.peerStreamsMax() ?? 0)
  }

  add(lane: StreamLane): void {
    this.#waiting.add(lane)
    this.fill()
  }

  /** A place, or a connection, may have become free. */
  fill(): void {
    for (const lane of this.#waiting) {
      if (!this.#hasPlace()) return
      this.#waiting.delete(lane)
      this.#placed.add(lane)
      lane.takeBack = this.#options.outbox.held.add(() => {
        this.#placed.delete(lane)
        this.#options.send(lane)
      })
    }
  }

  /** A stream of this side is over. */
  ended(): void {
    this.open--
    this.fill()
  }

  /** Its Open has not left, and never will. */
  remove(lane: StreamLane): void {
    lane.takeBack?.()
    this.#waiting.delete(lane)
    if (this.#placed.delete(lane)) this.fill()
  }

  /** Opens that were not written may leave in the next epoch. */
  epochEnded(): void {
    this.open = 0
    this.#waiting = new Set([...this.#placed, ...this.#waiting])
    this.#placed.clear()
  }

  /** @returns those whose Open has not left, in order; none of them will */
  removeAll(): StreamLane[] {
    const all = [...this.#placed, ...this.#waiting]
    this.#waiting.clear()
    for (const lane of all) this.remove(lane)
    return all
  }
}
