/**
 * Owns: the sending half of a native link: what waits for credit or for room, what is encoded and not handed over, and
 * the write batch. A frame gets its sequence here, when it is handed to a connection.
 * Independent of: what frames carry, what arrives; sockets and clocks.
 *
 * Every frame is in exactly one place: it waits, or is in the write batch, or in the retransmit buffer. Outcomes are
 * counted from these places. So a step that can fail comes before the frame moves, and a hook is called after it has
 * moved: a hook may end the epoch, and the lane with it.
 */
import { InvalidValueError } from '../../../codec/errors.ts'
import type { SpareMemory } from '../../../codec/spare-memory.ts'
import type { LinkFigures } from '../../link-figures.ts'
import type { LinkCounters, LinkHooks, Outbound } from '../../link-core.ts'
import { AckBeforeReset } from '../epoch/ack-before-reset.ts'
import { heldFramesMax, neverAcknowledged, retransmitFrameOverheadBytes } from '../epoch/retransmit-buffer.ts'
import type { LinkEpoch } from '../epoch/link-epoch.ts'
import { ControlFrames } from './control-frames.ts'
import { HeldFrames } from './held-frames.ts'
import { SendQueue, type SendQueueOptions } from './send-queue.ts'
import { SendRoom } from './send-room.ts'
import { PendingSend, type FrameEncoder, type SendingLane } from './sending-lane.ts'
import { WriteBatch } from './write-batch.ts'

/**
 * What is encoded before retransmit buffer, room and Goodbye are asked again: they are several objects, and cold on a
 * link among many (docs/performance.md). Less than the longest value that any peer accepts.
 */
const allowanceQuantumBytes = 16 * 1024
/** Lane id, descriptor and length field: maxMessageLength does not count them. */
const headerLengthBytes = 9

export interface OutboxOptions extends SendQueueOptions {
  readonly peer: string
  /** Memory for write batches, shared by the links of a node. */
  readonly arenas?: SpareMemory
  readonly nowMs: () => number
}

export class NativeOutbox implements Outbound {
  readonly #options: OutboxOptions
  readonly #epoch: LinkEpoch
  readonly #hooks: () => LinkHooks
  readonly #queue: SendQueue
  readonly #batch: WriteBatch
  readonly #room: SendRoom
  readonly #ackBeforeReset: AckBeforeReset
  readonly #control: ControlFrames
  /** Why nothing new is accepted any more. */
  #refusal: Error | null = null
  /** Admitted already, overheads included. Whatever makes less admissible, or lets a frame wait, ends it. */
  #allowanceBytes = 0
  #isFlowing = false
  #isSendingWaiting = false
  #flushRequested = false
  readonly held = new HeldFrames(
    () => this.#isFlowing && this.#isAdmitted(),
    (frame) => this.writeOwn(frame),
  )
  /** Epochs that have ended. */
  #ends = 0

