/**
 * Owns: the frames of one link that wait for credit or for room, or are sent in Pieces, by lane: their number, their
 * memory, and whose turn it is.
 * Independent of: when a frame may be sent.
 */
import { StatewireError } from '../../../codec/errors.ts'
import { isLongFrame, piecesOf, type FrameInPieces } from '../../../codec/frame-in-pieces.ts'
import type { LinkFigures } from '../../link-figures.ts'
import type { LinkMemory } from '../memory/node-memory.ts'
import { PendingSend, type SendingLane } from './sending-lane.ts'

/** What each waiting frame costs besides its bytes. */
const overheadBytes = 60

export interface SendQueueOptions {
  readonly sendQueueBytesMax: number
  readonly sendQueueValuesMax: number
  readonly memory: LinkMemory
}

export class SendQueue {
  readonly #options: SendQueueOptions
  /** Those on which a frame waits or is sent in Pieces, in the order of their turns. */
  readonly #lanes = new Set<SendingLane>()
  #sends = 0
  #bytes = 0

  constructor(options: SendQueueOptions) {
    this.#options = options
  }

  /** Frames that wait, or of which the last Piece does. */
  get sends(): number {
    return this.#sends
  }

  /** Lanes with a frame that is being sent in Pieces. Costs a walk over those with frames that wait. */
  get lanesInPieces(): SendingLane[] {
    return [...this.#lanes].filter(({ long }) => long !== null)
  }

  get figures(): Pick<LinkFigures['sendQueue'], 'values' | 'bytes'> {
    return { values: this.#sends, bytes: this.#bytes }
  }

  /** While this is iterated, lanes that are added are visited too. */
  get lanes(): ReadonlySet<SendingLane> {
    return this.#lanes
  }

  /**
   * Reserves memory for one more frame. @returns what it costs, or why it must not wait
   * @param mayOverdraw whether it is reserved even if there is no memory
   */
  reserve(lane: SendingLane, frameLengthBytes: number, mayOverdraw: boolean): number | StatewireError {
    const { memory, sendQueueBytesMax, sendQueueValuesMax } = this.#options
    const costBytes = queuedBytes(frameLengthBytes) + overheadBytes
    const isFull = this.#sends >= sendQueueValuesMax || (this.#sends > 0 && this.#bytes + costBytes > sendQueueBytesMax)
    if (isFull && !lane.isOwed) {
      const waiting = `${this.#sends} values (${this.#bytes} bytes)`
      return new StatewireError(
        'ERR_SEND_QUEUE_FULL',
        `${waiting} wait to be sent already; await send() before the next`,
      )
    }
    if (memory.queueValue(costBytes, mayOverdraw || lane.isOwed)) return costBytes
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
    if (lane.long === null && lane.waiting.length === 0) this.#lanes.delete(lane)
    this.release(send)
    return true
  }

  /** What the lane sends at its next turn. */
  next(lane: SendingLane): PendingSend | undefined {
    return lane.long ?? lane.waiting.peek()
  }

  /** Takes the first frame of a lane; {@link release} comes next. */
  shift(lane: SendingLane): void {
    lane.waiting.shift()
    this.#endTurn(lane)
  }

  /** The first frame of a lane is about to be sent in Pieces. */
  begin(lane: SendingLane, send: PendingSend): void {
    lane.waiting.shift()
    lane.long = send
    lane.encoded++
  }

  /** Its first Piece was not sent after all. */
  giveUp(lane: SendingLane, send: PendingSend): void {
    lane.long = null
    lane.encoded--
    this.#endTurn(lane)
    this.release(send)
  }

  /** A Piece is in the write batch. If it was the last, the lane has no frame in Pieces any more. */
  pieceSent(lane: SendingLane, send: PendingSend, { leftBytes, leftPieces }: FrameInPieces): void {
    this.#endTurn(lane)
    if (leftPieces === 0) this.release(send)
    else this.#shrink(send, PendingSend.longCostBytes({ wireBytes: leftBytes, pieces: leftPieces }))
  }

  /** The lane goes to the end, so that lanes take turns, a frame or a Piece each. */
  #endTurn(lane: SendingLane): void {
    this.#lanes.delete(lane)
    if (lane.long !== null || lane.waiting.length > 0) this.#lanes.add(lane)
  }

  /** Pieces do not wait any more. */
  #shrink(send: PendingSend, costBytes: number): void {
    this.#bytes -= send.costBytes - costBytes
    send.costBytes = costBytes
    const excessBytes = send.memoryBytes - costBytes
    if (excessBytes <= 0) return
    this.#options.memory.unqueueValue(excessBytes)
    send.memoryBytes -= excessBytes
  }

  /** The frame does not wait any more. */
  release(send: PendingSend): void {
    this.#sends--
    this.#bytes -= send.costBytes
    this.#options.memory.unqueueValue(send.memoryBytes)
    send.memoryBytes = 0
  }

  /** Rejects what waits. A frame that is being sent in Pieces goes on. */
  reject(lane: SendingLane, error: Error): void {
    if (lane.long === null) this.#lanes.delete(lane)
    for (const send of lane.waiting.drain()) {
      this.release(send)
      send.settle(error)
    }
  }

  /** Drops the rest of a frame of which Pieces were sent. */
  dropLong(lane: SendingLane, error: Error): void {
    const { long } = lane
    if (long === null) return
    lane.long = null
    this.#endTurn(lane)
    this.release(long)
    lane.cutOff ??= error
    long.settle(error)
  }
}

/** In Pieces a frame is longer, and each has the overhead of a frame. */
function queuedBytes(frameLengthBytes: number): number {
  return isLongFrame(frameLengthBytes) ? PendingSend.longCostBytes(piecesOf(frameLengthBytes)) : frameLengthBytes
}
