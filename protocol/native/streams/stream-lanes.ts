/**
 * Owns: the streams of one native link in one epoch: opening them within the peer's limit, accepting those of the peer,
 * and how each ends (docs/protocol.md, native, "Streams").
 * Independent of: who reads and writes them; sessions and messages; sockets and clocks.
 */
import { descriptors, frameHeaderLengthBytes, lengthFieldLengthBytes } from '../../../codec/constants.ts'
import { ProtocolError, StatewireError } from '../../../codec/errors.ts'
import {
  encodeAccept,
  encodeFin,
  encodeOpen,
  encodeReset,
  nativeDescriptors,
  resetCodes,
} from '../../../codec/native-frames.ts'
import type { LinkStreams, StreamAcceptor, StreamEvents, StreamOpening, StreamReset } from '../../streams.ts'
import type { EpochEnd, OutcomeCounts, PendingFrames } from '../epoch/outcomes.ts'
import { decodeAccept, decodeCredit, decodeOpen, decodeReset } from '../frame-bodies.ts'
import { SendCredit } from '../lanes/credit.ts'
import type { LaneKindHandler } from '../lanes/lane-kind.ts'
import { frameArrived, frameTaken } from '../lanes/receiving-lane.ts'
import { valueFrames } from '../lanes/sending-lane.ts'
import { StreamIds } from './stream-ids.ts'
import { StreamLane, type StreamOwner } from './stream-lane.ts'
import { loseAll, noBytes, noSuchProtocol, outOfOrder, whenOf } from './stream-rules.ts'
import type { StreamLanesOptions } from './stream-lanes-options.ts'
import { StreamPlaces } from './stream-places.ts'
import { StreamRate } from './stream-rate.ts'

/** What a frame of Bytes adds to what it carries. */
const bytesHeaderLengthBytes = frameHeaderLengthBytes + lengthFieldLengthBytes
/** A view may keep this many times its own bytes alive; what is shorter is copied. */
const heldPerByteMax = 4

export class StreamLanes implements LinkStreams, LaneKindHandler, StreamOwner {
  readonly #options: StreamLanesOptions
  readonly #lanes = new Map<number, StreamLane>()
  #last: StreamLane | null = null
  readonly #places: StreamPlaces
  #acceptor: StreamAcceptor | null = null
  readonly #rate: StreamRate
  #ownIds: StreamIds
  #peerIds: StreamIds
  /** Why no stream is opened any more. */
  #refusal: Error | null = null
  #peerStreams = 0
  carriedFrames = 0

  constructor(options: StreamLanesOptions) {
    this.#options = options
    const { outbox, isUp, peerStreamsMax } = options
    this.#places = new StreamPlaces({ outbox, isUp, peerStreamsMax, send: (lane) => this.#send(lane) })
    this.#rate = new StreamRate(options.opensPerSecond, options.credit.nowMs())
    this.#ownIds = new StreamIds(!options.isPeerGreater)
    this.#peerIds = new StreamIds(options.isPeerGreater)
  }

  // Opening.

  get openedHere(): number {
    return this.#places.size
  }

  get openedByPeer(): number {
    return this.#peerStreams
  }

  /** Those that are not over, of both sides. */
  get lanes(): Iterable<StreamLane> {
    return this.#lanes.values()
  }

  get hasPlace(): boolean {
    return this.#places.isFree
  }

  setAcceptor(acceptor: StreamAcceptor | null): void {
    this.#acceptor = acceptor
  }

