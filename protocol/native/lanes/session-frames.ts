/**
 * Owns: what arrives on the sessions of a native link: values find their lane and its reader, Credit and Reset their
 * session.
 * Independent of: how sessions begin and end (session-lanes.ts); counting and sockets.
 */
import {
  descriptors,
  frameHeaderLengthBytes,
  lengthFieldLengthBytes,
  msgPackDescriptor,
} from '../../../codec/constants.ts'
import { isView } from '../../../codec/decode-value.ts'
import { ProtocolError } from '../../../codec/errors.ts'
import { checkMsgPack, decodeMsgPackBody } from '../../../codec/msgpack-decode.ts'
import { nativeDescriptors } from '../../../codec/native-frames.ts'
import type { NetworkValue } from '../../../codec/values.ts'
import { decodePiece } from '../frame-bodies.ts'
import type { KeptViews } from '../../kept-views.ts'
import type { Lane } from '../../lane.ts'
import type { LinkCounters } from '../../link-core.ts'
import type { EpochEnd, OutcomeCounts, PendingFrames } from '../epoch/outcomes.ts'
import type { LaneKindHandler } from './lane-kind.ts'
import { interrupted, type LongFrame } from './long-frame.ts'
import type { LongFrames } from './long-frames.ts'
import type { NativeLane } from './native-lane.ts'
import { frameArrived, frameTaken, type CreditSource } from './receiving-lane.ts'
import type { SessionLanes } from './session-lanes.ts'

interface SessionFramesOptions {
  readonly counters: LinkCounters
  readonly kept: KeptViews
  readonly credit: CreditSource
  readonly longFrames: LongFrames
  readonly onHandlerFailed: (lane: Lane, error: unknown) => void
}

export class SessionFrames implements LaneKindHandler {
  readonly #lanes: SessionLanes
  readonly #counters: LinkCounters
  readonly #kept: KeptViews
  readonly #credit: CreditSource
  readonly #longFrames: LongFrames
  /** Pieces of long frames that have arrived, less one for each frame: every Piece may be acknowledged. */
  #furtherPieces = 0
  readonly #onHandlerFailed: (lane: Lane, error: unknown) => void

  constructor(lanes: SessionLanes, { counters, kept, credit, longFrames, onHandlerFailed }: SessionFramesOptions) {
    this.#lanes = lanes
    this.#counters = counters
    this.#kept = kept
    this.#credit = credit
    this.#longFrames = longFrames
    this.#onHandlerFailed = onHandlerFailed
  }

  get carriedFrames(): number {
    return this.#counters.valuesSent + this.#counters.valuesReceived + this.#furtherPieces
  }

  mayBegin(laneId: number): void {
    this.#lanes.mayBegin(laneId)
  }

  receiving(laneId: number): NativeLane | undefined {
    return this.#lanes.find(laneId)
  }

  onFrame(
    laneId: number,
    descriptor: number,
    buffer: Buffer,
    bodyStart: number,
    bodyEnd: number,
    nowMs: number,
  ): boolean {
    const lane = this.#lanes.find(laneId)
    if (lane === undefined) {
      this.#lanes.onUnknown(laneId, descriptor, buffer, bodyStart, bodyEnd, nowMs)
      this.#counters.framesDropped++
      return false
    }
    if (descriptor === nativeDescriptors.Credit || descriptor === nativeDescriptors.Reset) {
      this.#lanes.onOwnFrame(lane, descriptor, buffer, bodyStart, bodyEnd, nowMs)
      return false
    }
    const bodyLengthBytes = bodyEnd - bodyStart
    const frameLengthBytes = bodyLengthBytes + frameHeaderLengthBytes
    frameArrived(lane, frameLengthBytes)
    if (descriptor === nativeDescriptors.Piece) {
      // In the block of the frame already, or anywhere in a chunk.
      this.#onPiece(lane, bodyStart < 0 ? buffer : decodePiece(buffer, bodyStart, bodyEnd))
      return false
    }
    if (lane.longArriving !== null) throw interrupted(laneId, descriptor)
    return this.#onValue(lane, descriptor, buffer, bodyStart, bodyEnd, null)
  }

