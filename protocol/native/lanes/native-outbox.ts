/**
 * Owns: the sending half of a native link: what waits for credit or for room, what is encoded and not handed over, and
 * the write batch. A frame gets its sequence here, when it is handed to a connection.
 * Independent of: what frames carry, what arrives; sockets and clocks.
 *
 * Every frame is in exactly one place: it waits, or is in the write batch, or in the retransmit buffer. Outcomes are
 * counted from these places. So a step that can fail comes before the frame moves, and a hook is called after it has
 * moved: a hook may end the epoch, and the lane with it.
 */
import { isLongFrame, pieceFrameLengthBytesMax } from '../../../codec/frame-in-pieces.ts'
import type { SpareMemory } from '../../../codec/spare-memory.ts'
import type { LinkFigures } from '../../link-figures.ts'
import type { LinkCounters, LinkHooks, Outbound } from '../../link-core.ts'
import { AckBeforeReset } from '../epoch/ack-before-reset.ts'
import { heldFramesMax, neverAcknowledged, retransmitFrameOverheadBytes } from '../epoch/retransmit-buffer.ts'
import type { LinkEpoch } from '../epoch/link-epoch.ts'
import type { PendingFrames } from '../epoch/outcomes.ts'
import { ControlFrames } from './control-frames.ts'
import { HeldFrames } from './held-frames.ts'
import { PiecesInFlight, type RoundTripSource } from './pieces-in-flight.ts'
import { SendQueue, type SendQueueOptions } from './send-queue.ts'
import { SendRoom } from './send-room.ts'
import { SendTurns } from './send-turns.ts'
import { PendingSend, type FrameEncoder, type SendingLane } from './sending-lane.ts'
import { WriteBatch } from './write-batch.ts'

/**
 * What is encoded before retransmit buffer, room and Goodbye are asked again: they are several objects, and cold on a
 * link among many (docs/performance.md). Less than the longest value that any peer accepts.
 */
const allowanceQuantumBytes = 16 * 1024

export interface OutboxOptions extends SendQueueOptions {
  readonly peer: string
  /** Memory for write batches, shared by the links of a node. */
  readonly arenas?: SpareMemory
  readonly nowMs: () => number
  readonly roundTrip?: RoundTripSource
}

