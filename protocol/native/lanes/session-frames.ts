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
import type { KeptViews } from '../../kept-views.ts'
import type { Lane } from '../../lane.ts'
import type { LinkCounters } from '../../link-core.ts'
import type { EpochEnd, OutcomeCounts } from '../epoch/outcomes.ts'
import type { LaneKindHandler } from './lane-kind.ts'
import type { NativeLane } from './native-lane.ts'
import { frameArrived, frameTaken, type CreditSource } from './receiving-lane.ts'
import type { SessionLanes } from './session-lanes.ts'

interface SessionFramesOptions {
  readonly counters: LinkCounters
  readonly kept: KeptViews
  readonly credit: CreditSource
  readonly onHandlerFailed: (lane: Lane, error: unknown) => void
}

export class SessionFrames implements LaneKindHandler {
  readonly #lanes: SessionLanes
  readonly #counters: LinkCounters
  readonly #kept: KeptViews
  readonly #credit: CreditSource
  readonly #onHandlerFailed: (lane: Lane, error: unknown) => void

  constructor(lanes: SessionLanes, { counters, kept, credit, onHandlerFailed }: SessionFramesOptions) {
    this.#lanes = lanes
    this.#counters = counters
    this.#kept = kept
    this.#credit = credit
    this.#onHandlerFailed = onHandlerFailed
  }

  get carriedFrames(): number {
    return this.#counters.valuesSent + this.#counters.valuesReceived
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
    return this.#deliver(lane, value, frameLengthBytes, descriptor === msgPackDescriptor)
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

  #deliver(lane: NativeLane, value: NetworkValue, frameLengthBytes: number, isMsgPack: boolean): boolean {
    // Read before the call, in which the handler may change.
    const { isBorrowing } = lane
    let unreadBytes = 0
    try {
      unreadBytes = lane.deliver(value, frameLengthBytes, isMsgPack)
    } catch (error) {
      this.#onHandlerFailed(lane, error)
    }
    if (unreadBytes === 0) this.taken(lane, frameLengthBytes)
    return isView(value) && !isBorrowing
  }

  /** The application has taken a value. */
  taken(lane: NativeLane, frameLengthBytes: number): void {
    if (this.#lanes.has(lane)) frameTaken(lane, frameLengthBytes, this.#credit)
  }

  /** The windows of a session come with its Make and Made. */
  adopted(): void {}

  epochEnded(end: EpochEnd, pending: ReadonlyMap<number, number>, leaving: Error | null): OutcomeCounts {
    return this.#lanes.epochEnded(end, pending, leaving)
  }

  close(error: Error): void {
    this.#lanes.endAll(error)
  }
}