  open(opening: StreamOpening, events: StreamEvents): StreamLane {
    if (this.#refusal !== null) throw this.#refusal
    const lane = new StreamLane(this, this.#options.memory, opening)
    lane.events = events
    this.#places.add(lane)
    return lane
  }

  #send(lane: StreamLane): void {
    const { memory, outbox, windowBytes } = this.#options
    const { opening, events } = lane
    if (opening === null) return
    const granted = memory.openWindow(windowBytes)
    if (granted === 0) {
      lane.isOver = true
      this.#places.fill()
      events?.onLost(this.#noMemory(), noBytes)
      return
    }
    lane.id = this.#ownIds.next((id) => this.#lanes.has(id))
    lane.opening = null
    lane.takeBack = null
    lane.granted(granted)
    this.#lanes.set(lane.id, lane)
    this.#places.open++
    outbox.writeOwn(encodeOpen(lane.id, { windowBytes: granted, ...opening }))
    events?.onSent()
  }

  #noMemory(): StatewireError {
    return new StatewireError(
      'ERR_MEMORY_BUDGET',
      `the memory budget of this side has no room for another stream with ${this.#options.peer}: raise ` +
        'memoryBudgetBytes, or close streams',
    )
  }

  // What one stream asks for.

  accept(lane: StreamLane): boolean {
    if (lane.isOver || lane.isOwn || lane.isAccepted) return !lane.isOver
    const { memory, outbox, windowBytes } = this.#options
    const granted = memory.openWindow(windowBytes)
    if (granted === 0) {
      this.reset(lane, { code: resetCodes.limit, reason: 'the memory budget of this side has no room for it' })
      return false
    }
    lane.granted(granted)
    lane.isAccepted = true
    outbox.writeOwn(encodeAccept(lane.id, granted))
    return true
  }

  trySend(lane: StreamLane, bytes: Uint8Array): boolean {
    if (!lane.isAccepted || lane.hasFinished) return false
    const value = { type: 'Bytes', value: bytes as Buffer } as const
    if (!this.#options.outbox.trySendFrame(lane, valueFrames, value)) return false
    lane.encodedBytes += bytes.length
    return true
  }

  waitToSend(lane: StreamLane, bytes: Uint8Array, resolve: () => void, reject: (error: Error) => void): () => boolean {
    const { length } = bytes
    lane.waitingBytes += length
    const value = { type: 'Bytes', value: bytes as Buffer } as const
    const settled = (): void => void (lane.waitingBytes -= length)
    const withdraw = this.#options.outbox.waitToSend(
      lane,
      valueFrames,
      value,
      () => {
        settled()
        lane.encodedBytes += length
        resolve()
      },
      (error) => {
        settled()
        reject(error)
      },
    )
    return () => {
      if (!withdraw()) return false
      settled()
      return true
    }
  }

  finish(lane: StreamLane): void {
    if (lane.isOver || lane.hasFinished) return
    if (!lane.isAccepted || lane.waiting.length > 0)
      throw new StatewireError('ERR_INTERNAL', 'a stream was finished before it was open, or while bytes waited')
    const { outbox } = this.#options
    lane.hasFinished = true
    outbox.writeOwn(encodeFin(lane.id))
    lane.lastFrame = outbox.ackedFrames + outbox.unackedFrames
    if (lane.hasPeerFinished) this.#over(lane, null)
  }

  reset(lane: StreamLane, reset: StreamReset): void {
    if (lane.isOver) return
    const error = new StatewireError('ERR_STREAM_RESET', `this side reset the stream: ${reset.reason}`)
    if (lane.id === 0) {
      this.#takeBack(lane)
      return
    }
    // What is in flight on a stream that this side ends is not a flood.
    this.#options.guard.sessionClosed(lane.window.ownCountBytes)
    // Before the next Open, which takes its place.
    this.#options.outbox.writeOwn(encodeReset(lane.id, reset))
    this.#over(lane, error)
  }

  /** Its Open has not left: it ends without a frame. */
  #takeBack(lane: StreamLane): void {
    lane.isOver = true
    lane.opening = null
    this.#places.remove(lane)
  }