  constructor(options: OutboxOptions, epoch: LinkEpoch, counters: LinkCounters, hooks: () => LinkHooks) {
    this.#options = options
    this.#epoch = epoch
    this.#hooks = hooks
    this.#queue = new SendQueue(options)
    this.#room = new SendRoom(options.memory)
    this.#ackBeforeReset = new AckBeforeReset(epoch)
    this.#control = new ControlFrames(epoch)
    this.#batch = new WriteBatch(options.arenas, epoch.retransmit, counters)
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

  /** Frames that are acknowledged, counted from when the link was made. */
  get ackedFrames(): number {
    return this.#batch.takenFrames - this.#epoch.retransmit.heldFrames
  }

  /** Values that are encoded and not handed over. Costs a walk over them. */
  get pendingValues(): number {
    return this.#batch.values
  }

  /**
   * Life of a byte 2/12: encodes a paying frame into the write batch. False: it was not accepted, use {@link
   * waitToSend}.
   * @param transfer the content's memory is taken over instead of copied. Throws ERR_INVALID_VALUE,
   *   ERR_NOT_TRANSFERABLE.
   */
  trySendFrame<Content>(
    lane: SendingLane,
    encoder: FrameEncoder<Content>,
    content: Content,
    transfer = false,
  ): boolean {
    if (lane.end !== null || !lane.credit.canSend) return this.#notNow(lane)
    // While there is an allowance the link flows, nothing waits, and the retransmit buffer admits.
    if (this.#allowanceBytes === 0 && (!this.#isFlowing || lane.waiting.length > 0 || !this.#isAdmitted())) {
      return this.#notNow(lane)
    }
    const lengthBytes = encoder.lengthBytes(content)
    if (this.#batch.endsBefore(lengthBytes) && !this.#flushFor(lane)) return false
    const leftBytes = this.#allowanceBytes - lengthBytes - retransmitFrameOverheadBytes
    if (leftBytes >= 0) {
      this.#allowanceBytes = leftBytes
      this.#added(lane, this.#batch.add(encoder, lane.id, content, transfer))
      return true
    }
    if (!this.#room.fits(this.#costBytes, lengthBytes)) return false
    this.#checkLength(lengthBytes)
    this.#added(lane, this.#batch.add(encoder, lane.id, content, transfer))
    this.#renewAllowance()
    return true
  }

  /** While frames wait, each one asks: the next must not overtake them. */
  #renewAllowance(): void {
    if (!this.#isFlowing || this.#queue.sends > 0) return
    const costBytes = this.#costBytes
    const admitted = this.#epoch.retransmit.leftBytes(costBytes, this.#batch.frames)
    this.#allowanceBytes = Math.max(0, Math.min(allowanceQuantumBytes, this.#room.leftBytes(costBytes), admitted))
  }

  endAllowance(): void {
    this.#allowanceBytes = 0
  }

  /** Not accepted now. Throws if it never will be. */
  #notNow(lane: SendingLane): false {
    if (this.#refusal !== null && lane.end === null) throw this.#refusal
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
    const refusal = lane.end ?? this.#refusal
    const costBytes = refusal ?? this.#queue.reserve(lane, encoder.lengthBytes(content))
    if (typeof costBytes !== 'number') {
      reject(costBytes)
      return () => false
    }
    const send = this.#encodePending(lane, encoder, content, costBytes, resolve, reject, transfer)
    this.#queue.add(lane, send)
    this.#allowanceBytes = 0
    this.#epoch.valueWaits(this.#options.nowMs())
    if (!this.#epoch.isUp) this.#hooks().requestTimer()
    // If room alone is missing, nothing else will ask for it.
    const isFirst = lane.waiting.length === 1
    if (isFirst && this.#isFlowing && lane.credit.canSend && this.#isAdmitted()) this.#waitForRoom(send)
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
      return new PendingSend(this.#batch.encode(encoder, lane.id, content, transfer), costBytes, resolve, reject)
    } catch (error) {
      this.#queue.cancel(costBytes)
      throw error
    }
  }

  /** In the order in which links ask, over all links of the node. */
  #waitForRoom(send: PendingSend): void {
    this.#room.wait(
      () => this.#costBytes,
      send,
      () => this.sendWaiting(),
    )
  }

  #isAdmitted(): boolean {
    return !this.#epoch.goodbye.isEnding && this.#epoch.retransmit.admits(this.#batch.frames, this.#batch.bytes)
  }

  #checkLength(frameLengthBytes: number): void {
    const limitBytes = this.#epoch.peerLimits?.maxMessageLengthBytes ?? Infinity
    const lengthBytes = frameLengthBytes - headerLengthBytes
    if (lengthBytes <= limitBytes) return
    const { peer } = this.#options
    throw new InvalidValueError(`a value of ${lengthBytes} bytes is longer than the ${limitBytes} that ${peer} accepts`)
  }

  /**
   * Before the frame is written, and not after: the flush may end the epoch. @returns whether the lane is still there
   */
  #flushFor(lane: SendingLane): boolean {
    this.#hooks().flushNow()
    return lane.end === null
  }

  /** A frame of this lane is in the batch. */
  #added(lane: SendingLane, lengthBytes: number): void {
    lane.encoded++
    lane.lastFrame = this.#batch.takenFrames + this.#batch.frames
    lane.credit.spend(lengthBytes)
    if (this.#batch.isLong(lengthBytes)) this.#hooks().flushNow()
    else this.requestFlush()
  }

  /** The lanes with waiting frames take turns, a frame each. */
  sendWaiting(): void {
    if (this.#isSendingWaiting) return
    this.#isSendingWaiting = true
    try {
      for (const lane of this.#queue.lanes) {
        if (!this.#isFlowing || !this.#isAdmitted()) return
        if (!lane.credit.canSend) continue
        const next = lane.waiting.peek()
        if (next !== undefined && this.#batch.endsBefore(next.lengthBytes)) {
          if (!this.#flushFor(lane) || !this.#isFlowing) return
        }
        // The flush may have changed the queue.
        const send = lane.waiting.peek()
        if (send !== undefined && !this.#room.fitsQueued(this.#costBytes, send)) {
          this.#waitForRoom(send)
          // There may be room at once.
          if (!this.#room.fits(this.#costBytes, send.lengthBytes)) return
        }
        this.#queue.shift(lane)
        if (send !== undefined) this.#sendPending(lane, send)
      }
    } finally {
      this.#isSendingWaiting = false
    }
  }

  #sendPending(lane: SendingLane, send: PendingSend): void {
    try {
      this.#queue.release(send)
      this.#checkLength(send.lengthBytes)
      this.#added(lane, this.#batch.addPending(send))
      send.resolve()
    } catch (error) {
      send.reject(error as Error)
    }
  }

  rejectWaiting(lane: SendingLane, error: Error): void {
    this.#queue.reject(lane, error)
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
    this.#isFlowing = this.#refusal === null
    if (this.hasPending) this.requestFlush()
    this.acknowledged()
  }

  block(): void {
    this.#isFlowing = false
    this.#allowanceBytes = 0
    this.#room.stopWaiting()
  }

  /** Accepts nothing new, and rejects what waits. What was accepted is still sent. */
  refuse(error: Error): void {
    this.#refusal ??= error
    this.block()
    for (const lane of this.#queue.lanes) this.#queue.reject(lane, error)
  }

  /** The retransmit buffer holds less. */
  acknowledged(): void {
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
    this.#flushRequested = false
  }

  /** Drops what is encoded and not handed over. @returns the number of paying frames, by lane */
  dropPending(): Map<number, number> {
    this.#ends++
    this.#allowanceBytes = 0
    this.held.clear()
    const counts = this.#batch.drop()
    this.#room.clear()
    return counts
  }
}
