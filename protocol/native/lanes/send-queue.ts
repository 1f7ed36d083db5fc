/**
 * Owns: the frames of one link that wait for credit or for room, by lane: their number, their memory, and whose turn it
 * is.
 * Independent of: when a frame may be sent.
 */
import { StatewireError } from '../../../codec/errors.ts'
import type { LinkFigures } from '../../link-figures.ts'
import type { LinkMemory } from '../memory/node-memory.ts'
import type { PendingSend, SendingLane } from './sending-lane.ts'

/** What each waiting frame costs besides its bytes. */
const overheadBytes = 60

export interface SendQueueOptions {
  readonly sendQueueBytesMax: number
  readonly sendQueueValuesMax: number
  readonly memory: LinkMemory
}

export class SendQueue {
  readonly #options: SendQueueOptions
  /** Those on which a frame waits, in the order of their turns. */
  readonly #lanes = new Set<SendingLane>()
  #sends = 0
  #bytes = 0

  constructor(options: SendQueueOptions) {
    this.#options = options
  }

  /** Frames that wait. */
  get sends(): number {
    return this.#sends
  }

  get figures(): Pick<LinkFigures['sendQueue'], 'values' | 'bytes'> {
    return { values: this.#sends, bytes: this.#bytes }
  }

  /** While this is iterated, lanes that are added are visited too. */
  get lanes(): ReadonlySet<SendingLane> {
    return this.#lanes
  }

  /** Reserves memory for one more frame. @returns what it costs, or why it must not wait */
  reserve(lane: SendingLane, frameLengthBytes: number): number | StatewireError {
    const { memory, sendQueueBytesMax, sendQueueValuesMax } = this.#options
    const costBytes = frameLengthBytes + overheadBytes
    if (this.#sends >= sendQueueValuesMax || (this.#sends > 0 && this.#bytes + costBytes > sendQueueBytesMax)) {
      const waiting = `${this.#sends} values (${this.#bytes} bytes)`
      return new StatewireError(
        'ERR_SEND_QUEUE_FULL',
        `${waiting} wait to be sent already; await send() before the next`,
      )
    }
    if (memory.queueValue(costBytes, lane.waiting.length === 0)) return costBytes
    return new StatewireError(
      'ERR_SEND_QUEUE_FULL',
      `the memory budget of the node is used up, and a value waits to be sent on session ${lane.id} already; ` +
        'await send() before the next',
    )
  }

  /** Gives up what {@link reserve} returned. */
  cancel(costBytes: number): void {
    this.#options.memory.unqueueValue(costBytes)
  }

  add(lane: SendingLane, send: PendingSend): void {
    lane.waiting.push(send)
    this.#lanes.add(lane)
    this.#sends++
    this.#bytes += send.costBytes
  }

  /** @returns whether the frame still waited */
  withdraw(lane: SendingLane, send: PendingSend): boolean {
    if (!lane.waiting.remove(send)) return false
    this.release(send)
    return true
  }

  /**
   * Takes the first frame of a lane, if there is one; {@link release} comes next. The lane goes to the end, so that
   * lanes take turns, a frame each.
   */
  shift(lane: SendingLane): void {
    this.#lanes.delete(lane)
    lane.waiting.shift()
    if (lane.waiting.length > 0) this.#lanes.add(lane)
  }

  /** The frame does not wait any more. */
  release(send: PendingSend): void {
    this.#sends--
    this.#bytes -= send.costBytes
    this.#options.memory.unqueueValue(send.memoryBytes)
    send.memoryBytes = 0
  }

  reject(lane: SendingLane, error: Error): void {
    this.#lanes.delete(lane)
    for (const send of lane.waiting.drain()) {
      this.release(send)
      send.reject(error)
    }
  }
}