  #onPiece(lane: NativeLane, piece: Buffer): void {
    const frame = this.#longFrames.piece(lane, 'session', piece)
    if (frame === null) {
      this.#furtherPieces++
      return
    }
    const { whole } = frame
    if (!this.#onValue(lane, frame.descriptor, whole, 1, frame.lengthBytes, frame)) this.#longFrames.giveBack(whole)
  }

  /** @param frame if the value came in Pieces. @returns whether the memory is kept */
  #onValue(
    lane: NativeLane,
    descriptor: number,
    buffer: Buffer,
    bodyStart: number,
    bodyEnd: number,
    frame: LongFrame | null,
  ): boolean {
    const bodyLengthBytes = bodyEnd - bodyStart
    this.#counters.valuesReceived++
    this.#counters.bytesReceived += bodyLengthBytes
    const mayBorrow = lane.isBorrowing || lane.packs(bodyLengthBytes)
    let value: NetworkValue
    try {
      value =
        descriptor === msgPackDescriptor
          ? this.#checkedMsgPack(lane, buffer, bodyStart, bodyEnd, mayBorrow)
          : this.#kept.decode(descriptor, buffer, bodyStart, bodyEnd, mayBorrow)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      // The length of the frame was correct, so the socket and the other lanes stay.
      this.#lanes.refuse(lane, error, 'bad-value')
      return false
    }
    const costBytes = frame?.wireBytes ?? bodyLengthBytes + frameHeaderLengthBytes
    return this.#deliver(lane, value, costBytes, descriptor === msgPackDescriptor, frame)
  }

  /** Nothing reads it yet: its bytes, because its objects may need a hundred times their memory. */
  #checkedMsgPack(
    lane: NativeLane,
    buffer: Buffer,
    bodyStart: number,
    bodyEnd: number,
    mayBorrow: boolean,
  ): NetworkValue {
    checkMsgPack(buffer, bodyStart + lengthFieldLengthBytes, bodyEnd)
    if (lane.isAwaiting) return decodeMsgPackBody(buffer, bodyStart)
    // The body of Bytes has the same form.
    return this.#kept.decode(descriptors.Bytes, buffer, bodyStart, bodyEnd, mayBorrow)
  }

  #deliver(
    lane: NativeLane,
    value: NetworkValue,
    costBytes: number,
    isMsgPack: boolean,
    frame: LongFrame | null,
  ): boolean {
    // Read before the call, in which the handler may change.
    const { isBorrowing } = lane
    let unreadBytes = 0
    try {
      unreadBytes = lane.deliver(value, costBytes, isMsgPack)
    } catch (error) {
      this.#onHandlerFailed(lane, error)
    }
    if (frame?.isReserved === true) frame.unreadBefore = unreadBytes === 0 ? 0 : lane.unreadValues - 1
    if (unreadBytes === 0) this.taken(lane, costBytes)
    return isView(value) && !isBorrowing
  }

  /** The application has taken a value. */
  taken(lane: NativeLane, costBytes: number): void {
    if (!this.#lanes.has(lane)) return
    // What was granted for a long frame is not granted again.
    if (lane.longReserved !== null && lane.longReserved.unreadBefore >= 0 && lane.longReserved.unreadBefore-- === 0)
      this.#longFrames.taken(lane)
    else frameTaken(lane, costBytes, this.#credit)
  }

  /** The windows of a session come with its Make and Made. */
  adopted(): void {}

  epochEnded(end: EpochEnd, pending: PendingFrames, leaving: Error | null): OutcomeCounts {
    return this.#lanes.epochEnded(end, pending, leaving)
  }

  close(error: Error): void {
    this.#lanes.endAll(error)
  }
}