  taken(lane: StreamLane, lengthBytes: number, frames: number): void {
    if (!lane.isOver && !lane.hasPeerFinished)
      frameTaken(lane, lengthBytes + frames * bytesHeaderLengthBytes, this.#options.credit)
  }

  whenAcked(lane: StreamLane, resolve: () => void, reject: (error: Error) => void): () => void {
    const { acks, credit } = this.#options
    return acks.whenAcked(lane, credit.nowMs(), resolve, reject)
  }

  /** Nothing more is sent or expected on it. @param error why what waits is not sent */
  #over(lane: StreamLane, error: Error | null): void {
    lane.isOver = true
    lane.end = error ?? streamIsOver
    this.#lanes.delete(lane.id)
    if (this.#last === lane) this.#last = null
    lane.memory.end()
    if (error !== null) this.#options.outbox.rejectWaiting(lane, error)
    if (lane.isOwn) this.#places.ended()
    else this.#peerStreams--
  }

  // Receiving.

  mayBegin(laneId: number, descriptor: number): void {
    if (descriptor !== descriptors.Bytes) return
    const lane = this.#find(laneId)
    if (lane === undefined) this.#checkOver(laneId)
    else lane.window.check()
  }

  receiving(): undefined {
    return undefined
  }

  #find(id: number): StreamLane | undefined {
    if (this.#last?.id === id) return this.#last
    const found = this.#lanes.get(id)
    if (found !== undefined) this.#last = found
    return found
  }

  onFrame(
    laneId: number,
    descriptor: number,
    buffer: Buffer,
    bodyStart: number,
    bodyEnd: number,
    nowMs: number,
  ): boolean {
    if (descriptor === nativeDescriptors.Open) {
      this.#onOpen(laneId, decodeOpen(buffer, bodyStart, bodyEnd), nowMs)
      return false
    }
    const lane = this.#find(laneId)
    if (lane === undefined) {
      this.#onOver(laneId, descriptor, buffer, bodyStart, bodyEnd, nowMs)
      return false
    }
    if (descriptor === descriptors.Bytes) return this.#onBytes(lane, buffer, bodyStart, bodyEnd)
    if (descriptor === nativeDescriptors.Credit) this.#onCredit(lane, decodeCredit(buffer, bodyStart), nowMs)
    else if (descriptor === nativeDescriptors.Fin) this.#onFin(lane)
    else if (descriptor === nativeDescriptors.Accept) this.#onAccept(lane, decodeAccept(buffer, bodyStart))
    else this.#onReset(lane, decodeReset(buffer, bodyStart, bodyEnd), nowMs)
    return false
  }

  #onOpen(id: number, opening: ReturnType<typeof decodeOpen>, nowMs: number): void {
    const { guard, counters, memory, outbox, streamsMax } = this.#options
    this.#peerIds.opened(id, this.#lanes.has(id))
    this.#rate.spend(nowMs)
    if (this.#peerStreams >= streamsMax)
      throw new ProtocolError(
        'ERR_STREAM_LIMIT_EXCEEDED',
        `The peer has opened more than ${streamsMax} streams on a link.`,
      )
    const { protocol, windowBytes } = opening
    const lane = new StreamLane(this, memory, null)
    lane.id = id
    lane.credit = new SendCredit(windowBytes)
    this.#lanes.set(id, lane)
    this.#peerStreams++
    const accepted = this.#acceptor?.(lane, { protocol, extra: Buffer.from(opening.extra) }) ?? noSuchProtocol
    if ('onBytes' in accepted) {
      lane.events = accepted
      this.carriedFrames++
      return
    }
    counters.framesDropped++
    guard.answer(nowMs)
    if (lane.isOver) return
    outbox.writeOwn(encodeReset(id, accepted))
    this.#over(lane, null)
  }

  #onAccept(lane: StreamLane, windowBytes: number): void {
    if (!lane.isOwn || lane.isAccepted) throw outOfOrder(lane.id, 'an Accept', lane.isOwn ? 'again' : 'from the opener')
    lane.isAccepted = true
    lane.credit = new SendCredit(windowBytes)
    this.carriedFrames++
    lane.events?.onAccepted()
  }

