/**
 * Owns: the long frames that arrive on one link (docs/protocol.md): when memory is reserved for each, the Credit that
 * goes with it, and which one is dropped because it arrives too slowly while others wait for room.
 * Independent of: what a frame carries; counting and sockets. A frame survives the connection, as its lane does.
 */
import { heldPerLongFrameByteMax, SpareMemory } from '../../../codec/spare-memory.ts'
import { encodeCredit, type LaneKind } from '../../../codec/native-frames.ts'
import type { LinkMemory } from '../memory/node-memory.ts'
import { LongFrame } from './long-frame.ts'
import type { CreditSource, ReceivingLane } from './receiving-lane.ts'

/** While a long frame waits, a link delivers this many bytes of Pieces in {@link slownessPeriodMs}, or drops one. */
export const leastPiecesBytes = 64 * 1024
export const slownessPeriodMs = 5_000
/** A timer that comes later shows that this side stood still, not the peer. */
const lateTimerMs = 1_000

interface LongFramesOptions {
  readonly memory: LinkMemory
  /** Blocks for long frames are taken from here where one fits, and given back. */
  readonly spares: SpareMemory
  readonly maxMessageLengthBytes: number
  readonly credit: CreditSource
  /** Ends the lane, whose frame keeps others waiting. May throw ProtocolError. */
  readonly onTooSlow: (lane: ReceivingLane) => void
  /** `dueAtMs` has become earlier. */
  readonly onDue: () => void
}

export class LongFrames {
  readonly #options: LongFramesOptions
  /** Those whose frame has a reservation and is not whole, the oldest first. */
  readonly #arriving = new Set<ReceivingLane>()
  #isUp = false
  /** Since when it is measured how much of them arrives. Null while nothing waits for it. */
  #measuredFromMs: number | null = null
  #deliveredBytes = 0

  constructor(options: LongFramesOptions) {
    this.#options = options
    options.memory.onLongFramesWait = () => this.#watch()
  }

  /**
   * A Piece has arrived and was paid for. Throws ProtocolError.
   * @returns its frame if that is whole now
   */
  piece(lane: ReceivingLane, laneKind: LaneKind, piece: Buffer): LongFrame | null {
    const frame = (lane.longArriving ??= new LongFrame(laneKind, piece, this.#options.maxMessageLengthBytes))
    if (!frame.isReserved && frame.giveUp === null && lane.longReserved === null) {
      if (laneKind === 'responses') this.#force(lane, frame)
      else this.#ask(lane, frame)
    }
    frame.add(piece)
    if (frame.isReserved) this.#deliveredBytes += piece.length
    if (!frame.isWhole) return null
    lane.longArriving = null
    if (this.#arriving.delete(lane)) this.#watch()
    if (!frame.isReserved) {
      // Whole before there was room: the window has paid for it, as for any other frame.
      frame.giveUp?.()
      frame.moveTo(this.#block(frame.lengthBytes))
    }
    return frame
  }

  /** The application has taken the frame with the lane's reservation. */
  taken(lane: ReceivingLane): void {
    const frame = lane.longReserved
    if (frame === null) return
    const { memory, credit } = this.#options
    const nowMs = credit.nowMs()
    lane.longReserved = null
    memory.releaseLongFrame(frame.declaredLengthBytes)
    const creditBytes = lane.window.takeLong(frame.wireBytes, nowMs, credit.roundTripMs())
    credit.measure(nowMs)
    if (creditBytes > 0) credit.writeOwn(encodeCredit(lane.id, creditBytes))
    // The reservation of the next one has waited for this.
    if (lane.longArriving !== null && lane.end === null) this.#ask(lane, lane.longArriving)
  }

  /** Nothing of the block is kept. */
  giveBack(block: Buffer): void {
    this.#options.spares.give(block)
  }

  /** What has arrived of a frame is dropped. What was delivered belongs to the application from here on. */
  laneEnded(lane: ReceivingLane): void {
    const { longArriving, longReserved } = lane
    lane.longArriving = lane.longReserved = null
    longArriving?.giveUp?.()
    if (this.#arriving.delete(lane)) this.#watch()
    if (longReserved !== null) this.#options.memory.releaseLongFrame(longReserved.declaredLengthBytes)
  }

  connectionBegins(): void {
    this.#isUp = true
    this.#watch()
  }

  connectionEnds(): void {
    this.#isUp = false
    this.#watch()
  }

  /** When {@link poll} is to be called. Infinite if nothing is due. */
  get dueAtMs(): number {
    return this.#measuredFromMs === null ? Infinity : this.#measuredFromMs + slownessPeriodMs
  }

  poll(nowMs: number): void {
    const lateMs = nowMs - this.dueAtMs
    if (lateMs < 0) return
    const isSlow = this.#deliveredBytes < leastPiecesBytes && lateMs <= lateTimerMs
    this.#measuredFromMs = nowMs
    this.#deliveredBytes = 0
    const [oldest] = this.#arriving
    if (isSlow && oldest !== undefined) this.#options.onTooSlow(oldest)
  }

  #ask(lane: ReceivingLane, frame: LongFrame): void {
    let isReserved = false
    const giveUp = this.#options.memory.whenLongFrame(frame.declaredLengthBytes, () => {
      isReserved = true
      frame.giveUp = null
      this.#reserved(lane, frame)
    })
    if (!isReserved) frame.giveUp = giveUp
  }

  /** The reservation of a Response is never refused and never waits. */
  #force(lane: ReceivingLane, frame: LongFrame): void {
    this.#options.memory.forceLongFrame(frame.declaredLengthBytes)
    this.#reserved(lane, frame)
  }

  #reserved(lane: ReceivingLane, frame: LongFrame): void {
    frame.isReserved = true
    lane.longReserved = frame
    frame.moveTo(this.#block(frame.lengthBytes))
    // Granted whole, so a lane whose frame is not whole has credit left.
    lane.window.grantLong(frame.wireBytes)
    this.#arriving.add(lane)
    this.#watch()
    this.#options.credit.writeOwn(encodeCredit(lane.id, frame.wireBytes))
  }

  /** Not from Node's pool, and never more than the frame needs by far: it may be kept for long. */
  #block(lengthBytes: number): Buffer {
    return this.#options.spares.take(lengthBytes, heldPerLongFrameByteMax) ?? Buffer.allocUnsafeSlow(lengthBytes)
  }

  #watch(): void {
    const isMeasured = this.#isUp && this.#arriving.size > 0 && this.#options.memory.longFramesWait
    if (isMeasured === (this.#measuredFromMs !== null)) return
    this.#measuredFromMs = isMeasured ? this.#options.credit.nowMs() : null
    this.#deliveredBytes = 0
    if (isMeasured) this.#options.onDue()
  }
}
