/**
 * Owns: the turns of the lanes with frames that wait, or that are sent in Pieces: a frame or a Piece each.
 * Independent of: how a frame came to wait, and of frames that need not.
 */
import { lengthPrefixedHeaderLengthBytes } from '../../../codec/constants.ts'
import { InvalidValueError } from '../../../codec/errors.ts'
import type { FrameInPieces } from '../../../codec/frame-in-pieces.ts'
import type { LinkHooks } from '../../link-core.ts'
import type { LinkEpoch } from '../epoch/link-epoch.ts'
import type { PiecesInFlight } from './pieces-in-flight.ts'
import type { SendQueue } from './send-queue.ts'
import type { SendRoom } from './send-room.ts'
import type { PendingSend, SendingLane } from './sending-lane.ts'
import type { WriteBatch } from './write-batch.ts'

interface TurnParts {
  readonly queue: SendQueue
  readonly batch: WriteBatch
  readonly room: SendRoom
  readonly inFlight: PiecesInFlight
  readonly epoch: LinkEpoch
  readonly peer: string
  readonly hooks: () => LinkHooks
}

interface TurnOwner {
  /** The socket takes more, and the replay window admits another frame. */
  mayGoOn(): boolean
  costBytes(): number
  /** A whole frame of the lane is in the batch. */
  added(lane: SendingLane, lengthBytes: number): void
  requestFlush(): void
}

export class SendTurns {
  readonly #parts: TurnParts
  readonly #owner: TurnOwner
  #isSending = false

  constructor(parts: TurnParts, owner: TurnOwner) {
    this.#parts = parts
    this.#owner = owner
  }

  sendWaiting(): void {
    if (this.#isSending) return
    this.#isSending = true
    const { queue, batch, room } = this.#parts
    const owner = this.#owner
    try {
      for (const lane of queue.lanes) {
        if (!owner.mayGoOn()) return
        const next = this.#nextOf(lane)
        if (next === undefined) continue
        if (next.long === null && batch.endsBefore(next.lengthBytes)) {
          if (!this.flushFor(lane) || !owner.mayGoOn()) return
        }
        // The flush may have changed the queue.
        const send = this.#nextOf(lane)
        if (send === undefined) continue
        if (!room.fitsQueued(owner.costBytes(), send)) {
          this.waitForRoom()
          // There may be room at once.
          if (!room.fits(owner.costBytes(), send.lengthBytes)) return
        }
        if (send.long === null) {
          queue.shift(lane)
          this.#sendWhole(lane, send)
        } else this.sendPiece(lane, send)
      }
    } finally {
      this.#isSending = false
    }
  }

  #sendWhole(lane: SendingLane, send: PendingSend): void {
    try {
      this.#parts.queue.release(send)
      this.checkLength(send.frameLengthBytes)
      this.#owner.added(lane, this.#parts.batch.addPending(send))
      send.settle(null)
    } catch (error) {
      send.settle(error as Error)
    }
  }

  /**
   * The next Piece of a frame: of the first that waits, or of the one that is in Pieces already. If the first Piece
   * fails, its frame is not sent; an error at a later one leaves that for the next turn.
   */
  sendPiece(lane: SendingLane, send: PendingSend): void {
    const { queue, batch, inFlight, hooks } = this.#parts
    const long = send.long as FrameInPieces
    const isFirst = lane.long === null
    if (isFirst) queue.begin(lane, send)
    const piece = long.peek()
    try {
      if (isFirst) this.checkLength(send.frameLengthBytes)
      batch.addPiece(piece)
    } catch (error) {
      if (!isFirst) throw error
      queue.giveUp(lane, send)
      send.settle(error as Error)
      return
    }
    // From here on the Piece is sent, whatever throws.
    long.advance()
    if (piece.isLast) lane.long = null
    lane.lastFrame = batch.takenFrames + batch.frames
    lane.credit.spend(piece.lengthBytes)
    inFlight.sent(lane.lastFrame, piece.lengthBytes)
    queue.pieceSent(lane, send, long)
    if (batch.isLongOfPieces(piece)) hooks().flushNow()
    else this.#owner.requestFlush()
    if (piece.isLast) send.settle(null)
  }

  /** What the lane may send now, if anything. Pieces wait for an acknowledgement, other frames do not. */
  #nextOf(lane: SendingLane): PendingSend | undefined {
    const { queue, inFlight } = this.#parts
    const next = lane.credit.canSend ? queue.next(lane) : undefined
    return next === undefined || next.long === null || inFlight.maySend() ? next : undefined
  }

  /** In the order in which links ask, over all links of the node. */
  waitForRoom(): void {
    this.#parts.room.wait(
      () => this.#owner.costBytes(),
      () => this.#nextToSend(),
      () => this.sendWaiting(),
    )
  }

  /** Where {@link sendWaiting} goes on. */
  #nextToSend(): PendingSend | undefined {
    for (const lane of this.#parts.queue.lanes) {
      const next = this.#nextOf(lane)
      if (next !== undefined) return next
    }
    return undefined
  }

  /** Throws ERR_INVALID_VALUE if the peer does not accept a frame of this length. */
  checkLength(frameLengthBytes: number): void {
    const { epoch, peer } = this.#parts
    const limitBytes = epoch.peerLimits?.maxMessageLengthBytes ?? Infinity
    // Without lane id, descriptor and length field, as maxMessageLength counts.
    const lengthBytes = frameLengthBytes - lengthPrefixedHeaderLengthBytes
    if (lengthBytes <= limitBytes) return
    throw new InvalidValueError(`a value of ${lengthBytes} bytes is longer than the ${limitBytes} that ${peer} accepts`)
  }

  /**
   * Before the frame is written, and not after: the flush may end the epoch. @returns whether the lane is still there
   */
  flushFor(lane: SendingLane): boolean {
    this.#parts.hooks().flushNow()
    return lane.end === null
  }
}