  #onBytes(lane: StreamLane, buffer: Buffer, bodyStart: number, bodyEnd: number): boolean {
    if (!lane.isAccepted || lane.hasPeerFinished) throw outOfOrder(lane.id, 'Bytes', whenOf(lane))
    frameArrived(lane, bodyEnd - bodyStart + frameHeaderLengthBytes)
    const { counters, kept } = this.#options
    const start = bodyStart + lengthFieldLengthBytes
    const lengthBytes = bodyEnd - start
    this.carriedFrames++
    counters.valuesReceived++
    counters.bytesReceived += lengthBytes
    const isView = lengthBytes * heldPerByteMax >= buffer.length
    const bytes = isView
      ? (kept.decode(descriptors.Bytes, buffer, bodyStart, bodyEnd, false).value as Buffer)
      : Buffer.from(buffer.subarray(start, bodyEnd))
    lane.events?.onBytes(bytes)
    return isView
  }

  #onCredit(lane: StreamLane, creditBytes: number, nowMs: number): void {
    this.#options.guard.frame(nowMs)
    if (!lane.isAccepted) throw outOfOrder(lane.id, 'Credit', whenOf(lane))
    if (!lane.hasFinished && lane.credit.grant(creditBytes) && lane.waiting.length > 0)
      this.#options.outbox.sendWaiting()
  }

  #onFin(lane: StreamLane): void {
    if (!lane.isAccepted || lane.hasPeerFinished) throw outOfOrder(lane.id, 'Fin', whenOf(lane))
    lane.hasPeerFinished = true
    if (lane.hasFinished) this.#over(lane, null)
    lane.events?.onFin()
  }

  #onReset(lane: StreamLane, reset: StreamReset, nowMs: number): void {
    this.#rate.spend(nowMs)
    const error = new StatewireError('ERR_STREAM_RESET', `the peer reset the stream: ${reset.reason}`)
    this.#options.acks.laneEnded(lane, error)
    this.#over(lane, error)
    lane.events?.onReset(reset, lane.hasPeerFinished)
  }

  /** A frame for a stream that is over. Throws ProtocolError if it never was open. */
  #onOver(id: number, descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number, nowMs: number): void {
    const { guard, counters } = this.#options
    this.#checkOver(id)
    counters.framesDropped++
    if (descriptor === descriptors.Bytes) return guard.late(bodyEnd - bodyStart + frameHeaderLengthBytes, nowMs)
    this.#rate.spend(nowMs)
    if (descriptor === nativeDescriptors.Credit) decodeCredit(buffer, bodyStart)
    else if (descriptor === nativeDescriptors.Accept) decodeAccept(buffer, bodyStart)
  }

  #checkOver(id: number): void {
    if (this.#peerIds.isOwn(id)) this.#peerIds.checkOver(id)
    else this.#ownIds.checkOver(id)
  }

  // The link.

  adopted(): void {
    this.#places.fill()
  }

  epochEnded(end: EpochEnd, pending: PendingFrames, leaving: Error | null): OutcomeCounts {
    const { outbox, peer, isPeerGreater } = this.#options
    this.#places.epochEnded()
    this.#ownIds = new StreamIds(!isPeerGreater)
    this.#peerIds = new StreamIds(isPeerGreater)
    const lanes = [...this.#lanes.values()]
    this.#lanes.clear()
    this.#last = null
    this.#peerStreams = 0
    return loseAll(lanes, end, pending, leaving, { peer, outbox })
  }

  /** No stream is opened any more; those that wait fail. */
  refuse(error: Error): void {
    this.#refusal ??= error
    const waiting = this.#places.removeAll()
    for (const lane of waiting) lane.isOver = true
    for (const { events } of waiting) events?.onLost(error, noBytes)
  }

  close(error: Error): void {
    this.refuse(error)
    const nothing = { values: new Map<number, number>(), streamBytes: new Map<number, number>() }
    this.epochEnded({ reason: 'goodbye', held: new Map() }, nothing, error)
    this.#acceptor = null
  }
}

const streamIsOver = new StatewireError('ERR_STREAM_RESET', 'the stream is over')