export class NativeOutbox implements Outbound {
  readonly #options: OutboxOptions
  readonly #epoch: LinkEpoch
  readonly #hooks: () => LinkHooks
  readonly #queue: SendQueue
  readonly #batch: WriteBatch
  readonly #room: SendRoom
  readonly #turns: SendTurns
  readonly #ackBeforeReset: AckBeforeReset
  readonly #control: ControlFrames
  readonly #inFlight: PiecesInFlight
  /** Why nothing new is accepted any more. */
  #refusal: Error | null = null
  /** Admitted already, overheads included. Whatever makes less admissible, or lets a frame wait, ends it. */
  #allowanceBytes = 0
  #isFlowing = false
  #flushRequested = false
  readonly held = new HeldFrames(() => this.#isFlowing && this.#isAdmitted())
  /** Epochs that have ended. */
  #ends = 0

  constructor(options: OutboxOptions, epoch: LinkEpoch, counters: LinkCounters, hooks: () => LinkHooks) {
    const { peer, nowMs, roundTrip } = options
    const inFlight = (this.#inFlight = new PiecesInFlight(nowMs, roundTrip))
    this.#options = options
    this.#epoch = epoch
    this.#hooks = hooks
    this.#queue = new SendQueue(options)
    this.#room = new SendRoom(options.memory)
    this.#ackBeforeReset = new AckBeforeReset(epoch)
    this.#control = new ControlFrames(epoch)
    this.#batch = new WriteBatch(options.arenas, epoch.retransmit, counters)
    const parts = { queue: this.#queue, batch: this.#batch, room: this.#room, inFlight, epoch, peer, hooks }
    this.#turns = new SendTurns(parts, {
      mayGoOn: () => this.#isFlowing && this.#isAdmitted(),
      costBytes: () => this.#costBytes,
      added: (lane, lengthBytes) => this.#added(lane, lengthBytes),
      requestFlush: () => this.requestFlush(),
    })
  }

  get isFlowing(): boolean {
    return this.#isFlowing
  }

  get waitingValues(): number {
    return this.#queue.sends
  }

  get pendingBytes(): number {
    return this.#batch.bytes
  }

  get figures(): LinkFigures['sendQueue'] {
    return { ...this.#queue.figures, pendingBytes: this.#batch.bytes }
  }

  get hasPending(): boolean {
    return this.#batch.bytes > 0 || this.#control.isPending
  }

  get isAckDue(): boolean {
    return this.#control.isAckDue
  }

  /** What is encoded and not acknowledged costs this, as the retransmit buffer counts. */
  get #costBytes(): number {
    return this.#epoch.retransmit.costBytes + this.#batch.costBytes
  }

  /** Frames that are encoded, and not acknowledged or not even handed over. */
  get unackedFrames(): number {
    return this.#epoch.retransmit.heldFrames + this.#batch.frames
  }

  /** Pieces handed over that are not the last of their value: each may be acknowledged. */
  get innerPiecesSent(): number {
    return this.#batch.takenInnerPieces
  }

  /** Frames that are acknowledged, counted from when the link was made. */
  get ackedFrames(): number {
    return this.#batch.takenFrames - this.#epoch.retransmit.heldFrames
  }

  /** Values that are accepted and not handed over, or not completely. Costs a walk over them. */
  get pendingValues(): number {
    return this.#batch.values + this.#queue.lanesInPieces.length
  }

  /**
   * Life of a byte 2/12: encodes a paying frame into the write batch. @returns whether; else use {@link waitToSend}
   * @param transfer the content's memory is taken over instead of copied. Throws ERR_INVALID_VALUE,
   *   ERR_NOT_TRANSFERABLE.
   * @param whole not accepted if it is sent in Pieces, of which only the first would be encoded
   */
  trySendFrame<Content>(
    lane: SendingLane,
    encoder: FrameEncoder<Content>,
    content: Content,
    transfer = false,
    whole = false,
  ): boolean {
    if (lane.end !== null || !lane.credit.canSend) return this.#notNow(lane)
    // While there is an allowance the link flows, nothing waits, and the retransmit buffer admits.
    if (this.#allowanceBytes === 0 && !this.#canOvertake(lane)) return this.#notNow(lane)
    const lengthBytes = encoder.lengthBytes(content)
    if (encoder.encodeLong !== undefined && isLongFrame(lengthBytes))
      return !whole && this.#trySendLong(lane, encoder, content, lengthBytes, transfer)
    if (this.#batch.endsBefore(lengthBytes) && !this.#turns.flushFor(lane)) return false
    const leftBytes = this.#allowanceBytes - lengthBytes - retransmitFrameOverheadBytes
    if (leftBytes >= 0) {
      this.#allowanceBytes = leftBytes
      this.#added(lane, this.#batch.add(encoder, lane.id, content, transfer))
      return true
    }
    if (!this.#room.fits(this.#costBytes, lengthBytes)) return false
    this.#turns.checkLength(lengthBytes)
    this.#added(lane, this.#batch.add(encoder, lane.id, content, transfer))
    this.#renewAllowance()
    return true
  }

  /** What waits on other lanes does so for credit, or takes turns a Piece each. */
  #canOvertake(lane: SendingLane): boolean {
    const isFirst = lane.waiting.length === 0 && lane.long === null
    return this.#isFlowing && isFirst && this.#refusalOf(lane) === null && this.#isAdmitted()
  }

  /** It is accepted with its first Piece. The others take their turns. */
  #trySendLong<Content>(
    lane: SendingLane,
    encoder: FrameEncoder<Content>,
    content: Content,
    lengthBytes: number,
    transfer: boolean,
  ): boolean {
    this.#turns.checkLength(lengthBytes)
    if (!this.#inFlight.maySend() || !this.#room.fits(this.#costBytes, pieceFrameLengthBytesMax)) return false
    const costBytes = this.#queue.reserve(lane, lengthBytes, false)
    if (typeof costBytes !== 'number') return false
    let failure: Error | null = null
    const failed = (error: Error): void => void (failure = error)
    const send = this.#encodePending(lane, encoder, content, costBytes, () => {}, failed, transfer)
    this.#allowanceBytes = 0
    this.#queue.add(lane, send)
    this.#turns.sendPiece(lane, send)
    if (failure !== null) throw failure as Error
    this.sendWaiting()
    return true
  }

  /** While frames wait, each one asks: the next must not overtake them. */
  #renewAllowance(): void {
    if (!this.#isFlowing || this.#refusal !== null || this.#queue.sends > 0) return
    const costBytes = this.#costBytes
    const admitted = this.#epoch.retransmit.leftBytes(costBytes, this.#batch.frames)
    this.#allowanceBytes = Math.max(0, Math.min(allowanceQuantumBytes, this.#room.leftBytes(costBytes), admitted))
  }

  #refusalOf(lane: SendingLane): Error | null {
    return lane.isOwed ? null : this.#refusal
  }

  endAllowance(): void {
    this.#allowanceBytes = 0
  }

  /** Not accepted now. Throws if it never will be. */
  #notNow(lane: SendingLane): false {
    const refusal = this.#refusalOf(lane)
    if (refusal !== null && lane.end === null) throw refusal
    return false
  }

  /** Arguments and errors as {@link trySendFrame}. The returned function withdraws the frame if it still waits. */
  waitToSend<Content>(
    lane: SendingLane,
    encoder: FrameEncoder<Content>,
    content: Content,
    resolve: () => void,
    reject: (error: Error) => void,
    transfer = false,
  ): () => boolean {
    const refusal = lane.end ?? this.#refusalOf(lane)
    const lengthBytes = refusal === null ? encoder.lengthBytes(content) : 0
    const costBytes = refusal ?? this.#queue.reserve(lane, lengthBytes, lane.waiting.length === 0)
    if (typeof costBytes !== 'number') {
      reject(costBytes)
      return () => false
    }
    const send = this.#encodePending(lane, encoder, content, costBytes, resolve, reject, transfer)
    this.#queue.add(lane, send)
    this.#allowanceBytes = 0
    this.#epoch.valueWaits(this.#options.nowMs())
    if (!this.#epoch.isUp) this.#hooks().requestTimer()
    if (this.#queue.next(lane) === send && this.#isFlowing && lane.credit.canSend && this.#isAdmitted()) {
      if (send.long !== null) this.sendWaiting()
      // If room alone is missing, nothing else will ask for it.
      else this.#turns.waitForRoom()
    }
    return () => {
      if (!this.#queue.withdraw(lane, send)) return false
      this.#room.trim(this.#costBytes)
      return true
    }
  }

  /** A frame that waits is a copy as well. Its memory is reserved already. */
  #encodePending<Content>(
    lane: SendingLane,
    encoder: FrameEncoder<Content>,
    content: Content,
    costBytes: number,
    resolve: () => void,
    reject: (error: Error) => void,
    transfer: boolean,
  ): PendingSend {
    try {
      const frame = this.#batch.encode(encoder, lane.id, content, transfer)
      return new PendingSend(frame, costBytes, resolve, reject)
    } catch (error) {
      this.#queue.cancel(costBytes)
      throw error
    }
  }

  #isAdmitted(): boolean {
    return !this.#epoch.goodbye.isEnding && this.#epoch.retransmit.admits(this.#batch.frames, this.#batch.bytes)
  }

  /** A frame of this lane is in the batch. */
  #added(lane: SendingLane, lengthBytes: number): void {
    lane.encoded++
    lane.lastFrame = this.#batch.takenFrames + this.#batch.frames
    lane.credit.spend(lengthBytes)
    if (this.#batch.isLong(lengthBytes)) this.#hooks().flushNow()
    else this.requestFlush()
  }

  sendWaiting(): void {
    this.#turns.sendWaiting()
  }

  /** The lane has ended. The frame in Pieces goes last: memory that it gives back may let the next frame be sent. */
  rejectWaiting(lane: SendingLane, error: Error): void {
    this.#queue.reject(lane, error)
    this.#queue.dropLong(lane, error)
  }

  /** Calls back when no frame is being sent in Pieces, or with the reason why the rest of one was dropped. */
  whenPiecesSent(lane: SendingLane | null, onSettled: (error: Error | null) => void): (() => void) | null {
    const long = (lane ?? this.#queue.lanesInPieces[0])?.long
    return long?.whenSettled(onSettled) ?? null
  }

  /** Writes a frame of the link's own: Credit and Reset are always admitted and never queue behind values. */
  writeOwn(frame: Buffer): void {
    // After this side's Goodbye no counted frame may follow. The link ends with this connection.
    if (this.#epoch.goodbye.isSent) return
    this.#allowanceBytes = 0
    this.#batch.addOwn(frame)
    // The peer reads none. Once, and not thrown: the application may be on the stack.
    if (this.#batch.frames === heldFramesMax + 1) this.#hooks().onBroken(neverAcknowledged(this.#batch.frames))
    this.requestFlush()
  }

  /** @param received counted frames that came before the session ended; they are acknowledged before the Reset */
  writeReset(frame: Buffer, received: number): void {
    const ends = this.#ends
    if (this.#ackBeforeReset.differsFrom(received)) this.#hooks().flushNow()
    // The flush failed, and the session is of an epoch that has ended.
    if (this.#ends !== ends) return
    this.#ackBeforeReset.add(received)
    this.writeOwn(frame)
  }

  ping(frame: Buffer): void {
    this.#control.ping(frame)
    this.requestFlush()
  }

  pong(echo: bigint): void {
    this.#control.pong(echo)
    this.requestFlush()
  }

  ackIsDue(): void {
    this.#control.isAckDue = true
  }

  requestFlush(): void {
    if (this.#flushRequested || !this.#epoch.isUp) return
    this.#flushRequested = true
    this.#hooks().requestFlush()
  }

  /** Life of a byte 6/12: takes the write batch, adding an Ack if one is owed. Frames are counted from here on. */
  takeBatch(nowMs: number = this.#options.nowMs()): Buffer[] {
    this.#flushRequested = false
    const batch = this.#batch.take()
    this.#room.charge(this.#epoch.retransmit.costBytes)
    const first = this.#ackBeforeReset.take()
    const whole = this.#batch.withControl(batch, this.#control.take(nowMs))
    return first === null ? whole : [first, ...whole]
  }

  flow(): void {
    if (this.#isFlowing) return
    this.#isFlowing = true
    if (this.hasPending) this.requestFlush()
    this.acknowledged()
  }

  block(): void {
    this.#isFlowing = false
    this.#allowanceBytes = 0
    this.#room.stopWaiting()
  }

  /** Accepts nothing new, and rejects what waits. What was accepted is still sent, Pieces included. */
  refuse(error: Error): void {
    this.#refusal ??= error
    this.#allowanceBytes = 0
    for (const lane of this.#queue.lanes) if (!lane.isOwed) this.#queue.reject(lane, error)
  }

  /** The retransmit buffer holds less. */
  acknowledged(): void {
    this.#inFlight.acknowledged(this.ackedFrames)
    const costBytes = this.#costBytes
    this.#room.trim(costBytes)
    // Others wait for what was given back.
    if (this.#room.leftBytes(costBytes) < this.#allowanceBytes) this.#allowanceBytes = 0
    this.held.writeAll()
    this.sendWaiting()
  }

  /** There is a new connection, or none: control frames for the old one are dropped. */
  forgetControl(): void {
    this.#control.forget()
    this.#ackBeforeReset.forget()
    this.#inFlight.connectionEnded()
    this.#flushRequested = false
  }

  /** Drops what is encoded and not handed over. @returns the values that were accepted and are not sent, by lane */
  dropPending(): PendingFrames {
    this.#ends++
    this.#allowanceBytes = 0
    this.held.clear()
    this.#inFlight.clear()
    const counts = this.#batch.drop()
    for (const { id } of this.#queue.lanesInPieces) counts.values.set(id, (counts.values.get(id) ?? 0) + 1)
    this.#room.clear()
    return counts
  }
}
